"""Real engines to kill, tasks that record what they did, and the questions asked of both afterwards.

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
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

from passloop.cli.client import Client
from passloop.cli.inotify import MODIFIED, watcher
from passloop.kernel.tasks import AttemptRow, OutcomeKind, TaskRow
from passloop.store.home import Home
from passloop.store.integrity import check_home
from passloop.store.reader import Reader

__all__ = ["Field", "Line", "Nursery", "Victim", "worker"]

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

    `inside` are words that run a command in other surroundings, and end in that command.
    """

    def __init__(self, *inside: str) -> None:
        self._inside = inside

    def __enter__(self) -> Self:
        self._link, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        program = [sys.executable, str(Path(__file__).with_name("engine_nursery.py")), str(theirs.fileno())]
        self._process = subprocess.Popen([*self._inside, *program], cwd=ROOT, pass_fds=[theirs.fileno()])
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


class Line(NamedTuple):
    """What an attempt said of itself: `what` is start or end, `at` monotonic ns."""

    what: str
    task: int
    epoch: int
    name: str
    pid: int
    ticks: int
    at: int
    alone: bool
    gpus: tuple[str, ...]


def worker(folder: Path, work: int | str, code: int = 0) -> list[str]:
    """The command of a task that records itself in `folder`."""
    return [sys.executable, "-I", "-S", str(WORKER), str(folder), str(work), str(code)]


class Field:
    """A home on which engines are killed, the record of its tasks, and what must be true of both."""

    def __init__(self, folder: Path, *, gpus: str = "4x80GiB", cpus: str = "8") -> None:
        self.home = Home(folder / "home")
        self.home.path.mkdir(mode=0o700)
        self.folder = folder / "record"
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
        spec = {"request": [{"gpus": gpus} if gpus else {"amounts": {"cpu": 1_000}}], "grace": 2_000}
        spec |= rest.pop("spec", {})
        body = {"tasks": [task] * count, "cwd": "/", "spec": spec, **rest}
        return list(self.client.post("/submit", body, timeout=SECONDS)["tasks"])

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

    def open_tasks(self) -> list[tuple[int, str]]:
        """Tasks that are not final, with their states, for a failing test to show."""
        final = ("succeeded", "failed", "cancelled", "aborted", "rejected")
        with Reader.open(self.home) as reader:
            return [(one.row.id, str(one.row.state)) for one in reader.tasks() if str(one.row.state) not in final]

    def lines(self) -> list[Line]:
        """The record so far. A line that is not whole is a test's mistake, for each was one write."""
        return [_line(words.split()) for words in (self.folder / "record").read_text().splitlines()]

    def ledger(self) -> dict[int, tuple[TaskRow, list[AttemptRow]]]:
        """Every task with its attempts, as stored."""
        with Reader.open(self.home) as reader:
            return {one.row.id: (one.row, reader.attempts(one.row.id)) for one in reader.tasks()}

    def living(self) -> list[int]:
        """Processes that carry the name of an attempt of this home."""
        query = "SELECT value FROM meta WHERE name = 'home_id'"
        with Reader.open(self.home) as reader:
            prefix = f"PASSLOOP_ATTEMPT_ID={reader._connection.execute(query).get}-".encode()
        return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _carries(pid, prefix)]

    def assert_p01_nothing_acknowledged_is_lost(self, acknowledged: Mapping[int, str | None]) -> None:
        """Each acknowledged task is there, with its key, and none was made twice."""
        ledger = self.ledger()
        lost = [task for task in acknowledged if task not in ledger]
        assert not lost, f"lost: {lost}"
        for task, key in acknowledged.items():
            assert ledger[task][0].key == key
        keys = Counter(row.key for row, _ in ledger.values() if row.key is not None)
        assert not [key for key, count in keys.items() if count > 1]

    def assert_p02_no_committed_attempt_runs_again(self) -> None:
        """Every process belongs to one attempt in the ledger, no attempt has two, none follows a success."""
        ledger = self.ledger()
        starts = Counter((line.task, line.epoch) for line in self.lines() if line.what == "start")
        assert not [pair for pair, count in starts.items() if count > 1], "an attempt ran twice"
        for task, epoch in starts:
            row, attempts = ledger[task]
            assert epoch <= row.attempts, f"attempt {epoch} of task {task} ran and is not in the ledger"
            assert [one.epoch for one in attempts] == list(range(1, row.attempts + 1))
        for task, (_, attempts) in ledger.items():
            for one in attempts[:-1]:
                assert one.outcome is None or one.outcome.kind is not OutcomeKind.SUCCESS, f"task {task} ran again"

    def assert_p05_what_ran_was_seen_to_its_end(self) -> None:
        """An attempt whose command ran is never taken for lost, whoever was dead meanwhile."""
        ledger = self.ledger()
        for line in self.lines():
            outcome = ledger[line.task][1][line.epoch - 1].outcome
            assert outcome is not None, line
            assert outcome.kind in (OutcomeKind.SUCCESS, OutcomeKind.FAILURE, OutcomeKind.CANCELLED), (line, outcome)

    def assert_p03_at_most_one_live_attempt_per_task(self) -> None:
        """No attempt found another one alive, and none began before an earlier one's end."""
        lines = self.lines()
        assert all(line.alone for line in lines), [line for line in lines if not line.alone]
        ended: dict[int, int] = {}
        for line in lines:
            if line.what == "start":
                assert line.at >= ended.get(line.task, 0)
            ended[line.task] = max(ended.get(line.task, 0), line.at)

    def assert_p04_no_device_was_held_twice(self) -> None:
        """Attempts that ended by themselves never shared a device with another one."""
        held: dict[str, tuple[int, int]] = {}
        complete = {(line.task, line.epoch) for line in self.lines() if line.what == "end"}
        for line in self.lines():
            for uuid in line.gpus if (line.task, line.epoch) in complete else ():
                if line.what == "start":
                    assert uuid not in held, f"{uuid} is held by {held[uuid]} and by task {line.task}"
                    held[uuid] = (line.task, line.epoch)
                else:
                    del held[uuid]

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

    def assert_whole_and_nobody_lives(self) -> None:
        """No process of an attempt is there, and the store is whole, with an engine or without."""
        assert self.living() == []
        check_home(self.home)

    @staticmethod
    @contextlib.contextmanager
    def on(folder: Path, **words: str) -> Iterator[Field]:
        """A field that is cleared at the end."""
        field = Field(folder, **words)
        try:
            yield field
        finally:
            field.close()


def _line(words: list[str]) -> Line:
    what, task, epoch, name, pid, ticks, at, alone, gpus = words
    uuids = () if gpus == "-" else tuple(gpus.split(","))
    return Line(what, int(task), int(epoch), name, int(pid), int(ticks), int(at), alone == "1", uuids)


def _carries(pid: int, prefix: bytes) -> bool:
    try:
        return prefix in Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False
