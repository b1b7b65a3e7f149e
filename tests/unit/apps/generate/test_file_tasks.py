"""Whatever comes in between, a run that is over gets the task that writes its files, or the engine ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from passloop.apps.generate.dataset import dataset_of_text
from passloop.apps.generate.declaring import file_task_key
from passloop.apps.generate.expander import declared_of
from passloop.apps.queue.kept_results import KeptResults
from passloop.cli.client import Client
from passloop.cli.exits import CliError
from passloop.drivers.calls.endpoints import declarations
from passloop.engine.engine import Engine
from passloop.engine.errors import Unwritable
from passloop.engine.removal import remove
from passloop.engine.retrying import retry
from passloop.kernel.events import Cancelled, GroupHeld, PauseChanged, Released, SourceRetried, Submitted
from passloop.kernel.ids import RunId, TaskId
from passloop.kernel.tasks import Dependency
from passloop.store.errors import StoreOutOfFiles
from passloop.store.filters import TaskFilter
from passloop.testing.script import Fault, ModelScript, Script
from tests.support.engines import commands
from tests.support.generating import GenerateStand, fail_once, generating

pytestmark = pytest.mark.timeout(60)
QUICK = Script(default=ModelScript(latency=0))


async def to_its_end(stand: GenerateStand, *, rows: int) -> RunId:
    """A run that is to have files, and that nobody follows."""
    engine, made = stand.host.engine, stand.dataset(rows=rows)
    for pool in declarations(made.models.values()):
        await engine.send(pool)
    declared = declared_of(dataset_of_text(made.wire()), environment={}, files=True)
    run = (await engine.declare_source(declared)).run
    await engine.wait_source(run)
    return run


async def run_that_is_over(stand: GenerateStand) -> RunId:
    """The same; whatever comes to it now is held."""
    run = await to_its_end(stand, rows=2)
    await stand.host.engine.send(GroupHeld("default"))
    return run


async def two_that_failed(stand: GenerateStand) -> tuple[RunId, int, int]:
    """A run that is over and has its files, and its two cells, of which none succeeded."""
    run = await run_that_is_over(stand)
    stand.host.files.follow(run)
    await stand.host.files.wait(run)
    failed = TaskFilter(runs=(run,), states=("failed",))
    first, second = await stand.host.engine.read(lambda reader: reader.task_ids(failed))
    return run, first, second


async def has_files_task(engine: Engine, run: RunId) -> bool:
    key = file_task_key(run)
    return key in await engine.read(lambda reader: reader.keyed([key]))


def first_time(
    monkeypatch: pytest.MonkeyPatch, owner: Engine, name: str, instead: Callable[[], Awaitable[None]]
) -> None:
    """Let this happen right before the method is called for the first time."""
    method, happened = getattr(owner, name), []

    async def called(*args: Any, **options: Any) -> Any:
        if not happened:
            happened.append(True)
            await instead()
        return await method(*args, **options)

    monkeypatch.setattr(owner, name, called)


async def test_a_pause_at_the_end_of_a_run_is_waited_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("passloop.engine.pause.FIRST_TRY", 10)
    async with generating(tmp_path, QUICK) as stand:
        engine, files = stand.host.engine, stand.host.files
        run, met = await run_that_is_over(stand), asyncio.Event()

        async def meet() -> None:
            met.set()

        first_time(monkeypatch, engine, "submit", meet)
        engine.home.runs.rmdir()
        engine.home.runs.touch()  # nothing can be written in it
        await engine.send(PauseChanged(paused=True, reason="disk full: no room for attempts"))
        files.follow(run)
        await met.wait()
        assert engine.turns.pause is not None
        asked = [("select", "@made"), ("timeout_ms", 0)]
        said = await asyncio.to_thread(Client(str(tmp_path / "home")).get, "/wait", asked)
        assert (said["final"], said["coming"]) == (False, [run])
        engine.home.runs.unlink()
        assert await files.wait(run)
        assert await has_files_task(engine, run)


async def test_a_want_of_descriptors_at_the_end_of_a_run_is_waited_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("passloop.drivers.descriptors.AGAIN_S", 0.01)
    async with generating(tmp_path, QUICK) as stand:
        engine, files = stand.host.engine, stand.host.files
        run = await run_that_is_over(stand)

        async def lack() -> None:
            raise StoreOutOfFiles("too many open files", hint="passloop doctor", number=24)

        first_time(monkeypatch, engine, "read", lack)
        files.follow(run)
        assert await files.wait(run)
        assert await has_files_task(engine, run)


async def test_a_cell_that_was_to_come_before_the_files_and_was_removed_keeps_them_from_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_fails = Script(default=ModelScript(latency=0, faults=(Fault(status=400, last=1),)))
    async with generating(tmp_path, first_fails) as stand:
        engine, files = stand.host.engine, stand.host.files
        run = await run_that_is_over(stand)
        failed = await engine.read(lambda reader: reader.task_ids(TaskFilter(runs=(run,), states=("failed",))))
        [cell] = (await retry(engine, [TaskId(task) for task in failed])).created

        async def go() -> None:
            await engine.send(Cancelled((cell,)))
            assert (await remove(engine, [cell])).changed == (cell,)

        first_time(monkeypatch, engine, "submit", go)
        files.follow(run)
        assert await files.wait(run)
        assert await has_files_task(engine, run)


async def test_a_run_that_was_removed_before_it_got_its_files_task_gets_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with generating(tmp_path, QUICK) as stand:
        engine, files = stand.host.engine, stand.host.files
        run = await run_that_is_over(stand)

        async def go() -> None:
            cells = await engine.read(lambda reader: reader.task_ids(TaskFilter(runs=(run,))))
            await remove(engine, [TaskId(cell) for cell in cells])

        first_time(monkeypatch, engine, "submit", go)
        files.follow(run)
        assert await files.wait(run)
        assert await engine.read(lambda reader: reader.task_ids(TaskFilter(runs=(run,)))) == []


async def test_who_writes_the_files_is_left_with_the_answers_and_is_none(tmp_path: Path) -> None:
    async with generating(tmp_path, QUICK) as stand:
        engine, files = stand.host.engine, stand.host.files
        run = await run_that_is_over(stand)
        files.follow(run)
        assert await files.wait(run)
        kept = await engine.read(lambda reader: KeptResults.among(reader.task_ids(TaskFilter()), reader))
        assert (kept.tasks, kept.results) == ({1, 2, 3}, {1, 2})


async def test_cells_that_an_engine_retried_before_it_died_are_in_files_that_the_next_one_sees_to(
    tmp_path: Path,
) -> None:
    first_fails = Script(default=ModelScript(latency=0, faults=(Fault(status=400, last=1),)))
    async with generating(tmp_path, first_fails) as stand:
        engine, files = stand.host.engine, stand.host.files
        run = await run_that_is_over(stand)
        files.follow(run)
        await files.wait(run)
        await files.start()
        assert not files.follows(run)
        failed = await engine.read(lambda reader: reader.task_ids(TaskFilter(runs=(run,), states=("failed",))))
        [cell] = (await retry(engine, [TaskId(task) for task in failed])).created
        await files.start()
        await files.wait(run)
        first, _, last = await engine.read(lambda reader: reader.tasks(TaskFilter(runs=(run,)), limit=3))
        assert (first.row.key, last.row.key) == (file_task_key(run), file_task_key(f"{run}:{cell}"))
        assert [need.task for need in last.after] == [first.row.id, cell]


async def test_cells_of_a_retry_that_ended_early_are_in_their_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_fails = Script(default=ModelScript(latency=0, faults=(Fault(status=400, last=1),)))
    async with generating(tmp_path, first_fails) as stand:
        engine, files = stand.host.engine, stand.host.files
        run = await run_that_is_over(stand)
        files.follow(run)
        await files.wait(run)
        failed = await engine.read(lambda reader: reader.task_ids(TaskFilter(runs=(run,), states=("failed",))))
        other = await engine.submit(commands(1))
        await engine.send(Cancelled(other.tasks))
        submit = engine.submit

        async def until_the_disk_is_full(submitted: Submitted, **options: Any) -> Any:
            if submitted.run == other.run:
                raise Unwritable("the engine is paused and can store nothing", hint="free space")
            return await submit(submitted, **options)

        monkeypatch.setattr(engine, "submit", until_the_disk_is_full)
        asked = {"select": [str(task) for task in (*failed, *other.tasks)]}
        with pytest.raises(CliError, match="can store nothing"):
            await asyncio.to_thread(Client(str(tmp_path / "home")).post, "/tasks/retry", asked)
        await files.wait(run)
        cell, last = await engine.read(lambda reader: reader.tasks(TaskFilter(runs=(run,)), limit=2))
        assert cell.row.retry_of == failed[0]
        assert (last.row.key, cell.row.id in {need.task for need in last.after}) == (
            file_task_key(f"{run}:{cell.row.id}"), True,
        )  # fmt: skip


async def test_cells_retried_one_by_one_beside_many_get_one_files_task_after_the_one_that_is_to_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("passloop.apps.generate.file_tasks.MANY", 1)
    all_fail = Script(default=ModelScript(latency=0, faults=(Fault(status=400),)))
    async with generating(tmp_path, all_fail) as stand:
        engine, files = stand.host.engine, stand.host.files
        run, first, second = await two_that_failed(stand)
        [files_task] = await engine.read(lambda reader: reader.task_ids(TaskFilter(keys=(file_task_key(run),))))
        cells: list[TaskId] = []
        for cell in (first, second):
            cells += (await retry(engine, [TaskId(cell)])).created
            await files.again(cells[-1:])
        assert files.follows(run)
        await engine.send(Cancelled((TaskId(files_task),)))
        assert await files.wait(run)
        *_, last = views = await engine.read(lambda reader: reader.tasks(TaskFilter(runs=(run,)), limit=3))
        assert [view.row.id for view in views[:2]] == cells
        assert (last.row.key, last.after) == (
            file_task_key(f"{run}:{cells[-1]}"), tuple(Dependency(cell, any_end=True) for cell in cells),
        )  # fmt: skip


async def test_cells_that_are_asked_again_beside_removed_ones_are_in_files_that_the_next_engine_sees_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("passloop.apps.generate.file_tasks.MANY", 1)
    all_fail = Script(default=ModelScript(latency=0, faults=(Fault(status=400),)))
    async with generating(tmp_path, all_fail) as stand:
        engine, files = stand.host.engine, stand.host.files
        run, first, second = await two_that_failed(stand)
        assert (await remove(engine, [TaskId(first)])).changed == (first,)
        [cell] = (await retry(engine, [TaskId(second)])).created
        await files.again([cell])
        await files.stop()
        await files.start()
        assert files.follows(run)
        [files_task] = await engine.read(lambda reader: reader.task_ids(TaskFilter(keys=(file_task_key(run),))))
        await engine.send(Cancelled((TaskId(files_task),)))
        assert await files.wait(run)
        [last] = await engine.read(lambda reader: reader.tasks(TaskFilter(runs=(run,)), limit=1))
        assert (last.row.key, last.after) == (file_task_key(f"{run}:{cell}"), (Dependency(cell, any_end=True),))


async def test_a_source_that_went_on_and_brought_no_new_cell_gets_files_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_once(monkeypatch, unit=1)
    async with generating(tmp_path, QUICK) as stand:
        engine, files = stand.host.engine, stand.host.files
        run, _ = await to_its_end(stand, rows=4), await to_its_end(stand, rows=4)
        await engine.send(GroupHeld("default"))
        files.follow(run)
        await files.wait(run)
        [first] = await engine.read(lambda reader: reader.tasks(TaskFilter(keys=(file_task_key(run),))))
        await engine.send(SourceRetried(run))
        await engine.send(Released((), sources=(run,)))
        await engine.wait_source(run)
        files.follow(run)
        await files.wait(run)
        [_, last] = await engine.read(lambda reader: reader.tasks(TaskFilter(runs=(run,)), limit=2))
        assert (last.row.key, last.after) == (
            file_task_key(f"{run}:{first.row.id}"),
            (Dependency(first.row.id, any_end=True),),
        )


async def unreadable(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is over and cannot be read, until its engine ends."""

    async def fail() -> None:
        raise ValueError("not to be read")

    async with generating(folder, QUICK) as stand:
        run = await run_that_is_over(stand)
        first_time(monkeypatch, stand.host.engine, "read", fail)
        stand.host.files.follow(run)
        await stand.host.wait_down()


async def test_any_other_error_of_who_sees_to_the_files_ends_the_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match="not to be read"):
        async with asyncio.timeout(20):
            await unreadable(tmp_path, monkeypatch)
