"""What happens in a simulated history: clients ask, attempts die, devices and endpoints change, disks fill.

Each action happens to one home, at once; what follows from it, the engine shows. `PLANS` says how often each happens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from passloop.engine.retrying import Retried, retry
from passloop.kernel.changes import SubmitAnswer, TasksAnswer
from passloop.kernel.events import (
    Cancelled,
    Event,
    Foreign,
    GroupHeld,
    GroupReleased,
    Held,
    PoolKind,
    PoolOpened,
    QuarantineReleased,
    Released,
    Reprioritised,
    SourceRetried,
    Submitted,
    UnitResized,
)
from passloop.kernel.ids import PoolName, TaskId
from passloop.kernel.pools import NO_RATE
from passloop.kernel.resources import Request, Variant
from passloop.kernel.tasks import Dependency, NewTask, RetryBudgets, TaskSpec
from tests.support.builders import ask, spec_of

from .endpoints import POOLS
from .homes import SimulatedHome
from .sources import parted_source_by, source_by

__all__ = ["PLANS", "Action"]

HOUR = 3_600_000
DAY = 24 * HOUR
REQUESTS: tuple[tuple[Variant, ...], ...] = (
    (ask(cpus=1),), (ask(cpus=2),), (ask(cpus=5),), (ask(gpus=1),), (ask(gpus=2, cpus=1),), (ask(gpus=4),),
    (ask(share=0.5),), (ask(share=0.25),), (ask(gpus=2), ask(cpus=4)), (ask(cpus=1, memory=6_000),),
    (ask(cpus=3, exclusive=True),),
)  # fmt: skip
WARM: tuple[tuple[Variant, ...], ...] = (
    (ask(gpus=1),), (ask(gpus=2),), (ask(share=0.5),), (ask(share=0.25, cpus=1),), (ask(cpus=1, memory=6_000),),
    (ask(cpus=1),), (ask(gpus=1, memory=9_000), ask(cpus=2)), (ask(cpus=1, memory=9_000),),
)  # fmt: skip
QUICK: tuple[tuple[Variant, ...], ...] = ((ask(cpus=1),), (ask(cpus=2),), (ask(gpus=1),))
CALLS = ((ask(chat=1),), (ask(code=1),), (ask(chat=1, tokens=30),), (ask(provider=1, tokens=8),))
DEVICES = ((ask(gpus=1),), (ask(gpus=2),), (ask(gpus=3),), (ask(share=0.5),), (ask(share=0.25),))
GROUPS = ("default", "default", "night")

Action = Callable[[SimulatedHome], None]


def submit(home: SimulatedHome) -> None:
    """A run of a few tasks; some with keys, limits, retries, deadlines, and after earlier tasks."""
    chance = home.box.chance
    spec = a_spec(home)
    tasks: list[NewTask] = []
    for index in range(chance.choice([1, 1, 2, 3, 5])):
        key = f"k{chance.randrange(12)}" if chance.random() < 0.2 else None
        after = _after(home, index)
        mine = a_spec(home) if chance.random() < 0.3 else spec
        tasks.append(NewTask(spec=mine, key=key, index=index, after=after, held=chance.random() < 0.03))
    event = Submitted(
        name="run",
        tasks=tuple(tasks),
        group=chance.choice(GROUPS),
        priority=chance.choice([0, 0, 0, 5]),
        refuse_impossible=False,
    )
    home.ask(lambda engine: engine.submit(event), lambda answer: _acknowledge(home, answer))


def _acknowledge(home: SimulatedHome, answer: SubmitAnswer) -> None:
    home.witness.acknowledged.update(answer.tasks)


def _after(home: SimulatedHome, index: int) -> tuple[Dependency, ...]:
    chance, known = home.box.chance, sorted(home.witness.acknowledged)
    after: list[Dependency] = []
    if index and chance.random() < 0.3:
        after.append(Dependency(-chance.randrange(1, index + 1), any_end=chance.random() < 0.5))
    if known and chance.random() < 0.15:
        after.append(Dependency(chance.choice(known[-10:]), any_end=chance.random() < 0.5))
    return tuple(after)


def a_spec(home: SimulatedHome) -> TaskSpec:
    """A spec as users write them."""
    chance = home.box.chance
    calls = chance.random() < 0.25
    request = chance.choice(CALLS if calls else REQUESTS if home.box.alone else DEVICES)
    return spec_of(
        *request,
        limit=chance.choice([None, 2_000, 30_000, 30_000]),
        grace=chance.choice([0, 1_000]),
        patience=chance.choice([None, None, 0, 60_000]),
        deadline=chance.choice([None] * 9 + [600_000]),
        retries=RetryBudgets(failure=chance.choice([0, 0, 2]), timeout=chance.choice([0, 1])),
        driver="calls" if calls else "processes",
        task_class=chance.choice(["", "short", "long"]),
        program="program",
    )


def submit_warm(home: SimulatedHome) -> None:
    """A run of tasks that need one thing or another loaded, quick ones or slow ones."""
    chance = home.box.chance
    quick = chance.random() < 0.5
    request = chance.choice(WARM if home.box.alone else DEVICES)
    specs = [replace(a_spec(home), request=Request(request), driver="workers", warm_key=key) for key in ("a", "b")]
    tasks = tuple(
        NewTask(
            spec=replace(chance.choice(specs), task_class="quick" if quick else "slow"),
            payload='{"quick": true}' if quick else "{}",
            index=index,
        )
        for index in range(chance.choice([2, 4, 8]))
    )
    event = Submitted("warm", tasks, chance.choice(GROUPS), chance.choice([0, 0, 5]), refuse_impossible=False)
    home.ask(lambda engine: engine.submit(event), lambda answer: _acknowledge(home, answer))


def line_up(home: SimulatedHome) -> None:
    """A run of many quick tasks that need the same loaded: they are claimed ahead, and wait behind each other."""
    chance = home.box.chance
    spec = replace(
        a_spec(home), request=Request(chance.choice(QUICK)), driver="workers", warm_key="a", task_class="quick"
    )
    tasks = tuple(NewTask(spec, payload='{"quick": true}', index=index) for index in range(chance.choice([12, 24, 40])))
    event = Submitted("line", tasks, chance.choice(GROUPS), refuse_impossible=False)
    home.ask(lambda engine: engine.submit(event), lambda answer: _acknowledge(home, answer))


def declare_source(home: SimulatedHome) -> None:
    """A run whose tasks come unit by unit."""
    event = source_by(home.box.chance, group=home.box.chance.choice(GROUPS), devices_only=not home.box.alone)
    home.ask(lambda engine: engine.declare_source(event), lambda answer: home.witness.sources.acknowledge(answer.run))


def declare_parts(home: SimulatedHome) -> None:
    """A run whose tasks come unit by unit, or in parts of one."""
    event = parted_source_by(home.box.chance, group=home.box.chance.choice(GROUPS))
    home.ask(lambda engine: engine.declare_source(event), lambda answer: home.witness.sources.acknowledge(answer.run))


def change_source(home: SimulatedHome) -> None:
    """A client cancels, holds or moves a whole source, retries one that failed, or a unit is spilled."""
    chance = home.box.chance
    runs = home.witness.sources.known()
    if not runs:
        return
    run = chance.choice(runs)
    events: list[Event] = [
        Cancelled((), sources=(run,)), Held((), sources=(run,)), Released((), sources=(run,)),
        Reprioritised((), chance.randrange(-2, 7), sources=(run,)), SourceRetried(run),
        UnitResized(run, home.witness.sources.newest_unit(run), chance.choice([0, 1 << 22])),
    ]  # fmt: skip
    send(home, chance.choices(events, [1, 2, 4, 2, 3, 3])[0])


def some(home: SimulatedHome, most: int = 3) -> tuple[TaskId, ...]:
    """A few tasks that are known, unfinished ones mostly."""
    chance = home.box.chance
    known = home.witness.unfinished() if chance.random() < 0.8 else sorted(home.witness.acknowledged)
    return tuple(chance.sample(known, min(len(known), chance.randrange(1, most + 1))))


def send(home: SimulatedHome, event: Event) -> None:
    """A client asks for something and waits for the answer."""
    home.ask(lambda engine: engine.send(event), lambda _answer: None)


def cancel(home: SimulatedHome) -> None:
    """A client cancels tasks."""
    _cancel(home, some(home, 2))


def _cancel(home: SimulatedHome, tasks: tuple[TaskId, ...]) -> None:
    """What a client is told was cancelled must stay so."""

    def told(answer: TasksAnswer) -> None:
        home.witness.must_cancel.update(answer.changed)

    home.ask(lambda engine: engine.send(Cancelled(tasks)), told)


def think_better(home: SimulatedHome) -> None:
    """A client cancels what it has just submitted: its devices may be looked at for its start just now."""
    spec = replace(a_spec(home), request=Request(home.box.chance.choice(DEVICES)), driver="processes")
    event = Submitted("mistake", (NewTask(spec, payload='{"long": true}'),), priority=5, refuse_impossible=False)

    def told(answer: SubmitAnswer) -> None:
        _acknowledge(home, answer)
        _cancel(home, answer.tasks)

    home.ask(lambda engine: engine.submit(event), told)


def cancel_live(home: SimulatedHome) -> None:
    """A client cancels what is about to run or runs, and the engine may be killed over it."""
    live = sorted({row.task for row in home.witness.attempts.values()})
    if live:
        send(home, Cancelled((home.box.chance.choice(live),)))
        if home.box.chance.random() < 0.4:
            home.life.dies_in = home.box.chance.randrange(1, 10)


def hold(home: SimulatedHome) -> None:
    send(home, Held(some(home)))


def release(home: SimulatedHome) -> None:
    send(home, Released(tuple(home.witness.unfinished())))


def hold_group(home: SimulatedHome) -> None:
    send(home, GroupHeld(home.box.chance.choice(GROUPS)))


def release_groups(home: SimulatedHome) -> None:
    for group in sorted(set(GROUPS)):
        send(home, GroupReleased(group))


def reorder(home: SimulatedHome) -> None:
    send(home, Reprioritised(some(home), home.box.chance.randrange(-2, 7)))


def try_again(home: SimulatedHome) -> None:
    """A client retries what ended badly; what was made of it is known from then on."""
    tasks = some(home)

    def told(done: Retried) -> None:
        home.witness.acknowledged.update(done.created)

    home.ask(lambda engine: retry(engine, tasks), told)


def open_pool(home: SimulatedHome) -> None:
    send(home, PoolOpened(PoolName(home.box.chance.choice(["provider", "chat", "code"]))))


def vouch(home: SimulatedHome) -> None:
    """A user vouches for a device."""
    send(home, QuarantineReleased(home.box.chance.choice(list(home.box.devices.by_uuid))))


def change_device(home: SimulatedHome) -> None:
    """A stranger comes or goes, a device is lost or back, breaks or is repaired."""
    chance = home.box.chance
    device = chance.choice(list(home.box.devices.by_uuid.values()))
    what = chance.random()
    if what < 0.6:
        stranger = Foreign(pid=4_242, user="ann", name="train", vram_mib=chance.choice([100, 60_000]))
        device.foreign = () if device.foreign else (stranger,)
        device.foreign_since = home.box.clock.now()
    elif what < 0.85:
        device.there = not device.there
    else:
        device.fault = "" if device.fault else "it fell off the bus"


def lose_attempt(home: SimulatedHome) -> None:
    """What stands over an attempt dies; what it started may live on for a while."""
    _with_one(home, home.processes.kill)


def lose_worker(home: SimulatedHome) -> None:
    """A worker dies, idle or not."""
    workers = list(home.processes.workers.by_id.values())
    if workers:
        home.processes.workers.kill(home.box.chance.choice(workers))
        home.look_outside()


def tear_record(home: SimulatedHome) -> None:
    """The record of how an attempt ended cannot be read."""
    _with_one(home, home.processes.tear)


def zombie(home: SimulatedHome) -> None:
    """What stands over an attempt dies, and its tree holds on."""
    _with_one(home, lambda attempt: _leave_a_tree(home, attempt))


def _leave_a_tree(home: SimulatedHome, attempt: int) -> None:
    act = home.processes.acts[attempt]  # type: ignore[index]
    act.play = replace(act.play, stray_for=home.box.chance.choice([5_000, 300_000]))
    home.processes.kill(act.attempt)


def _with_one(home: SimulatedHome, do: Callable[[int], None]) -> None:
    live = home.processes.live()
    if live:
        do(home.box.chance.choice(live))
        home.look_outside()


def trouble_endpoint(home: SimulatedHome) -> None:
    home.box.endpoints.close_one()


def mend_endpoint(home: SimulatedHome) -> None:
    home.box.endpoints.open_one()


def call(home: SimulatedHome) -> None:
    """A run of calls."""
    spec = replace(a_spec(home), request=Request(home.box.chance.choice(CALLS)), driver="calls", time_limit=None)
    tasks = tuple(NewTask(spec, index=index) for index in range(home.box.chance.choice([1, 4, 12])))
    event = Submitted("calls", tasks, home.box.chance.choice(GROUPS), refuse_impossible=False)
    home.ask(lambda engine: engine.submit(event), lambda answer: _acknowledge(home, answer))


def declare_again(home: SimulatedHome) -> None:
    """Another run knows a pool with fewer places, elsewhere, or of a rate not how large it is; or as it was."""
    chance = home.box.chance
    pool = chance.choice(POOLS)
    if pool.kind is PoolKind.RATE:
        send(home, replace(pool, capacity=chance.choice([pool.capacity, 40, NO_RATE])))
    elif chance.random() < 0.3 and pool.parent is not None:
        send(home, replace(pool, parent=None))
    else:
        send(home, replace(pool, capacity=chance.choice([pool.capacity, pool.capacity, pool.capacity - 1])))


def lose_model(home: SimulatedHome) -> None:
    """The model that nobody waits for once it is dead refuses for good, and a user says that this is soon."""
    (pool,) = (pool for pool in POOLS if pool.name == "code")
    send(home, replace(pool, dead_after=1_000))
    home.box.endpoints.lose("code")


def die(home: SimulatedHome) -> None:
    """The engine is killed, now or at one of the next boundaries."""
    if home.box.chance.random() < 0.25:
        home.life.end()
    else:
        home.life.dies_in = home.box.chance.randrange(1, 25)


def fill_disk(home: SimulatedHome) -> None:
    """Commits fail from now on, all or some, or the next one does; or there is no room where attempts would begin."""
    if home.box.chance.random() < 0.2:
        home.fill(runs=True)
    else:
        home.fill(disk=home.box.chance.choice(["full", "leaky", "error", "error", "busy"]))


def free_disk(home: SimulatedHome) -> None:
    home.fill()


def jump_clock(home: SimulatedHome) -> None:
    """The wall clock is set, by a time zone, a user, or a suspended machine; hours or days, back or forth."""
    chance, clock = home.box.chance, home.box.clock
    skew = clock.wall() - clock.now()
    by = chance.choice([HOUR, -HOUR, 7 * HOUR, -7 * HOUR, 3 * DAY, -3 * DAY, 400 * DAY, -400 * DAY, 90_000, -1])
    clock.set_wall(max(-clock.now() // 2, skew + by))


def drain(home: SimulatedHome) -> None:
    """The engine is told to claim no more, or to end what runs as well; it goes on only after a restart."""
    stop_running = home.box.chance.random() < 0.5
    home.ask(lambda engine: engine.drain(stop_running=stop_running), lambda _done: None)


Plan = dict[Action, int]

CLIENTS: Plan = {
    submit: 30, think_better: 6, cancel: 4, cancel_live: 3, hold: 2, release: 3, hold_group: 1, release_groups: 2,
    reorder: 3, try_again: 3, open_pool: 1, vouch: 2, submit_warm: 8, declare_source: 6, change_source: 4,
}  # fmt: skip
WORLD: Plan = {
    change_device: 6, lose_attempt: 4, lose_worker: 2, tear_record: 2, zombie: 1, trouble_endpoint: 2, mend_endpoint: 3,
}  # fmt: skip
ENGINE: Plan = {die: 5, fill_disk: 3, free_disk: 6, jump_clock: 1, drain: 1}
DEVICES_PLAN: Plan = {
    submit: 30, think_better: 6, submit_warm: 8, declare_source: 3, cancel: 4, cancel_live: 3, release: 2, vouch: 4,
    change_device: 14, zombie: 4, lose_attempt: 3, lose_worker: 2, die: 6,
}  # fmt: skip

AHEAD: Plan = {
    line_up: 12, submit_warm: 4, submit: 2, declare_parts: 8, change_source: 1, cancel: 2, cancel_live: 2, hold: 1,
    release: 2, release_groups: 1, vouch: 2, change_device: 1, lose_attempt: 2, lose_worker: 3, lose_model: 6,
    mend_endpoint: 1, die: 3, fill_disk: 1, free_disk: 3, drain: 1,
}  # fmt: skip

POOLS_PLAN: Plan = {
    call: 24, declare_again: 12, submit: 6, declare_source: 4, cancel: 3, hold: 2, release: 3, hold_group: 1,
    release_groups: 2, reorder: 2, open_pool: 2, trouble_endpoint: 8, mend_endpoint: 6, lose_attempt: 2, die: 6,
    fill_disk: 1, free_disk: 3, drain: 1,
}  # fmt: skip

PLANS: dict[str, Plan] = {
    "safety": {**CLIENTS, **WORLD, **ENGINE},
    "liveness": {**CLIENTS, **{action: max(1, often // 2) for action, often in (WORLD | ENGINE).items()}},
    "clocks": {**CLIENTS, jump_clock: 20, die: 10, lose_attempt: 1},
    "devices": DEVICES_PLAN,
    "ahead": AHEAD,
    "pools": POOLS_PLAN,
}
"""How often each action happens, by the mode of a history."""
