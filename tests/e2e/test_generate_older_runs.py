"""Two runs made one dataset, of two specs: its file is that of the newest, whatever becomes of the older one."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from passloop.apps.generate.dataset import Dataset
from passloop.apps.generate.declaring import file_task_key
from passloop.apps.generate.files import write_files
from passloop.cli.client import Client
from passloop.cli.exits import CliError
from passloop.cli.generate_results import export_run
from passloop.cli.generating import Generate
from passloop.kernel.events import GroupHeld
from passloop.kernel.ids import TaskId
from passloop.kernel.source_rows import SourceState
from passloop.store.filters import TaskFilter
from passloop.testing.script import Fault, ModelScript, Script
from tests.support.command_line import Box
from tests.support.generating import GenerateStand, generating, model_columns

pytestmark = pytest.mark.timeout(60)
OTHER = [{"name": "text", "kind": "llm_text", "model": "m", "prompt": "say something else"}]


async def followed(stand: GenerateStand, dataset: Dataset) -> int:
    """Start a spec as the command does, to its end; its exit code."""
    home = str(stand.folder / "home")
    summary = await asyncio.to_thread(Generate(dataset, home=home).work, Client(home), lambda _run: None)
    assert summary is not None
    return summary.exit_code


async def test_a_cell_of_an_older_run_that_is_retried_leaves_the_file_to_the_newest(tmp_path: Path) -> None:
    first_fails = Script(default=ModelScript(latency=0, faults=(Fault(status=400, last=1),)))
    async with generating(tmp_path, first_fails) as stand:
        engine, client = stand.host.engine, Client(str(tmp_path / "home"))
        assert await followed(stand, stand.dataset()) == 1
        assert await followed(stand, stand.dataset(columns=OTHER)) == 0
        made = pq.read_table(tmp_path / "made.parquet").to_pylist()
        [cell] = (await asyncio.to_thread(client.post, "/tasks/retry", {"select": ["state:failed"]}))["created"]
        key = file_task_key(f"1:{cell}")
        last = (await engine.read(lambda reader: reader.keyed([key])))[key].task
        await engine.wait_final((TaskId(last),))
        assert (await engine.read(lambda reader: reader.keyed([key])))[key].state == "succeeded"
        assert pq.read_table(tmp_path / "made.parquet").to_pylist() == made


async def test_a_file_task_of_an_older_run_leaves_the_file_to_a_newer_one_that_is_under_way(box: Box) -> None:
    tmp_path = box.folder
    async with generating(tmp_path, Script(default=ModelScript(latency=0))) as stand:
        assert await followed(stand, stand.dataset()) == 0
        made = (tmp_path / "made.parquet").stat()
        await stand.host.engine.send(GroupHeld("default"))
        body = {"dataset": json.loads(stand.dataset(rows=8).wire()), "files": True}
        await asyncio.to_thread(Client(str(tmp_path / "home")).post, "/generate", body)
        assert await asyncio.to_thread(write_files, tmp_path / "home", 1) is None
        assert (tmp_path / "made.parquet").stat() == made
        assert (await asyncio.to_thread(box.run, "export", "1", "-o", "one.jsonl")).code == 0
        other = await asyncio.to_thread(box.run, "export", "2", "-o", "two.jsonl")
        assert (other.code, "has the rows of run 1" in other.err, "passloop wait @2" in other.err) == (2, True, True)
        assert not (tmp_path / "two.jsonl").exists()


async def under_way(stand: GenerateStand, run: int) -> None:
    """Until all row groups of a run are tasks."""
    async for _ in stand.host.engine.journal_marks(0, pause=0):
        source = await stand.host.engine.read(lambda reader: reader.source(run))
        if source is not None and source.row.state is SourceState.EXHAUSTED:
            return


@pytest.mark.parametrize("begun", [False, True], ids=["before_it_began", "while_it_asks"])
async def test_a_run_that_is_cancelled_leaves_the_file_as_it_was(tmp_path: Path, *, begun: bool) -> None:
    silent = Script(default=ModelScript(latency=0), models={"silent": ModelScript(latency=50_000)})
    async with generating(tmp_path, silent) as stand:
        assert await followed(stand, stand.dataset()) == 0
        made = pq.read_table(tmp_path / "made.parquet")
        client, loop = Client(str(tmp_path / "home")), asyncio.get_running_loop()
        if not begun:
            await stand.host.engine.send(GroupHeld("default"))

        def cancel(run: int) -> None:
            if begun:
                asyncio.run_coroutine_threadsafe(under_way(stand, run), loop).result(30)
            client.post("/tasks/cancel", {"select": [f"@{run}"]})

        edited = Generate(stand.dataset(**model_columns("silent")), home=str(tmp_path / "home"))
        summary = await asyncio.to_thread(edited.work, client, cancel)
        assert summary is not None
        assert (summary.exit_code, summary.written, summary.incomplete_out) == (1, False, None)
        assert any("is as it was" in line for line in summary.lines())
        assert pq.read_table(tmp_path / "made.parquet").equals(made)
        assert not (tmp_path / "made.incomplete.parquet").exists()


async def the_last(stand: GenerateStand, run: int) -> str:
    """The one cell of a run of six that has no answer, once the others have theirs."""
    async for _ in stand.host.engine.journal_marks(0, pause=0):
        tasks = await stand.host.engine.read(lambda reader: reader.tasks(TaskFilter(runs=(run,))))
        left = [str(task.row.id) for task in tasks if task.row.state != "succeeded"]
        if (len(tasks), len(left)) == (6, 1):
            return left[0]
    raise AssertionError("the engine has stopped")


async def test_rows_of_an_edited_spec_are_had_though_its_one_stuck_cell_was_cancelled(box: Box) -> None:
    hangs = Script(default=ModelScript(latency=0, faults=(Fault(kind="hang", first=11, last=12),)))
    async with generating(box.folder, hangs) as stand:
        assert await followed(stand, stand.dataset()) == 0
        made = pq.read_table(box.folder / "made.parquet")
        client, loop = Client(str(box.home)), asyncio.get_running_loop()

        def cancel(run: int) -> None:
            stuck = asyncio.run_coroutine_threadsafe(the_last(stand, run), loop).result(30)
            client.post("/tasks/cancel", {"select": [stuck]})

        edited = Generate(stand.dataset(columns=OTHER), home=str(box.home))
        summary = await asyncio.to_thread(edited.work, client, cancel)
        assert summary is not None
        assert (summary.written, summary.counts["kept"], summary.counts["incomplete"]) == (False, 5, 1)
        [line] = [line for line in summary.lines() if "passloop export" in line]
        assert line.endswith("passloop export 2 -o run-2.parquet")
        assert pq.read_table(box.folder / "made.parquet").equals(made)
        said = await asyncio.to_thread(box.run, *line.split("passloop ")[1].split())
        assert (said.code, "5 rows of run 2, from the store, 1 lack something" in said.err) == (0, True), said
        assert pq.read_table(box.folder / "run-2.parquet").num_rows == 5
        with pytest.raises(CliError, match="has the rows of run 1, not those of run 2"):  # a name may mean a whole run
            export_run(str(box.home), "made", str(box.folder / "run-2.parquet"), None)
        await asyncio.to_thread(export_run, str(box.home), "1", str(box.folder / "run-1.parquet"), None)
        assert pq.read_table(box.folder / "run-1.parquet").equals(made)
        first = Generate(stand.dataset(), home=str(box.home))
        assert await asyncio.to_thread(first.work, client, lambda _run: None) is not None
        assert first.run == {"id": 1, "name": "made"}, "run 2 is the newest, and not the one that made the file"
