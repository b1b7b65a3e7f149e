"""Every named crash point is hit, each time that a small piece of work comes by it, and nothing is lost or repeated.

The names are read from the source, so that a new one cannot be missed; one that no scenario reaches fails.
"""

from __future__ import annotations

import ast
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import passloop
from passloop.cli.exits import CliError
from passloop.crashpoints import CRASHPOINTS, VARIABLE
from passloop.kernel.tasks import FINAL_STATES
from passloop.store.connection import open_writing
from passloop.store.errors import StoreDamaged
from passloop.store.integrity import check_home
from passloop.store.reader import Reader
from tests.support.killing import ROOT, SECONDS, Field, Nursery, Victim

MOST_TIMES = 60
NOT_IN_THE_ENGINE = {"during_repair"}
ON_A_FRESH_HOME = {"before_migration_commit"}


def named_in_the_source() -> set[str]:
    """What `crashpoint(...)` is called with anywhere in the package."""
    found: set[str] = set()
    for path in Path(passloop.__path__[0]).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "crashpoint":
                assert isinstance(node.args[0], ast.Constant), f"{path}:{node.lineno}: name it where it is"
                found.add(str(node.args[0].value))
    return found


NAMES = sorted(named_in_the_source() | set(CRASHPOINTS))


@pytest.fixture
def field(tmp_path: Path) -> Iterator[Field]:
    with Field.on(tmp_path) as field:
        yield field


@pytest.fixture
def nursery() -> Iterator[Nursery]:
    with Nursery() as nursery:
        yield nursery


def test_every_crash_point_is_registered_and_used() -> None:
    assert named_in_the_source() == set(CRASHPOINTS)


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
    field.client.post("/tasks/cancel", {"select": [str(ids[0])]}, timeout=SECONDS)
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
    waiting = [str(one.row.id) for one in left if json.loads(one.payload)["command"][-2] == "gate"]
    if waiting:
        field.client.post("/tasks/cancel", {"select": waiting}, timeout=SECONDS)
    field.wait_final([one.row.id for one in left])
    return engine


@pytest.mark.parametrize("name", sorted(set(NAMES) - NOT_IN_THE_ENGINE))
def test_p01_p02_p03_an_engine_that_dies_at(name: str, field: Field, nursery: Nursery) -> None:
    """One dies the first time it comes by, the next one the second time, until one does not come by so often."""
    acknowledged: dict[int, str | None] = {}
    if name not in ON_A_FRESH_HOME:
        acknowledged.update(dict.fromkeys(left_running(field, nursery)))
    for nth in range(1, MOST_TIMES):
        if not dies(field, nursery, acknowledged, f"{name}:{nth}"):
            assert nth > 1, f"no scenario reaches {name}"
            break
        recover(field, nursery).kill()
    last = recover(field, nursery)
    field.assert_p01_nothing_acknowledged_is_lost(acknowledged)
    field.assert_p02_no_committed_attempt_runs_again()
    field.assert_p03_at_most_one_live_attempt_per_task()
    field.assert_p04_no_device_was_held_twice()
    field.assert_p05_what_ran_was_seen_to_its_end()
    field.assert_everything_is_free_and_whole()
    last.kill()


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


def test_a_repair_that_dies_is_done_again(field: Field, nursery: Nursery) -> None:
    engine = nursery.engine(field.home.path, field.environ)
    assert engine.wait_ready()
    ids = field.submit(0, count=3)
    field.wait_final(ids)
    engine.kill()
    spoil(field)
    with pytest.raises(StoreDamaged):
        check_home(field.home)
    assert command(field, "doctor", "--repair", place="during_repair").returncode == -signal.SIGKILL
    assert command(field, "doctor", "--repair").returncode == 0
    assert set(field.ledger()) == set(ids)
    recover(field, nursery)
    field.assert_p02_no_committed_attempt_runs_again()
    field.assert_everything_is_free_and_whole()


def spoil(field: Field) -> None:
    """Flip a bit in the store, in a page of learned durations."""
    connection = open_writing(field.home.database)
    connection.pragma("wal_checkpoint", "TRUNCATE")
    page = connection.execute("SELECT pageno FROM dbstat WHERE name = 'durations' LIMIT 1").get
    connection.close()
    data = bytearray(field.home.database.read_bytes())
    data[(int(page) - 1) * 4_096 + 100] ^= 1
    field.home.database.write_bytes(data)


def test_the_scenarios_outside_the_engine_are_named_here() -> None:
    assert set(NAMES) >= NOT_IN_THE_ENGINE
