"""What worked in the tools before this one and must keep working, as far as the kernel decides it."""

from __future__ import annotations

import pytest

from passloop.kernel.tasks import FINAL_STATES, OutcomeKind, RetryBudgets, TaskState
from tests.support.builders import GIB, HOUR, MINUTE, SECOND, World, ask, seen

# From the smallpond executor.


def test_cpu_work_goes_on_while_gpu_work_waits() -> None:
    world = World(gpus=1, cpus=4)
    world.submit(gpus=1)
    waiting = world.submit(gpus=1)
    for _ in range(4):
        task = world.submit(cpus=1)
        assert world.state(task) is TaskState.RUNNING
    assert world.state(waiting) is TaskState.READY


def test_gpu_work_starts_in_order() -> None:
    world = World(gpus=1)
    tasks = [world.submit(gpus=1) for _ in range(10)]
    for task in tasks:
        world.finish(task)
    assert world.started == tasks


def test_a_batch_starts_in_the_order_of_its_ranks_then_its_indices() -> None:
    world = World(gpus=1)
    blocker = world.submit(gpus=1)
    first, second, third, fourth = world.submit_many(gpus=1, n=4, ranks=[2, 1, 1, 0])
    for task in (blocker, fourth, second, third):
        world.finish(task)
    assert world.started == [blocker, fourth, second, third, first]


def test_a_higher_priority_goes_first() -> None:
    world = World(gpus=1)
    blocker, low = world.submit(gpus=1), world.submit(gpus=1)
    high = world.submit(gpus=1, priority=5)
    world.finish(blocker)
    assert world.running == [high]
    world.finish(high)
    assert world.running == [low]


def test_several_gpus_and_fractions_are_granted_exactly() -> None:
    world = World(gpus=4)
    pair = world.submit(gpus=2)
    halves = world.submit_many(share=0.5, n=4)
    assert len(set(world.devices_of(pair))) == 2
    used = [world.devices_of(task) for task in halves]
    assert all(len(devices) == 1 for devices in used)
    assert sorted(devices[0] for devices in used) == sorted(
        [uuid for uuid in ("GPU-0", "GPU-1", "GPU-2", "GPU-3") if uuid not in world.devices_of(pair)] * 2
    )
    assert world.why(world.submit(share=0.25))[0] == "pool_busy"


def test_a_share_never_straddles_devices() -> None:
    world = World(gpus=2)
    world.submit_many(share=0.6, n=2)
    assert world.state(world.submit(share=0.6)) is TaskState.READY


def test_quarters_fill_one_device_before_the_next() -> None:
    world = World(gpus=2)
    quarters = world.submit_many(share=0.25, n=4)
    assert len({world.devices_of(task) for task in quarters}) == 1
    assert world.state(world.submit(gpus=1)) is TaskState.RUNNING


def test_a_thousand_histories_of_shares_lose_nothing() -> None:
    world = World(gpus=1)
    for share in (0.1, 0.3, 0.7, 0.9, 0.33, 0.67) * 50:
        world.finish(world.submit(share=share))
    assert world.state(world.submit(gpus=1)) is TaskState.RUNNING


def test_a_request_larger_than_the_machine_is_refused_with_the_numbers() -> None:
    world = World(gpus=4)
    refusal = world.refusal(gpus=5)
    assert refusal.code == "never_fits"
    assert "5" in refusal.message
    assert "4" in refusal.message
    assert world.rows.tasks == {}


def test_a_request_larger_than_the_machine_is_rejected_where_a_source_made_it() -> None:
    world = World(gpus=4)
    task = world.submit(gpus=5, refuse_impossible=False)
    assert world.state(task) is TaskState.REJECTED
    assert world.row(task).message


def test_a_request_larger_than_the_machine_uses_the_smaller_variant_the_user_wrote() -> None:
    world = World(gpus=4)
    task = world.submit(ask(gpus=8), ask(gpus=2))
    assert len(world.devices_of(task)) == 2


def test_a_request_larger_than_the_machine_waits_for_capacity_if_asked_to() -> None:
    world = World(gpus=1)
    task = world.submit(gpus=2, wait_for_capacity=True)
    small = world.submit(gpus=1)
    assert world.why(task) == ["capacity"]
    assert world.state(small) is TaskState.RUNNING
    world.finish(small)
    world.see(seen(0), seen(1))
    assert world.state(task) is TaskState.RUNNING


