"""When a source is asked for its next unit: the rules of localised deferral, each as it was found to be wanted."""

from __future__ import annotations

from passloop.kernel.blockers import BlockerCode
from passloop.kernel.changes import Refusal
from passloop.kernel.events import PoolKind, PoolOpened
from passloop.kernel.ids import PoolName, RunId
from passloop.kernel.resources import Request
from passloop.kernel.source_rows import TemplateNode
from tests.support.builders import MINUTE, SECOND, World, ask
from tests.support.sourced import SourcedWorld, call, local


def models(*names: str, limit: int = 4, parent: str | None = None) -> SourcedWorld:
    world = SourcedWorld(gpus=0, cpus=8)
    world.declare_models(*names, limit=limit, parent=parent)
    return world


def running_on(world: World, model: str) -> int:
    return next(view.used for view in world.machine.pools(world.now) if view.name == model)


def finish_all(world: SourcedWorld, *models: str) -> int:
    """All calls of these models that run succeed; how many these were."""
    done = [
        task
        for task in world.running
        if any(name in models for name, _ in world.rows.attempt_of(task).allocation.amounts)
    ]
    world.finish(*done)
    return len(done)


def test_a_source_is_asked_for_its_first_unit_at_once() -> None:
    world = models("m0")
    run = world.source(call("m0"))
    assert world.asked(run) == [0]


def test_a_device_that_only_a_source_waits_for_is_looked_at() -> None:
    world = SourcedWorld(gpus=1)
    world.foreign(0)
    run = world.source(TemplateNode(Request((ask(gpus=1),)), completes=True))
    assert world.asked(run) == []
    assert world.watched == ("GPU-0",)
    world.see(world.inventory[0])
    assert (world.asked(run), world.watched) == ([0], ())


def test_one_unit_is_outstanding_at_a_time() -> None:
    world = models("m0")
    run = world.source(call("m0"))
    world.submit(ask(cpus=1))
    world.finish(*world.running)
    assert world.asked(run) == [0]


def test_growth_stops_when_twice_the_limit_is_ready_beside_what_runs() -> None:
    world = models("m0", limit=4)
    run = world.source(call("m0"))
    assert world.grow(run) == 4 + 2 * 4
    assert len(world.ready) == 8


def test_growth_goes_on_as_work_is_done_and_no_faster() -> None:
    world = models("m0", limit=4)
    run = world.source(call("m0"))
    world.grow(run)
    world.finish(*world.running)
    assert world.grow(run) == 4


def test_a_deferred_retry_on_an_unrelated_pool_does_not_stop_the_next_unit() -> None:
    world = models("m0", "m1")
    run = world.source(call("m0"), call("m1"))
    world.expand(run)
    world.end(world.running[1], "rate_limited", status=429, retry_after=MINUTE)
    assert world.is_asked(run)
    assert world.grow(run, most=5) == 5


def test_a_deferred_retry_on_the_same_pool_stops_the_next_unit() -> None:
    world = models("m0")
    run = world.source(call("m0"))
    world.expand(run)
    world.expand(run)
    world.end(world.running[0], "rate_limited", status=429, retry_after=MINUTE)
    world.grow(run, most=1)
    assert not world.is_asked(run)


def test_opening_the_pool_lets_the_source_go_on() -> None:
    world = models("m0")
    run = world.source(call("m0"))
    world.cool("m0")
    world.expand(run)
    assert not world.is_asked(run)
    world.advance(2 * MINUTE)
    world.finish(*world.running)
    assert world.is_asked(run)


def test_what_comes_after_a_blocked_node_is_blocked() -> None:
    world = models("m0", "m1")
    world.cool("m0")
    run = world.source(call("m0"), call("m1", after=[0]), local(after=[1], completes=True))
    assert world.asked(run) == []


def test_a_pool_behind_the_blocked_node_is_no_reason_though_it_is_idle() -> None:
    world = models("m0", "m1")
    run = world.source(call("m0"), call("m1", after=[0]))
    assert world.grow(run) == 4 + 2 * 4
    assert running_on(world, "m1") == 0


