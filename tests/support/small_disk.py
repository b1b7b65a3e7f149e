"""An engine on a disk that is full when a test says so: a small tmpfs in a mount namespace of the engine's own.

The disk is seen from here through /proc/PID/root, and commands are run in the same namespace.
"""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from passloop.store.home import Home
from passloop.store.inotify import CREATED, watcher

from .killing import ROOT, SECONDS, Field, Nursery, Victim

__all__ = ["SmallDisk", "can_mount", "small_disk"]

NAMESPACE = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]
ENTER = ["nsenter", "--mount"] if os.geteuid() == 0 else ["nsenter", "--user", "--preserve-credentials", "--mount"]
MOUNT = 'mount -t tmpfs -o size="$1",mode=700 tmpfs "$2" && shift 2 && exec "$@"'
BLOCK = 4_096


def can_mount() -> bool:
    """Whether a disk can be mounted here, which takes root or a namespace of a user's own."""
    try:
        done = subprocess.run([*NAMESPACE, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, check=False)
    except OSError:
        return False
    return done.returncode == 0


class SmallDisk:
    """An engine whose home, or whose attempts' folder, is on a small disk."""

    def __init__(self, field: Field, nursery: Nursery, part: str) -> None:
        self.field = field
        self._nursery = nursery
        self._home = field.home.path
        self._environ = field.environ
        field.see_through(nursery.pid)
        self.path = field.home.path / part
        self.start()

    def start(self) -> None:
        self.engine: Victim = self._nursery.engine(self._home, self._environ)
        assert self.engine.wait_ready()

    def command(self, *words: str) -> str:
        """What a command of passloop says, run where the disk is."""
        inside = [*ENTER, "--target", str(self._nursery.pid), "--"]
        return subprocess.run(
            [*inside, sys.executable, "-m", "passloop.cli", *words],
            env=self._environ,
            cwd=ROOT,
            timeout=SECONDS,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        ).stdout

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

    def wait_tried(self) -> None:
        """Until the engine has looked once more whether there is room, by the file it tries to write."""
        with watcher() as tries:
            tries.add(str(self.path), CREATED)
            while ".room" not in {event.name for event in tries.drain()}:
                assert select.select([tries], [], [], SECONDS)[0], "the engine never looks whether there is room"

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
