"""Sources, units and the places of their tasks come back as they were written, and are never mixed up with others'."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from passloop.apps.queue.find import sources_in
from passloop.apps.queue.selectors import parse_selectors
from passloop.kernel.changes import SourceAdded, SourceChanged, TaskAdded, TaskChanged, UnitChanged
from passloop.kernel.ids import RunId
from passloop.kernel.resources import Request
from passloop.kernel.saved import SavedSource
from passloop.kernel.source_rows import (
    Cell,
    Lag,
    Part,
    ResidentGuard,
    SourcePlan,
    SourceRow,
    SourceState,
    TemplateNode,
    UnitRow,
)
from passloop.kernel.tasks import OutcomeKind, TaskState
from passloop.store.connection import open_writing
from passloop.store.database import Store
from passloop.store.errors import StoreDamaged, StoreRefused
from passloop.store.home import Home
from passloop.store.migrate import latest_version, migrate, migration_files
from passloop.store.records import encode_json
from passloop.store.repair import repair
from passloop.store.sources import SourceHead, SourceView
from passloop.store.sql import statement
from tests.support.store_rows import SPEC, a_batch, a_run, a_submission, a_task

RUN = RunId(1)
NODES = (
    TemplateNode(SPEC.request, completes=True),
    TemplateNode(Request(SPEC.request.variants[1:]), "calls", (0,)),
)
PLAN = SourcePlan(NODES, ResidentGuard(bytes=1 << 40, units=7), ahead=0, units=9, tasks=18)
OWN = ("[0]", "[1]")
ENDED = {"state": TaskState.SUCCEEDED, "outcome": OutcomeKind.SUCCESS, "exit_code": 0, "ended_at": 2_000}


def a_source(run: RunId = RUN, **fields: object) -> SourceRow:
    part, lags = Part(0, (1,)), (Lag(1, 0),)
    row = SourceRow(run, "bench", "night", -3, SourceState.ASKED, False, 1, 2, 0, "", 1_000, None, part, lags, 9)
    return row._replace(**fields)


def fill(store: Store, **fields: object) -> None:
    """A run with a source that has one unit of two tasks, one of them final."""
    rows = (a_task(1, **ENDED), a_task(2))
    tasks = [TaskAdded(row, SPEC, "{}", (), Cell(0, row.id - 1)) for row in rows]
    unit = UnitChanged(UnitRow(RUN, 0, 4_096, 2, 1_000, None))
    added = SourceAdded(a_source(**fields), PLAN, '{"cells": 18}', OWN)
    store.commit(a_batch([a_run(), added, unit, *tasks]))


def test_everything_of_a_source_comes_back(store: Store) -> None:
    fill(store, held=True, message="näher")
    saved = store.load()
    assert saved.sources == (SavedSource(a_source(held=True, message="näher"), PLAN),)
    assert saved.units == (UnitRow(RUN, 0, 4_096, 2, 1_000, None),)
    assert [(task.row.id, task.cell) for task in saved.tasks] == [(2, Cell(0, 1))]


def test_a_source_is_read_with_its_spec_and_its_run(store: Store) -> None:
    fill(store)
    store.commit(a_submission(run=2, first=3))
    with store.reader() as reader:
        view = reader.source(RUN)
        assert view is not None
        assert (view.row, view.plan, view.spec) == (a_source(), PLAN, '{"cells": 18}')
        assert reader.source(2) is None
        assert [reader.unit_spec(run, unit) for run, unit in [(RUN, 0), (RUN, 1), (RUN, 2), (2, 0)]] == [
            *OWN,
            None,
            None,
        ]
        assert [run.source is not None for run in reader.runs()] == [False, True]
        assert (reader.unit_tasks(RUN, 0), reader.unit_tasks(RUN, 1)) == ([1, 2], [])


def test_lists_of_runs_do_not_read_what_sources_were_declared_with(store: Store) -> None:
    """It is megabytes of a large matrix, and lists are of all runs there ever were."""
    spec = encode_json(["cell"] * 2**20)
    store.commit(a_batch([a_run(), SourceAdded(a_source(), PLAN, spec)]))
    with store.reader() as reader:
        tracemalloc.start()
        heads = [run.source for run in reader.runs()]
        found = [sources_in(parse_selectors([word]), reader) for word in ("@1", "group:night")]
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert reader.source(RUN) == SourceView(a_source(), PLAN, spec)
    assert heads == [SourceHead(a_source(), PLAN)]
    assert found == [[a_source()]] * 2
    assert peak < len(spec) // 8


def written() -> int:
    """How many bytes this process has handed to the system."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(dict(line.split(": ") for line in lines)["wchar"])


