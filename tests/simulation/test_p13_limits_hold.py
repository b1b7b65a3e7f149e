"""P13: limits hold across runs, crashes and restarts, and a Retry-After is honoured up to an hour.

The real engine, store and driver of calls on a simulated clock, before an endpoint that counts for itself, and knows
until when it told its callers to wait: a pool that closed gets no call before. Four runs share it, each declares its
pools again, the engine is killed at any time, or dies at a crash point, and another takes over after a while.
"""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import json
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest

from passloop.clock import FakeClock, SystemClock
from passloop.crashpoints import CRASHPOINTS
from passloop.drivers.calls.caller import Answer, CallOrder, CallRequest, Settled
from passloop.drivers.calls.driver import CallDriver
from passloop.drivers.calls.endpoints import Endpoint, Model, declarations, draws_of
from passloop.engine.engine import Engine
from passloop.engine.settings import EngineSettings
from passloop.kernel import cooldowns, invariants, saving
from passloop.kernel.changes import PoolChanged
from passloop.kernel.cooldowns import Closure, Gate
from passloop.kernel.events import PoolKind, Submitted
from passloop.kernel.ids import TaskId
from passloop.kernel.resources import Request, Variant
from passloop.kernel.tasks import FINAL_STATES, NewTask, Outcome, OutcomeKind, RetryBudgets, TaskSpec, TaskState
from passloop.store.database import Batch, Store
from passloop.store.home import Home
from passloop.store.reader import Reader
from tests.support.promises import record

from .called import CalledEndpoint
from .homes import StillBackups
from .loop import Killed, Life, SimulatedLoop, living, watched_crashpoints

START = 1_700_000_000_000
RUNS, CALLS = 4, 12
TASKS = range(1, 1 + RUNS * CALLS)
REQUESTS, TOKENS = 20, 400
IN_FLIGHT = 4
SPORADIC = 6
"""So many refusals in a row of fifty outcomes close a pool."""
MOST_STEPS = 4_000
MOST_DEATHS = 20
LAUNCHES = ("before_launch", "after_launch")
DIED_AT = ("before_commit", "after_commit", *LAUNCHES, "before_answers")
"""Crash points at which engines die in any 25 stories, at least."""
DIE_AT = (*DIED_AT, "after_answers", "call_before_send", "after_commit", *LAUNCHES, "call_after_reply", "call_told")
"""Where engines are sent to die in turn: those of launches twice, since no more is launched late in a story."""
FIGURE = "seeds, 0 over the limit, 0 before a Retry-After was over"
REFUSED = {OutcomeKind.RATE_LIMITED, OutcomeKind.FAILURE}
Result = TypeVar("Result")
PATIENT = RetryBudgets(failure=1_000)
"""What says 503 costs a try."""


class Mortal(Life):
    """It dies, too, where it gets to `dies_at` after so many `passes`."""

    __slots__ = ("dies_at", "passes")

    def __init__(self, on_death: Callable[[], None]) -> None:
        super().__init__(on_death)
        self.dies_at = ""
        self.passes = 0

    def reach(self, boundary: str) -> None:
        """A boundary is reached: die here, if it is the one."""
        if boundary == self.dies_at:
            self.passes -= 1
            self.dies_in = 1 if self.passes < 0 else None
        super().reach(boundary)


class Asker:
    """Asks as many tokens as its payload says."""

    def __init__(self, model: Model) -> None:
        self._model = model

    async def prepare(self, order: CallOrder) -> CallRequest:
        return CallRequest(self._model, {"prompt": "?", "max_tokens": order.payload["tokens"]}, key=str(order.task))

    async def accept(self, order: CallOrder, answer: Answer) -> Settled:
        return Settled(json.dumps(answer.text))


