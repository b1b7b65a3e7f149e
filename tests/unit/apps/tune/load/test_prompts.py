"""Prompts follow from seed, point and number, and differ from their first words on."""

from __future__ import annotations

from pathlib import Path

import pytest

from passloop.apps.errors import BadValue
from passloop.apps.tune.load.options import read_options
from passloop.apps.tune.load.prompts import prompts_of


@pytest.mark.parametrize(("name", "words"), [("short", 32), ("medium", 256), ("long", 2048), ("100", 100), ("3", 3)])
def test_made_prompts_have_their_number_of_words(name: str, words: int) -> None:
    prompt = prompts_of(f"builtin:{name}", seed=1).prompt("rate=2", 5)
    assert len(prompt.text.split()) == words


def test_prompts_differ_from_their_first_words_so_that_no_cache_knows_them() -> None:
    made = prompts_of("builtin:medium", seed=1)
    beginnings = {
        " ".join(made.prompt(point, n).text.split()[:8]) for point in ("rate=1", "rate=2") for n in range(500)
    }
    assert len(beginnings) == 1000


def test_the_same_seed_gives_the_same_prompts() -> None:
    one, other = prompts_of("builtin:short", seed=1), prompts_of("builtin:short", seed=1)
    assert one.prompt("rate=1", 3) == other.prompt("rate=1", 3)
    assert one.prompt("rate=1", 3) != prompts_of("builtin:short", seed=2).prompt("rate=1", 3)


def test_shared_prompts_begin_alike_and_end_apart() -> None:
    made = prompts_of("builtin:shared", seed=1)
    one, other = made.prompt("rate=1", 0).text.split(), made.prompt("rate=1", 1).text.split()
    assert one[:256] == other[:256]
    assert one[256:] != other[256:]
    assert len(one) == 288


def test_a_file_gives_its_lines_in_turn(tmp_path: Path) -> None:
    file = tmp_path / "prompts.txt"
    file.write_text("one\n\ntwo\nthree\n", encoding="utf-8")
    listed = prompts_of(str(file), seed=1)
    first = [listed.prompt("rate=1", number).text for number in range(4)]
    assert sorted(first[:3]) == ["one", "three", "two"]
    assert first[3] == first[0]


def test_a_json_lines_file_may_hold_chats_and_lengths(tmp_path: Path) -> None:
    file = tmp_path / "prompts.jsonl"
    file.write_text('{"messages": [{"role": "user", "content": "hi"}], "max_tokens": 9}\n', encoding="utf-8")
    prompt = prompts_of(str(file), seed=1).prompt("rate=1", 0)
    assert prompt.max_tokens == 9
    assert prompt.body("chat") == {"messages": ({"role": "user", "content": "hi"},)}
    assert prompt.body("completions") == {"prompt": "hi"}


@pytest.mark.parametrize(
    ("name", "data"), [("p.txt", "\ufeffone\u2028line\r\n"), ("p.jsonl", '\ufeff{"prompt": "one\u2028line"}\r\n')]
)
def test_files_of_other_programs_are_read_as_they_are_meant(tmp_path: Path, name: str, data: str) -> None:
    (tmp_path / name).write_text(data, encoding="utf-8", newline="")
    made = prompts_of(str(tmp_path / name), seed=1)
    assert {made.prompt("rate=1", number).text for number in range(3)} == {"one\u2028line"}


def test_a_plain_prompt_becomes_a_chat_of_one_message() -> None:
    prompt = prompts_of("builtin:3", seed=1).prompt("rate=1", 0)
    assert prompt.body("chat") == {"messages": [{"role": "user", "content": prompt.text}]}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"prompt": 5}\n', "prompts.jsonl:1"),
        ('{"prompt": "a"}\n{}\n', "prompts.jsonl:2"),
        ('{"prompt": "a", "messages": [{}]}\n', "both of prompt and messages"),
        ('{"promt": "a"}\n', "promt"),
        ("\n\n", "holds no prompt"),
    ],
)
def test_a_file_that_cannot_be_says_where(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "prompts.jsonl"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(BadValue, match=said):
        prompts_of(str(file), seed=1)


@pytest.mark.parametrize(
    "reference", ["builtin:tall", "builtin:0", "builtin:-3", "builtin:", "builtin:²", "no/such.txt"]
)
def test_prompts_that_are_not_there_are_refused(reference: str) -> None:
    with pytest.raises(BadValue):
        prompts_of(reference, seed=1)


@pytest.mark.parametrize("options", [{"apis": "chat"}, {"api": "chats"}, {"in_flight": 0}, {"most_errors": "half"}])
def test_options_that_are_not_known_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(BadValue, match=r"load\.options"):
        read_options(options)
