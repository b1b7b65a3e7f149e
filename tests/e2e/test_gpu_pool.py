"""GpuPool: what the autotuner's pool did or should have done, each as a fact. Real engines, processes and ledgers."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import pytest

import passloop
from passloop import Engine, GpuPool, Lease, NeverFits, Task
from passloop.api.gpu_locks import lock_gpus
from passloop.devices.locks import DeviceLocks, OtherHome
from tests.support.command_line import ended_boxes
from tests.support.fake_nvml.fixtures import fake_library as fake_library
from tests.support.fake_nvml.fixtures import machine as machine
from tests.support.fake_nvml.machine import FakeMachine, gpu
from tests.support.ledger import holding, pretend, until

GIB = 1024


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with three virtual GPUs, and no engine."""
    return pretend(monkeypatch, tmp_path, "3x80GiB")


@pytest.fixture
async def engine(home: Path) -> AsyncIterator[Engine]:
    """The engine of the home, in this process."""
    async with passloop.open(home) as found:
        yield found


@pytest.fixture
async def pool(engine: Engine) -> AsyncIterator[GpuPool]:
    """A pool without a limit."""
    async with GpuPool(home=engine.home) as opened:
        yield opened


def waiting(count: int) -> object:
    """Whether this many leases are queued and not granted."""
    return lambda tasks: sum(task.state == "ready" for task in tasks) == count


def ended(tasks: tuple[Task, ...]) -> bool:
    """Whether the ledger has no live lease."""
    return all(task.final for task in tasks)


async def all_free(engine: Engine) -> bool:
    """Whether nobody holds a GPU, by the ledger and by what another home sees of the locks."""
    gpus = await engine.gpus()
    seen = locked(engine.home, *(gpu.uuid for gpu in gpus))
    return ended(await engine.tasks()) and not any(gpu.holders for gpu in gpus) and seen == [None] * len(gpus)


def locked(home: Path, *uuids: str) -> list[OtherHome | None]:
    """Who has each of these GPUs, as another home sees it."""
    other = DeviceLocks("another", home.parent / "locks")
    try:
        return [other.taken_elsewhere(uuid) for uuid in uuids]
    finally:
        other.close()


