"""A plan counts what is left to ask without walking through what nobody has asked yet."""

from __future__ import annotations

from pathlib import Path

import pytest

from passloop.apps.generate.dataset import Dataset
from passloop.apps.generate.plan import plan_of
from passloop.store.home import Home
from passloop.store.reader import Reader
from passloop.testing.script import Fault, ModelScript, Script
from tests.support.generating import dataset_from, generating

COLUMNS = [
    {"name": "n", "kind": "sampler", "uniform": {}},
    {"name": "text", "kind": "llm_text", "model": "m", "prompt": "say {{ n }}"},
    {"name": "whole", "kind": "python", "call": "math:fsum", "batch": True, "needs": ["text"]},
]


def asked(dataset: Dataset, folder: Path | None = None) -> dict[str, int]:
    """How many cells of each column are to be asked for, by what the home in `folder` knows."""
    if folder is None:
        return {column.name: column.to_ask for column in plan_of(dataset).columns}
    with Reader.open(Home(folder / "home")) as reader:
        return {column.name: column.to_ask for column in plan_of(dataset, reader).columns}


@pytest.mark.timeout(5)
def test_a_hundred_million_rows_are_planned_at_once(tmp_path: Path) -> None:
    large = dataset_from(tmp_path, columns=COLUMNS, rows=100_000_000, row_group=3)
    assert asked(large) == {"n": 0, "text": 100_000_000, "whole": 33_333_334}


@pytest.mark.timeout(30)
async def test_answers_that_are_there_are_not_asked_for_however_many_rows_come_after(tmp_path: Path) -> None:
    refuses_two = Script(default=ModelScript(latency=0, faults=(Fault(status=400, last=2),)))
    async with generating(tmp_path, refuses_two) as stand:
        await stand.make(stand.dataset(columns=COLUMNS[:2], rows=7))
        assert asked(stand.dataset(columns=COLUMNS[:2], rows=7), tmp_path) == {"n": 0, "text": 2}
        assert asked(stand.dataset(columns=COLUMNS[:2], rows=10_000_000), tmp_path)["text"] == 10_000_000 - 5


@pytest.mark.parametrize(
    ("limits", "wall_ms"),
    [
        ({"max_in_flight": 10}, 20_000),
        ({"max_in_flight": 30}, 8_000),
        ({"max_in_flight": 10, "requests_per_minute": 60}, 100_000),
        ({"max_in_flight": 10, "requests_per_minute": 6_000}, 20_000),
    ],
)
def test_the_time_is_that_of_places_or_of_the_rate_whichever_is_longer(
    tmp_path: Path, limits: dict[str, int], wall_ms: int
) -> None:
    dataset = dataset_from(tmp_path, endpoint=limits, columns=COLUMNS[:2], rows=100)
    assert plan_of(dataset).wall_ms == wall_ms


def test_a_path_that_would_play_tricks_on_a_terminal_is_shown_escaped(tmp_path: Path) -> None:
    tricky = dataset_from(tmp_path, columns=COLUMNS, rows=1, out="a\u202eb.parquet")
    assert "a\\u{202e}b.parquet\n" in plan_of(tricky).as_text()
