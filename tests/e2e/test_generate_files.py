"""The files of a dataset are written by its run's last task, whoever follows it, or nobody."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from passloop.apps.generate.dataset import Dataset
from passloop.apps.generate.declaring import file_task_key
from passloop.cli.client import Client
from passloop.cli.generating import Generate
from passloop.engine.retrying import retry
from passloop.engine.settings import EngineSettings
from passloop.kernel.events import Cancelled, GroupHeld, GroupReleased, Released
from passloop.kernel.ids import RunId, TaskId
from passloop.kernel.tasks import Dependency
from passloop.store.filters import TaskFilter
from passloop.testing.endpoint import FaultyEndpoint
from passloop.testing.script import Fault, ModelScript, Script
from passloop.web.host import EngineHost, open_host
from tests.support.command_line import Box
from tests.support.generating import ENVIRON, GenerateStand, fail_once, generating, model_columns

pytestmark = pytest.mark.timeout(60)
QUICK = Script(default=ModelScript(latency=0))


async def handed_in(stand: GenerateStand, dataset: Dataset, **more: Any) -> RunId:
    """Hand a dataset in as the command does, and follow it no further."""
    body = {"dataset": json.loads(dataset.wire()), **more}
    said = await asyncio.to_thread(Client(str(stand.folder / "home")).post, "/generate", body)
    return RunId(said["run"]["id"])


async def last_task(host: EngineHost, run: RunId) -> str:
    """How the task that writes the files ended."""
    await host.engine.wait_source(run)
    await host.files.wait(run)
    key = file_task_key(run)
    found = (await host.engine.read(lambda reader: reader.keyed([key])))[key]
    await host.engine.wait_final((found.task,))
    return str((await host.engine.read(lambda reader: reader.keyed([key])))[key].state)


async def test_a_run_that_nobody_follows_gets_its_file_and_leaves_no_parts(tmp_path: Path) -> None:
    async with generating(tmp_path, QUICK) as stand:
        run = await handed_in(stand, stand.dataset(**model_columns("one", "two")))
        assert await last_task(stand.host, run) == "succeeded"
        assert pq.read_table(tmp_path / "made.parquet").num_rows == 6
        assert not (tmp_path / ".made.parquet.parts").exists()


async def test_who_waits_for_a_run_waits_for_its_file(box: Box) -> None:
    async with generating(box.folder, QUICK) as stand:
        await handed_in(stand, stand.dataset(**model_columns("one", "two"), rows=40))
        said = await asyncio.to_thread(box.run, "wait", "--quiet", "--json", "@made")
        assert said.code == 0, said
        assert len(said.json()["tasks"]) == 81
        assert pq.read_table(box.folder / "made.parquet").num_rows == 40


async def test_a_run_whose_engine_went_gets_its_file_from_the_next(tmp_path: Path) -> None:
    endpoint = FaultyEndpoint(QUICK)
    await endpoint.start()
    async with open_host(tmp_path / "home", EngineSettings(environ=ENVIRON)) as host:
        await host.engine.send(GroupHeld("default"))
        stand = GenerateStand(tmp_path, host, endpoint)
        run = await handed_in(stand, stand.dataset())
    async with open_host(tmp_path / "home", EngineSettings(environ=ENVIRON)) as host:
        await host.engine.send(GroupReleased("default"))
        assert await last_task(host, run) == "succeeded"
    await endpoint.stop()
    assert pq.read_table(tmp_path / "made.parquet").num_rows == 6


async def test_a_file_is_not_made_anew_from_what_was_left_when_tasks_were_removed(box: Box) -> None:
    broken = Script(default=ModelScript(latency=0), models={"dead": ModelScript(faults=(Fault(status=400),))})
    async with generating(box.folder, broken) as stand:
        run = await handed_in(stand, stand.dataset(**model_columns("one", "dead")))
        await last_task(stand.host, run)
        said = await asyncio.to_thread(box.run, "rm", f"@{run}", "state:succeeded")
        assert said.code == 0, said
    async with open_host(box.folder / "home", EngineSettings(environ=ENVIRON)) as host:
        await host.files.wait(run)
        assert await host.engine.read(lambda reader: reader.keyed([file_task_key(run)])) == {}


async def test_what_was_paid_for_is_removed_only_where_its_run_is_named(box: Box) -> None:
    async with generating(box.folder, QUICK) as stand:
        client = Client(str(box.home))

        async def removed(*words: str) -> str:
            told = await asyncio.to_thread(box.run, "rm", *words)
            assert told.code == 0, told
            return told.out + told.err

        async def asked(word: str) -> dict[str, Any]:
            return await asyncio.to_thread(client.post, "/tasks/rm", {"select": [word]})

        await stand.make(stand.dataset())
        plan = await removed("-n", "state:succeeded")
        assert "would rm 0 tasks" in plan
        assert "or add --answers" in plan
        assert [(await asked(word))["changed"] for word in ("state:succeeded", "group:default", "key:*")] == [[]] * 3
        await stand.make(stand.dataset())
        assert stand.endpoint.count("answered") == 6
        assert "6 of these were answers" in await removed("state:succeeded", "--answers")
        await stand.make(stand.dataset())
        assert stand.endpoint.count("answered") == 12
        assert [(await asked(word)).get("answers") for word in ("7-8", "@made", "@made")] == [2, 4, None]


async def test_what_a_dead_model_left_of_a_run_is_written_beside_the_file(tmp_path: Path) -> None:
    broken = Script(default=ModelScript(latency=0), models={"dead": ModelScript(faults=(Fault(status=400),))})
    async with generating(tmp_path, broken) as stand:
        run = await handed_in(stand, stand.dataset(**model_columns("one", "dead")))
        assert await last_task(stand.host, run) == "succeeded"
        assert pq.read_table(tmp_path / "made.incomplete.parquet").num_rows == 6


async def test_files_that_cannot_be_written_are_a_failed_task_that_can_be_tried_again(tmp_path: Path) -> None:
    async with generating(tmp_path, QUICK) as stand:
        engine, made = stand.host.engine, stand.dataset()
        made.out.mkdir()
        run = await handed_in(stand, made)
        assert await last_task(stand.host, run) == "failed"
        made.out.rmdir()
        failed = (await engine.read(lambda reader: reader.keyed([file_task_key(run)])))[file_task_key(run)]
        await engine.wait_final((await retry(engine, [failed.task])).created)
        assert pq.read_table(made.out).num_rows == 6


async def test_a_preview_and_a_run_that_was_cancelled_get_none(tmp_path: Path) -> None:
    async with generating(tmp_path, QUICK) as stand:
        engine = stand.host.engine
        preview = await handed_in(stand, stand.dataset(), files=False)
        await engine.wait_source(preview)
        await engine.send(GroupHeld("default"))
        cancelled = await handed_in(stand, stand.dataset(rows=9))
        await engine.send(Cancelled(tasks=(), sources=(cancelled,)))
        for run in (preview, cancelled):
            await engine.wait_source(run)
            await stand.host.files.wait(run)
        keys = [file_task_key(run) for run in (preview, cancelled)]
        assert await engine.read(lambda reader: reader.keyed(keys)) == {}
        assert not (tmp_path / "made.parquet").exists()


async def followed(stand: GenerateStand, dataset: Dataset) -> list[int]:
    """Start a spec as the command does, to its end; the runs that were declared for it."""
    declared: list[int] = []
    home = str(stand.folder / "home")
    summary = await asyncio.to_thread(Generate(dataset, home=home).work, Client(home), declared.append)
    assert summary is not None
    assert (summary.exit_code, summary.counts["kept"]) == (0, dataset.spec.rows)
    return declared


async def test_a_file_that_is_whole_is_not_made_again_but_of_other_cells_it_is(tmp_path: Path) -> None:
    (tmp_path / "who.csv").write_text("who\nann\nbob\n")
    columns = [
        {"name": "who", "kind": "seed", "file": "who.csv", "order": "cycled"},
        {"name": "text", "kind": "llm_text", "model": "m", "prompt": "by {{ who }}"},
    ]
    async with generating(tmp_path, QUICK) as stand:
        assert len(await followed(stand, stand.dataset(columns=columns))) == 1
        written = (tmp_path / "made.parquet").stat()
        assert await followed(stand, stand.dataset(columns=columns)) == []
        assert (tmp_path / "made.parquet").stat() == written
        (tmp_path / "who.csv").write_text("who\nann\neve\n")
        assert len(await followed(stand, stand.dataset(columns=columns))) == 1
        assert pq.read_table(tmp_path / "made.parquet")["who"].to_pylist() == ["ann", "eve"] * 3
        (tmp_path / "made.parquet").unlink()
        assert len(await followed(stand, stand.dataset(columns=columns))) == 1
        assert stand.endpoint.count("answered") == 6 + 3


async def test_cells_that_were_retried_are_in_the_file_once_the_run_is_waited_for(box: Box) -> None:
    once = Script(default=ModelScript(latency=0), models={"dead": ModelScript(faults=(Fault(status=400, last=3),))})
    async with generating(box.folder, once) as stand:
        run = await handed_in(stand, stand.dataset(**model_columns("one", "dead")))
        assert await last_task(stand.host, run) == "succeeded"
        assert pq.read_table(box.folder / "made.parquet").num_rows == 3
        assert (await asyncio.to_thread(box.run, "retry", "--failed")).code == 0
        assert (await asyncio.to_thread(box.run, "wait", "--quiet", "@made")).code in (0, 1)
        assert pq.read_table(box.folder / "made.parquet").num_rows == 6
        assert not (box.folder / "made.incomplete.parquet").exists()


@pytest.fixture
def _unit_5_fails_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is read for row group 5 cannot be, once: the source fails there."""
    fail_once(monkeypatch, unit=5)


