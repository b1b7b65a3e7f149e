"""Groups share fairly with those beside them, and what is inside a group shares what that gets."""

from __future__ import annotations

from collections import Counter

import pytest

from passloop.kernel.admission import Admission
from passloop.kernel.events import GroupHeld, GroupReleased, PoolKind
from passloop.kernel.ids import TaskId
from passloop.kernel.tasks import TaskState
from tests.support.builders import HOUR, MINUTE, World, ask


def shares(world: World, ends: int) -> Counter[str]:
    """Which groups the tasks are of that run while so many end, one at a time, each after as long as was thought."""
    counts: Counter[str] = Counter()
    for _ in range(ends):
        (task,) = world.running
        counts[world.row(task).group] += 1
        world.advance(MINUTE)
        world.finish(task)
    return counts


def one_cpu(*groups: str, **counts: int) -> World:
    """A machine with one CPU, which was held by another until tasks of all these groups, 40 of each, wanted it."""
    world = World(gpus=0, cpus=1)
    holder = world.submit(cpus=1, group="before")
    for group in groups:
        world.submit(cpus=1, n=counts.get(group.replace("/", "_"), 40), group=group)
    world.advance(MINUTE)
    world.finish(holder)
    return world


def test_groups_beside_each_other_take_turns() -> None:
    assert shares(one_cpu("a", "b"), 40) == {"a": 20, "b": 20}


def test_groups_inside_a_group_share_what_it_gets() -> None:
    assert shares(one_cpu("a/x", "a/y", "b"), 40) == {"a/x": 10, "a/y": 10, "b": 20}


def test_a_groups_own_tasks_share_with_the_groups_inside_it_as_one_of_them() -> None:
    assert shares(one_cpu("a", "a/x", "a/x/deep", "b"), 80) == {"a": 20, "a/x": 10, "a/x/deep": 10, "b": 40}


def test_what_one_inside_leaves_goes_to_those_beside_it_first() -> None:
    assert shares(one_cpu("a/x", "a/y", "b", a_x=2), 40) == {"a/x": 2, "a/y": 18, "b": 20}


def test_a_group_that_gets_work_inside_another_has_saved_up_no_time() -> None:
    world = one_cpu("a/x", "b")
    shares(world, 20)
    world.submit(cpus=1, n=40, group="a/late")
    told = shares(world, 40)
    assert told["b"] == 20
    assert abs(told["a/late"] - told["a/x"]) <= 2


def test_a_restart_changes_nobodys_turn() -> None:
    steady, restarted = one_cpu("a", "a/x", "a/y", "b"), one_cpu("a", "a/x", "a/y", "b")
    shares(steady, 11)
    shares(restarted, 11)
    restarted.restart()
    assert shares(steady, 40) == shares(restarted, 40)
    assert [task for _, task in steady.starts] == [task for _, task in restarted.starts]


def test_a_group_that_others_came_to_be_inside_of_has_its_time_after_a_restart_too() -> None:
    world = World(gpus=2)
    first, _second = (world.submit(gpus=1, group="lab") for _ in range(2))
    world.submit(gpus=1, group="lab/night")
    world.finish(first)
    own = world.machine.state.groups["lab/"].virtual_time
    assert own == 30_000, "the one that ended took no time, the other is charged as before"
    world.restart()
    assert world.machine.state.groups["lab/"].virtual_time == own


def test_to_hold_a_group_holds_what_is_inside_it_now_and_later() -> None:
    world = World(gpus=0, cpus=8)
    first = world.submit(cpus=8)
    inside = world.submit(cpus=1, group="a/x")
    world.send(GroupHeld("a"))
    later = world.submit(cpus=1, group="a/x/deep")
    outside = world.submit(cpus=1, group="ab")
    world.finish(first)
    assert [world.state(task) for task in (inside, later)] == [TaskState.HELD, TaskState.HELD]
    assert outside in world.running
    assert "group a is held" in world.machine.explain(inside, world.now)[0].sentence
    world.send(GroupReleased("a"))
    assert {inside, later} <= set(world.running)


def test_a_group_that_is_held_itself_stays_so_when_the_one_around_it_is_released() -> None:
    world = World(gpus=0, cpus=8)
    world.send(GroupHeld("a/x"))
    world.send(GroupHeld("a"))
    inner, own = world.submit(cpus=1, group="a/x"), world.submit(cpus=1, group="a")
    world.send(GroupReleased("a"))
    assert world.state(inner) is TaskState.HELD
    assert own in world.running
    world.send(GroupReleased("a/x"))
    assert inner in world.running


def test_columns_whose_models_are_full_cost_one_walk_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(gpus=0)
    for model in ("a", "b", "c"):
        world.declare(model, PoolKind.LIMIT, 2)
        world.submit_many(ask(**{model: 1}), n=10, driver="calls", group=f"made/{model}")
    walks: list[bool] = []
    run = Admission.run

    def counted(admission: Admission) -> bool:
        walks.append(run(admission))
        return walks[-1]

    monkeypatch.setattr(Admission, "run", counted)
    world.finish(world.running[0])
    assert len(world.running) == 6
    assert True not in walks


def test_what_ran_before_others_came_to_be_inside_a_group_gives_it_no_start_over_them() -> None:
    world = World(gpus=0, cpus=1)
    first = world.submit(cpus=1, group="a")
    world.submit(cpus=1, group="a/b")
    world.finish(first)
    assert world.rows.groups["a/"].virtual_time == 0


@pytest.mark.parametrize("late", ["saver", "newcomer"])
def test_nobody_saves_up_time_by_a_small_task_that_runs_on_and_on(late: str) -> None:
    world = World(gpus=0, cpus=4)
    long = world.submit(cpus=1, group="saver")
    world.submit(cpus=1, n=1_000, group="busy")
    for _ in range(180):
        end_all_but(world, long)
    world.submit(cpus=1, n=200, group=late)
    told = sum((end_all_but(world, long) for _ in range(20)), Counter[str]())
    assert abs(told[late] - told["busy"]) <= 6


def end_all_but(world: World, stays: TaskId) -> Counter[str]:
    """A minute later all but one that run end; gives of which groups they were."""
    world.advance(MINUTE)
    ends = [task for task in world.running if task != stays]
    world.finish(*ends)
    return Counter(world.row(task).group for task in ends)


def test_a_limit_that_is_far_too_long_is_held_against_nobody_who_comes_meanwhile() -> None:
    world = World(gpus=0, cpus=1)
    world.submit(cpus=1, group="careless", limit=24 * HOUR)
    world.submit(cpus=1, n=100, group="careless")
    world.submit(cpus=1, n=100, group="late")
    assert shares(world, 40)["late"] >= 18


def test_what_was_taken_while_nobody_wanted_it_is_held_against_nobody() -> None:
    world = World(gpus=0, cpus=1)
    world.submit(cpus=1, n=100, group="before")
    shares(world, 100)
    world.submit(cpus=1, n=40, group="new")
    world.submit(cpus=1, n=40, group="before")
    assert abs(shares(world, 20)["before"] - 10) <= 1
