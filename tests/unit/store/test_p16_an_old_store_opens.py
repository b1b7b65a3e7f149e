"""P16: the store of every older schema opens, comes to this one whole or stays where it was, and loses nothing; a
newer one is refused with exit code 4 and left alone.

Golden stores of each schema lie in tests/golden. Who adds a migration adds those: `python -m tests.support.golden`.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from passloop.cli.main import main
from passloop.kernel import invariants
from passloop.kernel.machine import Machine
from passloop.kernel.saved import Saved
from passloop.kernel.source_rows import Cell, Part, SourceState
from passloop.kernel.tasks import OutcomeKind, TaskState
from passloop.store.connection import open_writing
from passloop.store.database import Store
from passloop.store.home import Home
from passloop.store.integrity import check_home
from passloop.store.migrate import latest_version, migrate, migration_files, stored_version
from passloop.store.reader import Reader
from passloop.store.repair import repair
from tests.support.damage import PAGE, flip
from tests.support.golden import DAY, GOLDEN, UNITS, UNITS_SINCE, golden_file, scenes, unpack
from tests.support.promises import record

VERSIONS = range(1, latest_version() + 1)
JOURNAL_ROWS = 19
LIMIT_STEPS_SINCE = 3
Columns = dict[str, list[str]]
STORES = [(version, scene) for version in VERSIONS for scene in scenes(version)]


def home_of(folder: Path, version: int, scene: str = DAY) -> Home:
    """A home whose store an older passloop wrote (or this one)."""
    home = Home(folder / "old")
    home.prepare()
    unpack(version, home.database, scene)
    return home


@pytest.fixture(params=VERSIONS)
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Home:
    """A home with the store of a day."""
    return home_of(tmp_path, request.param)


@pytest.fixture(params=VERSIONS[UNITS_SINCE - 1 :])
def unfinished(request: pytest.FixtureRequest, tmp_path: Path) -> Home:
    """A home with work that is written out unit by unit."""
    return home_of(tmp_path, request.param, UNITS)


def test_every_schema_has_its_golden_store() -> None:
    files = [golden_file(version, scene) for version, scene in STORES]
    assert not [file.name for file in files if not file.exists()], "make it with: python -m tests.support.golden"
    assert len(list(GOLDEN.iterdir())) == len(files)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_golden_stores_of_a_schema_have_rows_in_every_table_it_has(version: int, tmp_path: Path) -> None:
    empty: set[str] | None = None
    for scene in scenes(version):
        unpack(version, tmp_path / f"store{scene}", scene)
        with contextlib.closing(open_writing(tmp_path / f"store{scene}")) as connection:
            tables = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
            found = {str(name) for (name,) in tables if not connection.execute(f"SELECT count(*) FROM {name}").get}
        empty = found if empty is None else empty & found
    assert empty == set()


@pytest.mark.parametrize(("version", "scene"), STORES)
def test_a_migration_leaves_every_row_as_it_was(version: int, scene: str, tmp_path: Path) -> None:
    """In all columns that there were before."""
    with contextlib.closing(open_writing(home_of(tmp_path, version, scene).database)) as connection:
        columns = columns_in(connection)
        before = rows_in(connection, columns)
        migrate(connection)
        assert rows_in(connection, columns) == before


@pytest.mark.parametrize(("version", "scene"), STORES)
def test_an_old_store_has_the_schema_its_steps_make(version: int, scene: str, tmp_path: Path) -> None:
    with contextlib.closing(open_writing(home_of(tmp_path, version, scene).database)) as connection:
        assert stored_version(connection) == version
        assert schema(connection) == schema_after(version, tmp_path), "its step was changed after stores were made"


def test_an_old_store_opens_with_everything_in_it(old: Home) -> None:
    store = Store.open(old)
    machine = Machine.restore(store.load())
    machine.handle([], store.last_now, 0)
    invariants.check(machine, store.last_now)
    assert store.last_seq == JOURNAL_ROWS
    store.close()
    with contextlib.closing(open_writing(old.database)) as connection:
        assert stored_version(connection) == latest_version()
    check_home(old)
    with Reader.open(old) as reader:
        check_contents(reader)
    record("P16", "stores of a day open with everything in them", stores=1)


def test_an_old_store_knows_which_unit_was_asked_for(unfinished: Home) -> None:
    """Its first unit is over, its second runs, and the third is written out."""
    with contextlib.closing(open_writing(unfinished.database)) as connection:
        version = stored_version(connection)
    store = Store.open(unfinished)
    saved = store.load()
    machine = Machine.restore(saved)
    machine.handle([], store.last_now, 0)
    invariants.check(machine, store.last_now)
    check_units(saved)
    store.close()
    check_home(unfinished)
    with Reader.open(unfinished) as reader:
        assert [reader.unit_tasks(1, unit) for unit in (0, 1)] == [[1, 2], [3, 4]]
        steps = reader.limit_steps(["model"], since=0)
    assert [(step.gate, step.most) for step in steps] == ([("open", 4)] if version >= LIMIT_STEPS_SINCE else [])
    record("P16", "stores with units open with everything in them", unit_stores=1)


def check_units(saved: Saved) -> None:
    """What `tests.support.golden` put there of work that is written out unit by unit."""
    (source,) = saved.sources
    assert (source.row.state, source.row.unit, source.row.tasks) == (SourceState.ASKED, 2, 4)
    assert (source.row.asked, source.row.lags) == (Part(2), ())
    assert [(task.row.id, str(task.row.state), task.cell) for task in saved.tasks] == [
        (3, "running", Cell(1, 0)),
        (4, "running", Cell(1, 0)),
    ]
    assert [(unit.unit, unit.ended_at) for unit in saved.units] == [(1, None)]


def check_contents(reader: Reader) -> None:
    """What `tests.support.golden` put there, read by this version."""
    tasks = {task.row.id: task for task in reader.tasks()}
    states = [str(tasks[task].row.state) for task in range(1, 9)]
    assert states == ["succeeded", "failed", "running", "running", "waiting", "backoff", "held", "held"]
    assert tasks[1].results == '{"accuracy": 0.5}'
    assert tasks[1].payload == '{"command":["true"],"cwd":"/","environment":"e1"}'
    assert (tasks[2].row.exit_code, tasks[2].row.outcome) == (3, OutcomeKind.FAILURE)
    assert (tasks[3].row.key, tasks[3].spec.task_class, tasks[3].run_name) == ("a/b", "train", "chain")
    assert [need.task for need in tasks[5].after] == [4]
    assert tasks[6].row.message == "näher \u202e"
    assert tasks[6].row.not_before is not None
    assert [attempt.epoch for attempt in reader.attempts(6)] == [1]
    assert [sample.memory_mib for sample in reader.samples(1)] == [1_024]
    rows = reader.journal()
    assert len(rows) == JOURNAL_ROWS
    assert all(row.decoded_events() is not None for row in rows)
    assert reader.counts()[str(TaskState.HELD)] == 2


def test_a_damaged_store_of_an_older_schema_is_repaired_with_its_units(unfinished: Home) -> None:
    with contextlib.closing(open_writing(unfinished.database)) as connection:
        page = int(connection.execute("SELECT pageno FROM dbstat WHERE name = 'durations'").get)
    flip(unfinished.database, page * PAGE - 100)
    report = repair(unfinished)
    assert (report.unread, report.missing, report.held) == (("durations",), (), ())
    with contextlib.closing(Store.open(unfinished)) as store:
        saved = store.load()
    assert [(task.row.id, task.cell) for task in saved.tasks] == [(3, Cell(1, 0)), (4, Cell(1, 0))]
    assert [(one.row.state, one.row.unit) for one in saved.sources] == [(SourceState.OPEN, 2)]


def schema(connection: apsw.Connection) -> list[tuple[str, str]]:
    """Every table, index and trigger."""
    rows = connection.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name")
    return [(str(name), str(sql)) for name, sql in rows]


def columns_in(connection: apsw.Connection) -> Columns:
    """Every table with its columns."""
    names = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
    info = "SELECT name FROM pragma_table_info(?)"
    return {str(name): [str(column) for (column,) in connection.execute(info, (name,))] for (name,) in names}


def rows_in(connection: apsw.Connection, columns: Columns) -> dict[str, list[str]]:
    """What stands in these columns of these tables, sorted: a table that is rewritten may have another order."""
    return {
        table: sorted(map(repr, connection.execute(f"SELECT {', '.join(names)} FROM {table}").fetchall()))
        for table, names in columns.items()
    }


def schema_after(steps: int, folder: Path) -> list[tuple[str, str]]:
    """What the first steps make of an empty database."""
    some = folder / f"steps-{steps}"
    some.mkdir(exist_ok=True)
    for path in migration_files()[:steps]:
        (some / path.name).write_bytes(path.read_bytes())
    connection = open_writing(some / "db")
    migrate(connection, some)
    try:
        return schema(connection)
    finally:
        connection.close()


class Interruption:
    """Ends a migration at its n-th statement, as a killed process would: nothing after it is carried out."""

    def __init__(self, nth: int) -> None:
        self.left = nth
        self.struck = False

    def __call__(self, _cursor: object, statement: str, _bindings: object) -> bool:
        if statement == "ROLLBACK":
            return True
        self.left -= 1
        self.struck = self.struck or self.left == 0
        return self.left != 0


def interrupted(start: int, scene: str, folder: Path) -> Iterator[tuple[Home, apsw.Connection]]:
    """A store of schema `start` (0: an empty file) whose migration was interrupted: at each statement in turn. Once
    somebody has brought it to its end, it has every row that it had.
    """
    nth = 0
    while True:
        nth += 1
        home = Home(folder / f"interrupted-{scene}-{nth}")
        home.prepare()
        if start:
            unpack(start, home.database, scene)
        connection = open_writing(home.database)
        columns = columns_in(connection)
        before = rows_in(connection, columns)
        strike = Interruption(nth)
        connection.exec_trace = strike
        with contextlib.suppress(apsw.ExecTraceAbort):
            migrate(connection)
        connection.exec_trace = None
        if not strike.struck:
            connection.close()
            return
        yield home, connection
        assert rows_in(connection, columns) == before
        connection.close()


@pytest.mark.parametrize("start", [0, *VERSIONS[:-1]])
def test_a_migration_interrupted_anywhere_leaves_a_whole_step_and_goes_on(start: int, tmp_path: Path) -> None:
    wholes = {version: schema_after(version, tmp_path) for version in (0, *VERSIONS)}
    places = dict.fromkeys(scenes(start), 0)
    for scene in places:
        for home, connection in interrupted(start, scene, tmp_path):
            version = stored_version(connection)
            assert start <= version < latest_version()
            assert schema(connection) == wholes[version], f"half-migrated: {home.path.name}"
            migrate(connection)
            assert schema(connection) == wholes[latest_version()]
            check_scene(home, scene if start else None)
            places[scene] += 1
    assert min(places.values()) > 3 * (latest_version() - start)
    record(
        "P16",
        f"from schema {start}: interrupted at {sum(places.values())} places, 0 half-migrated"
        + ", every row as it was" * (start > 0),
        interrupted_schemas=1,
        places=sum(places.values()),
    )


def check_scene(home: Home, scene: str | None) -> None:
    """What was in a golden store is there, read by this version; None for one that was empty."""
    if scene == DAY:
        with Reader.open(home) as reader:
            check_contents(reader)
    elif scene == UNITS:
        with contextlib.closing(Store.open(home)) as store:
            check_units(store.load())


@pytest.mark.parametrize("words", [["ls"], ["show", "1"], ["logs", "1"], ["doctor"], ["why", "1"], ["report", "1"]])
def test_a_newer_store_is_refused_with_exit_code_4_and_left_alone(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(tmp_path / "home")
    home.prepare()
    unpack(latest_version(), home.database)
    with contextlib.closing(open_writing(home.database)) as connection:
        connection.pragma("user_version", latest_version() + 1)
    before = home.database.read_bytes()
    monkeypatch.setenv("PASSLOOP_HOME", str(home.path))
    monkeypatch.chdir(tmp_path)
    code, said = told(words)
    assert code == 4, said
    assert f"schema {latest_version() + 1}" in said
    assert "Traceback" not in said
    assert home.database.read_bytes() == before


def told(words: list[str]) -> tuple[int, str]:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(words)
    return code, out.getvalue() + err.getvalue()
