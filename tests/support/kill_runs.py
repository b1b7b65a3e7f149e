"""Kill -9 of the engine at random moments while clients submit and cancel and work runs, and what that leaves.

A kill run is made once per session, whichever worker comes first, and lies in a folder: promises P1 to P5 are judged
by what is on the disk, so that each may look at the same run.
"""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random
from typing import Any

from passloop.cli.exits import CliError
from passloop.store.home import Home

from .evidence import Evidence
from .killing import SECONDS, Field, Nursery

__all__ = ["KillRuns", "Remains"]

LATEST_KILL = 0.080
SUBMITS_A_CYCLE = 2
CLIENTS = 2
WORK = (0, 10, 60, 400)
"""How long tasks work, in ms: some are over before the next engine comes, some not."""
LONG, OFTEN_LONG = 2_500, 0.08
"""So long works one of about twelve, beside the others: longer than the backoff of a task that is taken for lost, so
that a second attempt would begin beside the first.
"""


class Crowd:
    """Clients that submit and cancel, a little in each engine's life, and remember what they were promised."""

    def __init__(self, field: Field, seed: int) -> None:
        self.field = field
        self.acknowledged: dict[int, str | None] = {}
        self.asked: set[int] = set()
        self.cancelled: set[int] = set()
        self._turn = threading.Condition()
        self._cycle = self._answered = 0
        self._over = False
        clients = [(self._submit, seed * 10 + number) for number in range(CLIENTS)]
        clients += [(self._cancel, seed), (self._flood, seed)]
        self._threads = [threading.Thread(target=self._live, args=(act, Random(seed))) for act, seed in clients]
        for thread in self._threads:
            thread.start()

    def next_engine(self) -> None:
        """Another engine answers: everybody goes on."""
        with self._turn:
            self._cycle += 1
            self._turn.notify_all()

    def wait_answered(self) -> None:
        """Until this engine has acknowledged something."""
        with self._turn:
            assert self._turn.wait_for(lambda: self._answered == self._cycle, SECONDS)

    def leave(self) -> None:
        """No engine comes any more."""
        with self._turn:
            self._over = True
            self._turn.notify_all()
        for thread in self._threads:
            thread.join(SECONDS)
            assert not thread.is_alive()

    def _live(self, act: _Act, choice: Random) -> None:
        seen = 0
        unknown: str | None = None
        while True:
            with self._turn:
                self._turn.wait_for(lambda seen=seen: self._over or self._cycle > seen)
                if self._over:
                    return
                seen = self._cycle
            unknown = act(choice, unknown)

    def _submit(self, choice: Random, unknown: str | None) -> str | None:
        """Submit a few; what was not answered is asked for again by its key. Returns that key."""
        for _ in range(SUBMITS_A_CYCLE):
            key = unknown or f"{threading.get_ident()}-{choice.getrandbits(60):x}"
            unknown = key
            try:
                if choice.random() < 0.15:
                    retries = {"retries": {"failure": 1}}
                    ids = self.field.submit(choice.randrange(30), code=3, count=2, spec=retries)
                    self.acknowledged.update(dict.fromkeys(ids))
                if choice.random() < OFTEN_LONG:
                    self.acknowledged.update(dict.fromkeys(self.field.submit(LONG, gpus=0)))
                ids = self.field.submit(choice.choice(WORK), gpus=choice.randrange(3), key=key)
            except (CliError, OSError):
                return unknown
            unknown = None
            with self._turn:
                self.acknowledged[ids[0]] = key
                self._answered = self._cycle
                self._turn.notify_all()
        return None

    def _flood(self, choice: Random, _unknown: str | None) -> None:
        """Submit tasks that only wait, one after the other until the engine dies: kills then hit between two words."""
        while True:
            key = f"flood-{choice.getrandbits(60):x}"
            try:
                ids = self.field.submit(0, key=key, held=True)
            except (CliError, OSError):
                return
            self.acknowledged[ids[0]] = key

    def _cancel(self, choice: Random, _unknown: str | None) -> None:
        """Cancel one of the newest tasks."""
        newest = sorted(self.acknowledged)[-6:]
        if newest and choice.random() < 0.5:
            one = choice.choice(newest)
            self.asked.add(one)
            try:
                answer = self.field.client.post("/tasks/cancel", {"select": [str(one)]})
            except (CliError, OSError):
                return
            self.cancelled.update(answer["changed"])


