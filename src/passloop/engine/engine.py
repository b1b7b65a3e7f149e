"""The engine: joins kernel, store, drivers and devices. It holds no rule of its own; see `turns.py` for the turn.

Everything is called on the loop thread. Whatever it answers is committed: answers to events after their commit, reads
from the store's reading side, looks at the machine only while the machine is not ahead of the store.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from passloop.clock import Clock
from passloop.crashpoints import crashpoint
from passloop.devices.sampler import AttemptSample
from passloop.drivers.base import Driver
from passloop.kernel.changes import Answer, Refusal, SourceAnswer, SubmitAnswer, TasksAnswer, Turn
from passloop.kernel.events import DrainChanged, Event, SourceDeclared, Submitted
from passloop.kernel.ids import RunId, TaskId
from passloop.kernel.instructions import Start
from passloop.kernel.machine import Machine
from passloop.kernel.tasks import FINAL_STATES, TaskState
from passloop.store.database import Store
from passloop.store.home import Home
from passloop.store.journal import JournalRow
from passloop.store.reader import Reader
from passloop.store.samples import Sample

from .alarm import Alarm, LoopAlarm
from .attempts import Attempts, attempt_folder, attempt_name
from .backups import Backups
from .capacity import kernel_settings
from .device_desk import DeviceDesk
from .dispatch import Dispatch
from .drain import Quiet
from .errors import EngineStopped, Refused, Unwritable, refusal_hint
from .expanding import Expansions
from .feed import Feed
from .file_changes import FileChanges
from .inbox import Inbox
from .lifecycle import DriverRole, Roles
from .outside import OutsideReads
from .pause import lay_ballast
from .reading import Reading
from .recovery import declare_box, live_attempts, reattach
from .settings import EngineSettings
from .turns import Ports, Turns
from .waiting import SourceWaiting, Waiting
from .writer import WITHOUT_FOLDER, Loaded, Writer

__all__ = ["Engine", "EngineStatus"]

Result = TypeVar("Result")
STARTED_OR_FINAL = FINAL_STATES | {TaskState.RUNNING}


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """How the engine is: `state` is `running`, `draining`, `stopping` or `paused: <why>`. `started_at` is wall time
    in ms; `turns` and `passes` count since the start, `attempts` is how many are under way.
    """

    state: str
    started_at: int
    turns: int
    passes: int
    attempts: int


class Engine:
    """Owns a home while it lives. The caller holds the home's lock and closes the store after `stop`.

    `desk` is the way to the devices, None for a box without any; it shares `attempts`. `alarm` and `seed` are for
    tests.
    """

    turns: Turns
    dispatch: Dispatch

    def __init__(
        self,
        store: Store,
        clock: Clock,
        drivers: Mapping[str, Driver],
        *,
        desk: DeviceDesk | None = None,
        attempts: Attempts | None = None,
        settings: EngineSettings | None = None,
        alarm: Alarm | None = None,
    ) -> None:
        self.home: Home = store.home
        self._runs = store.home.runs
        self.store = store
        self.clock = clock
        self.drivers = drivers
        self.desk = desk
        self.settings = settings or EngineSettings()
        self._kernel = kernel_settings(self.settings.kernel, self.settings.environ)
        self.attempts = attempts if attempts is not None else Attempts()
        self.inbox = Inbox(linger_ms=self.settings.linger_ms)
        self.writer = Writer(store, self.home)
        self.reading = Reading(store)
        self.outside = OutsideReads()
        self.feed = Feed(self.reading, store.last_seq)
        self.files = FileChanges()
        self.waiting = Waiting(FINAL_STATES)
        self.starting = Waiting(STARTED_OR_FINAL)
        self.expansions = Expansions(self.inbox.put, self.reading)
        self.expanding = SourceWaiting()
        self.quiet = Quiet(self.attempts)
        self.backups = Backups(store, clock)
        self.retries = asyncio.Lock()  # held from the look at what is to be retried until it is committed
        self._roles = Roles()
        self._alarm = alarm or LoopAlarm(clock)
        self._started_at = clock.wall()
        self._draining = self._stopping = False
        self._turning: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Recover and take the first turn, then take turns until `stop`.

        Raises what the store, a driver or a setting raises.
        """
        try:
            await self.recover()
            await self.turns.step()
        except BaseException:
            await self.stop()
            raise
        self._turning = asyncio.get_running_loop().create_task(self.turns.run(), name="passloop-turns")
        self._turning.add_done_callback(self._turns_ended)

    async def recover(self) -> None:
        """Everything up to the first turn. Simulations go on from here with `turns.step()`."""
        saved = self.store.load()
        self.attempts.load(saved)
        self.turns = Turns(Machine.restore(saved, self._kernel), self._restored, self._ports())
        if self.desk is not None:
            self.desk.connect(self.inbox.put, self._keep_samples, failed=self.turns.fail)
        gate = self.desk.gate if self.desk is not None else None
        self.dispatch = Dispatch(self.drivers, gate=gate, report=self.report, place=self._place_of)
        await self.writer.run(lambda _store: lay_ballast(self.home.ballast, self.settings.ballast_bytes))
        await self._roles.start(self.backups)
        for driver in self.drivers.values():
            await self._roles.start(DriverRole(driver, self.report, self.turns.fail))
        declare_box(self.inbox, self.settings.environ)
        if self.desk is not None:
            await self._roles.start(self.desk)
        await self._roles.start(self.expansions)
        await reattach(self.drivers, live_attempts(self.store, saved), saved)
        self.expansions.ask_again(saved)

    async def stop(self) -> None:
        """Stop taking turns and close everything but the store. What runs is left to the next engine.

        The last turn claims nothing. On a disk that is full it is not made, rather than waited for.
        """
        if self._turning is not None and not self._turning.done() and self.turns.pause is None:
            self.inbox.put(DrainChanged(draining=True))
        self._stopping = True
        try:
            if self._turning is not None:
                self.turns.leave()
                await self._turning
        finally:
            self.hang_up()
            self._alarm.set(None, _nothing)
            self.files.close()
            await self._roles.stop()
            self.reading.close()
            self.writer.close()

    def hang_up(self) -> None:
        """End the streams of followers, and tell who waits for tasks or for files elsewhere that no more is to come."""
        self.feed.close()
        self.outside.close()
        for waiting in (self.waiting, self.starting, self.expanding):
            waiting.close(EngineStopped("the engine stopped", hint="passloop up"))

    async def ended(self) -> None:
        """Wait until no more turns are taken. Raises what ended them, if that was an error."""
        if self._turning is not None:
            await asyncio.shield(self._turning)

    def announce_end(self) -> None:
        """It was told to go down. It still takes requests; who hands work in can be told that it starts none of it."""
        self._draining = True

    @property
    def is_ending(self) -> bool:
        """Whether it was told to go down: what is handed in now waits for the next engine."""
        return self._draining or self._stopping

    async def drain(self, *, stop_running: bool = False) -> None:
        """Claim nothing more and wait until nothing runs.

        With `stop_running` what runs is ended after its grace, and its tasks go back to ready at no cost.
        """
        self.announce_end()
        await self.send(DrainChanged(draining=True, stop_running=stop_running))
        await self.quiet.wait()

    def report(self, event: Event) -> None:
        """Take a fact from a driver; ends on real devices are told after a look at these."""
        told = event if self.desk is None else self.desk.with_use(event)
        if self.desk is None or not self.desk.takes_over(told):
            self.inbox.put(told)

    async def submit(
        self,
        submitted: Submitted,
        *,
        environments: tuple[tuple[str, str], ...] = (),
        through_pauses: bool = False,
    ) -> SubmitAnswer:
        """Store tasks durably. Raises `Refused` (nothing is stored), `Unwritable`, `EngineStopped`.

        With `through_pauses` it waits for the end of a pause instead of raising `Unwritable`.
        """
        answer = await self._ask(submitted, environments, through_pauses=through_pauses)
        if not isinstance(answer, SubmitAnswer):
            raise TypeError(f"a submission was answered with {answer!r}")
        return answer

    async def declare_source(self, declared: SourceDeclared) -> SourceAnswer:
        """Store a run whose tasks a source brings, durably. Raises `Refused`, `Unwritable`, `EngineStopped`."""
        answer = await self._ask(declared)
        if not isinstance(answer, SourceAnswer):
            raise TypeError(f"a source was answered with {answer!r}")
        return answer

    async def send(self, event: Event) -> TasksAnswer:
        """Give the machine a fact and wait for its committed answer; an empty one if it gives none."""
        answer = await self._ask(event)
        return answer if isinstance(answer, TasksAnswer) else TasksAnswer(())

    async def read(self, ask: Callable[[Reader], Result]) -> Result:
        """Ask the store's reading side, off the loop."""
        return await self.reading.run(ask)

    async def look(self, ask: Callable[[Machine, int], Result]) -> Result:
        """Ask the machine while it is not ahead of the store: `ask(machine, now)`."""
        async with self.turns.deciding:
            return ask(self.turns.machine, self.clock.now())

    async def states_of(self, tasks: Iterable[TaskId]) -> dict[TaskId, TaskState]:
        """The committed states of tasks; ids of no task are left out."""
        return await asyncio.to_thread(self.store.states_of, tuple(tasks))

    async def wait_final(self, tasks: Iterable[TaskId], *, timeout_ms: int | None = None) -> bool:
        """Wait until all these tasks are final; False if time ran out first. Ids of no task count as final.

        Raises `EngineStopped` when the engine stops first.
        """
        return await self._wait(self.waiting, tuple(tasks), timeout_ms)

    async def wait_started(self, task: TaskId, *, timeout_ms: int | None = None) -> bool:
        """Wait until this task runs or is final; False if time ran out first. Raises `EngineStopped`."""
        return await self._wait(self.starting, (task,), timeout_ms)

    async def wait_source(self, run: RunId, *, timeout_ms: int | None = None) -> bool:
        """Wait until a run's source is over and all tasks of its units are final; False if time ran out first.

        A run without a source counts as over. Raises `EngineStopped`.
        """
        waiter = self.expanding.expect((TaskId(run),))
        try:
            source = (await self.read(lambda reader: reader.source_heads((run,)))).get(run)
            if source is None or source.row.ended_at is not None:
                self.expanding.note_there((TaskId(run),))
            self.expanding.looked(waiter)
            async with asyncio.timeout(None if timeout_ms is None else timeout_ms / 1000):
                await waiter.done
        except TimeoutError:
            return False
        finally:
            self.expanding.give_up(waiter)
        return True

    async def _wait(self, waiting: Waiting, ids: tuple[TaskId, ...], timeout_ms: int | None) -> bool:
        waiter = waiting.expect(ids)
        try:
            states = await self.states_of(ids)
            waiting.note_there(task for task in ids if task not in states or states[task] in waiting.states)
            waiting.looked(waiter)
            async with asyncio.timeout(None if timeout_ms is None else timeout_ms / 1000):
                await waiter.done
        except TimeoutError:
            return False
        finally:
            waiting.give_up(waiter)
        return True

    def journal_events(self, after: int) -> AsyncIterator[list[JournalRow]]:
        """The journal's rows after number `after`, some at a time, then as they are committed, until the end."""
        return self.feed.after(after)

    def journal_marks(self, after: int, *, pause: float) -> AsyncIterator[int]:
        """How far the journal is, whenever it is beyond `after`, with `pause` seconds between two words."""
        return self.feed.marks(after, pause=pause)

    def status(self) -> EngineStatus:
        """How the engine is now."""
        state = "stopping" if self._stopping else "draining" if self._draining else "running"
        if self.turns.pause is not None:
            state = f"paused: {self.turns.pause.reason}"
        return EngineStatus(
            state=state,
            started_at=self._started_at,
            turns=self.turns.made,
            passes=self.turns.machine.passes,
            attempts=len(self.attempts),
        )

    def _ports(self) -> Ports:
        return Ports(
            inbox=self.inbox,
            writer=self.writer,
            clock=self.clock,
            alarm=self._alarm,
            committed=self._committed,
            seed=self.settings.seed,
            ballast=self.home.ballast,
            ballast_bytes=self.settings.ballast_bytes,
            runs=self.home.runs,
        )

    def _restored(self, store: Store) -> Machine:
        return Machine.restore(store.load(), self._kernel)

    def _committed(self, turn: Turn, loaded: Loaded) -> None:
        """A turn is durable: carry it out, then tell who waits for what it changed."""
        self.attempts.follow(turn.changes)
        if self.desk is not None:
            self.desk.follow(turn.changes)
        self.dispatch.carry_out(turn.instructions, loaded)
        self.expansions.follow(turn.changes, turn.instructions)
        crashpoint("before_answers")
        self.waiting.note(turn.changes)
        self.starting.note(turn.changes)
        self.expanding.note(turn.changes)
        self.feed.note(loaded.seq)
        self.quiet.note()
        self.backups.note()

    async def _ask(
        self, event: Event, environments: tuple[tuple[str, str], ...] = (), *, through_pauses: bool = False
    ) -> Answer:
        if self._stopping or (self._turning is not None and self._turning.done()):
            raise EngineStopped("the engine is stopping", hint="passloop up")
        if self.turns.pause is not None and not through_pauses:
            raise Unwritable(
                f"the engine is paused and can store nothing: {self.turns.pause.reason}",
                hint="free space on the disk of its home; it goes on by itself",
            )
        answer = await self.inbox.ask(event, environments=environments)
        if isinstance(answer, Refusal):
            raise Refused(answer.code, answer.message, hint=refusal_hint(event, answer.code))
        return answer

    def _place_of(self, order: Start) -> tuple[Path, str]:
        name = attempt_name(self.store.home_id, order.attempt)
        if order.driver in WITHOUT_FOLDER:
            return self._runs, name
        return attempt_folder(self.home, order.run, order.task, order.epoch), name

    def _keep_samples(self, batch: tuple[AttemptSample, ...]) -> None:
        rows = [_sample_row(one) for one in batch]
        self.writer.run_soon(lambda store: store.record_samples(rows))

    def _turns_ended(self, _task: asyncio.Task[None]) -> None:
        self.hang_up()


def _sample_row(one: AttemptSample) -> Sample:
    seen = one.sample
    return Sample(
        attempt=one.attempt,
        at=one.at,
        uuid=seen.uuid,
        utilisation=seen.utilisation or 0,
        memory_mib=seen.memory_mib or 0,
        power_mw=(seen.power_w or 0) * 1000,
    )


def _nothing() -> None:
    """The alarm is off."""