async def test_a_lease_tells_its_gpus_and_the_variables_of_a_child(pool: GpuPool) -> None:
    async with pool.lease(gpus=2, min_memory="8GiB", owner="exp-1", timeout=30) as lease:
        assert lease.uuids == ("GPU-virtual-0", "GPU-virtual-1")
        assert (lease.indices, lease.vram_mib, lease.owner) == ((0, 1), (80 * GIB, 80 * GIB), "exp-1")
        assert lease.env["CUDA_VISIBLE_DEVICES"] == "GPU-virtual-0,GPU-virtual-1"
        assert lease.env["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"


async def test_a_lease_is_a_task_on_the_ledger_that_names_this_process(pool: GpuPool, engine: Engine) -> None:
    async with pool.lease(owner="exp-1") as lease:
        (task,) = await engine.tasks(lease.task)
        assert (task.name, task.state, task.gpus) == ("exp-1", "running", lease.uuids)
        assert (await engine.gpus())[lease.indices[0]].holders == (lease.task,)


async def test_it_waits_instead_of_raising_while_gpus_are_busy(pool: GpuPool, engine: Engine) -> None:
    held = await pool.acquire(gpus=3)
    later = asyncio.create_task(pool.acquire(gpus=2))
    await until(engine, waiting(1))
    assert not later.done()
    await pool.release(held)
    assert len((await later).uuids) == 2


async def test_it_is_all_or_nothing(pool: GpuPool, engine: Engine) -> None:
    held = await pool.acquire(gpus=2)
    later = asyncio.create_task(pool.acquire(gpus=2))
    await until(engine, waiting(1))
    free = [gpu for gpu in await engine.gpus() if not gpu.holders]
    assert len(free) == 1, "the waiter holds none while it cannot have all"
    await pool.release(held)
    assert len((await later).uuids) == 2


async def test_first_in_first_out_even_where_a_later_one_would_fit(pool: GpuPool, engine: Engine) -> None:
    held = await pool.acquire(gpus=1)
    large = asyncio.create_task(pool.acquire(gpus=3, owner="large"))
    await until(engine, waiting(1))
    small = asyncio.create_task(pool.acquire(gpus=1, owner="small"))
    await until(engine, waiting(2))
    assert not small.done(), "two GPUs are free, but the large one came first"
    await pool.release(held)
    first = await large
    assert not small.done()
    await pool.release(first)
    await small


async def test_first_in_first_out_also_when_run_times_are_known(pool: GpuPool, engine: Engine) -> None:
    for _ in range(12):
        await pool.release(await pool.acquire())
    run = await engine.submit(passloop.command("true", array="1-12"))
    assert (await run.wait()).succeeded
    await test_first_in_first_out_even_where_a_later_one_would_fit(pool, engine)


async def test_capacity_is_looked_at_in_the_decision_that_allocates(home: Path) -> None:
    """The ancestor counted free places in one step and took GPUs in another."""
    held: set[str] = set()
    most = 0

    async def experiment(pool: GpuPool, gpus: int) -> None:
        nonlocal most
        async with pool.lease(gpus=gpus, timeout=50) as lease:
            assert not held.intersection(lease.uuids), "a GPU was given twice"
            held.update(lease.uuids)
            most = max(most, len(held))
            await asyncio.sleep(0)
            held.difference_update(lease.uuids)

    async with GpuPool(home=home) as one, GpuPool(home=home) as other, asyncio.TaskGroup() as group:
        for number in range(24):
            group.create_task(experiment(one if number % 2 else other, 1 + number % 3))
    assert most == 3


async def test_at_most_max_parallel_leases_are_held(engine: Engine) -> None:
    async with GpuPool(max_parallel=2, home=engine.home) as pool:
        first, _second = await pool.acquire(), await pool.acquire()
        third = asyncio.create_task(pool.acquire())
        await until(engine, waiting(1))
        assert sum(not gpu.holders for gpu in await engine.gpus()) == 1, "a GPU is free, a place is not"
        await pool.release(first)
        await third
        assert pool.statistics() == passloop.PoolStatistics(held=2, waiting=0, granted=3, released=1, timed_out=0)


async def test_max_parallel_is_each_pools_own(engine: Engine) -> None:
    async with GpuPool(1, engine.home) as one, GpuPool(1, engine.home) as other:
        await one.acquire(timeout=30)
        await other.acquire(timeout=30)
        assert sum(bool(gpu.holders) for gpu in await engine.gpus()) == 2


async def test_a_timeout_says_what_it_waited_for_and_leaves_nothing_behind(pool: GpuPool, engine: Engine) -> None:
    held = await pool.acquire(gpus=3)
    with pytest.raises(TimeoutError, match=f"waited 0.05 s for 2 GPUs in vain: .*task {held.task}"):
        await pool.acquire(gpus=2, timeout=0.05)
    await pool.release(held)
    assert await all_free(engine)
    assert pool.statistics().timed_out == 1


async def test_what_can_never_fit_raises_at_once_with_the_numbers(pool: GpuPool, engine: Engine) -> None:
    async with pool.lease(gpus=3):
        with pytest.raises(NeverFits, match=r"asks 4 whole GPUs.* there are 3 GPUs") as never:
            await pool.acquire(gpus=4)
        with pytest.raises(NeverFits, match="with 90 GiB; there are 3 GPUs with 80 GiB"):
            await pool.acquire(min_memory="90GiB")
    assert never.value.vram_mib == (80 * GIB,) * 3


async def test_balance_that_no_gpus_of_this_machine_have_raises_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with GpuPool(home=pretend(monkeypatch, tmp_path, "1x80GiB,1x24GiB")) as pool:
        with pytest.raises(NeverFits, match="of about the same size"):
            await pool.acquire(gpus=2)
        async with pool.lease(gpus=2, balance=False) as lease:
            assert len(lease.uuids) == 2


async def test_no_gpu_at_all_is_said_plainly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with GpuPool(home=pretend(monkeypatch, tmp_path, "0")) as pool:
        with pytest.raises(NeverFits, match="there is no GPU on this machine, and 2 were asked for") as never:
            await pool.acquire(gpus=2)
    assert never.value.vram_mib == ()
    assert "PASSLOOP_VIRTUAL_GPUS" in never.value.hint


async def test_leases_are_hashable_and_equal_to_themselves_only(pool: GpuPool) -> None:
    one, two = await pool.acquire(), await pool.acquire()
    assert {one: "a", two: "b"}[one] == "a"
    assert one != two


async def test_a_lease_ends_with_its_block_also_when_that_raises(pool: GpuPool, engine: Engine) -> None:
    with pytest.raises(ZeroDivisionError):
        async with pool.lease(gpus=3):
            raise ZeroDivisionError
    assert await all_free(engine)


async def test_giving_back_twice_is_no_error(pool: GpuPool, engine: Engine) -> None:
    lease = await pool.acquire()
    await pool.release(lease)
    await pool.release(lease)
    assert pool.statistics().released == 1
    (task,) = await engine.tasks(lease.task)
    assert (task.state, task.message) == ("succeeded", "released")


async def test_the_end_of_a_pool_gives_back_what_it_held(engine: Engine) -> None:
    async with GpuPool(home=engine.home) as pool:
        await pool.acquire(gpus=2)
    assert await all_free(engine)


async def test_a_lease_that_was_removed_is_given_back_and_its_gpus_are_free(home: Path, engine: Engine) -> None:
    async with GpuPool(home=home) as pool:
        first, _second = await pool.acquire(), await pool.acquire()
        await engine.cancel(first.task)
        await engine._door.post("/tasks/rm", {"select": [str(first.task)]})
    assert await all_free(engine)
    assert pool.statistics().released == 2


async def test_gpus_are_free_for_other_homes_though_their_engine_was_told_to_go_down(home: Path) -> None:
    """It was in this process, which is no engine again then; and each lease is tried at the end."""
    async with contextlib.AsyncExitStack() as block:
        pool = await block.enter_async_context(GpuPool(home=home))
        leases = [await pool.acquire(), await pool.acquire()]
        await pool._door.post("/down", {"mode": "now"})
        assert pool._door._hosting is not None
        await asyncio.wait([pool._door._hosting])
        with pytest.raises(passloop.EngineGone):
            await pool.release(leases[0])
        assert locked(home, *leases[0].uuids) == [None]
        assert locked(home, *leases[1].uuids) != [None]
        with pytest.raises(passloop.EngineGone):
            await block.aclose()
    assert locked(home, *leases[0].uuids, *leases[1].uuids) == [None, None]


async def test_a_release_that_is_cancelled_can_be_done_again(
    pool: GpuPool, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = await pool.acquire()
    locking, wait = pool._locked[lease.task], asyncio.wait

    async def cancelled_here(tasks: object, **how: Any) -> Any:
        if tasks == [locking]:
            patch.undo()
            current = asyncio.current_task()
            assert current is not None
            current.cancel()
        return await wait(tasks, **how)  # type: ignore[call-overload]

    with monkeypatch.context() as patch:
        patch.setattr(asyncio, "wait", cancelled_here)
        with pytest.raises(asyncio.CancelledError):
            await pool.release(lease)
    await pool.release(lease)
    assert await all_free(engine)


async def test_a_cancelled_waiter_leaves_nothing_behind(pool: GpuPool, engine: Engine) -> None:
    held = await pool.acquire(gpus=3)
    waiter = asyncio.create_task(pool.acquire())
    await until(engine, waiting(1))
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    assert [task.state for task in await engine.tasks()] == ["running", "cancelled"]
    await pool.release(held)
    assert await all_free(engine)


async def test_a_waiter_cancelled_at_the_moment_of_its_grant_leaves_nothing_behind(
    pool: GpuPool, engine: Engine
) -> None:
    """Cancelled after ever more steps of the loop: before it is queued, while it is granted, and afterwards."""
    granted: list[Lease] = []
    for steps in range(0, 60, 3):
        held = await pool.acquire(gpus=3)
        waiter = asyncio.create_task(pool.acquire(gpus=3))
        giving = asyncio.create_task(pool.release(held))
        for _ in range(steps):
            await asyncio.sleep(0)
        waiter.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            granted.append(await waiter)
            await pool.release(granted[-1])
        await giving
        assert await all_free(engine), f"after {steps} steps"
    assert pool.statistics().waiting == pool.statistics().held == 0


async def test_a_lease_that_a_user_cancels_while_it_waits_says_so(pool: GpuPool, engine: Engine) -> None:
    held = await pool.acquire(gpus=3)
    waiter = asyncio.create_task(pool.acquire())
    _, queued = await until(engine, waiting(1))
    await engine.cancel(queued.id, reason="not tonight")
    with pytest.raises(passloop.PassloopError, match="not tonight"):
        await waiter
    await pool.release(held)


async def test_the_death_of_a_holder_gives_its_gpus_back(pool: GpuPool, engine: Engine) -> None:
    async with holding(3) as holder:
        assert len(holder.uuids) == 3
        mine = asyncio.create_task(pool.acquire(gpus=2))
        await until(engine, waiting(1))
        await holder.kill()
        assert len((await mine).uuids) == 2


async def test_a_pool_goes_on_when_the_process_with_the_engine_is_killed(home: Path) -> None:
    async with holding(3) as holder, GpuPool(max_parallel=1, home=home) as pool, passloop.open(home) as engine:
        assert not engine.embedded
        mine = asyncio.create_task(pool.acquire(gpus=3))
        await until(engine, waiting(1))
        await holder.kill()
        assert (await mine).uuids == holder.uuids


async def test_a_lease_outlives_the_engine_that_granted_it(home: Path) -> None:
    async with contextlib.AsyncExitStack() as engine:
        await engine.enter_async_context(passloop.open(home))
        async with GpuPool(home=home) as pool:
            lease = await pool.acquire(gpus=2)
            await engine.aclose()
            other = await pool.acquire(timeout=30)
            assert not set(lease.uuids) & set(other.uuids), "the next engine found the lease again"
            await pool.release(lease)
            assert len((await pool.acquire(gpus=2)).uuids) == 2


async def test_gpus_that_this_process_cannot_lock_are_given_back_with_the_reason(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where another home got them after the engine that had locked them died: here ours is the other home."""
    async with passloop.open(home) as engine, GpuPool(home=home) as pool:

        def for_another_home(folder: str, home_id: str, uuids: Iterable[str]) -> DeviceLocks:
            return lock_gpus(folder, "another", uuids)

        monkeypatch.setattr("passloop.api.gpu_locks.lock_gpus", for_another_home)
        with pytest.raises(passloop.PassloopError, match="the lease was given back: passloop home") as refused:
            await pool.acquire(gpus=2)
        assert refused.value.code == "lease_ended"
        assert await all_free(engine)
        assert pool.statistics().held == 0


async def test_a_waiter_cancelled_while_it_locks_leaves_no_lock(
    pool: GpuPool, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, begun, ended_locking, go_on = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event(), threading.Event()

    def late(folder: str, home_id: str, uuids: Iterable[str]) -> DeviceLocks:
        loop.call_soon_threadsafe(begun.set)
        go_on.wait(30)
        locks = lock_gpus(folder, home_id, uuids)
        loop.call_soon_threadsafe(ended_locking.set)
        return locks

    monkeypatch.setattr("passloop.api.gpu_locks.lock_gpus", late)
    waiter = asyncio.create_task(pool.acquire(gpus=2))
    await begun.wait()
    waiter.cancel()
    await until(engine, ended)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    await ended_locking.wait()
    assert await all_free(engine)


@pytest.mark.parametrize("mode", ["--now", "--leave", ""])
async def test_going_down_takes_no_lease_from_its_holder(home: Path, tmp_path: Path, mode: str) -> None:
    with ended_boxes(tmp_path) as box:
        assert box.run("up").code == 0
        async with GpuPool(home=home) as pool:
            lease = await pool.acquire(gpus=2)
            assert (await asyncio.to_thread(box.run, "down", *mode.split())).code == 0
            other = await pool.acquire(timeout=30)
            assert not set(lease.uuids) & set(other.uuids)
            async with passloop.open(home) as engine:
                (task,) = await engine.tasks(lease.task)
                assert (task.state, task.attempt, task.gpus) == ("running", 1, lease.uuids)


async def test_commands_and_leases_are_on_one_ledger(pool: GpuPool, engine: Engine) -> None:
    lease = await pool.acquire(gpus=3)
    run = await engine.submit(passloop.command("true", gpus=1))
    assert any(f"task {lease.task}" in reason for reason in await engine.why(run.task_ids[0]))
    await pool.release(lease)
    assert (await run.wait()).succeeded


@pytest.mark.parametrize("wrong", [{"gpus": 0}, {"gpus": -1}])
async def test_arguments_that_cannot_be_raise_at_once(pool: GpuPool, wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least one"):
        await pool.acquire(**wrong)  # type: ignore[arg-type]


async def test_a_size_without_a_unit_is_refused_with_the_form(pool: GpuPool) -> None:
    with pytest.raises(passloop.PassloopError, match="GiB"):
        await pool.acquire(min_memory="8")


@pytest.mark.parametrize("gpus", ["x", None, 1.5, True])
async def test_what_is_no_number_of_gpus_is_refused_before_anything_is_asked(home: Path, gpus: object) -> None:
    closed = GpuPool(home=home)  # any request would fail otherwise: it is not open
    with pytest.raises(TypeError, match=r"gpus is .*a lease is of whole GPUs"):
        await closed.acquire(gpus)  # type: ignore[arg-type]
    assert closed.statistics().waiting == 0


@pytest.mark.parametrize("seconds", [-1, -0.5, float("nan")])
async def test_a_time_that_nobody_can_wait_is_refused_before_anything_is_asked(home: Path, seconds: float) -> None:
    closed = GpuPool(home=home)
    with pytest.raises(ValueError, match=r"timeout is .*wait 0 seconds or more"):
        async with closed.lease(timeout=seconds):
            pass
    assert closed.statistics().waiting == 0


def test_a_pool_for_no_lease_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="max_parallel is 0"):
        GpuPool(max_parallel=0)


class TestRealMemory:
    """Devices that differ in what others use, as NVML tells it."""

    @pytest.fixture
    async def pool(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, machine: FakeMachine
    ) -> AsyncIterator[GpuPool]:
        home = pretend(monkeypatch, tmp_path, None)
        machine.show(
            gpu("a", 1, "used=60000", "util=0"), gpu("b", 2, "used=12000", "util=0"), gpu("c", 3, "used=0", "util=70")
        )
        async with GpuPool(home=home) as opened:
            yield opened

    async def test_gpus_with_too_little_free_memory_are_left_out(self, pool: GpuPool) -> None:
        async with pool.lease(gpus=2, min_memory="40GiB", timeout=30) as lease:
            assert sorted(lease.uuids) == ["GPU-b", "GPU-c"]

    async def test_several_gpus_have_about_the_same_memory_free(self, pool: GpuPool) -> None:
        async with pool.lease(gpus=2, min_memory="8GiB", timeout=30) as lease:
            assert sorted(lease.uuids) == ["GPU-b", "GPU-c"]
        async with pool.lease(gpus=3, min_memory="8GiB", balance=False, timeout=30) as lease:
            assert len(lease.uuids) == 3
        with pytest.raises(TimeoutError):
            await pool.acquire(gpus=3, min_memory="8GiB", balance=True, timeout=0.05)

    async def test_the_best_score_goes_first_six_parts_memory_and_four_parts_idleness(self, pool: GpuPool) -> None:
        """a: 0.6 x 0.26 + 0.4 = 0.56; b: 0.6 x 0.85 + 0.4 = 0.91; c: 0.6 x 1 + 0.4 x 0.3 = 0.72."""
        order = [(await pool.acquire(min_memory="8GiB", timeout=30)).uuids for _ in range(3)]
        assert order == [("GPU-b",), ("GPU-c",), ("GPU-a",)]
