"""What happens in a simulated history: clients ask, devices change, attempts die, the engine dies, the disk is full."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from passloop.engine.retrying import retry
from passloop.kernel.events import Cancelled, Held, Released, Reprioritised, Submitted
from passloop.kernel.ids import TaskId
from passloop.kernel.tasks import Dependency, NewTask, RetryBudgets, TaskSpec
from tests.support.builders import ask, spec_of

from .world import Simulation

__all__ = ["ACTIONS", "act"]

VARIANTS = [
    [ask(cpus=1)], [ask(cpus=2)], [ask(gpus=1)], [ask(gpus=2, cpus=1)], [ask(gpus=4)], [ask(share=0.5)],
    [ask(share=0.25)], [ask(gpus=2), ask(cpus=4)], [ask(cpus=1, memory=1_024)],
]  # fmt: skip

Action = Callable[[Simulation], Awaitable[None]]


async def submit(one: Simulation) -> None:
    """A run of a few tasks; some with keys, limits, retries, and after earlier tasks."""
    chance = one.random
    known = sorted(one.acknowledged)
    tasks: list[NewTask] = []
    for index in range(chance.randrange(1, 6)):
        after: list[Dependency] = []
        if index and chance.random() < 0.3:
            after.append(Dependency(-chance.randrange(1, index + 1), any_end=chance.random() < 0.5))
        if known and chance.random() < 0.2:
            after.append(Dependency(chance.choice(known), any_end=chance.random() < 0.5))
        key = f"k{chance.randrange(20)}" if chance.random() < 0.3 else None
        tasks.append(NewTask(spec=a_spec(one), key=key, index=index, after=tuple(after)))
    event = Submitted(
        name="run",
        tasks=tuple(tasks),
        group=chance.choice(["default", "night"]),
        priority=chance.choice([0, 0, 0, 5]),
        refuse_impossible=False,
    )
    answer = await one.ask(one.engine.submit(event))
    if answer is not None:
        one.acknowledged.update(answer.tasks)


def a_spec(one: Simulation) -> TaskSpec:
    """A spec as users write them."""
    chance = one.random
    return spec_of(
        *chance.choice(VARIANTS),
        limit=chance.choice([None, 5_000, 30_000]),
        grace=chance.choice([0, 1_000]),
        retries=RetryBudgets(failure=chance.choice([0, 0, 2])),
    )


def some(one: Simulation) -> tuple[TaskId, ...]:
    """A few tasks that were acknowledged."""
    known = sorted(one.acknowledged)
    return tuple(one.random.sample(known, min(len(known), 3)))


async def cancel(one: Simulation) -> None:
    await one.ask(one.engine.send(Cancelled(some(one)[:1])))


async def hold(one: Simulation) -> None:
    await one.ask(one.engine.send(Held(some(one))))


async def release(one: Simulation) -> None:
    await one.ask(one.engine.send(Released(tuple(sorted(one.acknowledged)))))


async def reorder(one: Simulation) -> None:
    await one.ask(one.engine.send(Reprioritised(some(one), one.random.randrange(-5, 5))))


async def try_again(one: Simulation) -> None:
    done = await one.ask(retry(one.engine, some(one)))
    if done is not None:
        one.acknowledged.update(done.created)


async def pass_time(one: Simulation) -> None:
    await one.advance(one.random.choice([100, 1_000, 10_000, 60_000]))


async def change_device(one: Simulation) -> None:
    one.change_a_device()
    await one.settle()


async def lose_attempt(one: Simulation) -> None:
    one.kill_an_attempt()
    await one.settle()


async def die(one: Simulation) -> None:
    """The engine dies between two turns, or around its next commit."""
    one.fault = one.random.choice(["", "die before", "die after"])
    if not one.fault:
        one.deaths += 1
        await one.close()
        await one.open()
    await one.settle()


async def fill_the_disk(one: Simulation) -> None:
    """Commits fail for a while; then there is room again."""
    one.fault = "full"
    one.tell(Held(()))
    await one.settle()
    one.fault = ""
    await one.settle()


ACTIONS: list[Action] = [
    submit, submit, submit, pass_time, pass_time, pass_time, cancel, hold, release, reorder, try_again,
    change_device, lose_attempt, die, fill_the_disk,
]  # fmt: skip


async def act(one: Simulation) -> None:
    """One thing happens."""
    await one.random.choice(ACTIONS)(one)
