"""Selectors are read into one selection, and a selection into the store's filter."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passloop.apps.errors import SpecError
from passloop.apps.queue.find import filter_of, require_ids, run_id_of
from passloop.apps.queue.selectors import Selection, parse_selectors
from passloop.engine.errors import NotFound
from passloop.kernel.changes import TaskAdded
from passloop.kernel.tasks import OutcomeKind, TaskState
from passloop.store.database import Store
from passloop.store.home import Home
from passloop.store.reader import Reader
from tests.support.store_rows import SPEC, a_batch, a_run, a_task

FAILED = {"state": TaskState.FAILED, "outcome": OutcomeKind.FAILURE, "ended_at": 2_000}


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    """Six tasks: 1 to 3 in the sweep `digits`, 4 to 6 in its second run, none in the third; 2, 4 and 6 failed."""
    home = Home(tmp_path / "home")
    home.prepare()
    store = Store.open(home)
    rows = [
        a_task(n, run=1 if n < 4 else 2, key=f"k/{n}", group=f"g{n % 2}", **(FAILED if n % 2 == 0 else {}))
        for n in range(1, 7)
    ]
    runs = [a_run(n, name="digits", about='{"axes": ["n"]}') for n in (1, 2, 3)] + [a_run(4, name="empty")]
    store.commit(a_batch([*runs, *(TaskAdded(row, SPEC, "{}", ()) for row in rows)]))
    with store.reader() as reading:
        yield reading
    store.close()


@pytest.mark.parametrize(
    ("words", "selection"),
    [
        ([], Selection()),
        (["12"], Selection(ids=((12, 12),))),
        (["12-40"], Selection(ids=((12, 40),))),
        (["1,3-4"], Selection(ids=((1, 1), (3, 4)))),
        (["last"], Selection(last=True)),
        (["@digits"], Selection(runs=("digits",))),
        (["@12"], Selection(runs=("12",))),
        (["@a,b c"], Selection(runs=("a,b c",))),
        (["run:digits"], Selection(runs=("digits",))),
        (["state:failed"], Selection(states=("failed",))),
        (["class:out_of_memory", "class:run_oom"], Selection(classes=("out_of_memory", "run_oom"))),
        (["key:xsum/*:1,2"], Selection(keys=("xsum/*:1,2",))),
        (["group:a/b"], Selection(groups=("a/b",))),
        (["7", "7"], Selection(ids=((7, 7),))),
    ],
)
def test_words_become_a_selection(words: list[str], selection: Selection) -> None:
    assert parse_selectors(words) == selection


def test_several_states_in_one_word_are_told_as_several_words() -> None:
    with pytest.raises(SpecError) as refused:
        parse_selectors(["state:running,ready"])
    assert refused.value.problems[0].fix == "state:running state:ready"


@pytest.mark.parametrize(
    "word",
    [
        "",
        "x",
        "0",
        "-1",
        "40-12",
        "1-",
        "1-2-3",
        "@",
        "state:",
        "state:done",
        "stat:failed",
        "key:",
        "9" * 30,
        "a\x00",
        "\u0663",
    ],
)
def test_a_selector_that_cannot_be_read_says_what_can(word: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_selectors([word])
    assert caught.value.exit_code == 2
    assert caught.value.problems[0].fix


def test_all_wrong_selectors_are_reported_together() -> None:
    with pytest.raises(SpecError) as caught:
        parse_selectors(["x", "1", "state:faild"])
    assert len(caught.value.problems) == 2
    assert "did you mean `failed`?" in str(caught.value)


def test_nothing_said_means_everything() -> None:
    assert parse_selectors([]).everything
    assert not parse_selectors(["last"]).everything


@given(st.lists(st.text(max_size=30), max_size=3))
def test_no_text_breaks_the_reader_of_selectors(words: list[str]) -> None:
    try:
        parse_selectors(words)
    except SpecError as error:
        assert error.problems  # noqa: PT017


@pytest.mark.parametrize(
    ("words", "ids"),
    [
        ([], [1, 2, 3, 4, 5, 6]),
        (["2", "4-5"], [2, 4, 5]),
        (["last"], [6]),
        (["@digits"], [1, 2, 3, 4, 5, 6]),
        (["@2"], [4, 5, 6]),
        (["@3"], [1, 2, 3, 4, 5, 6]),
        (["@empty"], []),
        (["@1"], [1, 2, 3]),
        (["@1", "state:failed"], [2]),
        (["@1", "6", "state:failed"], [2, 6]),
        (["state:failed", "state:ready", "group:g1"], [1, 3, 5]),
        (["class:failure"], [2, 4, 6]),
        (["class:train"], [1, 2, 3, 4, 5, 6]),
        (["key:k/[12]"], [1, 2]),
        (["100-200"], []),
    ],
)
def test_a_selection_finds_its_tasks(reader: Reader, words: list[str], ids: list[int]) -> None:
    assert reader.task_ids(filter_of(parse_selectors(words), reader)) == ids
    assert require_ids(parse_selectors(words), reader) == ids


def test_a_task_or_run_that_is_not_there_is_not_found(reader: Reader) -> None:
    with pytest.raises(NotFound, match="no task 9"):
        require_ids(parse_selectors(["1", "9"]), reader)
    with pytest.raises(NotFound, match="no run"):
        run_id_of("other", reader)


def test_last_of_nothing_is_not_found(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.prepare()
    store = Store.open(home)
    with store.reader() as reading, pytest.raises(NotFound, match="no tasks yet"):
        filter_of(parse_selectors(["last"]), reading)
    store.close()


@pytest.mark.parametrize("word", ["all", "*"])
def test_whoever_means_everything_is_told_to_name_states(word: str) -> None:
    with pytest.raises(SpecError) as refused:
        parse_selectors([word])
    assert "state:ready state:running" in refused.value.problems[0].fix
