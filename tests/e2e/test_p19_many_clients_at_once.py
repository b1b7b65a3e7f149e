"""P19: 32 clients with open connections submit, list and cancel while somebody holds a read transaction open.

SQLite lets such a reader keep the log from being written back, never a writer from writing. In CI it is 20 seconds of
it and in the large figure a minute, with the latency of every request. The minute is held to 200 ms by the clock. CI
shares its processors, and there a request also waits while other programs run: the kernel counts for how much of the
time engine and clients were ready to run and did not, and p99 is held to 200 ms less that share. While the engine is
at a lock, on a disk or asleep it stands in no such line, so that this counts in full.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import field as made
from pathlib import Path
from time import monotonic

import apsw
import pytest

from passloop.kernel.tasks import TaskState
from passloop.store.connection import CHECKPOINT_PAGES, open_reading, open_writing
from passloop.store.home import Home
from tests.support.keep_alive import KeptClient, Log, connected
from tests.support.killing import Field, Nursery
from tests.support.promises import record

CLIENTS = 32
SMALL_SECONDS = 20
SECONDS = 60
P99_MS = 200
LOADED_P99_MS = 3 * P99_MS
LONGEST_MS = 5_000
REQUESTS, MANY_REQUESTS = 3_000, 9_000
"""A quarter of what comes in 20 s on a machine that is busy with other tests, and as often in a minute."""
PAGE_BYTES = 4_096
TASK = {"tasks": [{"command": ["true"]}], "cwd": "/", "spec": {"request": [{"amounts": {"cpu": 1_000}}]}}


@pytest.fixture
def field(tmp_path: Path) -> Iterator[Field]:
    """A home with one CPU."""
    with Field.on(tmp_path, cpus="1") as field:
        yield field


@pytest.fixture
def nursery() -> Iterator[Nursery]:
    with Nursery() as nursery:
        yield nursery


@contextmanager
def long_reader(home: Home) -> Iterator[None]:
    """Hold a read transaction open; what it sees never changes."""
    connection = open_reading(home.database)
    count = "SELECT count(*) FROM tasks"
    try:
        connection.execute("BEGIN")
        seen = connection.execute(count).get
        yield
        assert connection.execute(count).get == seen
        connection.execute("COMMIT")
        assert connection.execute(count).get > seen
    finally:
        connection.close()


async def one_round(client: KeptClient, submitted: list[int]) -> None:
    """Submit a task, look at the table, cancel the task."""
    answer = await client.ask("POST", "/submit", TASK)
    await client.ask("GET", "/tasks?limit=50")
    if answer is not None:
        submitted += answer["tasks"]
        await client.ask("POST", "/tasks/cancel", {"select": [str(answer["tasks"][0])]})


@dataclass
class Crowd:
    """What clients did at once: the tasks they submitted, for how many seconds each asked, and what they saw."""

    log: Log
    submitted: list[int] = made(default_factory=list)
    asked: list[float] = made(default_factory=list)

    def check_all_were_served(self, *, requests: int) -> None:
        """Each client asked until the end, and none stood still."""
        assert len(self.asked) == CLIENTS
        assert len(self.log.seconds) >= requests
        assert self.log.millis(1) < LONGEST_MS

    def write_down(self, figure: str) -> None:
        """What is measured of any crowd; the seconds are how long each client asked, at least."""
        record(
            "P19",
            figure,
            clients=len(self.asked),
            requests=len(self.log.seconds),
            seconds=round(min(self.asked), 1),
            p99_ms=self.log.millis(0.99),
            longest_ms=self.log.millis(1),
        )


async def crowd(home: Home, *, seconds: float) -> Crowd:
    """Let all clients ask at once for so many seconds."""
    since = monotonic()

    async def ask(client: KeptClient) -> None:
        while (passed := monotonic() - since) < seconds:
            await one_round(client, seen.submitted)
        seen.asked.append(passed)

    async with connected(home.socket, CLIENTS) as (clients, log):
        seen = Crowd(log)
        await asyncio.gather(*map(ask, clients))
    return seen


def start_busy(field: Field, nursery: Nursery) -> int:
    """An engine whose one CPU is taken, so that what is submitted stays queued; its pid."""
    engine = nursery.engine(field.home.path, field.environ)
    assert engine.wait_ready()
    field.wait_running(field.submit("gate", gpus=0))
    return engine.pid


class Queueing:
    """How long processes stand in line for a processor, as the kernel counts it, from now on."""

    def __init__(self, *pids: int) -> None:
        self._since = monotonic()
        self._start = {pid: self._seconds(pid) for pid in pids}

    def share(self) -> float:
        """The part of the time since then; of the process that stood there longest."""
        waited = max(self._seconds(pid) - start for pid, start in self._start.items())
        return min(1.0, waited / (monotonic() - self._since))

    @staticmethod
    def _seconds(pid: int) -> float:
        """For how long the main thread was ready to run and did not."""
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9


def check_every_task_was_kept(field: Field, seen: Crowd) -> None:
    assert seen.log.errors == []
    assert len(set(seen.submitted)) == len(seen.submitted)
    states = {row.id: row.state for row, _ in field.ledger().values()}
    assert {states[task] for task in seen.submitted} == {TaskState.CANCELLED}


PAGES = (
    "/status",
    "/now",
    "/table",
    "/groups",
    "/timeline",
    "/runs",
    "/runs/1",
    "/tasks/1",
    "/pools",
    "/gpus",
    "/journal",
)


async def look_at_all(home: Home) -> None:
    """All clients look at all that a page shows, at once."""
    async with connected(home.socket, CLIENTS) as (clients, log):
        for page in PAGES:
            await asyncio.gather(*(client.ask("GET", page) for client in clients))
        assert log.errors == []


def check_nobody_is_left_in_a_transaction(home: Home) -> None:
    """Once all questions are answered the whole log can be written back: no reader of the engine keeps an old state."""
    connection = open_writing(home.database)
    try:
        connection.set_busy_timeout(2_000)
        assert connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE) == (0, 0)
    finally:
        connection.close()


def log_bytes(home: Home) -> int:
    return home.database.with_name("store.sqlite-wal").stat().st_size


def test_no_client_ever_meets_a_lock_beside_a_long_reader(field: Field, nursery: Nursery) -> None:
    engine = start_busy(field, nursery)
    with long_reader(field.home):
        queueing = Queueing(engine, os.getpid())
        seen = asyncio.run(crowd(field.home, seconds=SMALL_SECONDS))
        in_line = queueing.share()
    p99 = seen.log.millis(0.99)
    calm = round(p99 * (1 - in_line), 1)
    seen.check_all_were_served(requests=REQUESTS)
    assert calm < P99_MS, f"p99 {p99} ms, of which {in_line:.0%} in line for a processor"
    assert p99 < LOADED_P99_MS
    check_every_task_was_kept(field, seen)
    asyncio.run(look_at_all(field.home))
    check_nobody_is_left_in_a_transaction(field.home)
    field.open_gate()
    seen.write_down(f"{CLIENTS} clients beside a long reader for {SMALL_SECONDS} s: 0 lock errors, p99 {p99} ms")
    record("P19", f"without the time in line for a processor p99 {calm} ms", calm_p99_ms=calm)


def test_the_log_is_used_again_when_the_long_reader_has_gone(field: Field, nursery: Nursery) -> None:
    """Nothing is written back past what the reader sees; the next commit after it writes all back, and none grows."""
    start_busy(field, nursery)
    body = {**TASK, "tasks": [{"command": ["true", "x" * 2_000]}] * 1_000}

    async def load(times: int) -> None:
        async with connected(field.home.socket, 1) as ([client], log):
            for _ in range(times):
                await client.ask("POST", "/submit", body)
            assert log.errors == []

    with long_reader(field.home):
        asyncio.run(load(8))
    asyncio.run(load(1))
    grown = log_bytes(field.home)
    assert grown > 2 * CHECKPOINT_PAGES * PAGE_BYTES
    asyncio.run(load(7))
    assert log_bytes(field.home) == grown
    field.client.post("/tasks/cancel", {"select": ["state:ready"]})
    field.open_gate()


@pytest.mark.large
@pytest.mark.timeout(300)
def test_a_minute_of_many_clients_meets_no_lock_and_is_answered_soon(field: Field, nursery: Nursery) -> None:
    start_busy(field, nursery)
    with long_reader(field.home):
        seen = asyncio.run(crowd(field.home, seconds=SECONDS))
    seen.check_all_were_served(requests=MANY_REQUESTS)
    check_every_task_was_kept(field, seen)
    p50, p99, rate = seen.log.millis(0.5), seen.log.millis(0.99), round(len(seen.log.seconds) / SECONDS)
    field.open_gate()
    assert p99 < P99_MS
    seen.write_down(f"{SECONDS} s, {rate}/s: 0 lock errors, p50 {p50} ms, p99 {p99} ms")
