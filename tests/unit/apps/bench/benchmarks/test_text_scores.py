"""Scores between texts, by hand-made examples."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passloop.apps.bench.benchmarks.matching import found_share
from passloop.apps.bench.benchmarks.text_scores import (
    SCORERS,
    best,
    count,
    exact,
    f1,
    recall,
    retrieval,
    rouge_l,
    string_match,
)


def test_case_articles_and_punctuation_do_not_count() -> None:
    assert exact("The Cat.", "cat") == 1.0
    assert exact("a dog", "cat") == 0.0


def test_f1_is_the_harmonic_mean_of_words() -> None:
    assert f1("red green blue", "red green") == pytest.approx(0.8)
    assert f1("red red", "red") == pytest.approx(2 / 3)
    assert f1("", "red") == 0.0


def test_rouge_l_keeps_the_order_of_words() -> None:
    assert rouge_l("one two three four", "one three four") == pytest.approx(6 / 7)
    assert rouge_l("four three two one", "one two three four") == pytest.approx(0.25)


def test_recall_asks_for_the_reference_in_the_answer() -> None:
    assert recall("It is Paris, of course", "Paris") == 1.0
    assert recall("Par is", "Paris") == 0.0


@pytest.mark.parametrize(
    ("said", "wanted"),
    [("15", "1.5"), ("5", "-5"), ("-5", "5"), ("1.5", "1"), ("1.5", "5"), ("3:30", "330"), ("12", "1")],
)
def test_another_number_is_another_word(said: str, wanted: str) -> None:
    assert exact(said, wanted) == recall(f"It is {said}.", wanted) == 0.0
    assert exact(f"{wanted}.", wanted) == recall(f"It is ({wanted}).", wanted) == 1.0


def test_words_inside_others_are_not_found_but_where_words_have_no_blanks() -> None:
    assert recall("Paragraph 12", "Paragraph 1") == recall("a catalogue", "cat") == 0.0
    assert recall("答案是北京。", "北京") == 1.0


@pytest.mark.parametrize("scorer", [exact, recall, f1, rouge_l])
def test_a_reference_of_which_nothing_would_be_left_is_compared_as_it_is(
    scorer: Callable[[str, str], float],
) -> None:
    assert (scorer("A", "A"), scorer("B", "A"), scorer("?", "!"), scorer("", "A")) == (1.0, 0.0, 0.0, 0.0)
    assert scorer("anything", "") == 0.0


def test_count_and_retrieval_are_those_of_longbench() -> None:
    assert (count("15", "1"), count("There are 15.", "15"), count("15 of 30", "15"), count("many", "15")) == (
        0,
        1,
        0.5,
        0,
    )
    assert (retrieval("Paragraph 12", "Paragraph 1"), retrieval("Paragraph 1", "Paragraph 1")) == (0, 1)
    assert (retrieval("1 or 2", "Paragraph 1"), retrieval("段落7", "段落7"), retrieval("1", "first")) == (0.5, 1, 0)


def test_string_match_is_that_of_ruler() -> None:
    assert (string_match("in 1977", "7"), string_match("It's THE Cat", "the cat"), string_match("cat", "cats")) == (
        1,
        1,
        0,
    )


def test_the_best_reference_counts() -> None:
    assert best("exact", "cat", ["dog", "cat"]) == 1.0
    assert best("exact", "cat", []) == 0.0


def test_a_number_inside_another_is_not_found() -> None:
    assert found_share("4123", ["123"]) == found_share("1235", ["123"]) == 0.0
    assert found_share("a 123.", ["123", "7"]) == 0.5
    assert found_share("anything", []) == 0.0


@given(st.sampled_from(sorted(SCORERS)), st.text(max_size=60), st.text(max_size=60))
def test_every_score_lies_between_none_and_all(scorer: str, answer: str, reference: str) -> None:
    assert 0.0 <= SCORERS[scorer](answer, reference) <= 1.0


@given(
    st.sampled_from(sorted(SCORERS.keys() - {"count", "retrieval"})),
    st.text(alphabet="abc ", min_size=1, max_size=30).filter(str.strip),
)
def test_a_text_fits_itself(scorer: str, text: str) -> None:
    whole = f"word {text}"
    assert SCORERS[scorer](whole, whole) == 1.0