class Story:
    """One seed: four runs, some crashes, some hours of 429.

    `deaths` says where engines died, of those that were not killed between two steps.
    """

    def __init__(self, path: Path, seed: int) -> None:
        self.chance = random.Random(f"P13 {seed}")
        self.loop = SimulatedLoop(FakeClock(START), self.chance)
        self.home = Home(path / "home")
        self.home.prepare()
        self.endpoint = CalledEndpoint(self.loop, self.chance, requests=REQUESTS, tokens=TOKENS)
        self.model = Model(
            Endpoint("http://called/v1", requests_per_minute=REQUESTS, tokens_per_minute=TOKENS, max_in_flight=8),
            "m",
            max_in_flight=IN_FLIGHT,
        )
        self.tasks: list[TaskId] = []
        self.runs = self.kills = self.closings = 0
        self.deaths: Counter[str] = Counter()
        self.points = itertools.islice(itertools.cycle(DIE_AT), 5 * seed % len(DIE_AT), None)
        self.life = Mortal(self.wake)
        self.engine: Engine | None = None
        self.woken: asyncio.Future[None] | None = None

    async def told(self) -> None:
        """Play it to the end: all calls answered."""
        await self.open()
        try:
            plan = [self.submit] * RUNS + [self.kill] * 3 + [self.die_soon] * 3 + [self.close_endpoint] * 3
            self.chance.shuffle(plan)
            for step in plan:
                await step()
                await self.rest(self.chance.choice([0, 30, 1_000, 20_000, 90_000]))
            for _ in range(MOST_STEPS):
                states = await self.lives.states_of(self.tasks)
                if all(state in FINAL_STATES for state in states.values()):
                    break
                await self.rest(5_000)
            assert set(states.values()) == {TaskState.SUCCEEDED}
            assert sorted(self.tasks) == list(TASKS), "a run was stored twice"
        finally:
            await self.shut()

    async def rest(self, millis: int) -> None:
        """Let time pass; what broke meanwhile is raised. If the engine dies another takes over."""
        await self.pass_time(millis)
        if self.loop.failure is not None:
            raise self.loop.failure
        if self.life.dead:
            await self.take_over()
        machine = self.lives.turns.machine
        invariants.check(machine, machine.state.now)

    @property
    def lives(self) -> Engine:
        """The engine of now."""
        assert self.engine is not None
        return self.engine

    async def pass_time(self, millis: int) -> None:
        """Let simulated time pass, less if the engine dies."""
        self.woken = self.loop.create_future()
        timer = self.loop.call_after(millis, self.wake)
        await self.woken
        timer.cancel()

    def wake(self) -> None:
        """Something happened that the story must look at."""
        if self.woken is not None and not self.woken.done():
            self.woken.set_result(None)

    async def open(self) -> None:
        """The next engine that gets to its first turn; some die before."""
        for _ in range(MOST_DEATHS):
            self.life = Mortal(self.wake)
            if self.chance.random() < 0.2:
                self.life.dies_in = self.chance.randrange(1, 12)
            try:
                await self.in_life(self._start())
            except Killed:
                await self.bury()
                continue
            return
        raise AssertionError(f"{MOST_DEATHS} engines died before they had started")

    async def _start(self) -> None:
        clock = self.loop.clock
        store = Store.open(self.home)
        engine_clock = SystemClock(
            not_before=store.last_now,
            wall_ns=lambda: clock.wall() * 1_000_000,
            monotonic_ns=lambda: clock.now() * 1_000_000,
        )
        driver = CallDriver(engine_clock, connect=self._connect)
        driver.register("asker", Asker(self.model))
        chance = self.chance
        settings = EngineSettings(environ={"PASSLOOP_CPUS": "1"}, seed=lambda: chance.getrandbits(31))
        self.engine = Engine(store, engine_clock, {"calls": driver}, settings=settings)
        self.engine.backups = StillBackups(store, engine_clock)
        await self.engine.start()

    async def _connect(self) -> CalledEndpoint:
        return self.endpoint

    async def in_life(self, work: Awaitable[Result]) -> Result:
        """Do something as the engine's own process does it, so that it dies with it. Raises `Killed` if it does."""

        async def awaited() -> Result:
            return await work

        context = contextvars.copy_context()
        context.run(living.set, self.life)
        doing = self.loop.create_task(awaited(), context=context)
        doing.add_done_callback(lambda _task: self.wake())
        while not (doing.done() or self.life.dead):
            await self.pass_time(600_000)
        if self.life.dead:
            raise Killed
        return doing.result()

    async def shut(self) -> None:
        """Nothing of the engine's process is left."""
        self.life.dead = True
        for task in self.life.tasks:
            task.cancel()
        for _ in range(3):
            await asyncio.sleep(0)
        engine, self.engine = self.engine, None
        if engine is not None:
            engine.reading.close()
            engine.writer.close()
            engine.store.close()

    async def kill(self) -> None:
        """The engine dies here, between two steps."""
        self.kills += 1
        await self.take_over()

    async def die_soon(self) -> None:
        """The engine dies when it gets to a crash point, or at one of the next boundaries."""
        if self.chance.random() < 0.7:
            self.life.dies_at, self.life.passes = next(self.points), self.chance.choice([0, 0, 1, 2, 4, 6])
        else:
            self.life.dies_in = self.chance.randrange(1, 40)

    async def take_over(self) -> None:
        """The engine is dead, and after a while there is another."""
        await self.bury()
        await self.pass_time(self.chance.choice([0, 1_000, 30_000]))
        await self.open()

    async def bury(self) -> None:
        """Nothing is left of the engine. The next one need not know what this one could not keep."""
        self.deaths[self.life.killed_at] += bool(self.life.killed_at)
        await self.shut()
        with Store.open(self.home).reader() as reader:
            for key in list(self.endpoint.told):
                last = reader.attempts(int(key))[-1].outcome
                if last is None or last.kind not in REFUSED:
                    self.endpoint.forget(key)
            self.endpoint.pool.keep({str(task): _heard_of(reader, TaskId(task)) for task in TASKS})

    async def submit(self) -> None:
        """Another run on the same endpoint. Who is not answered because the engine died asks the next one again."""
        chance = self.chance
        tasks = []
        for index in range(CALLS):
            tokens = chance.choice([8, 16, 64])
            spec = TaskSpec(
                Request((Variant(amounts=draws_of(self.model, tokens=tokens)),)),
                driver="calls",
                grace=0,
                retries=PATIENT,
            )
            payload = json.dumps({"caller": "asker", "tokens": chance.randint(1, tokens)})
            tasks.append(NewTask(spec, payload, key=f"{self.runs}.{index}", index=index))
        self.runs += 1
        for _ in range(MOST_DEATHS):
            try:
                for pool in declarations([self.model]):
                    await self.in_life(self.lives.send(pool))
                answer = await self.in_life(self.lives.submit(Submitted("run", tuple(tasks))))
            except Killed:
                await self.take_over()
                continue
            self.tasks += answer.tasks
            return
        raise AssertionError(f"{MOST_DEATHS} engines died over one run")

    async def close_endpoint(self) -> None:
        """Refusals from now on, with Retry-After: for seconds, for minutes, or for longer than anybody waits. Those who
        are on the way may be told to wait longer than those who came first. Some engines die over it.
        """
        self.closings += 1
        status = self.chance.choice([429, 429, 503])
        self.endpoint.close_for(self.chance.choice([3_000, 40_000, 600_000, 5_000_000]), status=status)
        if self.chance.random() < 0.5:
            await self.rest(self.chance.choice([10, 100, 600]))
            self.endpoint.close_for(self.chance.choice([20_000, 600_000]), status=status)
        if self.chance.random() < 0.5:
            await self.rest(self.chance.choice([0, 100, 2_000]))
            await self.die_soon()


