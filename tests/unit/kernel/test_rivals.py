"""Where a group starts that begins to wait: beside those that wait for what it asks, whoever else waits too.

Who waits for what is gone or slow keeps a virtual time of long ago. Lent to who comes later, it would give them the box
alone for as long as the others had had it.
"""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from passloop.kernel.events import PoolKind
from passloop.kernel.ids import TaskId
from passloop.kernel.records import Group
from tests.support.builders import HOUR, MINUTE, World


def ten_hours_of(world: World, group: str, **asked: int) -> None:
    """The group has the only GPU, or what else it asks, for that long, a task after the other."""
    for _ in range(60):
        task = world.submit(**asked or {"gpus": 1}, group=group)
        world.advance(10 * MINUTE)
        world.finish(task)


def many_of(world: World, *groups: str, **asked: int) -> dict[TaskId, str]:
    """The groups of forty tasks each."""
    return {world.submit(**asked or {"gpus": 1}, group=group): group for _ in range(40) for group in groups}


def who_runs_next(world: World, *groups: str, of: Mapping[TaskId, str] | None = None, **asked: int) -> list[str]:
    """Twenty turns of ten minutes each, of the tasks that these groups have, or that are given."""
    of = many_of(world, *groups, **asked) if of is None else of
    ran: list[str] = []
    for _ in range(20):
        (running,) = set(world.running) & of.keys()
        world.advance(10 * MINUTE)
        world.finish(running)
        ran.append(of[running])
    return ran


def assert_alike(ran: list[str], one: str, other: str) -> None:
    assert abs(ran.count(one) - ran.count(other)) <= 2, ran


@pytest.mark.parametrize(
    ("stuck", "old", "new"),
    [("stuck", "old", "new"), ("team/stuck", "team/old", "team/new"), ("team/stuck", "old", "new")],
    ids=["beside", "inside a group", "inside a group beside"],
)
def test_who_comes_beside_a_group_that_waits_for_what_is_gone_does_not_starve_the_others(
    stuck: str, old: str, new: str
) -> None:
    world = World(gpus=2)
    world.foreign(1)
    world.submit(gpus=2, group=stuck)
    ten_hours_of(world, old)
    assert_alike(who_runs_next(world, old, new), old, new)


def test_who_comes_beside_a_group_that_always_waits_for_its_endpoint_does_not_starve_the_others() -> None:
    world = World(gpus=1)
    world.declare("endpoint", PoolKind.LIMIT, 1)
    world.submit_many(n=2, endpoint=1, cpus=0, group="data")
    ten_hours_of(world, "old")
    assert_alike(who_runs_next(world, "old", "new"), "old", "new")


def test_who_comes_beside_a_group_whose_endpoint_is_closed_does_not_starve_the_others() -> None:
    world = World(gpus=1)
    world.declare("endpoint", PoolKind.LIMIT, 1)
    refused = world.submit(endpoint=1, cpus=0, group="data")
    world.end(refused, "rate_limited", retry_after=HOUR, pool="endpoint")
    world.submit(endpoint=1, cpus=0, group="data")
    task = world.submit(gpus=1, group="old")
    world.advance(50 * MINUTE)
    world.finish(task)
    for group in ("new", "old"):
        world.submit_many(gpus=1, n=2, group=group)
    assert world.rows.groups["new"].virtual_time > 40 * MINUTE


def test_who_asks_cpus_is_not_where_those_are_that_wait_for_a_gpu() -> None:
    world = World(gpus=1, cpus=2)
    world.submit_many(gpus=1, cpus=1, n=2, group="wants a GPU")
    ten_hours_of(world, "old", cpus=1)
    assert_alike(who_runs_next(world, "old", "new", cpus=1), "old", "new")


def test_two_that_wait_for_the_same_gpu_that_is_gone_share_it_once_it_is_back() -> None:
    world = World(gpus=1)
    world.foreign(0)
    of = many_of(world, "first")
    ten_hours_of(world, "other", cpus=64)
    of |= many_of(world, "second")
    world.gone(0)
    assert_alike(who_runs_next(world, of=of), "first", "second")


def test_two_that_wait_for_the_same_closed_endpoint_share_it_once_it_is_open() -> None:
    world = World(gpus=0)
    world.declare("endpoint", PoolKind.LIMIT, 1)
    refused = world.submit(endpoint=1, cpus=0, group="first")
    of = {refused: "first"} | many_of(world, "first", endpoint=1, cpus=0)
    world.end(refused, "rate_limited", retry_after=HOUR, pool="endpoint")
    for _ in range(5):
        task = world.submit(cpus=64, group="other")
        world.advance(10 * MINUTE)
        world.finish(task)
    of |= many_of(world, "second", endpoint=1, cpus=0)
    world.advance(11 * MINUTE)
    assert_alike(who_runs_next(world, of=of), "first", "second")


def test_who_holds_a_reservation_on_what_is_asked_is_a_rival() -> None:
    """It is where those start that come then, though others had more."""
    world = World(gpus=2)
    first, _ = world.submit(gpus=1, group="old"), world.submit(gpus=1, group="old")
    large = world.submit(gpus=2, group="large")
    world.advance(24 * 60 * MINUTE)
    world.finish(first)
    assert world.reserved(large)
    world.submit(gpus=1, group="old")
    world.submit(gpus=1, group="new")
    groups = world.rows.groups
    assert groups["old"].virtual_time > 0
    assert "new" not in groups or groups["new"].virtual_time == 0


@pytest.mark.parametrize("restarted", [False, True])
def test_who_begins_to_wait_looks_at_no_group_that_is_done(restarted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """But starts where the furthest of them came to."""
    world = World(gpus=0, cpus=1)
    for number in range(40):
        task = world.submit(cpus=1, group=f"old/{number}")
        world.advance(number * MINUTE)
        world.finish(task)
    if restarted:
        world.restart()
    groups = world.machine.state.groups
    looks: list[str] = []

    def settled(group: Group) -> int:
        looks.append(group.name)
        return group.virtual_time - group.pending

    with monkeypatch.context() as patch:
        patch.setattr(Group, "settled", property(settled))
        world.submit(cpus=1, group="old/new")
    assert groups["old/new"].settled == groups["old/39"].settled > 0
    assert len(looks) < 10
