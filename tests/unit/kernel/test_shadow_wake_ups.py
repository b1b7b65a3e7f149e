"""Time alone moves shadow times: the machine wakes for that where a reservation is all that keeps somebody out."""

from __future__ import annotations

from passloop.kernel.events import PoolKind
from passloop.kernel.invariants import check
from passloop.kernel.resources import Request
from passloop.kernel.source_rows import TemplateNode
from tests.support.builders import HOUR, MINUTE, SECOND, World, ask
from tests.support.sourced import SourcedWorld


def test_nobody_wakes_for_a_reservation_while_all_others_lack_what_is_used() -> None:
    world = World(gpus=2)
    world.submit(gpus=2, limit=MINUTE)
    world.submit(gpus=2, patience=0)
    world.submit(gpus=1)
    assert world.wake_at is None


def test_nobody_wakes_for_the_patience_of_a_head_that_started() -> None:
    world = World(gpus=0, cpus=1)
    first = world.submit(cpus=1)
    second = world.submit(cpus=1, patience=MINUTE)
    assert world.wake_at == world.now + MINUTE
    world.advance(SECOND)
    world.finish(first)
    assert world.started[-1] == second
    assert world.wake_at is None


def test_nobody_wakes_twice_for_the_patience_of_a_head_that_is_held() -> None:
    world = World(gpus=0, cpus=1)
    world.submit(cpus=1)
    head = world.submit(cpus=1, patience=MINUTE)
    assert world.wake_at is not None
    world.hold(head)
    assert world.wake_at is None
    world.release(head)
    world.advance(MINUTE)
    assert world.reserved(head)


def test_nobody_wakes_for_a_shadow_time_that_nobody_knows() -> None:
    world = World(gpus=3)
    world.submit(gpus=1)
    world.submit(gpus=1, limit=MINUTE)
    world.submit(gpus=3, patience=0)
    kept_out = world.submit(gpus=1)
    assert world.ready[-1] == kept_out
    assert world.wake_at is None


def test_who_met_but_a_reservation_is_a_head_as_soon_as_somebody_after_it_takes_what_it_asks() -> None:
    """Else its patience would begin at whatever comes next, perhaps hours later. Found by the law of wake-ups."""
    world = World(gpus=4, cpus=8)
    world.declare("tokens", PoolKind.RATE, 100)
    holder = world.submit(gpus=4)
    world.submit(cpus=8)
    world.submit(tokens=20)
    world.submit(cpus=2, tokens=60, patience=0)
    first = world.submit(gpus=2)
    kept_out = world.submit(gpus=1, tokens=40)
    last = world.submit(gpus=2)
    assert world.rows.tasks[kept_out].head_since is None
    world.advance(SECOND)
    world.finish(holder)
    assert world.started[-2:] == [first, last]
    assert world.rows.tasks[kept_out].head_since == world.now


def test_a_task_that_a_reservation_keeps_out_passes_it_once_the_holder_has_run_far_over_its_bound() -> None:
    world = World(gpus=2)
    world.submit(gpus=1, limit=MINUTE)
    world.submit(gpus=2, patience=0)
    short = world.submit(gpus=1, limit=10 * MINUTE)
    assert world.wake_at is not None
    world.advance(2 * MINUTE)
    assert short not in world.started
    world.advance(HOUR)
    assert short in world.started


def test_one_of_two_that_reserved_starts_when_the_shadow_of_the_first_has_moved_beyond_its_end() -> None:
    world = World(gpus=2)
    world.submit(gpus=1, limit=MINUTE)
    other = world.submit(gpus=1, limit=HOUR)
    second = world.submit(gpus=1, limit=10 * MINUTE, patience=0)
    world.submit(gpus=2, patience=0, priority=5)
    assert world.row(second).reservation is not None
    world.finish(other)
    world.advance(2 * MINUTE)
    assert second not in world.started
    world.advance(HOUR)
    assert second in world.started


def test_a_call_that_a_reservation_keeps_from_a_rate_starts_when_that_is_refilled() -> None:
    world = World(gpus=1)
    world.declare("tokens", PoolKind.RATE, 100)
    world.finish(world.submit(ask(tokens=60), driver="calls"))
    world.submit(gpus=1)
    head = world.submit(ask(gpus=1, tokens=30), patience=0)
    call = world.submit(ask(tokens=20), driver="calls")
    assert world.row(head).reservation is not None
    assert call not in world.started
    world.advance(2 * MINUTE)
    assert call in world.started


def test_a_source_that_a_reservation_alone_keeps_out_is_looked_at_again_when_the_shadow_time_comes() -> None:
    world = SourcedWorld(gpus=2)
    world.submit(gpus=1, limit=MINUTE)
    world.submit(gpus=2, patience=0)
    run = world.source(TemplateNode(Request((ask(gpus=1),)), completes=True), ahead=0)
    assert world.asked(run) == []
    assert world.wake_at is not None


def test_a_source_that_a_reservation_keeps_from_a_rate_is_asked_when_that_is_refilled() -> None:
    world = SourcedWorld(gpus=1)
    world.declare("tokens", PoolKind.RATE, 100)
    world.finish(world.submit(ask(tokens=60), driver="calls"))
    world.submit(gpus=1)
    world.submit(ask(gpus=1, tokens=30), patience=0)
    run = world.source(TemplateNode(Request((ask(tokens=20),)), driver="calls"), ahead=0)
    assert world.asked(run) == []
    world.advance(2 * MINUTE)
    assert world.asked(run) == [0]


def test_a_task_that_reserved_starts_when_the_rate_that_it_lacks_is_refilled() -> None:
    world = World(gpus=1)
    world.declare("tokens", PoolKind.RATE, 100)
    world.finish(world.submit(ask(tokens=100)))
    holder = world.submit(gpus=1)
    both = world.submit(ask(gpus=1, tokens=60), patience=0)
    world.advance(70 * SECOND)
    world.finish(world.submit(ask(tokens=100), priority=5))
    world.finish(holder)
    assert world.row(both).reservation is not None
    world.advance(2 * MINUTE)
    assert both in world.started


def test_nobody_comes_to_fit_between_two_wake_ups() -> None:
    world = World(gpus=4)
    for number in range(4):
        world.submit(gpus=1, limit=(number + 1) * MINUTE)
    world.finish(world.running[-1])
    world.submit(gpus=3, patience=0)
    world.submit(gpus=1, limit=7 * MINUTE)
    world.submit(gpus=1, limit=20 * MINUTE)
    for _ in range(90):
        world.advance(31_007)
        check(world.machine, world.now)
