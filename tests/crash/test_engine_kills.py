"""Kill -9 of the engine at random moments while clients submit and cancel and work runs: P1, P2, P3, P5."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from passloop.cli.exits import CliError
from passloop.kernel.tasks import TaskState
from tests.support.killing import SECONDS, Field, Nursery

LATEST_KILL = 0.080
SUBMITS_A_CYCLE = 2
CLIENTS = 2
WORK = (0, 10, 60, 400)
"""How long tasks work, in ms: some are over before the next engine comes, some not."""


@pytest.fixture
def field(tmp_path: Path) -> Iterator[Field]:
    with Field.on(tmp_path) as field:
        yield field


@pytest.fixture
def nursery() -> Iterator[Nursery]:
    with Nursery() as nursery:
        yield nursery


class Crowd:
    """Clients that submit and cancel, a little in each engine's life, and remember what they were promised."""

    def __init__(self, field: Field, seed: int) -> None:
        self.field = field
        self.acknowledged: dict[int, str | None] = {}
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
            try:
                answer = self.field.client.post("/tasks/cancel", {"select": [str(choice.choice(newest))]})
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


def check_p01_to_p05(field: Field, crowd: Crowd) -> None:
    field.assert_p01_nothing_acknowledged_is_lost(crowd.acknowledged)
    field.assert_p02_no_committed_attempt_runs_again()
    field.assert_p05_what_ran_was_seen_to_its_end()
    field.assert_p03_at_most_one_live_attempt_per_task()
    field.assert_p04_no_device_was_held_twice()
    states = {row.id: row.state for row, _ in field.ledger().values()}
    assert {states[task] for task in crowd.cancelled} <= {TaskState.CANCELLED}


def kills_lose_and_repeat_nothing(field: Field, nursery: Nursery, *, kills: int, seed: int) -> None:
    crowd = kill_again_and_again(field, nursery, kills=kills, seed=seed)
    assert len(crowd.acknowledged) >= kills // 2, "the clients hardly got anything in"
    last = nursery.engine(field.home.path, field.environ)
    assert last.wait_ready()
    field.client.post("/tasks/cancel", {"select": ["state:held"]}, timeout=SECONDS)
    field.wait_final(sorted(field.ledger()))
    check_p01_to_p05(field, crowd)
    field.assert_everything_is_free_and_whole()


@pytest.mark.parametrize("seed", range(4))
def test_p01_p02_p03_p05_fifty_kills_lose_and_repeat_nothing(field: Field, nursery: Nursery, seed: int) -> None:
    kills_lose_and_repeat_nothing(field, nursery, kills=50, seed=seed)


@pytest.mark.large
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("seed", range(10, 20))
def test_p01_p02_p03_p05_a_thousand_kills_lose_and_repeat_nothing(field: Field, nursery: Nursery, seed: int) -> None:
    kills_lose_and_repeat_nothing(field, nursery, kills=100, seed=seed)


def running(field: Field) -> dict[int, tuple[str, int]]:
    """Tasks that run as the engine tells it, with the process over each and how many attempts they had."""
    found = field.client.get("/tasks", [("select", "state:running")], timeout=SECONDS)["tasks"]
    ledger = field.ledger()
    return {task["id"]: (ledger[task["id"]][1][-1].process, task["attempt"]) for task in found}


def kills_restart_nothing(field: Field, nursery: Nursery, *, cycles: int) -> None:
    """Each cycle: one of the eight ends while there is no engine, seven are found again, one is added."""
    engine = nursery.engine(field.home.path, field.environ)
    assert engine.wait_ready()
    field.wait_running(field.submit("gate", count=8))
    for cycle in range(1, cycles + 1):
        before = running(field)
        assert len(before) == 8
        engine.kill()
        field.open_gate()
        ended = field.wait_lines("end", cycle)[-1]
        engine = nursery.engine(field.home.path, field.environ)
        assert engine.wait_ready()
        field.wait_final([ended.task])
        assert running(field) == {task: how for task, how in before.items() if task != ended.task}
        field.wait_running(field.submit("gate"))
    field.open_gate(8)
    field.wait_final(sorted(field.ledger()))
    assert {row.attempts for row, _ in field.ledger().values()} == {1}
    assert {row.state for row, _ in field.ledger().values()} == {TaskState.SUCCEEDED}
    assert len(field.lines()) == 2 * (8 + cycles)
    field.assert_p03_at_most_one_live_attempt_per_task()
    field.assert_everything_is_free_and_whole()


@pytest.fixture
def eight(tmp_path: Path) -> Iterator[Field]:
    with Field.on(tmp_path, gpus="8x80GiB") as field:
        yield field


def test_p05_eight_running_attempts_survive_ten_kills(eight: Field, nursery: Nursery) -> None:
    kills_restart_nothing(eight, nursery, cycles=10)


@pytest.mark.large
@pytest.mark.timeout(600)
def test_p05_eight_running_attempts_survive_a_hundred_kills(eight: Field, nursery: Nursery) -> None:
    kills_restart_nothing(eight, nursery, cycles=100)
