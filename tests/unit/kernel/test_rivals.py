"""Where a group starts that begins to wait: beside those that wait for what it asks, whoever else waits too.

Who waits for what is gone or slow keeps a virtual time of long ago. Lent to who comes later, it would give them the box
alone for as long as the others had had it.
"""

from __future__ import annotations

from passloop.kernel.events import PoolKind
from tests.support.builders import MINUTE, World


def ten_hours_of(world: World, group: str) -> None:
    """The group has the only GPU for that long, a task after the other."""
    for _ in range(60):
        task = world.submit(gpus=1, group=group)
        world.advance(10 * MINUTE)
        world.finish(task)


def who_runs_next(world: World, *groups: str, turns: int = 20) -> list[str]:
    """Each group has more tasks of ten minutes on a GPU than there are turns."""
    of = {world.submit(gpus=1, group=group): group for _ in range(2 * turns) for group in groups}
    ran: list[str] = []
    for _ in range(turns):
        (running,) = set(world.running) & of.keys()
        world.advance(10 * MINUTE)
        world.finish(running)
        ran.append(of[running])
    return ran


def assert_alike(ran: list[str], one: str, other: str) -> None:
    assert abs(ran.count(one) - ran.count(other)) <= 2, ran


def test_who_comes_beside_a_group_that_waits_for_what_is_gone_does_not_starve_the_others() -> None:
    world = World(gpus=2)
    world.foreign(1)
    world.submit(gpus=2, group="stuck")
    ten_hours_of(world, "old")
    assert_alike(who_runs_next(world, "old", "new"), "old", "new")


def test_who_comes_beside_a_group_that_always_waits_for_its_endpoint_does_not_starve_the_others() -> None:
    world = World(gpus=1)
    world.declare("endpoint", PoolKind.LIMIT, 1)
    world.submit_many(n=2, endpoint=1, cpus=0, group="data")
    ten_hours_of(world, "old")
    assert_alike(who_runs_next(world, "old", "new"), "old", "new")


def test_the_same_inside_a_group() -> None:
    world = World(gpus=2)
    world.foreign(1)
    world.submit(gpus=2, group="team/stuck")
    ten_hours_of(world, "team/old")
    assert_alike(who_runs_next(world, "team/old", "team/new"), "team/old", "team/new")


def test_a_group_whose_own_groups_wait_for_something_else_is_no_rival() -> None:
    world = World(gpus=2)
    world.foreign(1)
    world.submit(gpus=2, group="team/stuck")
    ten_hours_of(world, "old")
    assert_alike(who_runs_next(world, "old", "new"), "old", "new")


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
