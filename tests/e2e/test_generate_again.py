"""A dataset's second run, after its spec or a seed file was edited: what is there counts only if it is the same, and
what was paid for is not paid for again.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from passloop.apps.generate.costs import UNIT, CostGate
from passloop.apps.generate.dataset import Dataset
from passloop.apps.generate.parts import PartStore
from passloop.cli.client import Client
from passloop.cli.generating import Generate
from passloop.store.home import Home
from passloop.store.reader import Reader
from passloop.testing.script import Fault, ModelScript, Script
from tests.support.command_line import Box
from tests.support.generating import GenerateStand, generating, summary_from

pytestmark = pytest.mark.timeout(60)


async def followed(stand: GenerateStand, dataset: Dataset) -> int:
    """Start a spec as the command does, to its end; its exit code."""
    home = str(stand.folder / "home")
    summary = await asyncio.to_thread(Generate(dataset, home=home).work, Client(home), lambda _run: None)
    assert summary is not None
    return summary.exit_code


def written(folder: Path, column: str) -> list[Any]:
    return list(pq.read_table(folder / "made.parquet")[column].to_pylist())


BESIDE = [
    {"name": "who", "kind": "seed", "file": "who.csv", "order": "cycled"},
    {"name": "die", "kind": "sampler", "uniform": {}},
    {"name": "text", "kind": "llm_text", "model": "m", "prompt": "say something"},
]


async def test_values_that_no_cell_uses_are_those_of_the_seed_file_and_the_seed_as_they_are_now(tmp_path: Path) -> None:
    first_failures = Script(default=ModelScript(latency=0, faults=(Fault(status=400, last=1),)))
    (tmp_path / "who.csv").write_text("who\nann\nbob\n")
    async with generating(tmp_path, first_failures) as stand:
        assert await followed(stand, stand.dataset(columns=BESIDE)) == 1  # parts of whole row groups stay
        draws = written(tmp_path, "die")
        (tmp_path / "who.csv").write_text("who\neve\nian\n")
        assert await followed(stand, stand.dataset(columns=BESIDE, seed=1)) == 0
        assert written(tmp_path, "who") == ["eve", "ian"] * 3
        assert not set(draws) & set(written(tmp_path, "die"))
        assert stand.endpoint.count("answered") == 6


async def test_where_no_answer_came_rows_are_asked_for_again_though_they_were_to_be_dropped(tmp_path: Path) -> None:
    dead_at_first = Script(default=ModelScript(latency=0, faults=(Fault(status=400, last=6),)))
    async with generating(tmp_path, dead_at_first) as stand:
        dropping = stand.dataset(on_dead_endpoint="drop_rows")
        assert await followed(stand, dropping) == 1
        assert written(tmp_path, "text") == []
        assert await followed(stand, dropping) == 0
        assert len(written(tmp_path, "text")) == 6
        assert stand.endpoint.count("answered") == 6


async def test_a_seed_file_that_is_edited_meanwhile_mixes_nothing_and_is_named(box: Box) -> None:
    tmp_path = box.folder
    columns = [BESIDE[0], {**BESIDE[2], "prompt": "of {{ who }}"}]
    (tmp_path / "who.csv").write_text("who\nann\nbob\n")
    async with generating(tmp_path, Script(default=ModelScript(latency=0))) as stand:
        dataset = stand.dataset(columns=columns)
        await stand.make(dataset)
        (tmp_path / "who.csv").write_text("who\nann\nian\n")
        made = summary_from(tmp_path / "home", dataset)
        assert (made.exit_code, made.counts["kept"], made.counts["incomplete"]) == (1, 3, 3)
        assert any("3 cells without a value: not asked: " in line and "edited since" in line for line in made.lines())
        assert await followed(stand, dataset) == 0
        assert written(tmp_path, "who") == ["ann", "ian"] * 3
        assert stand.endpoint.count("answered") == 6 + 3
        (tmp_path / "who.csv").unlink()
        said = await asyncio.to_thread(box.run, "report", "@made", "--no-html")
        assert (said.code, "who.csv cannot be read" in said.err, "hint: name a file" in said.err) == (2, True, True)


async def test_two_commands_at_once_make_one_run(tmp_path: Path) -> None:
    async with generating(tmp_path, Script(default=ModelScript(latency=50))) as stand:
        home = str(tmp_path / "home")
        made = [Generate(stand.dataset(), home=home) for _ in range(4)]
        ends = await asyncio.gather(*(asyncio.to_thread(one.work, Client(home), lambda _run: None) for one in made))
        assert {str(one.run and one.run["id"]) for one in made} == {"1"}
        assert [end is not None and end.exit_code for end in ends] == [0] * 4
        assert stand.endpoint.count("answered") == 6


async def test_what_is_told_was_paid_in_all_runs_and_is_what_the_cost_limit_counts(tmp_path: Path) -> None:
    priced = {"m": {"endpoint": "here", "model": "m", "price": {"input": 1, "output": 3}}}
    first = Script(default=ModelScript(latency=0, faults=(Fault(status=400, last=2),)))
    async with generating(tmp_path, first) as stand:
        for prompt in ("say something", "say something else", "say something else"):
            dataset = stand.dataset(models=priced, columns=[{**BESIDE[2], "prompt": prompt}], limits={"max_cost": 1})
            await followed(stand, dataset)
        bills = [bill["tokens"] for bill in stand.bills if "tokens" in bill]
        assert len(bills) == 10  # of the first run four were answered
        read, written_out = (sum(int(bill[side]) for bill in bills) for side in (0, 1))
        cost = (read * 1 + written_out * 3) / 10**6
        told = summary_from(tmp_path / "home", dataset).usage["text"]
        assert told == {"input": read, "output": written_out, "cost": cost}
        with Reader.open(Home(tmp_path / "home")) as reader:
            assert CostGate.of_store(reader, dataset).cost(dataset) / UNIT == cost
        assert PartStore(dataset.out).told(dataset.out)["cost"] == {"text": cost}


RANKED = [
    {"name": "die", "kind": "sampler", "uniform": {}},
    {"name": "rank", "kind": "python", "call": "ranks:rank", "needs": ["die"], "batch": True},
    {"name": "text", "kind": "llm_text", "model": "m", "prompt": "one of {{ rank }}"},
    {"name": "more", "kind": "llm_text", "model": "m", "prompt": "more of {{ text }}"},
]


async def test_what_waits_for_a_batch_is_asked_again_once_that_has_other_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ranks.py").write_text("def rank(rows):\n    return [len(rows)] * len(rows)\n")
    async with generating(tmp_path, Script(default=ModelScript(latency=0))) as stand:

        async def asked(**spec: Any) -> int:
            before = stand.endpoint.count("answered")
            assert (await stand.make(stand.dataset(columns=RANKED, **spec))).exit_code == 0
            return stand.endpoint.count("answered") - before

        with monkeypatch.context() as older:  # as cells were known until 2026-11-23
            older.setattr(Dataset, "behind", defaultdict(tuple))
            assert await asked(rows=2) == 4
        assert await asked(rows=2) == 0, "it was paid for"
        assert await asked(rows=3) == 2
        assert await asked(rows=4) == 4, "the second group has another row"
        assert await asked(rows=4, row_group=4) == 8
        assert await asked(rows=4) == 0
        assert written(tmp_path, "rank") == [2] * 4
