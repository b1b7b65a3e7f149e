"""The real command line in subprocesses, each test with a home of its own, and whatever it started ended by pid."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from .forked_commands import run_forked

__all__ = ["Box", "Gate", "Said", "Screen", "ended_boxes"]

SECONDS = 40
PROGRAM = [sys.executable, "-m", "passloop.cli"]


class Said(NamedTuple):
    """What a command said."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """Its document."""
        return json.loads(self.out)


class Gate:
    """A task that tells when it runs and stays until it is let go, by two pipes with names."""

    def __init__(self, folder: Path, name: str = "gate") -> None:
        self.started = folder / f"{name}.started"
        self.go = folder / f"{name}.go"
        os.mkfifo(self.started)
        os.mkfifo(self.go)

    def command(self, then: str = "exit 0") -> list[str]:
        """The words of the task."""
        return ["sh", "-c", f"echo here; echo > '{self.started}'; read x < '{self.go}'; {then}"]

    def wait_started(self) -> None:
        """Until the task runs."""
        self.started.read_text()

    def open(self) -> None:
        """Let the task go on."""
        self.go.write_text("go\n")


class Screen:
    """What a command on a terminal has shown."""

    def __init__(self, process: subprocess.Popen[bytes], terminal: int) -> None:
        self.process = process
        self._terminal = terminal
        self.shown = ""
        self.hung_up = False

    def until(self, text: str) -> str:
        """Read until `text` was shown, or to the end."""
        while text not in self.shown and self._read():
            pass
        return self.shown

    def rest(self) -> str:
        """Read to the end."""
        while self._read():
            pass
        return self.shown

    def hang_up(self) -> None:
        """Close the terminal, as a lost connection does: who writes to it gets an error, and its command SIGHUP."""
        os.close(self._terminal)
        self.hung_up = True
        self.process.send_signal(signal.SIGHUP)

    def _read(self) -> bool:
        try:
            piece = os.read(self._terminal, 65_536)
        except OSError:
            return False
        self.shown += piece.decode("utf-8", "replace")
        return bool(piece)


class Box:
    """A home, an environment, and commands run in them.

    Coverage looks at commands, and at what they start only if `deep`: at daemons it costs half of their start.
    """

    def __init__(self, folder: Path, *, gpus: str = "2x80GiB", cpus: str = "4", deep: bool = True) -> None:
        self.home = folder / "home"
        self.withheld = () if deep else ("COVERAGE_PROCESS_CONFIG",)
        self.folder = folder
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PASSLOOP_")},
            "PASSLOOP_HOME": str(self.home),
            "PASSLOOP_VIRTUAL_GPUS": gpus,
            "PASSLOOP_CPUS": cpus,
            "XDG_CONFIG_HOME": str(folder / "config"),
            "TMPDIR": str(folder),
            "COLUMNS": "120",
        }

    def run(self, *words: str, **extra: str) -> Said:
        """Run a command to its end, in a process that is forked rather than started: that costs a twentieth."""
        environ = self.environment | extra
        done = run_forked(words, environ=environ, cwd=self.folder, seconds=SECONDS, withheld=self.withheld)
        return Said(done.returncode, done.stdout, done.stderr)

    def json(self, *words: str) -> Any:
        """Run a command that must succeed; its document."""
        said = self.run(*words, "--json")
        assert said.code == 0, said
        return said.json()

    def submit(self, *words: str) -> list[int]:
        """Submit and return the ids."""
        said = self.run("submit", "--json", *words)
        assert said.code == 0, said
        return list(said.json()["tasks"])

    def task(self, task: int) -> Any:
        """One task as `show --json` gives it."""
        return self.json("show", str(task))["task"]

    @contextlib.contextmanager
    def started(self, *words: str) -> Iterator[subprocess.Popen[str]]:
        """A command under way; killed at the end if it still is."""
        process = subprocess.Popen(
            [*PROGRAM, *words],
            env=self.environment,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        with process:
            try:
                yield process
            finally:
                if process.poll() is None:
                    process.kill()

    @contextlib.contextmanager
    def on_terminal(self, *words: str, **extra: str) -> Iterator[Screen]:
        """A command whose stdout and stderr are a terminal of 100 columns, unless `extra` says another number."""
        near, far = os.openpty()
        environment = self.environment | {"TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30"} | extra
        process = subprocess.Popen(
            [*PROGRAM, *words],
            env=environment,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=far,
            stderr=far,
        )
        os.close(far)
        screen = Screen(process, near)
        try:
            with process:
                yield screen
        finally:
            if process.poll() is None:
                process.kill()
            if not screen.hung_up:
                os.close(near)

    def engine_pid(self) -> int | None:
        """The process that owns the home; None if nobody does."""
        said = self.run("status", "--json")
        return None if said.code == 5 else int(said.json()["engine"]["pid"])

    def kill_engine(self) -> None:
        """kill -9, and wait for the end."""
        pid = self.engine_pid()
        if pid is not None:
            end_process(pid)

    def close(self) -> None:
        """End the engine with everything it runs; what nobody watches is found again first."""
        under_way = ("state:admitted", "state:running", "state:stopping")
        with contextlib.suppress(subprocess.TimeoutExpired):
            if self.home.exists() and self.run("ls", *under_way, "--jsonl").out:
                self.run("up")
                self.run("cancel", *under_way)
            self.run("down", "--now")
        self.kill_engine()


def end_process(pid: int) -> None:
    """Kill a process by its pid and wait until it is gone."""
    try:
        watched = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(watched, signal.SIGKILL)
        select.select([watched], [], [], SECONDS)
    finally:
        os.close(watched)


@contextlib.contextmanager
def ended_boxes(folder: Path, **words: Any) -> Iterator[Box]:
    """A box that is closed at the end."""
    box = Box(folder, **words)
    try:
        yield box
    finally:
        box.close()
