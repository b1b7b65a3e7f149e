"""P11: tasks that crash, run out of memory, fail at once, kill their shim, fork or write without end are held to
their limits and to their backoff, and other work keeps its throughput.

In CI throughput is counted in the machine's own time, by a fake clock; the real engine is asked what it started, and
never how fast. The large figure is a real ratio: the same work beside poison and without, turn about.
"""

from __future__ import annotations

import itertools
import signal
import statistics
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from passloop.cli.logfiles import last_lines
from passloop.kernel.ids import TaskId
from passloop.kernel.tasks import AttemptRow, OutcomeKind, RetryBudgets, TaskRow, TaskState
from tests.support.builders import MINUTE, SECOND, World, ask
from tests.support.killing import SECONDS, Field, Nursery
from tests.support.promises import record
from tests.support.warm import ROOT, call_of

KEPT = 0.95
ROUNDS = 15
FORKS = 64
ONE_CPU = {"amounts": {"cpu": 1_000}}
MEMORY = {"amounts": {"cpu": 1_000, "memory": 64}}
BIG_OUTPUT = 32 << 20

SEGFAULT = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
HOARD = "block = []\nfor _ in range(32): block.append(bytearray(b'x' * (8 << 20)))\nimport signal; signal.pause()"
KILL_SHIM = "import os, signal; os.kill(os.getppid(), signal.SIGKILL); signal.pause()"
FORK_BOMB = f"""
import os, signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
for _ in range({FORKS}):
    if os.fork() == 0:
        os.setsid()
        signal.pause()
signal.pause()
"""
FLOOD = f"import os\nfor _ in range({BIG_OUTPUT} >> 16): os.write(1, b'x' * 65535 + b'\\n')"

WARM_POISON = {
    "segfault": call_of("die", signal.SIGSEGV.value),
    "exit": call_of("exit_at_once", 0),
    "files limited": call_of("limit_files", 2_000),
    "no files": call_of("limit_files", 0),
}


class Streams:
    """Tasks on a box of a fake clock: healthy ones take a second each, poison fails the moment it starts."""

    def __init__(self, *, cpus: int, healthy: int, poison: int, retries: int) -> None:
        self.world = World(gpus=0, cpus=cpus, check=False)
        budgets = RetryBudgets(failure=retries)
        self.healthy = set(self.world.submit_many(ask(cpus=1), n=healthy))
        self.poison = set(self.world.submit_many(ask(cpus=1), n=poison, retries=budgets, group="poison"))
        self._ends: list[tuple[int, TaskId]] = []
        self._seen = 0

    def run(self, millis: int) -> int:
        """Let time pass; how many healthy tasks have ended by then."""
        until = self.world.now + millis
        done = 0
        while True:
            self._fail_poison()
            due = min((when for when, _ in self._ends), default=until + 1)
            wake = self.world.wake_at if self.world.wake_at is not None else until + 1
            if min(due, wake) > until:
                self.world.now = until
                return done
            self.world.advance(max(0, min(due, wake) - self.world.now))
            ended = [task for when, task in self._ends if when <= self.world.now]
            self._ends = [(when, task) for when, task in self._ends if when > self.world.now]
            done += len(ended)
            self.world.finish(*ended)

    def _fail_poison(self) -> None:
        """Whatever started since: healthy work will end in a second, poison has ended already."""
        while self._seen < len(self.world.starts):
            when, task = self.world.starts[self._seen]
            self._seen += 1
            if task in self.healthy:
                self._ends.append((when + SECOND, task))
            else:
                self.world.end(task, "failure", exit_code=1)


def test_instant_failures_with_endless_retries_leave_others_their_throughput() -> None:
    clean = Streams(cpus=8, healthy=2_400, poison=0, retries=0).run(5 * MINUTE)
    streams = Streams(cpus=8, healthy=2_400, poison=50, retries=1_000)
    beside = streams.run(5 * MINUTE)
    tries = {streams.world.row(task).attempts for task in streams.poison}
    assert clean == 8 * 300
    assert beside >= KEPT * clean
    assert max(tries) <= 9, "1, 2, 4 ... 128 s apart: at most nine tries in five minutes"
    assert min(tries) >= 7
    record(
        "P11",
        f"{beside / clean:.1%} of throughput kept beside 50 tasks that fail at once",
        kept=beside / clean,
        ended=beside,
    )


