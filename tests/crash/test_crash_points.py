"""Every named crash point is hit, and nothing is lost or repeated by it.

The names are read from the source, so that a new one cannot be missed; one that no scenario reaches fails. Each belongs
to one scenario: an engine under work, one that finds an attempt that never began, one that ends a warm worker, one on a
full disk, a store in use, a repair, and the processes of the keeper and of warm workers.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
import json
import os
import resource
import select
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import get_args

import pytest

import passloop
from passloop.cli.exits import CliError
from passloop.crashpoints import CRASHPOINTS, VARIABLE
from passloop.drivers.identity import Process, boot_id, process_from_json
from passloop.drivers.processes.strays import wait_gone
from passloop.drivers.workers.driver import WorkerDriver
from passloop.engine.dispatch import Dispatch
from passloop.kernel.events import Exited, Started, WorkerGone
from passloop.kernel.instructions import Instruction
from passloop.kernel.tasks import FINAL_STATES, OutcomeKind
from passloop.store.database import Store
from passloop.store.home import Home
from passloop.store.inotify import watcher
from passloop.store.integrity import check_home
from passloop.store.reader import Reader
from tests.support import store_to_kill
from tests.support.attempts import PATIENCE, Heard, Stage
from tests.support.damage import PAGE, TASKS, copy_of, flip, killed_home, states_of
from tests.support.killing import ROOT, SECONDS, Field, Nursery, Victim
from tests.support.promises import record
from tests.support.store_rows import a_submission
from tests.support.warm import call_of, call_order

DELETED = 0x200
"""Of inotify: a file is gone from a folder."""

SOME_TIMES = (1, 2, 3, 5, 8, 13, 21, 34)
EACH_TIME = range(1, 61)

NEVER_BEGAN = ("before_tombstone", "after_tombstone")
ENDS_A_WORKER = ("before_evict", "after_evict")
FULL_DISK = ("before_ballast_is_given_up", "after_ballast_is_given_up", "before_resuming")
STORE_IN_USE = (
    "after_store_file", "before_migration_commit", "after_migration_commit", "before_durations_commit",
    "before_home_id_commit", "before_commit", "after_commit", "before_samples_commit", "after_samples_commit",
    "before_backup", "after_backup", "before_removal_commit", "after_removal_commit",
)  # fmt: skip
REPAIR = (
    "before_rebuild", "before_rebuild_commit", "before_repair", "during_repair", "repair_without_store",
    "repair_without_logs", "after_repair",
)  # fmt: skip
ENGINE = (
    "before_commit", "after_commit", "before_launch", "after_launch", "before_stop", "after_stop", "after_stop_wish",
    "before_answers", "after_answers", "before_reattach", "after_reattach",
)  # fmt: skip
SHIM = {
    "shim_before_start_record": (OutcomeKind.LOST, {0}),
    "shim_start_record_unnamed": (OutcomeKind.LOST, {0}),
    "shim_after_start_record": (OutcomeKind.LOST, {0}),
    "shim_after_start_report": (OutcomeKind.LOST, {0}),
    "shim_after_spawn": (OutcomeKind.LOST, {0, 1}),
    "shim_before_exit_record": (OutcomeKind.LOST, {1}),
    "shim_exit_record_unnamed": (OutcomeKind.LOST, {1}),
    "shim_before_exit_report": (OutcomeKind.SUCCESS, {1}),
    "shim_after_exit_report": (OutcomeKind.SUCCESS, {1}),
    "shim_after_exit_sync": (OutcomeKind.SUCCESS, {1}),
}
"""Where a shim dies, how its attempt ends, and how often its command may have run."""
WORKER = {
    "worker_before_start_record": (OutcomeKind.LOST, False),
    "worker_after_start_record": (OutcomeKind.LOST, False),
    "worker_before_exit_record": (OutcomeKind.LOST, True),
    "worker_before_exit_report": (OutcomeKind.SUCCESS, True),
    "worker_after_exit_report": (OutcomeKind.SUCCESS, True),
}
"""Where a warm worker dies, how its cell ends, and whether the function was called."""
ZYGOTE = ("zygote_before_order", "zygote_after_order")

ACTS_ON_NOTHING = {"WatchDevices", "Expand"}
"""Instructions that only ask for something: to look at devices, or to write out a unit, which nobody has until it is
committed.
"""
NAMING = {"os.rename", "os.replace", "os.link", "_renameat2"}
NAMED_BY_THEIR_CALLERS = {
    "drivers/processes/keeper/records.py:_rename_to_free_name": "claim_start, which names it",
    "drivers/workers/claims.py:claim": "Cell.claim, which names both its edges",
    "drivers/workers/claims.py:_make": "a spare start record, which is no attempt's yet",
    "drivers/workers/output.py:_hand_over": "output, which is there under either name",
}
"""What gives a name without a crash point of its own, and why."""


def named_in_the_source() -> set[str]:
    """What `crashpoint(...)` is called with anywhere in the package."""
    found: set[str] = set()
    for path in Path(passloop.__path__[0]).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "crashpoint":
                assert isinstance(node.args[0], ast.Constant), f"{path}:{node.lineno}: name it where it is"
                found.add(str(node.args[0].value))
    return found


def named_in_other_crash_tests() -> set[str]:
    """Crash points that other files in this folder name: those of a driver may be hit beside its other tests."""
    others = (path for path in Path(__file__).parent.glob("test_*.py") if path != Path(__file__))
    trees = (ast.parse(path.read_text(encoding="utf-8")) for path in others)
    words = (node.value for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return {word for word in words if isinstance(word, str) and word in CRASHPOINTS}


def transactions() -> Iterator[tuple[str, list[str]]]:
    """Where the package writes in a transaction, and the crash points that are named inside."""
    for path in Path(passloop.__path__[0]).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.With) and any(_writes(each.context_expr) for each in node.items):
                calls = [one for one in ast.walk(node) if isinstance(one, ast.Call) and isinstance(one.func, ast.Name)]
                named = [ast.unparse(one.args[0]) for one in calls if ast.unparse(one.func) == "crashpoint"]
                yield f"{path.name}:{node.lineno}", named


def _writes(opened: ast.expr) -> bool:
    return (
        isinstance(opened, ast.Call)
        and ast.unparse(opened.func) == "transaction"
        and not any(word.arg == "begin" for word in opened.keywords)
    )


def test_every_transaction_that_writes_has_a_crash_point_before_its_commit() -> None:
    found = dict(transactions())
    assert len(found) >= 7
    assert [place for place, named in found.items() if not named] == []


def crashpoint_in(node: ast.stmt) -> str:
    """The crash point that a statement is, if it is one."""
    call = node.value if isinstance(node, ast.Expr) else None
    named = isinstance(call, ast.Call) and ast.unparse(call.func) == "crashpoint"
    return ast.literal_eval(call.args[0]) if named and isinstance(call, ast.Call) else ""


def test_every_instruction_that_acts_has_a_crash_point_before_and_after_it() -> None:
    edges: dict[str, tuple[str, str]] = {}
    for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(Dispatch.carry_out)))):
        if isinstance(node, ast.If):
            kind = ast.unparse(node.test).partition("isinstance(order, ")[2].partition(")")[0]
            edges[kind] = (crashpoint_in(node.body[0]), crashpoint_in(node.body[-1]))
    acts = {kind.__name__ for kind in get_args(Instruction)} - ACTS_ON_NOTHING
    assert edges.keys() - ACTS_ON_NOTHING == acts
    assert [kind for kind in acts if not all(edges[kind])] == []


def functions(*rooms: str) -> Iterator[tuple[str, list[ast.Call]]]:
    """Each function in these folders of the package, and what it calls."""
    package = Path(passloop.__path__[0])
    for path in sorted(path for room in rooms for path in (package / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                calls = [one for one in ast.walk(node) if isinstance(one, ast.Call)]
                yield f"{path.relative_to(package)}:{node.name}", calls


def gives_names() -> Iterator[tuple[str, bool]]:
    """Each function below the applications that gives a file its name, and whether it names a crash point."""
    for place, calls in functions("store", "engine", "drivers"):
        if any(map(_gives_a_name, calls)):
            yield place, any(ast.unparse(one.func) == "crashpoint" for one in calls)


def _gives_a_name(call: ast.Call) -> bool:
    name = ast.unparse(call.func)
    return name in NAMING or (name.endswith((".rename", ".replace")) and len(call.args) == 1)


def test_whatever_gives_a_record_its_name_has_a_crash_point_beside_it() -> None:
    found = dict(gives_names())
    assert len(found) > len(NAMED_BY_THEIR_CALLERS)
    assert {place for place, named in found.items() if not named} == set(NAMED_BY_THEIR_CALLERS)


def test_every_crash_point_is_registered_used_and_hit_by_a_scenario() -> None:
    assert named_in_the_source() == set(CRASHPOINTS)
    here = {*NEVER_BEGAN, *ENDS_A_WORKER, *FULL_DISK, *STORE_IN_USE, *REPAIR, *ENGINE, *SHIM, *ZYGOTE, *WORKER}
    assert set(CRASHPOINTS) == here | named_in_other_crash_tests()


def dies(field: Field, nursery: Nursery, acknowledged: dict[int, str | None], place: str) -> bool:
    """Whether an engine that is to die at `place` does, on the way through a small piece of work."""
    engine = nursery.engine(field.home.path, field.environ | {VARIABLE: place})
    try:
        if engine.wait_ready():
            work_through(field, acknowledged, place)
            engine.kill()
            return False
    except (CliError, OSError):
        pass  # it died before it could answer
    engine.end(-signal.SIGKILL)
    return True


def work_through(field: Field, acknowledged: dict[int, str | None], place: str) -> None:
    """A task that succeeds, one that fails twice, one that is cancelled while it runs."""
    for work, rest in ((0, {}), (0, {"code": 3, "spec": {"retries": {"failure": 1}}}), ("gate", {})):
        key = f"{place}-{work}-{len(rest)}"
        ids = field.submit(work, key=key, **rest)
        acknowledged[ids[0]] = key
    field.wait_running(ids)
    field.cancel(ids)
    field.wait_final(sorted(acknowledged))


def left_running(field: Field, nursery: Nursery) -> list[int]:
    """Tasks that run, without an engine."""
    engine = nursery.engine(field.home.path, field.environ)
    assert engine.wait_ready()
    ids = field.submit("gate", count=2)
    field.wait_running(ids)
    engine.kill()
    return ids


def recover(field: Field, nursery: Nursery) -> Victim:
    """The next engine, which brings everything to its end."""
    engine = nursery.engine(field.home.path, field.environ)
    assert engine.wait_ready()
    with Reader.open(field.home) as reader:
        left = [one for one in reader.tasks() if one.row.state not in FINAL_STATES]
    waiting = [one.row.id for one in left if json.loads(one.payload)["command"][-2] == "gate"]
    if waiting:
        field.cancel(waiting)
    field.wait_final([one.row.id for one in left])
    return engine


def check(field: Field, nursery: Nursery, acknowledged: dict[int, str | None]) -> None:
    last = recover(field, nursery)
    field.assert_p01_nothing_acknowledged_is_lost(acknowledged)
    field.assert_p02_no_committed_attempt_runs_again()
    field.assert_p03_at_most_one_live_attempt_per_task()
    field.assert_p04_no_device_was_held_twice()
    field.assert_p05_what_ran_was_seen_to_its_end()
    field.assert_everything_is_free_and_whole()
    last.kill()


def engines_die_at(name: str, times: Iterator[int], field: Field, nursery: Nursery) -> None:
    """One dies the first time it comes by, another one a later time, until one does not come by so often."""
    acknowledged: dict[int, str | None] = dict.fromkeys(left_running(field, nursery))
    deaths = 0
    while dies(field, nursery, acknowledged, f"{name}:{next(times)}"):
        deaths += 1
        recover(field, nursery).kill()
    assert deaths, f"no scenario reaches {name}"
    check(field, nursery, acknowledged)
    for promise in ("P1", "P2", "P3", "P5"):
        record(promise, "killed at a named crash point: nothing lost or repeated", deaths_at_points=deaths)


@pytest.mark.parametrize("name", ENGINE)
def test_p01_p02_p03_an_engine_that_dies_at(name: str, field: Field, nursery: Nursery) -> None:
    engines_die_at(name, iter(SOME_TIMES), field, nursery)


@pytest.mark.large
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", ENGINE)
def test_p01_p02_p03_an_engine_that_dies_each_time_at(name: str, field: Field, nursery: Nursery) -> None:
    engines_die_at(name, iter(EACH_TIME), field, nursery)


@pytest.mark.parametrize("name", NEVER_BEGAN)
def test_p02_p03_an_engine_that_forbids_a_start_dies_at(name: str, field: Field, nursery: Nursery) -> None:
    """It is the third one: the first left two attempts running, the second claimed one and died before its launch."""
    acknowledged: dict[int, str | None] = dict.fromkeys(left_running(field, nursery))
    assert dies(field, nursery, acknowledged, "before_launch")
    assert dies(field, nursery, acknowledged, name), f"no scenario reaches {name}"
    check(field, nursery, acknowledged)
    never_began = [one for _, attempts in field.ledger().values() for one in attempts if one.started_at is None]
    assert [one.outcome.message for one in never_began if one.outcome] == ["never started"]


@pytest.mark.parametrize("name", ENDS_A_WORKER)
def test_p06_an_engine_that_ends_a_warm_worker_dies_at(name: str, field: Field, nursery: Nursery) -> None:
    """Its run is over, so the worker is to end; the next engine sees to that, and gives its device to others."""
    engine = nursery.engine(field.home.path, field.environ | {VARIABLE: name})
    assert engine.wait_ready()
    task = {"command": ["record"], "call": call_of("record", str(field.folder), 0)}
    ids = field.submit_tasks([task], cwd=str(ROOT), spec={"warm_key": "key"})
    engine.end(-signal.SIGKILL)
    last = recover(field, nursery)
    field.wait_final(field.submit(0, gpus=4))
    workers = [Process(line.pid, line.ticks, boot_id()) for line in field.lines()]
    asyncio.run(asyncio.wait_for(wait_gone(workers), SECONDS))
    field.assert_p01_nothing_acknowledged_is_lost(dict.fromkeys(ids))
    field.assert_p02_no_committed_attempt_runs_again()
    field.assert_everything_is_free_and_whole()
    last.kill()


def limit_files(engine: Victim, size: int) -> None:
    """From now on the engine can let no file grow over `size` bytes, which to it is a full disk."""
    _, most = resource.prlimit(engine.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(engine.pid, resource.RLIMIT_FSIZE, (size, most))


@pytest.mark.parametrize("name", FULL_DISK)
def test_p08_an_engine_on_a_full_disk_dies_at(name: str, field: Field, nursery: Nursery) -> None:
    engine = nursery.engine(field.home.path, field.environ | {VARIABLE: name})
    assert engine.wait_ready()
    acknowledged: dict[int, str | None] = dict.fromkeys(field.submit("gate", count=2))
    field.wait_running(sorted(acknowledged))
    with ThreadPoolExecutor(1) as thread, watcher() as watch:
        watch.add(str(field.home.path), DELETED)
        limit_files(engine, 0)
        asked = thread.submit(field.submit, 0)
        if name == "before_resuming":
            assert select.select([watch], [], [], SECONDS)[0], "the ballast is not given up"
            limit_files(engine, resource.RLIM_INFINITY)
        engine.end(-signal.SIGKILL)
        assert isinstance(asked.exception(SECONDS), CliError | OSError)
    check(field, nursery, acknowledged)
    record("P8", "killed at a named crash point on a full disk: 0 acknowledged lost", deaths_at_points=1)


def until_killed(*words: str, place: str) -> list[str]:
    """Run a program of the tests that must die at `place`; what it had said."""
    done = subprocess.run(
        [sys.executable, *words],
        env=os.environ | {VARIABLE: place, "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        timeout=SECONDS,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, f"nothing reaches {place}"
    return done.stdout.split()


@pytest.mark.parametrize("name", STORE_IN_USE)
def test_p01_a_store_in_use_dies_at(name: str, tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.prepare()
    said = until_killed("-m", "tests.support.store_to_kill", str(home.path), place=name)
    check_home(home)
    store = Store.open(home)
    with contextlib.closing(store), store.reader() as reader:
        tasks = {view.row.id for view in reader.tasks()}
        assert store.last_seq >= 2 * ("committed" in said)
        assert "committed" not in said or tasks >= set(range(2, store_to_kill.TASKS + 1))
        assert "removed" not in said or store_to_kill.REMOVED not in tasks
        if "sampled" in said and store_to_kill.REMOVED in tasks:
            assert reader.samples(1) == [store_to_kill.SAMPLE]
        store.commit(a_submission(1, run=9, first=store_to_kill.TASKS + 1))
    if "copied" in said:
        copy = Home(tmp_path / "copy")
        copy.prepare()
        home.backup.replace(copy.database)
        assert set(states_of(copy)) == set(range(1, store_to_kill.TASKS + 1))


@pytest.mark.parametrize("name", REPAIR)
def test_p09_a_repair_dies_at_and_is_done_again(name: str, tmp_path: Path) -> None:
    """What only the log held must be there after it, too."""
    home, page = killed_home(tmp_path)
    truth = states_of(copy_of(home, tmp_path / "whole"))
    assert len(truth) == TASKS
    flip(home.database, (page - 1) * PAGE + 100)
    code = "import sys; from pathlib import Path; from passloop.store.home import Home; "
    code += "from passloop.store.repair import repair; print(repair(Home(Path(sys.argv[1]))).whole)"
    until_killed("-c", code, str(home.path), place=name)
    again = [subprocess.check_output([sys.executable, "-c", code, str(home.path)], text=True) for _ in range(2)]
    assert again == ["True\n" if name == "after_repair" else "False\n", "True\n"]
    assert states_of(home) == truth
    record("P9", "a repair killed at a named crash point and done again: nothing lost", deaths_at_points=1)


@contextlib.asynccontextmanager
async def dying(folder: Path, place: str) -> Iterator[Stage]:  # type: ignore[misc]
    """A driver whose first zygote has the place in its environment; those that follow have not."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, place)
        stage = Stage(folder)
        await stage.driver.start(stage.heard)
    try:
        yield stage
    finally:
        await stage.__aexit__(None, None, None)


