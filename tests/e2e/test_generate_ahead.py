"""Columns of a dataset run ahead of one whose model is closed, in little memory; the rest comes when that opens, with
another engine too."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from passloop.apps.generate import expander
from passloop.cli.client import Client
from passloop.cli.reads import EngineReads
from passloop.cli.run_whys import emit_run_why, run_why
from passloop.kernel.events import PoolOpened
from passloop.kernel.ids import PoolName, RunId
from passloop.kernel.source_status import SourceStatus
from passloop.testing.endpoint import FaultyEndpoint
from passloop.testing.script import Fault, ModelScript, Script
from tests.support.generating import GenerateStand, dataset_from, generating_beside, model_columns, summary_from

HEALTHY = ("one", "two", "three")
ROWS = 60
CLOSED_AT_ONCE = Script(
    default=ModelScript(latency=0),
    models={"slow": ModelScript(latency=0, faults=(Fault(status=429, last=1, retry_after=3_600),))},
)


@pytest.fixture(autouse=True)
def _cells_of_64_kib(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that sixteen cells fill the smallest guard there is."""
    monkeypatch.setattr(expander, "TASK_BYTES", 1 << 16)


def spec() -> dict[str, Any]:
    """Three healthy columns, one by the model that is closed, and one after that."""
    made = model_columns(*HEALTHY, "slow")
    reply = {"name": "reply", "kind": "llm_text", "model": "last", "prompt": "reply to {{ by_slow }}"}
    return {
        "models": {**made["models"], "last": {"endpoint": "here", "model": "last"}},
        "columns": [*made["columns"], reply],
        "rows": ROWS,
        "row_group": 2,
        "limits": {"resident_mb": 1},
    }


async def status_of(stand: GenerateStand) -> SourceStatus:
    (status,) = await stand.host.engine.look(lambda machine, _: machine.sources())
    return status


async def healthy_are_done(stand: GenerateStand, *, rows: int) -> SourceStatus:
    """Wait for all that the healthy columns ask of so many rows; memory is under its guard all the time."""
    async for _rows in stand.host.engine.feed.after(0):
        status = await status_of(stand)
        assert status.bytes <= (1 << 20) + 2 * 5 * (1 << 16)
        if sum(stand.endpoint.count("answered", model=model) for model in HEALTHY) >= len(HEALTHY) * rows:
            return status
    raise AssertionError("the engine ended")


@pytest.mark.parametrize(("words", "rows"), [({}, ROWS), ({"target": 48}, 48)], ids=["rows", "target"])
async def test_three_columns_finish_beside_a_closed_one_and_the_rest_comes_when_it_opens(
    words: dict[str, int], rows: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    endpoint = FaultyEndpoint(CLOSED_AT_ONCE, log=tmp_path / "bills.jsonl")
    await endpoint.start()
    dataset = dataset_from(tmp_path, endpoint.url, **spec(), **words)
    async with generating_beside(tmp_path, endpoint) as stand:
        run = await stand.declare(dataset)
        status = await healthy_are_done(stand, rows=rows)
        assert {lag.node for lag in status.row.lags} == {3, 4}
        assert all(status.row.unit - lag.unit > 20 for lag in status.row.lags)
        told = await asyncio.to_thread(run_why, EngineReads(Client(str(tmp_path / "home"))), "@made")
        assert told is not None
        emit_run_why(told, running=True)
        groups = status.row.unit - status.row.lags[0].unit
        assert f"made/by_slow: {groups} row groups wait unwritten" in capsys.readouterr().out
    async with generating_beside(tmp_path, endpoint) as stand:
        await stand.host.engine.send(PoolOpened(PoolName(dataset.models["slow"].pool)))
        await stand.host.engine.wait_source(run)
    await endpoint.stop()
    made = summary_from(tmp_path / "home", dataset)
    assert (made.exit_code, made.counts["kept"]) == (0, rows)
    found = pq.read_table(tmp_path / "made.parquet").to_pylist()
    assert all(row["reply"] and row["by_slow"] for row in found)
    assert endpoint.count("answered") == 5 * rows, "no answer is asked for twice, and none for rows that are not wanted"
    assert run == RunId(1)