def test_a_machine_without_gpus_refuses_gpu_work_and_runs_the_rest() -> None:
    world = World(gpus=0, cpus=2)
    assert world.refusal(gpus=1).code == "never_fits"
    assert world.refusal(share=0.5).code == "never_fits"
    assert world.state(world.submit(cpus=2)) is TaskState.RUNNING
    assert world.state(world.submit(ask(gpus=1), ask(cpus=1))) is TaskState.READY


def test_duplicates_are_one_task() -> None:
    world = World(gpus=1)
    first = world.submit(gpus=1, keys=["cell"])
    assert world.submit(gpus=1, keys=["cell"]) == first
    world.finish(first)
    assert world.submit(gpus=1, keys=["cell"]) == first
    assert len(world.rows.tasks) == 1


def test_duplicates_in_one_submission_are_one_task() -> None:
    world = World(gpus=1)
    first, second, other = world.submit_many(gpus=1, n=3, keys=["cell", "cell", "else"])
    assert first == second != other


def test_a_key_whose_task_failed_is_tried_again_as_a_new_task() -> None:
    world = World(gpus=1)
    first = world.submit(gpus=1, keys=["cell"])
    world.end(first, "failure")
    second = world.submit(gpus=1, keys=["cell"])
    assert second != first
    assert world.state(first) is TaskState.FAILED


def test_stopping_queued_work_ends_it_at_once() -> None:
    world = World(gpus=1)
    world.submit(gpus=1)
    queued = world.submit(gpus=1)
    world.cancel(queued)
    assert world.state(queued) is TaskState.CANCELLED


def test_stopping_running_work_keeps_its_device_until_it_is_gone() -> None:
    world = World(gpus=1)
    running, waiting = world.submit(gpus=1), world.submit(gpus=1)
    world.cancel(running)
    assert world.stopped(running)
    assert world.state(running) is TaskState.STOPPING
    assert world.state(waiting) is TaskState.READY
    world.end(running, "cancelled")
    assert world.state(running) is TaskState.CANCELLED
    assert world.state(waiting) is TaskState.RUNNING


def test_an_exit_before_the_cancel_stands_and_the_cancel_says_so() -> None:
    world = World(gpus=1)
    task = world.submit(gpus=1)
    world.finish(task)
    answer = world.cancel(task).answers[0]
    assert world.state(task) is TaskState.SUCCEEDED
    assert not getattr(answer, "changed")  # noqa: B009
    assert [unchanged for unchanged, _ in answer.unchanged] == [task]  # type: ignore[union-attr]


def test_a_committed_cancel_stands_whatever_the_exit() -> None:
    world = World(gpus=1)
    task = world.submit(gpus=1)
    world.cancel(task)
    world.end(task, "success")
    assert world.state(task) is TaskState.CANCELLED


@pytest.mark.parametrize(
    ("how", "budgets"),
    [
        ("failure", RetryBudgets(failure=3)),
        ("timeout", RetryBudgets(timeout=3)),
        ("lost", RetryBudgets(lost=3)),
        ("out_of_memory", RetryBudgets(out_of_memory=3)),
    ],
)
def test_retries_are_capped(how: str, budgets: RetryBudgets) -> None:
    world = World(gpus=1)
    task = world.submit(gpus=1, retries=budgets)
    for _ in range(4):
        assert world.state(task) is TaskState.RUNNING
        world.end(task, how)
        world.advance(HOUR)
    assert world.state(task) is TaskState.FAILED
    assert len(world.started) == 4


def test_a_loss_with_the_engine_costs_nothing() -> None:
    world = World(gpus=1)
    task = world.submit(gpus=1)
    for _ in range(20):
        world.end(task, "lost", engine_lost=True)
        assert world.state(task) is TaskState.RUNNING


def test_what_cannot_begin_for_long_leaves_its_device_to_others_for_as_long_as_its_driver_asks() -> None:
    """And comes first again then: it keeps its place, and no budget ends it."""
    world = World(gpus=1)
    first, second = world.submit(gpus=1), world.submit(gpus=1)
    for _ in range(20):
        world.end(first, "lost", engine_lost=True, retry_after=60_000)
        assert (world.state(first), world.state(second)) == (TaskState.BACKOFF, TaskState.RUNNING)
        world.end(second, "lost", engine_lost=True, retry_after=60_000)
        world.advance(59_999)
        assert world.state(first) is TaskState.BACKOFF
        world.advance(1)
        assert (world.state(first), world.state(second)) == (TaskState.RUNNING, TaskState.READY)