def counting(folder: Path) -> list[str]:
    """A command that leaves one line for each time that it runs."""
    return ["sh", "-c", f"echo $PASSLOOP_TASK_ID >> '{folder}/ran'"]


def times_run(folder: Path, attempt: int) -> int:
    ran = folder / "ran"
    return ran.read_text().split().count(str(attempt)) if ran.exists() else 0


@pytest.mark.parametrize("name", SHIM)
async def test_p02_p05_a_shim_dies_at(name: str, tmp_path: Path) -> None:
    kind, times = SHIM[name]
    async with dying(tmp_path, name) as stage:
        exited = await stage.run(counting(tmp_path), 1)
        assert exited.outcome.kind is kind
        assert times_run(tmp_path, 1) in times
        started = stage.heard.find(Started, 1)
        if started is not None:
            async with asyncio.timeout(PATIENCE):
                await wait_gone([process_from_json(started.process)])
        assert started is not None or kind is OutcomeKind.LOST, f"no scenario reaches {name}"
        assert stage.heard.of(1)[-1] == "Exited"


@pytest.mark.parametrize("nth", [1, 2])
@pytest.mark.parametrize("name", ZYGOTE)
async def test_p02_p05_a_zygote_dies_at(name: str, nth: int, tmp_path: Path) -> None:
    """The first order is carried out by a shim that is forked for it, the second by one that rests."""
    async with dying(tmp_path, f"{name}:{nth}") as stage:
        for attempt in (1, 2, 3):
            assert (await stage.run(counting(tmp_path), attempt)).outcome.kind is OutcomeKind.SUCCESS
            assert times_run(tmp_path, attempt) == 1
        assert stage.driver.statistics()["zygote_starts"] == 2, f"no scenario reaches {name}"


