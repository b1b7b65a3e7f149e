"""Real engines to kill, and tasks that record what they did, for `evidence.py` to ask questions of both afterwards.

An engine's death is seen by the end of a pipe that it holds, never by a look at the clock.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from passloop.cli.client import Client
from passloop.store.home import Home
from passloop.store.inotify import MODIFIED, watcher

from .evidence import Evidence, Line

__all__ = ["Field", "Nursery", "Victim", "worker"]

ROOT = Path(__file__).parents[2]
WORKER = Path(__file__).with_name("recording_worker.py")
SECONDS = 30.0


class Victim:
    """An engine that was forked to be killed."""

    def __init__(self, nursery: Nursery, pid: int, pipe: int) -> None:
        self.pid = pid
        self._nursery = nursery
        self._pipe = pipe
        self._dead = False

    def wait_ready(self, seconds: float = SECONDS) -> bool:
        """Whether it answers; False if it died or the time is over first."""
        readable, _, _ = select.select([self._pipe], [], [], seconds)
        return bool(readable) and os.read(self._pipe, 16) == b"ready\n"

    def live_on(self, seconds: float) -> None:
        """Let it live so long, or until it dies by itself."""
        select.select([self._pipe], [], [], seconds)

    def kill(self) -> None:
        """kill -9, and be sure that it is dead."""
        os.kill(self.pid, signal.SIGKILL)
        self.end(-signal.SIGKILL)

    def end(self, expected: int) -> None:
        """Wait for its end, which must be this one."""
        if self._dead:
            return
        poll = select.poll()
        poll.register(self._pipe, 0)  # only for its end, whatever is left in it to read
        assert poll.poll(SECONDS * 1000), "the engine lives on"
        code = self._nursery.reap(self.pid)
        self._dead = True
        os.close(self._pipe)
        assert code == expected, f"the engine ended with {code}"

    def close(self) -> None:
        """Kill it unless it is dead."""
        if not self._dead:
            os.kill(self.pid, signal.SIGKILL)
            self._nursery.reap(self.pid)
            self._dead = True
            os.close(self._pipe)


class Nursery:
    """Where engines are forked. Use as a context; what still lives at the end is killed.

    `inside` are words that run a command in other surroundings, and end in that command; `environ` is the environment
    in which it imports passloop, which may so be another one than the tests'.
    """

    def __init__(self, *inside: str, environ: Mapping[str, str] | None = None) -> None:
        self._inside = inside
        self._environ = environ

    def __enter__(self) -> Self:
        self._link, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        program = [sys.executable, str(Path(__file__).with_name("engine_nursery.py")), str(theirs.fileno())]
        self._process = subprocess.Popen(
            [*self._inside, *program], cwd=ROOT, env=self._environ, pass_fds=[theirs.fileno()]
        )
        self.pid = self._process.pid
        theirs.close()
        self._victims: list[Victim] = []
        return self

    def __exit__(self, *_: object) -> None:
        for victim in self._victims:
            victim.close()
        self._link.close()
        self._process.wait(SECONDS)

    def engine(self, home: Path, environ: Mapping[str, str]) -> Victim:
        """A new engine on `home`."""
        reading, writing = os.pipe2(os.O_CLOEXEC)
        order = json.dumps({"home": str(home), "environ": dict(environ)}).encode()
        socket.send_fds(self._link, [order], [writing])
        os.close(writing)
        victim = Victim(self, int(self._link.recv(64)), reading)
        self._victims.append(victim)
        return victim

    def reap(self, pid: int) -> int:
        """Wait for the end of an engine; how it ended."""
        self._link.sendall(json.dumps({"reap": pid}).encode())
        return int(self._link.recv(64))


def worker(folder: Path, work: int | str, code: int = 0) -> list[str]:
    """The command of a task that records itself in `folder`."""
    return [sys.executable, "-I", "-S", str(WORKER), str(folder), str(work), str(code)]


class Field(Evidence):
    """A home on which engines are killed, with the record of its tasks and a client of its engine."""

    def __init__(self, folder: Path, *, gpus: str = "4x80GiB", cpus: str = "8") -> None:
        super().__init__(Home(folder / "home"), folder / "record")
        self.home.path.mkdir(mode=0o700)
        self.folder.mkdir()
        (self.folder / "record").touch()
        os.mkfifo(self.folder / "gate")
        self._gate = os.open(self.folder / "gate", os.O_RDWR | os.O_NONBLOCK)
        self.client = Client(str(self.home.path))
        self.environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PASSLOOP_")},
            "PASSLOOP_HOME": str(self.home.path),
            "PASSLOOP_VIRTUAL_GPUS": gpus,
            "PASSLOOP_CPUS": cpus,
            "XDG_CONFIG_HOME": str(folder / "config"),
        }

    def see_through(self, pid: int) -> None:
        """From now on look at the home as the process `pid` sees it, which has other disks there."""
        self.home = Home(Path(f"/proc/{pid}/root{self.home.path}"))
        self.client = Client(str(self.home.path))

    def close(self) -> None:
        """Let everybody through the gate, and end what is still there of the tasks."""
        os.close(self._gate)
        for pid in self.living():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def open_gate(self, count: int = 1) -> None:
        """Let `count` tasks through the gate."""
        os.write(self._gate, b"\n" * count)

    def submit(self, work: int | str, *, code: int = 0, gpus: int = 1, count: int = 1, **rest: Any) -> list[int]:
        """Submit tasks that record themselves; their ids once they are acknowledged. `key` goes to each task."""
        key = rest.pop("key", None)
        task = {"command": worker(self.folder, work, code)} | ({"key": key} if key else {})
        return self.submit_tasks([task] * count, gpus=gpus, **rest)

    def submit_tasks(self, tasks: list[dict[str, Any]], *, gpus: int = 1, **rest: Any) -> list[int]:
        """Submit any tasks; their ids once they are acknowledged. `spec` is what is special about them."""
        spec = {"request": [{"gpus": gpus} if gpus else {"amounts": {"cpu": 1_000}}], "grace": 2_000}
        spec |= rest.pop("spec", {})
        body = {"tasks": tasks, "cwd": "/", "spec": spec, **rest}
        return list(self.client.post("/submit", body, timeout=SECONDS)["tasks"])

    def cancel(self, ids: list[int]) -> list[int]:
        """Cancel these tasks; those that were not final already."""
        answer = self.client.post("/tasks/cancel", {"select": [str(task) for task in ids]}, timeout=SECONDS)
        return list(answer["changed"])

    def wait_final(self, ids: list[int], *, seconds: float = SECONDS) -> None:
        """Until these tasks are final."""
        for at in range(0, len(ids), 100):
            query = [("select", str(task)) for task in ids[at : at + 100]] + [("timeout_ms", str(int(seconds * 1000)))]
            assert self.client.get("/wait", query, timeout=seconds + 5)["final"], self.open_tasks()

    def wait_running(self, ids: list[int]) -> None:
        """Until the engine has recorded that these tasks run."""
        left = set(ids)
        with self.client.events(0) as events:
            for event in events:
                left -= {task["id"] for task in event["tasks"] if task["state"] == "running"}
                if not left:
                    return

    def wait_lines(self, what: str, count: int) -> list[Line]:
        """Until so many attempts have written that they start or end; these lines, in their order."""
        with watcher() as watch:
            watch.add(str(self.folder / "record"), MODIFIED)
            while len(found := [line for line in self.lines() if line.what == what]) < count:
                assert select.select([watch], [], [], SECONDS)[0], f"nobody says {what}"
                watch.drain()
        return found

    def assert_everything_is_free_and_whole(self) -> None:
        """With the engine still up and nothing left to do: devices free, nobody lives, the store is whole."""
        self.assert_p04_all_devices_are_free()
        self.assert_whole_and_nobody_lives()

    def assert_p04_all_devices_are_free(self) -> None:
        """As the engine tells it."""
        gpus = self.client.get("/gpus", timeout=SECONDS)["gpus"]
        free = [gpu for gpu in gpus if gpu["state"] == "available" and gpu["free_mib"] == gpu["vram_mib"]]
        assert free == gpus
        assert not any(gpu["holders"] or gpu["strays"] for gpu in gpus)

    @staticmethod
    @contextlib.contextmanager
    def on(folder: Path, **words: str) -> Iterator[Field]:
        """A field that is cleared at the end."""
        field = Field(folder, **words)
        try:
            yield field
        finally:
            field.close()