_Act = Callable[[Random, "str | None"], "str | None"]


def kill_again_and_again(field: Field, nursery: Nursery, *, kills: int, seed: int) -> Crowd:
    """Start an engine and kill it, so many times, within 80 ms of its start, its socket or its first answer."""
    choice = Random(seed)
    crowd = Crowd(field, seed)
    try:
        for _ in range(kills):
            engine = nursery.engine(field.home.path, field.environ)
            moment = choice.choice(["start", "socket", "answer", "answer"])
            if moment != "start":
                assert engine.wait_ready()
                crowd.next_engine()
            if moment == "answer":
                crowd.wait_answered()
            engine.live_on(choice.uniform(0, LATEST_KILL))
            engine.kill()
    finally:
        crowd.leave()
    return crowd


def work_off(field: Field, nursery: Nursery) -> list[dict[str, Any]]:
    """One more engine brings everything to its end and is killed, too; the devices as it told them last."""
    last = nursery.engine(field.home.path, field.environ)
    assert last.wait_ready()
    field.client.post("/tasks/cancel", {"select": ["state:held"]}, timeout=SECONDS)
    field.wait_final(sorted(field.ledger()))
    gpus: list[dict[str, Any]] = field.client.get("/gpus", timeout=SECONDS)["gpus"]
    last.kill()
    return gpus


class Remains(Evidence):
    """What a kill run left. `acknowledged` are tasks with their keys, `asked` those that somebody wanted to cancel, and
    `cancelled` those of them whose cancel was answered.

    `gpus` are the devices as the last engine told them, when all work was final; `kills` how many engines died first.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(Home(folder / "home"), folder / "record")
        promised = json.loads((folder / "promised.json").read_text())
        self.acknowledged: dict[int, str | None] = {int(task): key for task, key in promised["acknowledged"].items()}
        self.asked: set[int] = set(promised["asked"])
        self.cancelled: set[int] = set(promised["cancelled"])
        self.gpus: list[dict[str, Any]] = promised["gpus"]
        self.kills: int = promised["kills"]


def make_kill_run(folder: Path, *, kills: int, seed: int) -> None:
    """Make a kill run in an empty folder."""
    with Field.on(folder) as field, Nursery() as nursery:
        crowd = kill_again_and_again(field, nursery, kills=kills, seed=seed)
        assert len(crowd.acknowledged) >= kills // 2, "the clients hardly got anything in"
        gpus = work_off(field, nursery)
    promised = {"acknowledged": crowd.acknowledged, "gpus": gpus, "kills": kills}
    promised |= {"asked": sorted(crowd.asked), "cancelled": sorted(crowd.cancelled)}
    (folder / "promised.json").write_text(json.dumps(promised))


class KillRuns:
    """Kill runs in a folder that all workers of a session share."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(exist_ok=True)

    def all(self, *, kills: int, seeds: Iterable[int]) -> list[Remains]:
        """A run of so many kills for each seed. Those that another worker makes now are waited for last."""
        wanted = list(seeds)
        for seed in wanted:
            self._made(kills, seed, wait=False)
        found = [self._made(kills, seed, wait=True) for seed in wanted]
        return [run for run in found if run is not None]

    def _made(self, kills: int, seed: int, *, wait: bool) -> Remains | None:
        done = self._folder / f"{kills}-{seed}"
        lock = os.open(f"{done}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            if not done.exists():
                folder = Path(tempfile.mkdtemp(prefix=f"{done.name}-", dir=self._folder))
                make_kill_run(folder, kills=kills, seed=seed)
                done.symlink_to(folder)
            return Remains(done.resolve())
        except BlockingIOError:
            return None
        finally:
            os.close(lock)
