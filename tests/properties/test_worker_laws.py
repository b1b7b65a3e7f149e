"""The laws of parked workers over any history: never two owners, nobody starves, and once all is gone all is free.

Drivers are played here: who was not given a start is silent, who waits behind a live task begins only after it, and a
worker that was evicted goes at some time. The watched world judges every turn.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from passloop.kernel.events import Cancelled, DevicesSeen, Event, Exited, Parked, Started, Submitted, WorkerGone
from passloop.kernel.ids import MEMORY, AttemptId, TaskId
from passloop.kernel.tasks import AttemptRow, NewTask, Outcome, OutcomeKind, TaskSpec
from tests.support.builders import GIB, HOUR, MINUTE, SECOND, ask, outcome, seen, spec_of
from tests.support.watched import WatchedWorld

INVENTORY = (seen(0), seen(1))
REQUESTS = (
    (ask(gpus=1),),
    (ask(gpus=2),),
    (ask(share=0.5),),
    (ask(share=0.5, cpus=1), ask(cpus=2)),
    (ask(cpus=1, memory=20 * GIB),),
    (ask(cpus=1),),
)
KEYS = ("a", "b", "c", None)
PAUSES = (0, 1, SECOND, MINUTE, 6 * MINUTE, HOUR)
PICK = st.integers(0, 10_000)
ENDS = st.sampled_from(("success", "failure", "out_of_memory"))
LOADINGS = st.sampled_from((None, 0, SECOND, HOUR))


def _specs() -> st.SearchStrategy[TaskSpec]:
    return st.builds(
        lambda request, key, quick, limit, alike: spec_of(
            *request,
            driver="processes" if key is None else "workers",
            warm_key=key,
            limit=limit,
            task_class="quick" if quick else "slow",
            wait_for_capacity=True,
            alike=alike,
        ),
        st.sampled_from(REQUESTS),
        st.sampled_from(KEYS),
        st.booleans(),
        st.sampled_from((None, 10 * SECOND)),
        st.booleans(),
    )


class WorkerLaws(RuleBasedStateMachine):
    """Tasks with and without warm keys, and workers that live, die and are evicted."""

    def __init__(self) -> None:
        super().__init__()
        self.world = WatchedWorld(gpus=INVENTORY, cpus=4, memory=48 * GIB)

    @initialize(specs=st.lists(_specs(), min_size=2, max_size=5))
    def begin(self, specs: list[TaskSpec]) -> None:
        self.world.submit_many(cpus=1, n=12, task_class="quick")
        while rows := self.world.rows.open_attempts():
            self.world.send(*(Started(row.id, row.epoch) for row in rows))
            self.world.send(*(Exited(row.id, row.epoch, outcome("success")) for row in rows))
        self._submit(specs)

    def _submit(self, specs: list[TaskSpec], *, group: str = "default") -> None:
        tasks = tuple(NewTask(spec, index=index) for index, spec in enumerate([*specs, *specs]))
        self.world.send(Submitted(name="run", tasks=tasks, group=group))

    @rule(specs=st.lists(_specs(), min_size=1, max_size=3), group=st.sampled_from(("default", "default", "other")))
    def submit(self, specs: list[TaskSpec], group: str) -> None:
        self._submit(specs, group=group)

    def given(self) -> list[AttemptRow]:
        """Attempts whose start was given, that wait behind nobody and have not lost their worker."""
        hidden = {*self.world.rows.kept_back(), *self.world.rows.behind(), *(row.id for row in self.orphans())}
        return [row for row in self.world.rows.open_attempts() if row.id not in hidden]

    @precondition(lambda self: any(row.state == "admitted" for row in self.given()))
    @rule()
    def start_all(self) -> None:
        self.world.send(*(Started(row.id, row.epoch) for row in self.given() if row.state == "admitted"))

    @precondition(lambda self: self.given())
    @rule(pick=PICK, parks=st.sampled_from((True, True, True, False)), kind=ENDS, loading=LOADINGS)
    def end(self, pick: int, parks: bool, kind: str, loading: int | None) -> None:
        self.world.send(self._end_of(self._one(pick), kind, parks=parks, loading=loading))

    @precondition(lambda self: self.given())
    @rule(pick=PICK, kind=st.sampled_from(("lost", "device_fault", "cancelled")))
    def die(self, pick: int, kind: str) -> None:
        row = self._one(pick)
        self.world.send(Exited(row.id, row.epoch, outcome(kind)))

    @precondition(lambda self: self.given())
    @rule(parks=st.booleans())
    def all_end(self, parks: bool) -> None:
        self.world.send(*(self._end_of(row, "success", parks=parks) for row in self.given()))

    def _one(self, pick: int) -> AttemptRow:
        rows = self.given()
        return rows[pick % len(rows)]

    def _end_of(self, row: AttemptRow, kind: str, *, parks: bool, loading: int | None = None) -> Exited:
        ended = outcome(kind, loading=loading)
        if row.driver != "workers" or not parks:
            return Exited(row.id, row.epoch, ended)
        worker = AttemptId(self.world.rows.worker_of(row.id).id)
        memory = dict(row.allocation.amounts).get(MEMORY, 0)
        return Exited(row.id, row.epoch, ended, parked=Parked(worker, row.allocation.devices, memory))

    def orphans(self) -> list[AttemptRow]:
        """Attempts that waited behind another, whose worker is dead."""
        served = {attempt for worker in self.world.rows.workers() for attempt in worker.attempts}
        return [r for r in self.world.rows.open_attempts() if r.driver == "workers" and r.id not in served]

    @precondition(lambda self: self.orphans())
    @rule()
    def orphans_are_told(self) -> None:
        lost = Outcome(OutcomeKind.LOST, engine_lost=True)
        self.world.send(*(Exited(row.id, row.epoch, lost) for row in self.orphans()))

    @precondition(lambda self: self.world.rows.behind())
    @rule(pick=PICK)
    def forget_one_behind(self, pick: int) -> None:
        """A driver was told to stop it, or its worker is gone: it never begins."""
        behind = self.world.rows.behind()
        row = self.world.rows.attempts[behind[pick % len(behind)]]
        worker = AttemptId(self.world.rows.worker_of(row.id).id)
        lost = Outcome(OutcomeKind.LOST, engine_lost=True)
        self.world.send(Exited(row.id, row.epoch, lost, parked=Parked(worker)))

    @precondition(lambda self: any(worker.lying for worker in self.world.rows.workers()))
    @rule(pick=PICK)
    def worker_goes(self, pick: int) -> None:
        lying = [worker for worker in self.world.rows.workers() if worker.lying]
        self.world.send(WorkerGone(AttemptId(lying[pick % len(lying)].id)))

    @rule(pick=PICK)
    def cancel(self, pick: int) -> None:
        live = self.world.rows.live()
        if live:
            self.world.send(Cancelled((live[pick % len(live)],)))

    @rule(pick=PICK, priority=st.integers(-1, 1))
    def reprioritise(self, pick: int, priority: int) -> None:
        live = self.world.rows.live()
        if live:
            self.world.prioritise(TaskId(live[pick % len(live)]), priority)

    @rule(index=st.integers(0, 1), how=st.sampled_from(("taken", "free", "lost", "all")))
    def look(self, index: int, how: str) -> None:
        looks: dict[str, Event] = {
            "taken": DevicesSeen((self.world.taken(index),), complete=False),
            "free": DevicesSeen((INVENTORY[index],), complete=False),
            "lost": DevicesSeen((INVENTORY[1 - index],)),
            "all": DevicesSeen(INVENTORY),
        }
        self.world.send(looks[how])

    @rule(millis=st.sampled_from(PAUSES))
    def time_passes(self, millis: int) -> None:
        self.world.advance(millis)

    @rule()
    def restart(self) -> None:
        self.world.restart()

    def teardown(self) -> None:
        """Once everything heals and ends, all tasks become final, all workers go, and all is free again."""
        if not self.world.trusted:
            return
        self.world.see(*INVENTORY)
        for device in INVENTORY:
            self.world.vouch(device.uuid)
        for _ in range(300):
            if not self.world.rows.live() and not self.world.rows.workers():
                break
            self._everything_ends()
        assert self.world.rows.live() == [], [self.world.row(task) for task in self.world.rows.live()]
        assert self.world.rows.workers() == [], "a worker is left though its run is over"
        last = self.world.submit(gpus=2, cpus=4, memory=48 * GIB)
        assert last in self.world.started, "all is gone, but not all is free"
        self.world.replayed()

    def _everything_ends(self) -> None:
        ends: list[Event] = [self._end_of(row, "success", parks=True) for row in self.given()]
        lost = Outcome(OutcomeKind.LOST, engine_lost=True)
        ends += [Exited(row.id, row.epoch, lost) for row in self.orphans()]
        ends += [WorkerGone(AttemptId(worker.id)) for worker in self.world.rows.workers() if worker.evicted]
        if ends:
            self.world.send(*ends)
            return
        wake_at = self.world.wake_at
        assert wake_at is not None, f"stranded: {[self.world.row(task) for task in self.world.rows.live()]}"
        self.world.advance(max(0, wake_at - self.world.now))


CI = settings(
    max_examples=20,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)


@pytest.mark.timeout(300)
class TestWorkerLaws(WorkerLaws.TestCase):  # type: ignore[misc,name-defined]
    settings = CI


@pytest.mark.large
@pytest.mark.timeout(36_000)
class TestWorkerLawsAtLength(WorkerLaws.TestCase):  # type: ignore[misc,name-defined]
    settings = settings(CI, max_examples=2_000)
