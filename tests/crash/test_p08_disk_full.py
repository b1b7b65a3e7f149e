"""A full disk under the store or the attempts: said, nothing lost, and work goes on alone once there is room (P8).

The disk is a small tmpfs in a mount namespace of the engine's own; it is seen from here through /proc/PID/root.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from passloop.cli.exits import CliError, Exit
from passloop.engine.pause import BALLAST_BYTES
from passloop.kernel.tasks import TaskState
from passloop.store.home import Home
from tests.support.killing import SECONDS, Field, Nursery, Victim

NAMESPACE = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]
MOUNT = 'mount -t tmpfs -o size="$1",mode=700 tmpfs "$2" && shift 2 && exec "$@"'
RESUMES_WITHIN = 5.0
BLOCK = 4_096


def can_mount() -> bool:
    """Whether a disk can be mounted here, which takes root or a namespace of a user's own."""
    try:
        done = subprocess.run([*NAMESPACE, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, check=False)
    except OSError:
        return False
    return done.returncode == 0


pytestmark = pytest.mark.skipif(not can_mount(), reason="no file system may be mounted here")


class SmallDisk:
    """An engine whose home, or whose attempts' folder, is on a small disk."""

    def __init__(self, field: Field, nursery: Nursery, part: str) -> None:
        self.field = field
        self._nursery = nursery
        self._home = field.home.path
        field.see_through(nursery.pid)
        self.path = field.home.path / part
        self.start()

    def start(self) -> None:
        self.engine: Victim = self._nursery.engine(self._home, self.field.environ)
        assert self.engine.wait_ready()

    def state(self) -> str:
        return str(self.field.client.get("/status", timeout=SECONDS)["engine"]["state"])

    def fill(self) -> None:
        """Leave no block free."""
        filler = os.open(self.path / "filler", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        try:
            while os.write(filler, b"x" * BLOCK):
                pass
        except OSError:
            return
        finally:
            os.close(filler)

    def free(self) -> None:
        (self.path / "filler").unlink()

    def bring_home(self) -> None:
        """End the engine and copy its store to where SQLite, which resolves links by their text, can read it."""
        self.engine.close()
        copy = Home(self.field.folder / "home")
        if self.field.home == copy:
            return
        copy.path.mkdir(mode=0o700)
        for path in [*self.field.home.path.glob("store.sqlite*"), self.field.home.mark]:
            shutil.copyfile(path, copy.path / path.name)
        self.field.home = copy

    def until(self, wanted: str, act: Callable[[], object]) -> str:
        """Act, and wait until the engine's state begins with this; it is asked at each commit. The whole state."""
        with self.field.client.events() as events:
            act()
            while not (state := self.state()).startswith(wanted):
                events.ready()
        return state


@contextmanager
def small_disk(folder: Path, *, size: str, part: str = ".") -> Iterator[SmallDisk]:
    field = Field(folder)
    where = field.home.path / part
    where.mkdir(exist_ok=True)
    with Nursery(*NAMESPACE, "sh", "-c", MOUNT, "sh", size, str(where)) as nursery:
        disk = SmallDisk(field, nursery, part)
        try:
            yield disk
        finally:
            disk.bring_home()
            field.close()


def check_nothing_is_lost(disk: SmallDisk, acknowledged: list[int]) -> None:
    field = disk.field
    field.wait_final(acknowledged)
    field.assert_p04_all_devices_are_free()
    disk.bring_home()
    field.assert_p01_nothing_acknowledged_is_lost(dict.fromkeys(acknowledged))
    field.assert_p02_no_committed_attempt_runs_again()
    field.assert_p05_what_ran_was_seen_to_its_end()
    assert {row.state for row, _ in field.ledger().values()} == {TaskState.SUCCEEDED}
    field.assert_whole_and_nobody_lives()


def test_p08_a_full_store_is_said_loses_nothing_and_goes_on_alone(tmp_path: Path) -> None:
    with small_disk(tmp_path, size="16m") as disk, ThreadPoolExecutor(1) as thread:
        field = disk.field
        running = field.submit("gate", count=2)
        field.wait_lines("start", 2)
        field.wait_running(running)
        disk.fill()
        asked = []
        state = disk.until("paused", lambda: asked.append(thread.submit(field.submit, 0)))
        assert state.startswith("paused: disk full: ")
        with pytest.raises(CliError, match="disk full") as refused:
            field.submit(0)
        assert refused.value.exit_code == Exit.ENGINE_UNREACHABLE
        field.open_gate(2)
        field.wait_lines("end", 2)
        assert not asked[0].done()
        disk.free()
        freed = time.monotonic()
        acknowledged = asked[0].result(SECONDS)
        assert time.monotonic() - freed < RESUMES_WITHIN
        assert disk.state() == "running"
        assert field.home.ballast.stat().st_size == BALLAST_BYTES
        check_nothing_is_lost(disk, [*running, *acknowledged])


def test_p08_an_engine_killed_on_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    with small_disk(tmp_path, size="16m") as disk, ThreadPoolExecutor(1) as thread:
        field = disk.field
        running = field.submit("gate", count=2)
        field.wait_lines("start", 2)
        field.wait_running(running)
        disk.fill()
        disk.until("paused", lambda: thread.submit(field.submit, 0))
        disk.engine.kill()
        field.open_gate(2)
        field.wait_lines("end", 2)
        disk.fill()
        disk.start()
        assert disk.state().startswith("paused: disk full: ")
        disk.until("running", disk.free)
        check_nothing_is_lost(disk, [*running, *field.submit(0)])


def test_p08_full_folders_of_attempts_are_said_cost_nothing_and_fill_up_later(tmp_path: Path) -> None:
    with small_disk(tmp_path, size="1m", part="runs") as disk:
        field = disk.field
        running = field.submit("gate", count=2)
        field.wait_lines("start", 2)
        field.wait_running(running)
        disk.fill()
        acknowledged: list[int] = []
        state = disk.until("paused", lambda: acknowledged.extend(field.submit(0, count=3)))
        assert state.startswith("paused: disk full: no room for attempts in ")
        field.open_gate(2)
        field.wait_lines("end", 2)
        freed: list[float] = []
        disk.until("running", lambda: freed.append((disk.free(), time.monotonic())[1]))
        assert time.monotonic() - freed[0] < RESUMES_WITHIN
        check_nothing_is_lost(disk, [*running, *acknowledged])
        assert {row.losses for row, _ in field.ledger().values()} == {0}


def test_p08_logs_that_fill_their_disk_can_be_removed_and_the_rest_goes_on(tmp_path: Path) -> None:
    with small_disk(tmp_path, size="1m", part="runs") as disk:
        field = disk.field
        command = ["sh", "-c", "head -c 4000000 /dev/zero"]
        big = field.client.post("/submit", {"tasks": [{"command": command}], "cwd": "/"}, timeout=SECONDS)["tasks"]
        field.wait_final(big)
        assert field.ledger()[big[0]][0].state is TaskState.FAILED
        acknowledged: list[int] = []
        disk.until("paused: disk full", lambda: acknowledged.extend(field.submit(0, count=2)))
        disk.until("running", lambda: field.client.post("/tasks/rm", {"select": [str(big[0])]}, timeout=SECONDS))
        check_nothing_is_lost(disk, acknowledged)
