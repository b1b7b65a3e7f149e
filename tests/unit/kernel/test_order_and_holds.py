"""Order between groups, reservations and their end, holds, dependencies, exclusivity: one fact each."""

from __future__ import annotations

import pytest

from passloop.kernel.changes import DurationLearned, TasksAnswer
from passloop.kernel.events import Cancelled, DrainChanged, Started
from passloop.kernel.instructions import Stop
from passloop.kernel.lifecycle import GOES_ON
from passloop.kernel.tasks import RetryBudgets, TaskState
from tests.support.builders import GIB, HOUR, MINUTE, SECOND, VRAM, World, ask, seen

READY, RUNNING, HELD = TaskState.READY, TaskState.RUNNING, TaskState.HELD


def test_two_groups_take_turns() -> None:
    world = World(gpus=1)
    first = world.submit_many(gpus=1, n=4, group="a", limit=MINUTE, patience=HOUR)
    second = world.submit_many(gpus=1, n=4, group="b", limit=MINUTE, patience=HOUR)
    for _ in range(7):
        world.advance(MINUTE)
        world.finish(*world.running)
    groups = ["a" if task in first else "b" for task in world.started]
    assert groups.count("a") == groups.count("b") == 4
    assert groups[1:7] == ["b", "a"] * 3
    assert set(world.started) == {*first, *second}


def test_a_group_that_rested_earns_no_credit() -> None:
    world = World(gpus=1)
    for _ in range(20):
        task = world.submit(gpus=1, group="busy", limit=MINUTE)
        world.advance(MINUTE)
        world.finish(task)
    world.submit_many(gpus=1, n=6, group="busy", limit=MINUTE)
    late = world.submit_many(gpus=1, n=6, group="late", limit=MINUTE)
    for _ in range(6):
        world.advance(MINUTE)
        world.finish(*world.running)
    assert 2 <= len(set(late) & set(world.started)) <= 4


def test_with_one_group_all_is_first_in_first_out() -> None:
    world = World(gpus=1)
    tasks = [world.submit(gpus=1, limit=MINUTE * (9 - step)) for step in range(8)]
    for task in tasks:
        world.advance(SECOND)
        world.finish(task)
    assert world.started == tasks


def test_an_out_of_memory_retry_does_not_strand_its_equals() -> None:
    world = World(gpus=0, cpus=8, memory=64 * GIB)
    small, large = ask(memory=8 * GIB), ask(memory=64 * GIB)
    first = world.submit(small, large)
    holder = world.submit(memory=32 * GIB)
    world.end(first, "out_of_memory")
    world.advance(2 * SECOND)
    assert world.state(first) is READY
    assert world.state(world.submit(small, large)) is RUNNING
    world.finish(holder)


def test_a_reservation_keeps_the_freed_devices() -> None:
    world = World(gpus=2)
    first, second = world.submit(gpus=1), world.submit(gpus=1)
    both = world.submit(gpus=2, patience=0)
    small = world.submit(gpus=1)
    world.finish(first)
    assert world.state(small) is READY
    assert world.why(small)[0] == "reserved"
    world.finish(second)
    assert world.running == [both]


def test_a_reservation_survives_a_restart() -> None:
    world = World(gpus=2)
    first, second = world.submit(gpus=1), world.submit(gpus=1)
    both, small = world.submit(gpus=2, patience=0), world.submit(gpus=1)
    world.restart()
    world.finish(first)
    assert world.state(small) is READY
    world.finish(second)
    assert world.running == [both]


def test_a_head_within_its_patience_delays_nobody() -> None:
    world = World(gpus=2)
    first, _ = world.submit(gpus=1), world.submit(gpus=1)
    both, small = world.submit(gpus=2, patience=HOUR), world.submit(gpus=1)
    world.finish(first)
    assert world.state(small) is RUNNING
    world.advance(HOUR)
    assert world.reserved(both)


def test_patience_is_an_hour_while_nothing_is_learned() -> None:
    world = World(gpus=2)
    world.submit(gpus=1)
    both = world.submit(gpus=2)
    world.advance(HOUR - 1)
    assert not world.reserved(both)
    world.advance(1)
    assert world.reserved(both)