async def failed_halfway(stand: GenerateStand) -> RunId:
    """A run of 40 rows whose source failed, and that has the file of the first ten."""
    run = await handed_in(stand, stand.dataset(rows=40))
    assert await last_task(stand.host, run) == "succeeded"
    assert pq.read_table(stand.folder / "made.parquet").num_rows == 10
    return run


@pytest.mark.usefixtures("_unit_5_fails_once")
async def test_a_run_whose_failed_source_goes_on_gets_its_file_again(box: Box) -> None:
    async with generating(box.folder, QUICK) as stand:
        await failed_halfway(stand)
        assert (await asyncio.to_thread(box.run, "retry", "@made")).code == 0
        said = await asyncio.to_thread(box.run, "wait", "--quiet", "--json", "@made")
        assert (said.code, len(said.json()["tasks"])) == (0, 42)
        assert pq.read_table(box.folder / "made.parquet").num_rows == 40
        assert not (box.folder / ".made.parquet.parts").exists()


@pytest.mark.usefixtures("_unit_5_fails_once")
async def test_who_joins_a_run_whose_source_goes_on_waits_for_the_file_of_its_end(tmp_path: Path) -> None:
    async with generating(tmp_path, QUICK) as stand:
        run = await failed_halfway(stand)
        client = Client(str(tmp_path / "home"))
        await stand.host.engine.send(GroupHeld("default"))
        await asyncio.to_thread(client.post, "/tasks/retry", {"select": ["@made"]})
        joined: list[int] = []

        def note(number: int) -> None:
            joined.append(number)
            client.post("/groups/default/release")

        made = Generate(stand.dataset(rows=40), home=str(tmp_path / "home"))
        summary = await asyncio.to_thread(made.work, Client(str(tmp_path / "home")), note)
        assert summary is not None
        assert (joined, summary.exit_code, summary.counts["kept"]) == ([run], 0, 40)
        assert pq.read_table(tmp_path / "made.parquet").num_rows == 40