@pytest.mark.parametrize("name", WORKER)
async def test_p02_p05_a_warm_worker_dies_at(name: str, tmp_path: Path) -> None:
    kind, called = WORKER[name]
    driver, heard = WorkerDriver(tmp_path), Heard()
    await driver.start(heard)
    try:
        call = {"target": "os:mkdir", "args": [str(tmp_path / "called")], "kwargs": {}}
        driver.launch(call_order(tmp_path, 1, call, environment={"PATH": os.environ["PATH"], VARIABLE: name}))
        exited = await heard.until(Exited, 1)
        assert exited.outcome.kind is kind
        assert (tmp_path / "called").exists() is called
        if kind is OutcomeKind.SUCCESS:
            await heard.until(WorkerGone, 1)
        driver.launch(call_order(tmp_path, 2, call_of("nothing")))
        assert (await heard.until(Exited, 2)).outcome.kind is OutcomeKind.SUCCESS
    finally:
        await driver.stop()


def command(field: Field, *words: str, place: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "passloop.cli", *words],
        env=field.environ | ({VARIABLE: place} if place else {}),
        cwd=ROOT,
        timeout=SECONDS,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("place", ["after_commit", "before_launch"])
def test_p01_the_daemon_dies_at_and_another_one_comes_up(place: str, field: Field) -> None:
    """The same with the daemon that people use, started by its command."""
    assert command(field, "up").returncode == 0
    ids = field.submit(0, count=2, key=None)
    field.wait_final(ids)
    assert command(field, "down").returncode == 0
    command(field, "submit", "--key", "again", "--", "true", place=place)
    assert command(field, "up").returncode == 0
    again = command(field, "submit", "--json", "--key", "again", "--", "true")
    assert again.returncode == 0
    field.wait_final(json.loads(again.stdout)["tasks"])
    ledger = field.ledger()
    assert [row.key for row, _ in ledger.values()].count("again") == 1
    assert set(ids) < set(ledger)
    field.assert_everything_is_free_and_whole()
    assert command(field, "down").returncode == 0
