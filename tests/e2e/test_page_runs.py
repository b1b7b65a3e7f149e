"""Runs of each kind as the page reads them: real sweeps, matrices and datasets, asked over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from passloop.cli.client import Client
from passloop.cli.exits import CliError
from passloop.testing.script import Fault, ModelScript, Script
from tests.e2e.test_bench import SPEC, written
from tests.support.command_line import Box, ended_boxes
from tests.support.generating import generating, model_columns

SWEEP = """
run: digits
command:
- sh
- -c
- echo "{{\\"accuracy\\":0.{depth},\\"note\\":\\"<b>\\"}}" > $PASSLOOP_OUT/metrics.json; exit {code}
matrix: {depth: [2, 4, 8], code: [0]}
seeds: 2
"""


class Ran(NamedTuple):
    """A box on which a sweep and a matrix ran to their ends."""

    box: Box
    client: Client


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    with ended_boxes(tmp_path_factory.mktemp("page")) as box:
        (box.folder / "sweep.yaml").write_text(SWEEP.replace("{{", "{").replace("}}", "}"))
        (box.folder / "break-bb-half").touch()
        assert box.run("up").code == 0
        box.submit("sweep.yaml")
        assert box.run("bench", written(box, SPEC)).code == 1
        assert box.run("wait", "@digits").code == 0
        yield Ran(box, Client(str(box.home)))


def test_a_sweep_tells_points_with_the_spread_of_repeats_and_each_task(ran: Ran) -> None:
    found = ran.client.get("/runs/digits/sweep")
    assert (found["axes"][:2], found["metrics"], found["ranked_by"]) == (
        ["depth", "code"],
        ["accuracy", "note"],
        "accuracy",
    )
    assert found["lower_is_better"]["accuracy"] is False
    assert [cell["params"]["depth"] for cell in found["cells"]] == [8, 4, 2]
    assert found["cells"][0]["metrics"]["accuracy"] == {"mean": 0.8, "deviation": 0.0, "count": 2}
    assert (found["total"], found["points"], len(found["rows"])) == (6, 3, 6)
    assert all(row["state"] == "succeeded" and row["millis"] >= 0 for row in found["rows"])
    some = ran.client.get("/runs/digits/sweep", [("offset", 2), ("limit", 1)])
    assert (len(some["cells"]), len(some["rows"])) == (1, 1)


def test_a_matrix_tells_its_table_with_what_is_missing_and_every_cell(ran: Ran) -> None:
    found = ran.client.get("/runs/small/bench")
    assert (found["bench"], found["dense"]) == ("small", ["dense"])
    assert found["counts"] == {"done": 6, "failed": 2, "skipped": 0, "running": 0, "pending": 0, "total": 8}
    assert [(each["benchmark"], each["subset"], each["metric"]) for each in found["columns"]] == [
        ("niah", "s1", "score"),
        ("niah", "s2", "score"),
    ]
    rows = {(row["model"], row["sparse_attention"]): row for row in found["rows"]}
    assert rows["a", "half"]["fields"][0]["difference"] == -0.5
    assert (rows["bb", "half"]["mean"], rows["bb", "half"]["fields"][0]["value"]) == (None, None)
    assert rows["bb", "half"]["fields"][0]["why"]
    cells = {cell["cell"]: cell for cell in found["cells"]}
    assert set(rows["a", "dense"]["fields"][0]["cells"]) <= set(cells)
    assert {cell["status"] for cell in cells.values() if cell["class"]} == {"failed"}


def test_a_cell_tells_its_task_its_metrics_and_its_samples(ran: Ran) -> None:
    cells = ran.client.get("/runs/small/bench")["cells"]
    done = next(cell for cell in cells if cell["status"] == "done")
    found = ran.client.get(f"/runs/small/bench/{done['cell']}")
    assert (found["cell"]["metrics"], found["task"]["id"]) == ({"score": done["score"]}, done["task"])
    samples = ran.client.get(f"/runs/small/bench/{done['cell']}/samples")
    assert samples["total"] == len(samples["samples"])
    for path in ("nothing", "nothing/samples"):
        with pytest.raises(CliError) as refused:
            ran.client.get(f"/runs/small/bench/{path}")
        assert refused.value.exit_code == 3


@pytest.mark.parametrize("kind", ["bench", "generate", "generate/rows", "generate/rows/1"])
def test_a_run_of_another_kind_is_said_to_be_none(ran: Ran, kind: str) -> None:
    with pytest.raises(CliError) as refused:
        ran.client.get(f"/runs/digits/{kind}")
    assert refused.value.exit_code == 3


def test_runs_are_told_page_by_page(ran: Ran) -> None:
    runs = ran.client.get("/runs")["runs"]
    assert [run["kind"] for run in runs] == ["bench", "run"]
    assert ran.client.get("/runs", [("before", runs[0]["id"])])["runs"] == runs[1:]


async def ask(home: Path, path: str) -> Any:
    return await asyncio.to_thread(lambda: Client(str(home)).get(path))


async def test_a_dataset_counts_the_cells_that_earlier_runs_answered(tmp_path: Path) -> None:
    faults = Script(
        default=ModelScript(latency=0), models={"two": ModelScript(latency=0, faults=(Fault(status=400, last=1),))}
    )
    async with generating(tmp_path, faults) as stand:
        told = []
        for _ in range(2):
            await stand.make(stand.dataset(**model_columns("one", "two")))
            found = await ask(tmp_path / "home", "/runs/made/generate")
            told.append({column["name"]: (column["counts"], column["earlier"]) for column in found["columns"]})
        assert told == [
            {"topic": ({}, 0), "by_one": ({"succeeded": 6}, 0), "by_two": ({"failed": 1, "succeeded": 5}, 0)},
            {"topic": ({}, 0), "by_one": ({}, 6), "by_two": ({"succeeded": 1}, 5)},
        ]


async def test_a_dataset_tells_its_columns_as_a_graph_and_each_row_with_what_was_said(tmp_path: Path) -> None:
    faults = Script(
        default=ModelScript(latency=0), models={"two": ModelScript(latency=0, faults=(Fault(status=400, last=1),))}
    )
    async with generating(tmp_path, faults) as stand:
        price = {"price": {"input": 1.0, "output": 2.0}}
        await stand.make(stand.dataset(**model_columns("one", "two", **price)))
        home = tmp_path / "home"
        found = await ask(home, "/runs/made/generate")
        columns = {column["name"]: column for column in found["columns"]}
        assert list(columns) == ["topic", "by_one", "by_two"]
        assert columns["by_one"]["counts"] == {"succeeded": 6}
        assert columns["by_two"]["counts"] == {"failed": 1, "succeeded": 5}
        assert columns["by_one"]["done_last_minute"] == 6
        assert columns["by_one"]["needs"] == ["topic"]
        assert columns["by_one"]["tokens"]["output"] > 0
        assert found["cost"] == pytest.approx(columns["by_one"]["cost"] + columns["by_two"]["cost"])
        assert found["cost"] > 0
        assert columns["by_one"]["pool"] in {pool["name"] for pool in found["pools"]}

        rows = await ask(home, "/runs/made/generate/rows?offset=1&limit=3")
        assert ([row["row"] for row in rows["rows"]], rows["total"]) == ([1, 2, 3], 6)
        assert {row["status"] for row in rows["rows"]} <= {"kept", "incomplete"}
        row = await ask(home, "/runs/made/generate/rows/2")
        said = next(column for column in row["columns"] if column["name"] == "by_one")
        assert said["prompt"][0]["role"] == "user"
        assert (said["state"], bool(said["value"])) == ("succeeded", True)
        assert (await ask(home, "/runs/made/generate/rows?offset=6"))["rows"] == []

        endpoint = columns["by_one"]["pool"].rpartition("/")[0]
        told = await ask(home, f"/pools/{endpoint}/calls?minutes=2")
        assert [(step["gate"], step["most"]) for step in told["limits"]] == [("open", None)]
        assert (told["step"], len(told["steps"])) == (60_000, 2)
        of_run = await ask(home, f"/pools/{endpoint}/calls?from={found['began']}&to={found['ended']}")
        assert of_run["step"] < 60_000
        assert of_run["steps"][0]["at"] <= found["began"] <= found["ended"] <= of_run["until"]
        for steps in (told["steps"], of_run["steps"]):
            assert sum(step["calls"] for step in steps) == 12
            assert sum(step["success"] for step in steps) == 11
            assert sum(step["failure"] for step in steps) == 1
        lane = next(each for each in (await ask(home, "/timeline"))["lanes"] if each["kind"] == "endpoint")
        assert (lane["id"], sum(bar["count"] for bar in lane["bars"])) == (endpoint, 12)

        (spent, other) = (await ask(home, "/spend"))["models"]
        assert {spent["model"], other["model"]} == {"one", "two"}
        assert (spent["endpoint"], spent["pool"]) == (endpoint, f"{endpoint}/{spent['model']}")
        assert spent["tokens"] == columns[f"by_{spent['model']}"]["tokens"]
        assert spent["cost"] + other["cost"] == pytest.approx(found["cost"])
        assert spent["lately"] == {**spent["tokens"], "cost": spent["cost"]}