@pytest.mark.usefixtures("_unit_5_fails_once")
async def test_a_source_that_goes_on_gets_its_file_from_the_next_engine(tmp_path: Path) -> None:
    endpoint = FaultyEndpoint(QUICK)
    await endpoint.start()
    async with open_host(tmp_path / "home", EngineSettings(environ=ENVIRON)) as host:
        run = await failed_halfway(GenerateStand(tmp_path, host, endpoint))
        await host.engine.send(GroupHeld("default"))
        await asyncio.to_thread(Client(str(tmp_path / "home")).post, "/tasks/retry", {"select": ["@made"]})
    async with open_host(tmp_path / "home", EngineSettings(environ=ENVIRON)) as host:
        await host.engine.send(GroupReleased("default"))
        await host.engine.wait_source(run)
        await host.files.wait(run)
        last = await host.engine.read(lambda reader: reader.last_task())
        await host.engine.wait_final((TaskId(last or 0),))
    await endpoint.stop()
    assert pq.read_table(tmp_path / "made.parquet").num_rows == 40


async def test_a_cell_that_was_retried_before_the_run_was_over_is_in_its_file(tmp_path: Path) -> None:
    first_fails = Script(default=ModelScript(latency=0, faults=(Fault(status=400, last=1),)))
    async with generating(tmp_path, first_fails) as stand:
        engine = stand.host.engine
        await engine.send(GroupHeld("default"))
        run = await handed_in(stand, stand.dataset(row_group=6))
        await engine.send(Released((), sources=(run,)))
        cells: list[int] = []
        async for _ in engine.journal_marks(0, pause=0):
            cells = await engine.read(lambda reader: reader.task_ids(TaskFilter(runs=(run,))))
            if cells:
                break
        first, *others = map(TaskId, cells)
        await engine.send(Released((first,)))
        await engine.wait_final((first,))
        [again] = (await retry(engine, [first])).created
        await engine.send(Released(tuple(others)))
        await engine.wait_source(run)
        await stand.host.files.wait(run)
        [view] = await engine.read(lambda reader: reader.tasks(TaskFilter(runs=(run,)), limit=1))
        assert (view.row.key, view.after) == (file_task_key(run), (Dependency(again, any_end=True),))