def test_siblings_of_a_multi_output_generator_are_one_node_and_block_together() -> None:
    """Two columns that one call makes are one node: whoever comes after either comes after that node."""
    world = models("m0", "m1")
    world.cool("m0")
    both_outputs = call("m0")
    run = world.source(both_outputs, call("m1", after=[0]), call("m1", after=[0]))
    assert world.asked(run) == []


def test_sharing_a_pool_across_kinds_of_requests_counts() -> None:
    world = models("m0")
    world.declare("chat", PoolKind.LIMIT, 4, parent="m0")
    world.declare("embedding", PoolKind.LIMIT, 4, parent="m0")
    world.cool("m0")
    run = world.source(call("chat"), call("embedding"))
    assert world.asked(run) == []


def test_a_closed_parent_blocks_all_below_it() -> None:
    world = models("m0", "m1", parent="endpoint")
    world.cool("endpoint", other=ask(m0=1))
    run = world.source(call("m0"), call("m1"))
    assert world.asked(run) == []


def test_custom_pools_localise_like_any_other() -> None:
    world = models("scraper", "browser")
    world.cool("scraper")
    assert world.asked(world.source(call("scraper"))) == []
    assert world.asked(world.source(call("scraper"), call("browser"))) == [0]


def test_an_independent_local_branch_is_admittable() -> None:
    world = models("m0")
    world.cool("m0")
    seed = local()
    branch = local(after=[0], completes=True)
    assert world.asked(world.source(seed, call("m0", after=[0]), branch)) == [0]


def test_a_local_node_that_only_feeds_the_blocked_one_is_no_reason() -> None:
    world = models("m0")
    world.cool("m0")
    run = world.source(local(), call("m0", after=[0], completes=True), local(after=[1], completes=True))
    assert world.asked(run) == []


def test_a_local_node_counts_for_the_pool_that_it_unlocks() -> None:
    world = models("m0", "m1")
    world.cool("m0")
    run = world.source(local(), call("m0", after=[0]), call("m1", after=[0]))
    assert world.asked(run) == [0]


def test_the_memory_guard_comes_before_an_idle_pool() -> None:
    world = models("m0", "m1")
    world.cool("m0")
    run = world.source(call("m0"), call("m1"), bytes=100)
    world.expand(run, bytes=220)
    finish_all(world, "m1")
    assert not world.is_asked(run)


def test_what_is_final_of_a_unit_leaves_room_in_memory_for_others() -> None:
    world = models("m0", "m1")
    world.cool("m0")
    run = world.source(call("m0"), call("m1"), resident=3, bytes=1_000)
    for kept in (1, 2, 3):
        world.expand(run, bytes=300)
        finish_all(world, "m1")
        world.restart()
        assert world.machine.state.sources[run].bytes == 150 * kept
        assert world.is_asked(run) is (kept < 3)


def test_resident_bytes_stay_under_the_guard_and_one_unit() -> None:
    world = models("m0")
    run = world.source(call("m0"), bytes=100)
    assert world.grow(run, bytes=30) == 4
    assert sum(unit.bytes for unit in world.rows.units.values()) == 120


def test_a_unit_larger_than_the_guard_is_let_in_alone() -> None:
    world = models("m0")
    run = world.source(call("m0"), bytes=10)
    world.expand(run, bytes=500)
    assert not world.is_asked(run)
    world.finish(*world.running)
    assert world.asked(run) == [0, 1]


def test_a_guard_of_nothing_lets_one_unit_in_at_a_time() -> None:
    world = models("m0")
    run = world.source(call("m0"), bytes=0)
    assert world.grow(run) == 1
    world.finish(*world.running)
    assert world.grow(run) == 1


def test_units_unfinished_are_bounded_too() -> None:
    world = models("m0")
    run = world.source(call("m0"), resident=3)
    assert world.grow(run) == 3
    world.finish(world.running[1])
    assert world.grow(run) == 1


def test_units_end_out_of_order() -> None:
    world = models("m0")
    run = world.source(call("m0"), resident=2)
    world.grow(run)
    world.finish(world.running[1])
    assert [unit for (_, unit), row in world.rows.units.items() if row.ended_at is not None] == [1]
    assert world.asked(run) == [0, 1, 2]