def test_a_faulty_device_is_quarantined_and_the_task_moves_on_at_no_cost() -> None:
    world = World(gpus=2)
    task = world.submit(gpus=1)
    (broken,) = world.devices_of(task)
    world.end(task, "device_fault", device=broken)
    assert world.state(task) is TaskState.RUNNING
    assert world.devices_of(task) != (broken,)


def test_retries_back_off_and_keep_their_place() -> None:
    world = World(gpus=1)
    first, second, third = (world.submit(gpus=1, retries=RetryBudgets(failure=1)) for _ in range(3))
    world.end(first, "failure")
    assert world.state(first) is TaskState.BACKOFF
    assert world.running == [second]
    world.advance(2 * SECOND)
    assert world.state(first) is TaskState.READY
    world.finish(second)
    assert world.running == [first]
    assert world.state(third) is TaskState.READY


def test_an_out_of_memory_retry_moves_to_the_next_variant() -> None:
    world = World(gpus=2)
    task = world.submit(ask(gpus=1, memory=8 * GIB), ask(gpus=1, memory=64 * GIB))
    world.end(task, "out_of_memory")
    world.advance(2 * SECOND)
    assert world.rows.attempt_of(task).allocation.variant == 1
    assert dict(world.rows.attempt_of(task).allocation.amounts) == {"memory": 64 * GIB}


def test_work_survives_a_restart_and_starts_without_anything_being_released() -> None:
    world = World(gpus=2)
    running = world.submit(gpus=1)
    world.submit(gpus=1, after=[running])
    waiting = world.submit(gpus=2)
    world.end(running, "failure")
    assert world.state(waiting) is TaskState.RUNNING
    world.restart()
    assert world.running == [waiting]
    later = world.submit(gpus=2)
    world.restart()
    world.finish(waiting)
    assert world.running == [later]


def test_a_restart_makes_a_pass_even_if_nothing_happened() -> None:
    world = World(gpus=1)
    world.submit(gpus=1)
    world.submit(gpus=1)
    assert world.restart().passed
    assert not world.send().passed


def test_a_thousand_deferred_tasks_cost_no_passes() -> None:
    world = World(gpus=1, check=False)
    world.submit(gpus=1, limit=100 * HOUR)
    world.submit_many(gpus=1, n=1_000)
    passes = world.machine.passes
    world.advance(10 * MINUTE)
    assert world.machine.passes == passes
    for _ in range(50):
        assert not world.send().passed
    assert world.machine.passes == passes


def test_passes_are_at_most_batches() -> None:
    world = World(gpus=2, check=False)
    for step in range(100):
        world.submit(gpus=1 + step % 2)
        if step % 2:
            world.finish(*world.running)
    assert world.machine.passes <= len(world.batches)


# From the autotuner's pool.


def test_all_or_nothing() -> None:
    world = World(gpus=4)
    world.submit(gpus=3)
    four = world.submit(gpus=4)
    assert world.state(four) is TaskState.READY
    assert world.row(four).attempts == 0
    assert world.state(world.submit(cpus=1)) is TaskState.RUNNING


def test_first_in_first_out() -> None:
    world = World(gpus=2)
    first, *rest = (world.submit(gpus=2, patience=0) for _ in range(4))
    for before, after in zip([first, *rest], rest, strict=False):
        world.finish(before)
        assert world.running == [after]


def test_a_waiter_waits_instead_of_failing() -> None:
    world = World(gpus=1)
    world.submit(gpus=1)
    waiter = world.submit(gpus=1)
    world.advance(100 * HOUR)
    assert world.state(waiter) is TaskState.READY


def test_a_cancelled_waiter_leaks_nothing() -> None:
    world = World(gpus=2)
    holder = world.submit(gpus=1)
    waiter = world.submit(gpus=2, patience=0)
    assert world.reserved(waiter)
    world.cancel(waiter)
    assert not world.reserved(waiter)
    assert world.state(world.submit(gpus=1)) is TaskState.RUNNING
    world.finish(holder)
    assert world.state(world.submit(gpus=1)) is TaskState.RUNNING