def poisoned(field: Field, code: str, *, on: Mapping[str, Any] = ONE_CPU, **spec: Any) -> int:
    """Submit a task that runs this Python code with this request; its id."""
    task = {"command": [sys.executable, "-I", "-S", "-c", code]}
    spec = {"request": [on], "grace": 200} | spec
    return int(field.client.post("/submit", {"tasks": [task], "cwd": "/", "spec": spec}, timeout=SECONDS)["tasks"][0])


def each_poison(field: Field) -> dict[str, int]:
    """One task of each kind, with budgets for one more try."""
    lost = {"retries": {"lost": 1}}
    return {
        "segfault": poisoned(field, SEGFAULT, retries={"failure": 1}),
        "hoard": poisoned(field, HOARD, on=MEMORY, retries={"out_of_memory": 1}),
        "failure": poisoned(field, "raise SystemExit(3)", retries={"failure": 1}),
        "shim killer": poisoned(field, KILL_SHIM, **lost),
        "fork bomb": poisoned(field, FORK_BOMB, time_limit=1_000),
        "flood": poisoned(field, FLOOD),
    }


def gaps(attempts: list[AttemptRow]) -> list[int]:
    """Milliseconds from each attempt's end to the next one's admission."""
    return [later.admitted_at - (earlier.ended_at or 0) for earlier, later in itertools.pairwise(attempts)]


def check_held_to_limits(field: Field, poison: dict[str, int]) -> None:
    """Every poison ended as its own kind of failure, after as many tries as its budget allows, backed off."""
    kinds = {
        "segfault": OutcomeKind.FAILURE,
        "hoard": OutcomeKind.OUT_OF_MEMORY,
        "failure": OutcomeKind.FAILURE,
        "shim killer": OutcomeKind.LOST,
    }
    ledger = field.ledger()
    for name, kind in kinds.items():
        row, attempts = ledger[poison[name]]
        assert (row.state, row.outcome, row.attempts) == (TaskState.FAILED, kind, 2), name
        assert [one.outcome.kind for one in attempts if one.outcome is not None] == [kind, kind], name
        assert min(gaps(attempts)) >= RetryBudgets().backoff_first, name
    assert ledger[poison["segfault"]][1][0].outcome.signal == 11  # type: ignore[union-attr]
    assert _how(ledger[poison["fork bomb"]]) == (TaskState.FAILED, OutcomeKind.TIMEOUT, 1)
    assert _how(ledger[poison["flood"]]) == (TaskState.SUCCEEDED, OutcomeKind.SUCCESS, 1)


def _how(entry: tuple[TaskRow, list[AttemptRow]]) -> tuple[TaskState, OutcomeKind | None, int]:
    return entry[0].state, entry[0].outcome, entry[0].attempts


def states_until_final(field: Field, ids: list[int]) -> set[str]:
    """The engine's states, asked at each commit until these tasks are final."""
    states, left = set(), set(ids)
    with field.client.events(0) as events:
        for event in events:
            states.add(str(field.client.get("/status", timeout=SECONDS)["engine"]["state"]))
            left -= {task["id"] for task in event["tasks"] if task["state"] in ("succeeded", "failed")}
            if not left:
                break
    return states


def test_each_poison_is_held_to_its_limits_and_healthy_work_is_untouched(field: Field, nursery: Nursery) -> None:
    engine = nursery.engine(field.home.path, field.environ)
    assert engine.wait_ready()
    poison = each_poison(field)
    healthy = field.submit(20, gpus=0, count=40)
    field.wait_final([*healthy, *poison.values()])
    check_held_to_limits(field, poison)
    ledger = field.ledger()
    assert {_how(ledger[task]) for task in healthy} == {(TaskState.SUCCEEDED, OutcomeKind.SUCCESS, 1)}
    run = ledger[poison["flood"]][0].run
    log = field.home.runs / str(run) / str(poison["flood"]) / "1" / "stdout.log"
    assert log.stat().st_size == BIG_OUTPUT
    assert b"".join(last_lines(str(log), 1)) == b"x" * 65535 + b"\n"
    engine_state = field.client.get("/status", timeout=SECONDS)["engine"]
    assert engine_state["state"] == "running"
    assert engine_state["passes"] <= engine_state["turns"] + 1
    field.assert_everything_is_free_and_whole()
    figure = f"{len(poison)} kinds of poison, {FORKS} forks, {BIG_OUTPUT >> 20} MiB of output: limits held, 0 left over"
    record("P11", figure, poisons=len(poison))