def _heard_of(reader: Reader, task: TaskId) -> int:
    """How many answers to the calls of a task are kept, good or bad."""
    ends = (attempt.outcome for attempt in reader.attempts(task))
    return sum(1 for end in ends if end is not None and end.kind in {*REFUSED, OutcomeKind.SUCCESS})


def play(seed: int) -> Story:
    """Play one seed; a seed that breaks the promise says which it was."""
    memory = Path("/dev/shm")
    path = Path(tempfile.mkdtemp(prefix="passloop-p13-", dir=memory if memory.is_dir() else None))
    try:
        story = Story(path, seed)
        try:
            with watched_crashpoints():
                story.loop.run_until_complete(story.told())
        finally:
            story.loop.close()
        judged(story)
    except BaseException as broken:
        broken.add_note(f"seed {seed} of P13")
        raise
    finally:
        shutil.rmtree(path, ignore_errors=True)
    return story


def judged(story: Story) -> None:
    """The endpoint's own judgement."""
    endpoint = story.endpoint
    assert endpoint.over == 0, f"{endpoint.over} of {endpoint.arrived} calls were beyond the limits"
    assert not endpoint.hasty, f"some calls came before the pool's Retry-After was over: {endpoint.hasty}"
    assert endpoint.early == 0, f"{endpoint.early} calls came before their Retry-After was over"
    most = (story.closings + story.kills + story.deaths.total()) * (SPORADIC + IN_FLIGHT) + 2 + endpoint.silent
    assert endpoint.refused <= most, f"{endpoint.refused} calls were refused, {most} would be honest"