def test_healthy_pools_stay_busy_through_a_cooldown() -> None:
    """Three of four models work on for a minute while the fourth cools; nothing they need waits for it."""
    names = ("m0", "m1", "m2", "m3")
    world = models(*names, limit=4)
    run = world.source(*(call(name) for name in names))
    world.grow(run)
    cooling = next(task for task in world.running if world.rows.cells[task].node == 3)
    world.end(cooling, "rate_limited", status=429, retry_after=MINUTE)
    for _ in range(60):
        assert finish_all(world, "m0", "m1", "m2") == 12
        world.grow(run)
        assert [running_on(world, name) for name in names[:3]] == [4, 4, 4]
        world.advance(SECOND // 2)


def test_work_parked_on_a_closed_pool_does_not_fill_the_parent_it_shares() -> None:
    world = models("m0", "m1", limit=4)
    world.declare("endpoint", PoolKind.LIMIT, 4)
    world.declare_models("m0", "m1", parent="endpoint")
    run = world.source(call("m0"), call("m1"))
    world.cool("m0")
    world.grow(run)
    for _ in range(20):
        assert finish_all(world, "m1") == 4
        world.grow(run)


def test_when_pools_are_full_again_nothing_is_expanded() -> None:
    world = models("m0", "m1", limit=4)
    run = world.source(call("m0"), call("m1"))
    world.cool("m0", millis=10_000)
    for _ in range(5):
        world.grow(run)
        finish_all(world, "m1")
    world.grow(run)
    before = world.row_of(run).unit
    world.advance(MINUTE)
    world.finish(*world.running)
    finish_all(world, "m0")
    assert world.grow(run) <= 4, "as much as was done, not what piled up"
    assert world.row_of(run).unit - before <= 8


def test_a_half_open_pool_without_ready_work_gets_a_unit_as_its_probe() -> None:
    world = models("m0")
    run = world.source(call("m0"))
    task = world.submit(ask(m0=1), driver="calls", priority=9)
    world.end(task, "rate_limited", status=429, retry_after=SECOND)
    world.cancel(task)
    world.expand(run, tasks=())
    assert not world.is_asked(run)
    world.advance(2 * SECOND)
    assert world.grow(run) == 1
    assert len(world.running) == 1


def test_a_vetoed_device_blocks_and_a_free_one_does_not() -> None:
    world = SourcedWorld(gpus=1, cpus=8)
    world.foreign(0)
    gpu = TemplateNode(Request((ask(gpus=1),)), completes=True)
    run = world.source(gpu)
    assert world.asked(run) == []
    world.gone(0)
    assert world.grow(run) == 1 + 2


def test_twice_what_empty_devices_hold_is_enough() -> None:
    world = SourcedWorld(gpus=4, cpus=64)
    shares = TemplateNode(Request((ask(share=0.5),)), completes=True)
    assert world.grow(world.source(shares)) == 8 + 2 * 8
    pairs = SourcedWorld(gpus=4, cpus=64)
    assert pairs.grow(pairs.source(TemplateNode(Request((ask(gpus=2),)), completes=True))) == 2 + 2 * 2


def test_nodes_on_the_same_pools_share_what_is_enough() -> None:
    world = models("m0", limit=4)
    run = world.source(call("m0"), call("m0"))
    world.grow(run)
    assert len(world.ready) == 8


def test_a_rate_counts_as_the_tasks_of_a_minute() -> None:
    world = SourcedWorld(gpus=0, cpus=8)
    world.declare("tokens", PoolKind.RATE, 100)
    run = world.source(TemplateNode(Request((ask(tokens=10),)), driver="calls"))
    assert world.grow(run) == 10 + 2 * 10


def why_no_more(world: SourcedWorld) -> list[str]:
    return [blocker.sentence for status in world.machine.sources() for blocker in status.blockers]


def test_a_source_with_enough_ready_names_what_its_tasks_are_ready_for() -> None:
    world = models("m0", limit=1)
    world.grow(world.source(call("m0")))
    assert why_no_more(world) == ["2 tasks are ready for m0, which is enough for what can start soon"]
    devices = SourcedWorld(gpus=1, cpus=64)
    devices.grow(devices.source(TemplateNode(Request((ask(gpus=1),)), completes=True)))
    assert why_no_more(devices) == ["2 tasks are ready for GPUs, which is enough for what can start soon"]


def trials(world: SourcedWorld, **words: int) -> RunId:
    return world.source(TemplateNode(Request((ask(gpus=1),)), completes=True), ahead=0, **words)


def test_a_sampler_is_asked_only_when_a_trial_could_start() -> None:
    world = SourcedWorld(gpus=2, cpus=8)
    run = trials(world)
    assert world.grow(run) == 2
    assert not world.ready
    world.finish(world.running[0])
    assert world.grow(run) == 1


def test_a_sampler_is_not_asked_for_what_is_reserved_for_another() -> None:
    world = SourcedWorld(gpus=2, cpus=8)
    world.submit(ask(gpus=1), limit=MINUTE)
    large = world.submit(ask(gpus=2), patience=0)
    assert world.reserved(large)
    assert world.asked(trials(world)) == []


def test_a_sampler_is_not_asked_while_a_trial_of_its_own_waits() -> None:
    world = SourcedWorld(gpus=2, cpus=8)
    world.submit(ask(gpus=1))
    nodes = [TemplateNode(Request((ask(gpus=count),)), completes=True) for count in (1, 2)]
    run = world.source(*nodes, ahead=0)
    world.expand(run, world.unit(run)[1:])
    assert len(world.ready) == 1
    assert world.asked(run) == [0], "one GPU is free, and the larger trial waits for both"


def test_a_sampler_waits_for_a_rate_to_refill() -> None:
    world = SourcedWorld(gpus=0, cpus=8)
    world.declare("tokens", PoolKind.RATE, 10)
    run = world.source(TemplateNode(Request((ask(tokens=10),)), driver="calls"), ahead=0)
    world.expand(run)
    assert not world.is_asked(run)
    world.advance(2 * MINUTE)
    assert world.is_asked(run)


def test_opening_a_pool_never_takes_a_unit_away() -> None:
    """Invariant 11, where a shared parent, parked work and a full class come together."""
    for ready in range(10):
        world = models("m0", "m1", limit=2, parent="endpoint")
        run = world.source(call("m0"), call("m1"))
        world.cool("m0")
        for _ in range(ready):
            world.grow(run, most=1)
            finish_all(world, "m1")
        before = world.is_asked(run)
        world.send(PoolOpened(PoolName("m0")))
        assert world.is_asked(run) or not before


def test_a_template_that_gives_nothing_is_refused() -> None:
    world = models("m0")
    no_output = world.offer_source(local())
    assert isinstance(no_output, Refusal)
    assert "completes an output" in no_output.message
    backwards = world.offer_source(call("m0", after=[0]))
    assert isinstance(backwards, Refusal)
    assert isinstance(world.offer_source(), Refusal)


def test_what_can_never_fit_is_refused_unless_something_fits() -> None:
    world = models("m0")
    refused = world.offer_source(call("m0"), local(cpus=99, completes=True))
    assert isinstance(refused, Refusal)
    assert refused.code == "never_fits"
    assert isinstance(world.offer_source(local(cpus=99, completes=True), refuse_impossible=False), Refusal)
    assert world.asked(world.source(call("m0"), local(cpus=99, completes=True), refuse_impossible=False)) == [0]


def test_a_source_that_is_asked_when_a_task_could_start_says_who_is_in_its_way() -> None:
    world = models("m0", limit=1)
    other = world.submit(ask(m0=1), driver="calls")
    run = world.source(call("m0"), ahead=0)
    assert world.asked(run) == []
    (status,) = world.machine.sources()
    assert [(one.code, one.pool, one.holders) for one in status.blockers] == [(BlockerCode.LIMIT, "m0", (other,))]
    world.finish(other)
    assert world.asked(run) == [0]
