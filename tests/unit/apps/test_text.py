"""Names, groups, keys and commands, and how text is shown in an error."""

from __future__ import annotations

import pytest

from passloop.apps.errors import BadValue, Problem, ProblemList, SpecError, did_you_mean
from passloop.apps.text import check_group, check_key, check_name, check_run_name, check_words, shown

UNSAFE = ["a\x00b", "a\x1b[31m", "a\nb", "a\u202eb", "a\u200bb", "a\ufeffb", "a\u2066b", "a\udc80b", "a\x9bb"]


@pytest.mark.parametrize("check", [check_name, check_run_name, check_group, check_key])
@pytest.mark.parametrize("text", [*UNSAFE, "", " a", "a ", "x" * 600])
def test_names_have_only_visible_characters(check: object, text: str) -> None:
    with pytest.raises(BadValue):
        check(text)  # type: ignore[operator]


@pytest.mark.parametrize("text", ["digits", "größe", "a b", "模型", "a/b:c=1"])
def test_visible_names_are_taken(text: str) -> None:
    assert check_name(text) == text
    assert check_key(text) == text


@pytest.mark.parametrize(("name", "said"), [("12", "@12"), ("last", "the newest one")])
def test_a_run_is_not_named_like_a_selector(name: str, said: str) -> None:
    with pytest.raises(BadValue, match=said):
        check_run_name(name)


@pytest.mark.parametrize("text", ["a b", "/a", "a/", "a//b", "a,b"])
def test_a_group_is_one_word_with_levels(text: str) -> None:
    with pytest.raises(BadValue):
        check_group(text)


@pytest.mark.parametrize("words", [[], [""], ["a", "b\x00"], ["a", "\udcff"]])
def test_a_command_has_words_that_a_program_can_be_given(words: list[str]) -> None:
    with pytest.raises(BadValue):
        check_words(words)


@pytest.mark.parametrize("text", UNSAFE)
def test_shown_text_has_no_unsafe_character(text: str) -> None:
    assert shown(text).isprintable()


def test_shown_text_is_short() -> None:
    assert len(shown("x" * 10_000)) < 70
    assert shown(10**4_000) == "`a number of more than 77 digits`"


def test_an_unknown_name_is_answered_with_the_nearest_or_with_all() -> None:
    assert did_you_mean("matrx", ["matrix", "zip"]) == "did you mean `matrix`?"
    assert did_you_mean("qqq", ["matrix", "zip"]) == "use one of: matrix, zip"


def test_all_problems_are_reported_together() -> None:
    found = ProblemList()
    assert found.read("--a", check_name, "") is None
    assert found.read("--b", check_name, None) is None
    found.add("wrong", fix="right", where="--c")
    with pytest.raises(SpecError) as caught:
        found.raise_if_any(next_command="passloop ls")
    assert [problem.where for problem in caught.value.problems] == ["--a", "--c"]
    assert caught.value.exit_code == 2
    assert "next: passloop ls" in str(caught.value)
    assert caught.value.message.splitlines()[1] == "--c: wrong; right"
    assert caught.value.hint == "passloop ls"


def test_a_single_problem_has_its_fix_as_the_hint() -> None:
    error = SpecError([Problem("wrong", "right", "--c")], next_command="passloop ls")
    assert (error.message, error.hint) == ("--c: wrong", "right (next: passloop ls)")
    assert SpecError([Problem("wrong", "right")]).hint == "right"


def test_a_flood_of_problems_is_cut() -> None:
    error = SpecError([Problem("wrong", "right", str(number)) for number in range(100)])
    assert "and 80 more problems" in str(error)