def test_a_change_of_a_source_does_not_write_anew_what_its_units_were_declared_with(store: Store) -> None:
    own = (encode_json(["cell"] * 2**18),) * 4
    store.commit(a_batch([a_run(), SourceAdded(a_source(), PLAN, "{}", own)]))
    before = written()
    for unit in (2, 3, 4):
        store.commit(a_batch([SourceChanged(a_source(unit=unit, asked=None if unit == 3 else Part(unit)))]))
    assert written() - before < len(own[0])


def test_a_unit_that_lacks_nodes_has_not_ended(store: Store) -> None:
    fill(store)
    store.commit(a_batch([UnitChanged(UnitRow(RUN, 0, 4_096, 2, 1_000, 3_000)), TaskChanged(a_task(2, **ENDED))]))
    with store.reader() as reader:
        assert reader.ended_units(RUN) == []
        store.commit(a_batch([SourceChanged(a_source(lags=(), asked=None))]))
        assert reader.ended_units(RUN) == [0]


def test_a_unit_that_goes_on_is_loaded_again(store: Store) -> None:
    fill(store)
    for unit in (UnitRow(RUN, 0, 4_096, 2, 1_000, 3_000), UnitRow(RUN, 0, 2_048, 1, 4_000, None)):
        store.commit(a_batch([UnitChanged(unit)]))
    assert store.load().units == (unit,)


def test_what_an_older_engine_asked_for_is_a_whole_unit(home: Home, tmp_path: Path) -> None:
    older = tmp_path / "older"
    older.mkdir()
    for path in migration_files()[:3]:
        (older / path.name).write_bytes(path.read_bytes())
    connection = open_writing(home.database)
    migrate(connection, older)
    connection.execute("INSERT INTO runs VALUES (1, 'digits', 'default', 5, '{}')")
    plan = encode_json(PLAN)
    connection.execute("INSERT INTO sources VALUES (1, 'x', '', 0, 'asked', 0, 4, 8, 0, '', 5, NULL, ?, '{}')", (plan,))
    connection.close()
    store = Store.open(home)
    (source,) = store.load().sources
    assert (source.row.asked, source.row.lags, source.row.end) == (Part(4), (), None)
    store.close()


def test_what_is_over_is_not_loaded_but_for_what_failed(store: Store) -> None:
    fill(store)
    unit = UnitChanged(UnitRow(RUN, 0, 4_096, 2, 1_000, 3_000))
    done = TaskChanged(a_task(2, **ENDED))
    store.commit(a_batch([SourceChanged(a_source(state=SourceState.FAILED, ended_at=3_000)), unit, done]))
    assert [one.row.state for one in store.load().sources] == [SourceState.FAILED]
    store.commit(a_batch([SourceChanged(a_source(state=SourceState.EXHAUSTED, ended_at=3_000))]))
    saved = store.load()
    assert (saved.sources, saved.units, saved.tasks) == ((), (), ())


def test_a_source_that_is_not_there_is_not_changed(store: Store) -> None:
    with pytest.raises(StoreRefused):
        store.commit(a_batch([SourceChanged(a_source())]))


def test_a_run_has_one_source(store: Store) -> None:
    fill(store)
    with pytest.raises(StoreRefused):
        store.commit(a_batch([SourceAdded(a_source(), PLAN, "{}")]))


def test_a_run_with_tasks_to_come_stays_when_its_tasks_are_removed(store: Store) -> None:
    fill(store)
    store.remove_tasks([1])
    assert store.load().sources
    unit = UnitChanged(UnitRow(RUN, 0, 4_096, 2, 1_000, 3_000))
    over = SourceChanged(a_source(state=SourceState.EXHAUSTED, ended_at=3_000))
    store.commit(a_batch([over, unit, TaskChanged(a_task(2, **ENDED))]))
    store.remove_tasks([2])
    with store.reader() as reader:
        assert (reader.run("1"), reader.source(RUN)) == (None, None)
    rows = open_writing(store.home.database)
    assert [rows.execute(f"SELECT count(*) FROM {table}").get for table in ("units", "cells", "unit_specs")] == [0] * 3
    rows.close()