def test_poison_on_warm_workers_pauses_nobody_and_costs_only_itself(field: Field, nursery: Nursery) -> None:
    """Each kind has a worker of its own key, where calls follow it one by one; one that limits its files ends well."""
    engine = nursery.engine(field.home.path, field.environ)
    assert engine.wait_ready()
    poison, healthy = {}, []
    for name, call in WARM_POISON.items():
        spec = {"warm_key": name, "retries": {"lost": 0}, "request": [{"amounts": {"cpu": 8_000}}]}
        tasks = [{"command": ["call"], "call": each} for each in (call, *[call_of("nothing")] * 3)]
        poison[name], *rest = field.submit_tasks(tasks, gpus=0, cwd=str(ROOT), spec=spec)
        healthy += rest
    states = states_until_final(field, [*healthy, *poison.values()])
    ledger = field.ledger()
    assert states == {"running"}
    assert {_how(ledger[task])[:2] for task in healthy} == {(TaskState.SUCCEEDED, OutcomeKind.SUCCESS)}
    assert {ledger[task][0].losses for task in healthy} == {0}
    limited = poison.pop("files limited")
    assert _how(ledger[limited]) == (TaskState.SUCCEEDED, OutcomeKind.SUCCESS, 1)
    assert {_how(ledger[task]) for task in poison.values()} == {(TaskState.FAILED, OutcomeKind.LOST, 1)}


def test_a_killed_zygote_costs_nobody_an_attempt(field: Field, nursery: Nursery) -> None:
    """The process that starts attempts is the parent of every shim: a task may find it and kill it."""
    engine = nursery.engine(field.home.path, field.environ)
    assert engine.wait_ready()
    find = "p = os.getppid(); stat = open(f'/proc/{p}/stat').read(); zygote = int(stat.rpartition(')')[2].split()[1])"
    code = f"import os, signal; {find}; os.kill(zygote, signal.SIGKILL)"
    killer = poisoned(field, code, retries={"lost": 0})
    field.wait_final([killer])
    healthy = field.submit(0, gpus=0, count=8)
    field.wait_final(healthy)
    ledger = field.ledger()
    assert {_how(ledger[task]) for task in [killer, *healthy]} == {(TaskState.SUCCEEDED, OutcomeKind.SUCCESS, 1)}
    assert field.client.get("/status", timeout=SECONDS)["engine"]["drivers"]["processes"]["zygote_starts"] == 2


def seconds_for(field: Field, count: int) -> float:
    """How long `count` tasks of 50 ms take on the box's CPUs."""
    started = time.monotonic()
    field.wait_final(field.submit(50, gpus=0, count=count), seconds=300.0)
    return time.monotonic() - started


@pytest.mark.large
@pytest.mark.timeout(1_200)
def test_healthy_work_keeps_its_real_throughput_beside_poison(tmp_path: Path, nursery: Nursery) -> None:
    """Turn about: the same work alone, and beside poison that holds GPUs and none of the CPUs that are counted."""
    ratios = []
    with Field.on(tmp_path, cpus="4", gpus="8x80GiB") as field:
        assert nursery.engine(field.home.path, field.environ).wait_ready()
        for _ in range(ROUNDS):
            clean = seconds_for(field, 200)
            poison = [poisoned(field, SEGFAULT, on={"gpus": 1}, retries={"failure": 100}) for _ in range(6)]
            poison += [poisoned(field, code, on={"gpus": 1}, time_limit=1_000) for code in (FORK_BOMB, FLOOD)]
            ratios.append(clean / seconds_for(field, 200))
            field.client.post("/tasks/cancel", {"select": [str(task) for task in poison]}, timeout=SECONDS)
            field.wait_final(poison)
        field.assert_everything_is_free_and_whole()
    kept = statistics.median(ratios)
    assert kept >= KEPT, ratios
    record("P11", f"{kept:.0%} of real throughput kept beside 8 poison tasks", kept=round(kept, 3), rounds=len(ratios))