def test_patience_is_nothing_where_all_holders_have_a_limit() -> None:
    world = World(gpus=2)
    world.submit(gpus=1, limit=10 * HOUR)
    assert world.reserved(world.submit(gpus=2))


def test_patience_is_twice_the_longest_learned_run_time_of_the_holders() -> None:
    world = World(gpus=2)
    for _ in range(10):
        task = world.submit(gpus=1, task_class="known")
        world.advance(5 * MINUTE)
        world.finish(task)
    world.submit(gpus=1, task_class="known")
    both = world.submit(gpus=2)
    world.advance(10 * MINUTE - 1)
    assert not world.reserved(both)
    world.advance(1)
    assert world.reserved(both)


def test_patience_survives_restarts() -> None:
    world = World(gpus=2)
    world.submit(gpus=1)
    both = world.submit(gpus=2)
    world.advance(HOUR // 2)
    world.restart()
    world.advance(HOUR // 2)
    assert world.reserved(both)


def test_a_reservation_keeps_the_cpus_beside_the_devices() -> None:
    world = World(gpus=1, cpus=8)
    holder = world.submit(gpus=1)
    head = world.submit(gpus=1, cpus=6, patience=0)
    assert world.state(world.submit(cpus=4)) is READY
    assert world.state(world.submit(cpus=2)) is RUNNING
    world.finish(holder)
    assert world.running[0] == head


def test_a_task_may_pass_if_its_bound_ends_before_the_shadow_time() -> None:
    world = World(gpus=2)
    world.submit(gpus=1, limit=HOUR)
    world.submit(gpus=2, limit=HOUR)
    assert world.state(world.submit(gpus=1, limit=2 * HOUR)) is READY
    assert world.state(world.submit(gpus=1)) is READY
    assert world.state(world.submit(gpus=1, limit=MINUTE)) is RUNNING


def test_only_heads_reserve() -> None:
    world = World(gpus=2)
    world.submit(gpus=1, limit=HOUR)
    first, second = world.submit(gpus=2, patience=0), world.submit(gpus=2, patience=0)
    assert world.reserved(first)
    assert not world.reserved(second)


def test_a_share_head_reserves_one_device_no_more() -> None:
    world = World(gpus=2)
    world.submit_many(share=0.75, n=2, limit=HOUR)
    half = world.submit(share=0.5)
    (grant,) = world.row(half).reservation.allocation.devices  # type: ignore[union-attr]
    assert grant.share == 5_000


def test_a_lost_device_of_a_reservation_is_replaced() -> None:
    world = World(gpus=3)
    world.submit_many(gpus=1, n=3)
    both = world.submit(gpus=2, patience=0)
    lost = min(reserved_devices(world, both))
    world.see(*(device for device in world.inventory if device.uuid != lost))
    renewed = reserved_devices(world, both)
    assert lost not in renewed
    assert len(renewed) == 2


def test_devices_of_a_reservation_that_are_alike_no_more_are_chosen_anew() -> None:
    world = World(gpus=3)
    world.submit(gpus=1, limit=3 * HOUR)
    world.submit_many(gpus=1, n=2, limit=HOUR)
    both = world.submit(gpus=2, vram=8 * GIB, balance=True, patience=0)
    assert reserved_devices(world, both) == {"GPU-1", "GPU-2"}
    world.see(seen(0), seen(1, usable_mib=VRAM // 2), seen(2))
    assert reserved_devices(world, both) == {"GPU-0", "GPU-2"}
    world.see(seen(0, usable_mib=VRAM // 4), seen(1, usable_mib=VRAM // 2), seen(2))
    assert not world.reserved(both), "no two are alike now, and it keeps none"


def test_of_like_devices_those_that_are_free_first_are_reserved() -> None:
    large = [seen(index, vram=160 * GIB) for index in (0, 1)]
    world = World(gpus=[*large, seen(2), seen(3)])
    world.submit_many(gpus=1, n=2, vram=100 * GIB, limit=10 * HOUR)
    world.submit_many(gpus=1, n=2, limit=MINUTE)
    both = world.submit(gpus=2, vram=8 * GIB, balance=True, patience=0)
    assert reserved_devices(world, both) == {"GPU-2", "GPU-3"}


def reserved_devices(world: World, task: int) -> set[str]:
    return {grant.uuid for grant in world.row(task).reservation.allocation.devices}  # type: ignore[union-attr]


def test_a_head_that_could_not_fit_an_empty_box_delays_nobody() -> None:
    world = World(gpus=2)
    first, _ = world.submit(gpus=1), world.submit(gpus=1)
    both = world.submit(gpus=2, patience=0)
    assert world.reserved(both)
    (freed,) = world.devices_of(first)
    other = next(d for d in world.inventory if d.uuid != freed)
    world.foreign(other.index)
    assert not world.reserved(both)
    world.finish(first)
    assert world.state(world.submit(gpus=1)) is RUNNING
    world.gone(other.index)
    assert world.reserved(both)


def test_a_held_head_loses_its_reservation() -> None:
    world = World(gpus=2)
    world.submit(gpus=1)
    both = world.submit(gpus=2, patience=0)
    world.hold(both)
    assert world.state(both) is HELD
    assert not world.reserved(both)
    assert world.state(world.submit(gpus=1)) is RUNNING


def test_release_goes_to_the_state_it_would_have_now() -> None:
    world = World(gpus=1)
    first = world.submit(gpus=1)
    waiting = world.submit(gpus=1, after=[first])
    world.hold(waiting)
    world.finish(first)
    assert world.state(waiting) is HELD
    world.release(waiting)
    assert world.state(waiting) is RUNNING


def test_a_held_retry_stays_held() -> None:
    world = World(gpus=1)
    task = world.submit(gpus=1, retries=RetryBudgets(failure=1))
    world.hold(task)
    assert world.state(task) is RUNNING
    world.end(task, "failure")
    world.advance(HOUR)
    assert world.state(task) is HELD
    world.release(task)
    assert world.state(task) is RUNNING


def test_new_tasks_of_a_held_group_start_held() -> None:
    world = World(gpus=2)
    first = world.submit(gpus=1, group="g")
    world.hold_group("g")
    second = world.submit(gpus=1, group="g")
    assert world.state(first) is RUNNING
    assert world.state(second) is HELD
    world.release_group("g")
    assert world.state(second) is RUNNING


def test_after_needs_success_and_after_any_does_not() -> None:
    world = World(gpus=1)
    first = world.submit(gpus=1)
    strict, lenient = world.submit(cpus=1, after=[first]), world.submit(cpus=1, after_any=[first])
    assert world.state(strict) is TaskState.WAITING
    world.end(first, "failure")
    assert world.state(strict) is TaskState.ABORTED
    assert world.state(lenient) is RUNNING


def test_a_dependency_that_is_final_already_counts_at_submit() -> None:
    world = World(gpus=1)
    good, bad = world.submit(cpus=1), world.submit(cpus=1)
    world.finish(good)
    world.end(bad, "failure")
    world.send()
    assert world.state(world.submit(cpus=1, after=[good])) is RUNNING
    assert world.state(world.submit(cpus=1, after=[bad])) is TaskState.ABORTED
    assert world.state(world.submit(cpus=1, after_any=[bad])) is RUNNING


def test_an_abort_goes_down_the_whole_chain() -> None:
    world = World(gpus=1)
    chain = [world.submit(gpus=1)]
    for _ in range(5):
        chain.append(world.submit(gpus=1, after=[chain[-1]]))
    world.cancel(chain[1])
    assert [world.state(task) for task in chain[2:]] == [TaskState.ABORTED] * 4


def test_a_task_that_asks_for_nothing_is_on_the_node_too() -> None:
    world = World(gpus=0, cpus=4)
    idle = world.submit(ask(cpus=0))
    alone = world.submit(cpus=1, exclusive=True, patience=0)
    assert (world.state(idle), world.state(alone)) == (TaskState.RUNNING, TaskState.READY)
    world.end(idle)
    assert world.state(alone) is TaskState.RUNNING


def test_an_exclusive_task_waits_for_the_node_and_keeps_it() -> None:
    world = World(gpus=1, cpus=8)
    stranger = world.submit(cpus=1)
    alone = world.submit(cpus=1, exclusive=True, patience=0)
    assert world.state(alone) is READY
    world.finish(stranger)
    assert world.state(alone) is RUNNING
    later = world.submit(cpus=1)
    assert world.state(later) is READY
    world.finish(alone)
    assert world.state(later) is RUNNING


def test_a_whole_device_needs_four_fifths_of_its_memory_usable() -> None:
    world = World(gpus=[seen(0, usable_mib=63 * GIB), seen(1, usable_mib=65 * GIB)])
    tasks = world.submit_many(gpus=1, n=2)
    assert world.running == [tasks[0]]
    assert world.devices_of(tasks[0]) == ("GPU-1",)


def test_a_higher_priority_ignores_a_lower_reservation() -> None:
    world = World(gpus=2)
    first, _ = world.submit(gpus=1), world.submit(gpus=1)
    both = world.submit(gpus=2, patience=0)
    urgent = world.submit(gpus=1, priority=1)
    world.finish(first)
    assert world.state(urgent) is RUNNING
    assert world.state(both) is READY


def test_an_unlisted_pair_changes_nothing() -> None:
    world = World(gpus=1)
    task = world.submit(gpus=1)
    world.finish(task)
    before = world.row(task)
    world.release(task)
    world.hold(task)
    assert world.row(task) == before


def test_a_dependency_may_end_after_its_dependent_was_cancelled() -> None:
    world = World(gpus=1)
    first = world.submit(gpus=1)
    world.cancel(world.submit(gpus=1, after=[first]))
    world.send()
    world.end(first, "failure")
    assert world.state(first) is TaskState.FAILED


def test_an_abort_goes_down_a_chain_of_thousands() -> None:
    world = World(gpus=1, check=False)
    chain = [world.submit(gpus=1)]
    for _ in range(3_000):
        chain.append(world.submit(cpus=1, after=[chain[-1]]))
    world.cancel(chain[0])
    world.end(chain[0], "cancelled")
    assert world.state(chain[-1]) is TaskState.ABORTED


def test_what_a_refused_start_saw_survives_a_restart() -> None:
    world = World(gpus=1, auto_start=False)
    task = world.submit(gpus=1)
    world.refuse_start(task, world.taken(0))
    assert world.state(task) is READY
    world.restart()
    assert world.state(task) is READY
    assert world.why(task) == ["vetoed"]


def test_of_two_reservations_of_one_device_the_higher_priority_is_shown() -> None:
    world = World(gpus=1)
    world.submit(gpus=1, limit=HOUR)
    world.submit(gpus=1, limit=HOUR)
    high = world.submit(gpus=1, limit=HOUR, priority=1)
    assert world.machine.devices()[0].reserved_for == high
    world.restart()
    assert world.machine.devices()[0].reserved_for == high


def test_a_holder_that_outruns_its_bound_lets_ever_longer_tasks_pass() -> None:
    world = World(gpus=2)
    world.submit(gpus=1, limit=MINUTE)
    world.submit(gpus=2, limit=MINUTE)
    quick = world.submit(gpus=1, limit=10 * MINUTE)
    assert world.state(quick) is READY
    world.advance(19 * MINUTE)
    assert world.state(quick) is READY
    world.advance(5 * MINUTE)
    assert world.state(quick) is RUNNING


def test_a_late_start_moves_the_shadow_and_lets_who_ends_before_it_pass() -> None:
    world = World(gpus=2, auto_start=False)
    first = world.submit(gpus=1, limit=MINUTE)
    world.submit(gpus=2, limit=MINUTE)
    world.advance(10 * SECOND)
    equal = world.submit(gpus=1, limit=MINUTE)
    assert world.state(equal) is READY
    attempt = world.rows.attempt_of(first)
    world.send(Started(attempt.id, attempt.epoch))
    assert world.state(equal) is TaskState.ADMITTED


def test_bounded_work_takes_the_room_beside_a_head_of_unknown_shadow_time_once() -> None:
    world = World(gpus=0, cpus=6)
    world.submit(cpus=2)
    head = world.submit(cpus=5, patience=0)
    first, second = world.submit_many(cpus=1, n=2, limit=30 * SECOND)
    assert first in world.started
    world.submit(cpus=6)
    world.advance(10 * SECOND)
    assert second not in world.started
    world.finish(first)
    assert second in world.started
    assert head not in world.started


def test_who_waits_for_an_earlier_reservation_only_keeps_what_is_free_now() -> None:
    """What a bounded holder gives back later is no reason to take the half of the device that is kept."""
    world = World(gpus=1, cpus=4)
    world.submit(share=0.5, cpus=1, limit=HOUR)
    ending = world.submit(cpus=3, limit=HOUR)
    world.advance(SECOND)
    world.submit(share=0.5, cpus=3, patience=0)
    world.submit(cpus=4, patience=0, priority=1)
    world.finish(ending)
    later = world.submit(share=0.5)
    assert world.state(later) is TaskState.READY


def test_a_quick_task_that_hangs_is_looked_at_seldom() -> None:
    world = World(gpus=0, cpus=6)
    world.submit_many(cpus=1, n=12, task_class="quick")
    while running := world.running:
        world.finish(*running)
    world.submit(cpus=6, task_class="quick")
    world.submit(cpus=6, patience=0)
    passes = world.machine.passes
    world.advance(MINUTE)
    assert world.machine.passes - passes < 240


def test_how_long_it_ran_is_learned_and_not_how_long_the_engines_clock_says() -> None:
    world = World(gpus=0, cpus=1)
    task = world.submit(cpus=1, task_class="short")
    world.advance(7 * HOUR)
    turn = world.end(task, "success", ran=1_500)
    assert [change.millis for change in turn.changes if isinstance(change, DurationLearned)] == [1_500]
    unmeasured = world.submit(cpus=1, task_class="short")
    world.advance(2 * SECOND)
    turn = world.end(unmeasured, "success")
    assert [change.millis for change in turn.changes if isinstance(change, DurationLearned)] == [2_000]


@pytest.mark.parametrize(("ran", "ended"), [(1_500, 1_500), (None, 7 * HOUR), (8 * HOUR, 7 * HOUR)])
def test_an_end_that_nobody_was_there_to_see_is_told_as_it_was(ran: int | None, ended: int) -> None:
    world = World(gpus=0, cpus=1)
    task = world.submit(cpus=1, retries=RetryBudgets(failure=1))
    for outcome in ("failure", "success"):
        world.advance(MINUTE)
        assert world.started.count(task) == 1 + (outcome == "success")
        start = world.row(task).started_at
        attempt = world.rows.attempt_of(task).id
        world.advance(start + 7 * HOUR - world.now)
        world.end(task, outcome, ran=ran)
        assert world.rows.attempts[attempt].ended_at == start + ended
    assert world.row(task).ended_at == start + ended


def test_a_start_that_is_refused_after_the_deadline_is_not_made_again() -> None:
    world = World(gpus=1, auto_start=False)
    task = world.submit(gpus=1, deadline=MINUTE)
    world.advance(2 * MINUTE)
    assert world.state(task) is TaskState.ADMITTED
    world.refuse_start(task, world.taken(0))
    assert world.state(task) is TaskState.FAILED
    assert "deadline" in world.row(task).message


def test_a_task_that_is_being_ended_for_a_drain_can_still_be_cancelled() -> None:
    world = World(gpus=1)
    task = world.submit(gpus=1)
    world.send(DrainChanged(draining=True, stop_running=True))
    answer = world.cancel(task).answers[0]
    assert isinstance(answer, TasksAnswer)
    assert answer.changed == (task,)
    world.end(task, "lost", engine_lost=True)
    assert world.state(task) is TaskState.CANCELLED


@pytest.mark.parametrize("reason", sorted(GOES_ON))
def test_a_users_reason_that_means_another_thing_here_cancels_all_the_same(reason: str) -> None:
    world = World(gpus=1)
    task = world.submit(gpus=1)
    (order,) = world.send(Cancelled((task,), reason=reason)).instructions
    assert isinstance(order, Stop)
    assert order.reason == "cancelled"
    world.end(task, "cancelled")
    assert (world.state(task), world.row(task).message) == (TaskState.CANCELLED, f"cancelled: {reason}")
