"""A home of its own with a real daemon on it, asked over its socket as every client asks it.

It removes nothing but its own folder, and ends no process but its own daemon.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from passloop.cli.client import Client

__all__ = ["Box", "opened", "scratch"]

LONGEST_MS = 600_000


class Box:
    """A daemon in `folder`/home, from `up` to `down`."""

    def __init__(self, folder: Path, *, cpus: int, gpus: str = "0") -> None:
        self.folder = folder
        self.home = folder / "home"
        self.client = Client(str(self.home))
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PASSLOOP_")},
            "PASSLOOP_HOME": str(self.home),
            "PASSLOOP_CPUS": str(cpus),
            "PASSLOOP_VIRTUAL_GPUS": gpus,
            "XDG_CONFIG_HOME": str(folder / "config"),
        }
        self.pid = 0

    def up(self) -> Self:
        """Start the daemon; it answers when this returns."""
        self.pid = int(json.loads(self.command("up", "--json"))["engine"]["pid"])
        return self

    def down(self) -> None:
        """End the daemon with everything it runs, and wait until it is gone."""
        with contextlib.suppress(ProcessLookupError):
            watched = os.pidfd_open(self.pid)
            self.client.post("/down", {"mode": "now"})
            select.select([watched], [], [])
            os.close(watched)

    def command(self, *words: str) -> str:
        """What a `passloop` command says; it must succeed."""
        done = subprocess.run(
            [*program(), *words],
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"passloop {' '.join(words)}: exit {done.returncode}: {done.stderr}")
        return done.stdout

    def submit(self, body: bytes) -> dict[str, Any]:
        """Store a submission; durable when this returns."""
        return self.client.post_bytes("/submit", body)

    def wait(self, run: int) -> list[dict[str, Any]]:
        """Wait until a run is final; how each of its tasks stands."""
        query: list[tuple[str, str | int | None]] = [("select", f"run:{run}"), ("timeout_ms", LONGEST_MS)]
        answer = self.client.get("/wait", query)
        if not answer["final"]:
            raise RuntimeError(f"run {run} is not final after {LONGEST_MS} ms")
        return list(answer["tasks"])

    def engine(self) -> dict[str, Any]:
        """The engine's own part of /status."""
        return dict(self.client.get("/status")["engine"])


def program() -> list[str]:
    """The words that run `passloop`: the installed script, or the module where there is none."""
    script = Path(sys.executable).with_name("passloop")
    return [str(script)] if script.exists() else [sys.executable, "-m", "passloop.cli"]


@contextlib.contextmanager
def scratch(folder: Path | None) -> Iterator[Path]:
    """A folder for one measurement on the disk of `folder` (or the usual place), removed when this process ends.

    Not before: ext4 searches past the inodes of all files deleted in the last minutes whenever a file is made, so a
    measurement would pay for the tidying after the one before it.
    """
    place = Path(tempfile.mkdtemp(prefix="passloop-bench-", dir=folder))
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    yield place


@contextlib.contextmanager
def opened(folder: Path | None, *, cpus: int, gpus: str = "0") -> Iterator[Box]:
    """A new box with its daemon up, gone at the end."""
    with scratch(folder) as place:
        box = Box(place, cpus=cpus, gpus=gpus).up()
        try:
            yield box
        finally:
            box.down()
