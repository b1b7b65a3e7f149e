"""The turn: gather all events, decide once, commit once, then act and answer. The one caller of the machine.

Nothing is done before its commit. While the writer's thread commits, the next batch gathers in the inbox. There is no
tick: the loop sleeps until the inbox has something or the machine's next wake-up is due. If a commit fails, the
machine is discarded and rebuilt from the store, the batch's events are kept, and nothing is decided until writing
works again; what runs goes on running meanwhile.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from passloop.clock import Clock
from passloop.crashpoints import crashpoint
from passloop.kernel.changes import Answer, Turn
from passloop.kernel.errors import IllegalEvent
from passloop.kernel.events import Event, PauseChanged
from passloop.kernel.machine import Machine
from passloop.store.database import Batch, Store
from passloop.store.errors import StoreBusy, StoreError, StoreFull, StoreRefused

from .alarm import Alarm
from .errors import EngineStopped, Refused
from .inbox import Entry, Inbox
from .pause import Pause, drop_ballast, has_room, lay_ballast
from .submission import completed, lacks_records
from .writer import Loaded, Writer

__all__ = ["Ports", "Turns"]


@dataclass(frozen=True, slots=True)
class Ports:
    """What the turns stand on. `committed` carries out a turn and tells who waits, after its commit.

    `seed` gives the seed of the next turn, `ballast` is the file of `ballast_bytes` that is given up when the disk is
    full, `runs` the folder in which attempts have theirs.
    """

    inbox: Inbox
    writer: Writer
    clock: Clock
    alarm: Alarm
    committed: Callable[[Turn, Loaded], None]
    seed: Callable[[], int]
    ballast: Path
    ballast_bytes: int
    runs: Path


class Turns:
    """Makes turns of what is in the inbox. `made` counts turns committed, `pause` says why none can be, if so.

    `deciding` is held while the machine is ahead of the store: who holds it sees committed state only.
    """

    def __init__(self, machine: Machine, restore: Callable[[Store], Machine], ports: Ports) -> None:
        self.machine = machine
        self.made = 0
        self.pause: Pause | None = None
        self._restore = restore
        self._ports = ports
        self._wake_at: int | None = None
        self.deciding = asyncio.Lock()
        self._before: Pause | None = None
        self._leaving = False
        self._pass_owed = True
        self._failure: BaseException | None = None

    async def run(self) -> None:
        """Make turns until `leave`. Whoever still waits for an answer then is told that the engine has stopped."""
        try:
            while not self._leaving:
                await self._sleep()
                await self.step()
            if self.pause is None:
                await self.step()
        finally:
            self._refuse_rest()

    def leave(self) -> None:
        """Make `run` return after the turn that is under way and one for what has come meanwhile."""
        self._leaving = True
        self._ports.inbox.hurry()

    def fail(self, error: BaseException) -> None:
        """Something beside the turns went wrong and will never tell what a turn waits for: the next step raises it."""
        self._failure = self._failure or error
        self._ports.inbox.hurry()

    async def step(self) -> bool:
        """Make one turn of what is there, if there is anything or a wake-up is due; True if a turn was committed."""
        if self._failure is not None:
            raise self._failure
        now = self._ports.clock.now()
        if self.pause is not None and not await self._writable(self.pause, now):
            self._ports.inbox.wake.clear()
            return False
        entries = self._ports.inbox.take()
        due = self._wake_at is not None and self._wake_at <= now
        if not entries and not due and not self._pass_owed:
            return False
        async with self.deciding:
            return await self._turn(entries)

    def due_at(self) -> int | None:
        """Engine time (ms) at which the next turn is due though nothing comes in; None if never."""
        return self._wake_at if self.pause is None else self.pause.retry_at

    async def _sleep(self) -> None:
        """Sleep until something is in the inbox or the next turn is due. Before the first pass: not at all."""
        if self._pass_owed and self.pause is None:
            return
        wake = self._ports.inbox.wake
        self._ports.alarm.set(self.due_at(), wake.set)
        await wake.wait()

    async def _turn(self, entries: list[Entry]) -> bool:
        """Make one turn of the whole batch; True if it was committed. Who asked is told of what ends the engine."""
        try:
            return await self._turn_together(entries)
        except Exception as error:
            _fail(entries, error)
            raise

    async def _turn_together(self, entries: list[Entry]) -> bool:
        try:
            await self._handle(entries)
        except (IllegalEvent, StoreRefused):
            if not entries:
                raise  # nothing came in, so the state itself is wrong: another try would fail alike
            return await self._turn_singly(entries)
        except (StoreFull, StoreBusy) as full:
            await self._pause(entries, full.message)
            return False
        return True

    async def _turn_singly(self, entries: list[Entry]) -> bool:
        """One event of the batch is illegal or cannot be kept. It is refused and dropped; the others stand.

        A fact that nobody asked for and that the store refuses ends the engine: going on would forget it.
        """
        await self._rebuild()
        for position, entry in enumerate(entries):
            try:
                await self._handle([entry])
            except IllegalEvent as illegal:
                await self._rebuild()
                _drop(entry, illegal)
            except StoreRefused as refused:
                await self._rebuild()
                if entry.answer is None:
                    raise
                _drop(entry, refused)
            except (StoreFull, StoreBusy) as full:
                await self._pause(entries[position:], full.message)
                return False
        return True

    async def _handle(self, entries: list[Entry]) -> None:
        """Decide on these events, commit, act, and answer who asked."""
        events = await self._completed(entries)
        environments = tuple(pair for entry in entries for pair in entry.environments)
        answers = await self._decide_and_commit(events, environments)
        self._follow_pauses(events)
        for entry, answer in zip(entries, answers, strict=True):
            if entry.answer is not None and not entry.answer.done():
                entry.answer.set_result(answer)
        crashpoint("after_answers")

    def _follow_pauses(self, events: Sequence[Event]) -> None:
        """A driver has told that no attempt can begin for want of room: pause until there is some."""
        for event in events:
            if isinstance(event, PauseChanged) and event.paused:
                self.pause = self._before = Pause.begin(event.reason, self._ports.clock.now())

    async def _decide_and_commit(
        self, events: Sequence[Event], environments: tuple[tuple[str, str], ...] = ()
    ) -> Sequence[Answer]:
        """One call of the machine, one commit, then its instructions. Answers are those of the events."""
        if self._failure is not None:
            raise self._failure
        ports = self._ports
        now, seed, first_ids = ports.clock.now(), ports.seed(), self.machine.next_ids
        turn = self.machine.handle(events, now, seed)
        if events or turn.changes or turn.instructions:
            batch = Batch(
                events=tuple(events),
                now=now,
                seed=seed,
                first_ids=first_ids,
                changes=turn.changes,
                environments=environments,
                at=ports.clock.wall(),
            )
            loaded = await ports.writer.commit(batch, turn.instructions)
            self.made += 1
            self._before = None
            if loaded.unread is None:
                ports.committed(turn, loaded)
            else:
                self.fail(_not_carried_out(loaded.seq, loaded.unread))
        self._pass_owed = False
        self._wake_at = turn.wake_at
        return turn.answers

    async def _completed(self, entries: list[Entry]) -> list[Event]:
        """The batch's events, submissions completed with what only the store knows by now."""
        events = [entry.event for entry in entries]
        if any(map(lacks_records, events)):
            return await self._ports.writer.run(lambda store: completed(store, events))
        return events

    async def _rebuild(self) -> None:
        """Discard the machine, which is ahead of the store, and make it anew from what is committed."""
        self.machine = await self._ports.writer.run(self._restore)
        self._pass_owed = True

    async def _pause(self, entries: list[Entry], reason: str) -> None:
        """Stop acting: keep the events, go back to what is stored, and record the pause in the ballast's room."""
        kept = [entry for entry in entries if not isinstance(entry.event, PauseChanged)]
        self._ports.inbox.put_back(kept)
        now = self._ports.clock.now()
        self.pause = self._before.again(now) if self._before else Pause.begin(reason, now)
        self._before = self.pause
        crashpoint("before_ballast_is_given_up")
        drop_ballast(self._ports.ballast)
        crashpoint("after_ballast_is_given_up")
        await self._rebuild()
        try:
            await self._decide_and_commit([PauseChanged(paused=True, reason=reason)])
        except (StoreFull, StoreBusy):
            await self._rebuild()
        self._before = self.pause

    async def _writable(self, pause: Pause, now: int) -> bool:
        """Whether the pause is over: it is due, and there is room again. The machine is then told first."""
        if now < pause.retry_at:
            return False
        ports = self._ports
        if not await ports.writer.run(
            lambda _store: lay_ballast(ports.ballast, ports.ballast_bytes) and has_room(ports.runs)
        ):
            self.pause = self._before = pause.again(ports.clock.now())
            return False
        crashpoint("before_resuming")
        self.pause = None
        ports.inbox.put_back([Entry(PauseChanged(paused=False))])
        return True

    def _refuse_rest(self) -> None:
        gone = EngineStopped("the engine stopped before it could answer", hint="passloop up")
        _fail(self._ports.inbox.take(), gone)


def _not_carried_out(seq: int, unread: StoreError) -> EngineStopped:
    """Why the engine ends after a commit of which it cannot read what it starts. Taken for a failed commit, the batch
    would happen twice; so who asked is answered, and the next engine finds the starts that no driver was given.
    """
    what = f"batch {seq} is stored, but what it starts cannot be looked up: {unread.message}"
    stopped = EngineStopped(what, hint="passloop up")
    stopped.__cause__ = unread
    return stopped


def _drop(entry: Entry, wrong: IllegalEvent | StoreRefused) -> None:
    print(f"passloop: dropped an event that cannot be: {wrong}", file=sys.stderr)
    _fail([entry], Refused("invalid", str(wrong), hint="passloop doctor"))


def _fail(entries: Sequence[Entry], error: Exception) -> None:
    """Tell who asked that there will be no answer."""
    for entry in entries:
        if entry.answer is not None and not entry.answer.done():
            entry.answer.set_exception(error)