def test_an_unknown_state_is_damage(store: Store, home: Home) -> None:
    fill(store)
    rows = open_writing(home.database)
    rows.execute("UPDATE sources SET state = 'nearly'")
    rows.close()
    with pytest.raises(StoreDamaged, match="nearly"):
        store.load()


def test_a_store_from_before_sources_opens_with_its_tasks(home: Home, tmp_path: Path) -> None:
    older = tmp_path / "older"
    older.mkdir()
    first = migration_files()[0]
    (older / first.name).write_text(first.read_text(encoding="utf-8"), encoding="utf-8")
    connection = open_writing(home.database)
    migrate(connection, older)
    connection.execute("INSERT INTO runs VALUES (1, 'digits', 'default', 5, '{}')")
    connection.close()
    store = Store.open(home)
    with store.reader() as reader:
        assert [(run.row.name, run.source) for run in reader.runs()] == [("digits", None)]
    fill_other = a_batch([a_run(2), SourceAdded(a_source(RunId(2)), PLAN, "{}")])
    store.commit(fill_other)
    assert [one.row.run for one in store.load().sources] == [2]
    store.close()
    assert latest_version() >= 2


def spoil(home: Home, table: str) -> None:
    """Flip a bit in the first leaf page of a table."""
    connection = open_writing(home.database)
    query = "SELECT pageno FROM dbstat WHERE name = ? AND pagetype = 'leaf' LIMIT 1"
    page = int(connection.execute(query, (table,)).get)
    connection.pragma("wal_checkpoint(truncate)")
    connection.close()
    with home.database.open("r+b") as file:
        file.seek((page - 1) * 4_096 + 4_000)
        byte = file.read(1)[0]
        file.seek((page - 1) * 4_096 + 4_000)
        file.write(bytes([byte ^ 4]))


@pytest.mark.parametrize("table", ["durations", "units", "cells", "sources", "unit_specs"])
def test_a_repaired_store_can_always_be_gone_on_with(home: Home, table: str) -> None:
    """Whatever of a source is lost, what is left hangs together: no task waits in a unit that is gone."""
    store = Store.open(home)
    fill(store)
    store.close()
    spoil(home, table)
    repair(home)
    store = Store.open(home)
    saved = store.load()
    units = {row.unit for row in saved.units}
    assert all(task.cell is None or task.cell.unit in units for task in saved.tasks)
    for source in saved.sources:
        assert source.row.state is not SourceState.ASKED
        assert source.row.unit >= 1
    live = {task.cell.unit for task in saved.tasks if task.cell is not None}
    assert units == live, "a unit that is left has a task that it waits for"
    with store.reader() as reader:
        assert [reader.unit_spec(RUN, unit) for unit in (0, 1)] == ([None, None] if table == "unit_specs" else [*OWN])
    store.close()


def test_a_source_restored_from_a_backup_is_held(home: Home) -> None:
    store = Store.open(home)
    fill(store)
    store.backup()
    store.commit(a_batch([SourceChanged(a_source(unit=2, tasks=4))]))
    store.close()
    for ending in ("-wal", "-shm"):
        home.database.with_name(home.database.name + ending).unlink(missing_ok=True)
    home.database.write_bytes(b"\0" * 8_192)
    repair(home)
    store = Store.open(home)
    (source,) = store.load().sources
    assert source.row.held
    assert "look at it" in source.row.message
    store.close()


def test_tasks_of_sources_are_looked_up_by_the_ids_that_were_asked_for(store: Store) -> None:
    fill(store)
    store.commit(a_submission(2, run=2, first=3))
    with store.reader() as reader:
        assert reader.tasks_from(("bench",), [1, 3, 90]) == [(1, TaskState.SUCCEEDED, 0, None)]
        assert reader.tasks_from(("generate", "tune"), [1, 2, 3]) == []
        query = f"EXPLAIN QUERY PLAN {statement('select_tasks_from')}"
        plan = reader._connection.execute(query, {"kinds": "[]", "tasks": "[]"}).fetchall()
    assert [said for *_, said in plan if said.startswith("SCAN") and "VIRTUAL TABLE" not in said] == []