def test_a_device_with_less_free_memory_than_asked_is_passed_over() -> None:
    world = World(gpus=[seen(0, vram=24 * GIB), seen(1, vram=80 * GIB)])
    task = world.submit(gpus=1, vram=40 * GIB)
    assert world.devices_of(task) == ("GPU-1",)
    assert world.refusal(gpus=2, vram=40 * GIB).code == "never_fits"


def test_free_memory_that_others_use_does_not_count() -> None:
    world = World(gpus=[seen(0, usable_mib=30 * GIB), seen(1)])
    task = world.submit(gpus=1, vram=40 * GIB)
    assert world.devices_of(task) == ("GPU-1",)
    assert world.state(world.submit(gpus=1)) is TaskState.READY


def test_balance_is_preferred_for_several_devices() -> None:
    world = World(gpus=[seen(0, vram=80 * GIB), seen(1, vram=24 * GIB), seen(2, vram=80 * GIB)])
    assert sorted(world.devices_of(world.submit(gpus=2))) == ["GPU-0", "GPU-2"]


def test_balance_can_be_required() -> None:
    unequal = [seen(0, vram=80 * GIB), seen(1, vram=24 * GIB), seen(2, vram=80 * GIB)]
    world = World(gpus=unequal)
    world.submit(gpus=1, vram=80 * GIB)
    demanding = world.submit(gpus=2, balance=True)
    easygoing = world.submit(gpus=2)
    assert world.state(demanding) is TaskState.READY
    assert world.state(easygoing) is TaskState.RUNNING


def test_the_score_is_six_parts_free_memory_and_four_parts_idleness() -> None:
    busy_but_empty = seen(0, vram=100 * GIB, usable_mib=100 * GIB, utilisation=60)
    idle_but_fuller = seen(1, vram=100 * GIB, usable_mib=82 * GIB, utilisation=0)
    assert World(gpus=[busy_but_empty, idle_but_fuller]).chosen() == "GPU-1"
    less_busy = seen(0, vram=100 * GIB, usable_mib=100 * GIB, utilisation=20)
    assert World(gpus=[less_busy, idle_but_fuller]).chosen() == "GPU-0"


def test_linked_devices_are_taken_together() -> None:
    world = World(gpus=[seen(0, links="a"), seen(1, links="b", utilisation=5), seen(2, links="b", utilisation=5)])
    assert sorted(world.devices_of(world.submit(gpus=2))) == ["GPU-1", "GPU-2"]


# From the benchmark executor.


def test_a_killed_workers_device_comes_back() -> None:
    world = World(gpus=1)
    task, other = world.submit(gpus=1, retries=RetryBudgets(lost=0)), world.submit(gpus=1)
    world.end(task, OutcomeKind.LOST)
    assert world.state(task) in FINAL_STATES
    assert world.state(other) is TaskState.RUNNING


def test_what_a_stray_holds_stays_charged_until_it_is_gone() -> None:
    world = World(gpus=1)
    task, other = world.submit(gpus=1), world.submit(gpus=1)
    exit_ = world.exit_of(task, "success", stray=True)
    world.send(exit_)
    assert world.state(task) is TaskState.SUCCEEDED
    assert world.state(other) is TaskState.READY
    world.stray_gone(exit_.attempt, exit_.epoch)
    assert world.state(other) is TaskState.RUNNING


def test_a_veto_touches_nothing_that_runs() -> None:
    world = World(gpus=1)
    running, waiting = world.submit(gpus=1), world.submit(gpus=1)
    world.foreign(0)
    assert world.state(running) is TaskState.RUNNING
    world.finish(running)
    assert world.why(waiting) == ["vetoed"]
    assert world.watched == ("GPU-0",)
    world.gone(0)
    assert world.state(waiting) is TaskState.RUNNING


def test_a_refused_start_goes_back_to_its_place_at_no_cost() -> None:
    world = World(gpus=1, auto_start=False)
    first, second = world.submit(gpus=1), world.submit(gpus=1)
    world.refuse_start(first, world.taken(0))
    assert world.state(first) is TaskState.READY
    world.gone(0)
    assert world.running == [first]
    assert world.state(second) is TaskState.READY
