"""The driver that plays warm workers: it gives them attempts, ends them, and says what became of both, as the real
driver does by its records. It decides nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from passloop.drivers.base import Launch, LiveAttempt, LiveWorker
from passloop.drivers.fake import Act, Play, outcome_of_halt
from passloop.kernel.events import Exited, WorkerGone
from passloop.kernel.ids import AttemptId
from passloop.kernel.tasks import Outcome, OutcomeKind

from .loop import Life, SimulatedLoop
from .processes import Driver, Processes
from .workers import FAR, UNTRIED, Worker

__all__ = ["WarmDriver"]

EVICTIONS = (0, 0, 200, 5_000)
"""How long (ms) an idle worker takes to end."""
NO_WORKER = Outcome(OutcomeKind.LOST, message="its worker had ended", engine_lost=True)


class WarmDriver(Driver):
    """Plays workers for one engine's life."""

    def __init__(self, world: Processes, life: Life, loop: SimulatedLoop) -> None:
        super().__init__(world, life, loop, name="workers")
        self._processes = world
        self._workers = world.workers
        self._chance = world.chance
        self._holds: set[AttemptId] = set()

    async def stop(self) -> None:
        """Report no more. Idle workers are told to end, busy ones go on."""
        for worker in list(self._workers.by_id.values()):
            if worker.id in self._holds and not worker.line:
                self._workers.end(worker, self._chance.choice(EVICTIONS))
        self._holds.clear()
        await super().stop()

    def launch(self, order: Launch) -> None:
        """Give an attempt to its worker, or to a new one."""
        worker = self._workers.living(order.worker)
        if order.worker is not None and worker is None:
            self._must_live()
            self._turn_away(order)
            return
        if worker is not None:
            self._holds.add(worker.id)
        super().launch(order)

    def _turn_away(self, order: Launch) -> None:
        """Its worker is gone, or is about to be: then that is waited for."""
        dying = self._workers.by_id.get(order.worker) if order.worker is not None else None
        at = self._world.clock.now() if dying is None or dying.gone_at is None else dying.gone_at
        self._world.acts[order.attempt] = Act(order.attempt, order.epoch, Play(), FAR, at, NO_WORKER)
        self._watched.add(order.attempt)
        self.catch_up()

    def halt(self, attempt: AttemptId, epoch: int, *, grace: int, reason: str) -> None:
        """Forbid an attempt that has not begun; end the worker of one that has, unless it is only called back."""
        self._must_live()
        self._workers.go_on()
        act = self._world.acts.get(attempt)
        if act is None or attempt not in self._watched:
            self._forbidden.add(attempt, reason)
            return
        given = attempt in self._workers.of  # else it was turned away, and ends when that worker is gone
        if not given and reason == "recall" and not act.started:
            self._workers.too_late.add(attempt)
            super()._happen(act)
        elif given and (act.ends_at is None or act.ends_at > self._world.clock.now()):
            if not self._workers.has_begun(attempt):
                self._workers.withdraw(attempt, outcome_of_halt(reason))
            elif reason == "recall":
                self._workers.too_late.add(attempt)
            else:
                self._workers.halt(attempt, outcome_of_halt(reason), grace=grace)
        self.catch_up()

    def evict(self, worker: AttemptId) -> None:
        """End a parked worker."""
        self._must_live()
        self._holds.add(worker)
        found = self._workers.living(worker)
        if found is not None:
            assert not found.line, f"worker {worker} is evicted and has {found.line}"
            self._workers.end(found, self._chance.choice(EVICTIONS))
        self.catch_up()

    async def reattach_workers(self, workers: Sequence[LiveWorker]) -> None:
        """Find the workers that are there, end those that nobody knows, and say which are gone."""
        self._workers.go_on()
        known = {one.worker for one in workers}
        for worker in list(self._workers.by_id.values()):
            if worker.id not in known:
                self._workers.end(worker, 0)
        self._holds = {one.worker for one in workers if one.lying or one.worker in self._workers.by_id}
        for one in workers:
            if one.evicted:
                self.evict(one.worker)
        self.catch_up()

    async def reattach(self, attempts: Sequence[LiveAttempt]) -> None:
        """Take up attempts; one that has not begun never will."""
        self._workers.go_on()
        for live in attempts:
            act = self._world.acts.get(live.attempt)
            if act is None:
                self._world.tombstones.add(live.attempt)
                worker = self._workers.living(live.worker)
                self._tell(Exited(live.attempt, live.epoch, UNTRIED, parked=worker.parked() if worker else None))
                continue
            if not self._workers.has_begun(live.attempt) and act.ends_at is None:
                self._workers.withdraw(live.attempt, UNTRIED)
            act.started = live.state != "admitted"
            act.ended = live.state == "stray"
            act.gone = False
            self._watched.add(live.attempt)
        self.catch_up()

    def _enter(self, order: Launch, play: Play) -> None:
        worker = self._workers.living(order.worker)
        if worker is None:
            self._processes.start_worker(order, play)
            self._holds.add(order.attempt)
        else:
            assert set(order.allocation.devices) <= set(worker.devices), f"{order} is not where {worker} is"
            self._workers.give(worker, order, play)

    def _tell_what_happened(self) -> None:
        self._workers.go_on()
        super()._tell_what_happened()
        for worker in sorted(self._holds - self._workers.by_id.keys()):
            self._holds.discard(worker)
            self._tell(WorkerGone(worker))

    def _happen(self, act: Act) -> None:
        """An end is told with the worker if that lives on."""
        never = act.starts_at == FAR
        worker = self._workers.of.get(act.attempt)
        there = worker is not None and worker.id in self._workers.by_id
        parked = worker.parked() if worker is not None and there else None
        if parked is None or not (never or (act.started and not act.ended)):
            act.started = act.started or never
            if worker is not None and there and act.started and not act.ended:
                self._charge_remains(worker, act)
            super()._happen(act)
            return
        act.started = act.ended = act.gone = True
        self._watched.discard(act.attempt)
        self._tell(Exited(act.attempt, act.epoch, act.outcome, parked=parked))

    def _charge_remains(self, worker: Worker, act: Act) -> None:
        """What is left of a dying worker is charged to the first of its attempts whose end is told now: that holds what
        the worker was given, whichever of them it died of.
        """
        assert worker.gone_at is not None
        assert act.ends_at is not None
        others = (self._world.acts[one] for one, its in self._workers.of.items() if its is worker)
        is_charged = any(other.ended and not other.gone for other in others)
        act.play = replace(act.play, stray_for=0 if is_charged else worker.gone_at - act.ends_at)

    def _next(self) -> int | None:
        held = [worker for worker in self._workers.by_id.values() if worker.id in self._holds]
        times = [super()._next(), *(worker.gone_at or self._workers.begins_at(worker) for worker in held)]
        return min((at for at in times if at is not None and at < FAR), default=None)