def play_all(seeds: range) -> list[Story]:
    """Play these seeds."""
    return [play(seed) for seed in seeds]


def shown(seeds: range) -> None:
    """Play these seeds and write down what they showed."""
    stories = play_all(seeds)
    arrived, refused, kills = (
        sum(story.endpoint.arrived for story in stories),
        sum(story.endpoint.refused for story in stories),
        sum(story.kills for story in stories),
    )
    deaths = sum((story.deaths for story in stories), Counter())
    assert refused, "no endpoint ever refused a call"
    assert set(DIED_AT) <= deaths.keys(), f"no engine died at {set(DIED_AT) - deaths.keys()}"
    at_points = sum(count for place, count in deaths.items() if place in CRASHPOINTS)
    numbers = {"calls": arrived, "refused": refused, "kills": kills}
    record("P13", f"{len(seeds)} {FIGURE}", seeds=len(seeds), deaths_at_points=at_points, **numbers)


@pytest.mark.timeout(200)
@pytest.mark.parametrize("chunk", range(2))
def test_limits_hold_across_runs_crashes_and_restarts(chunk: int) -> None:
    shown(range(25 * chunk, 25 * (chunk + 1)))


@pytest.mark.parametrize("seed", [399])
def test_a_retry_after_that_came_during_a_probe_is_kept_if_that_is_not_answered(seed: int) -> None:
    play(seed)


def forgets_what_is_told_late(_closure: Closure, _outcome: Outcome, _now: int) -> bool:
    """A longer Retry-After of a call that was under way when its pool closed changes nothing."""
    return False


def forgets_closures(_closure: Closure, _kept: dict[str, object]) -> None:
    """An engine that starts takes every pool for open."""


@pytest.mark.parametrize(
    ("where", "name", "fault"),
    [
        (Closure, "extend", forgets_what_is_told_late),
        (saving, "_restore_closure", forgets_closures),
        (cooldowns, "RETRY_AFTER_MOST", 600_000),
    ],
)
def test_a_pool_that_is_called_before_it_was_told_to_breaks_one_of_a_few_stories(
    monkeypatch: pytest.MonkeyPatch, where: object, name: str, fault: object
) -> None:
    monkeypatch.setattr(where, name, fault)
    with pytest.raises(AssertionError, match="before the pool's Retry-After was over"):
        play_all(range(12))


def test_a_closed_pool_that_is_kept_by_a_commit_of_its_own_breaks_one_of_a_few_stories(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    commit = Store.commit

    def commits_twice(store: Store, batch: Batch) -> int:
        apart = tuple(change for change in batch.changes if isinstance(change, PoolChanged) and _is_shut(change))
        if not apart:
            return commit(store, batch)
        commit(store, replace(batch, changes=tuple(change for change in batch.changes if change not in apart)))
        return commit(store, replace(batch, events=(), environments=(), results=(), changes=apart))

    monkeypatch.setattr(Store, "commit", commits_twice)
    monkeypatch.setattr(f"{__name__}.DIE_AT", ("after_commit",))
    with pytest.raises(AssertionError, match="before the pool's Retry-After was over"):
        play_all(range(40))


def _is_shut(pool: PoolChanged) -> bool:
    closure = json.loads(pool.state).get("closure") if pool.kind in (PoolKind.LIMIT, PoolKind.RATE) else None
    return closure is not None and closure["gate"] != Gate.OPEN


@pytest.mark.large
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("chunk", range(10))
def test_limits_hold_at_length(chunk: int) -> None:
    shown(range(1_000 + 100 * chunk, 1_000 + 100 * (chunk + 1)))
