"""Workers that lie parked, as `/gpus` and `/status` tell of them and as people read it."""

from __future__ import annotations

from pathlib import Path

from passloop.cli.parked import worker_lines
from passloop.clock import iso_utc
from passloop.kernel.parking import IDLE_MOST
from passloop.web.models.now import lying_workers
from tests.support.builders import World
from tests.support.served import served


def parked_world() -> tuple[World, int, int]:
    """A box on which a worker of run 1 lies parked on its GPU; the worker, and when it was parked."""
    world = World(gpus=1, cpus=8)
    world.submit(warm_key="held", driver="workers", cpus=1, held=True)
    task = world.submit(warm_key="smollm2", driver="workers", gpus=1, run=1)
    worker = world.attempt(task)
    world.park(task)
    return world, worker, world.now


def test_a_parked_worker_is_told_with_run_key_times_and_devices() -> None:
    world, worker, since = parked_world()
    (told,) = lying_workers(world.machine)
    memory = told.pop("memory_mib")
    assert memory >= 0
    assert told == {
        "worker": worker,
        "run": 1,
        "key": "smollm2",
        "state": "parked",
        "since": iso_utc(since),
        "until": iso_utc(since + IDLE_MOST),
        "gpus": ["GPU-0"],
    }


def test_a_parked_worker_reads_as_a_sentence() -> None:
    world, worker, _ = parked_world()
    (line,) = worker_lines(lying_workers(world.machine))
    assert line.startswith(f"worker {worker}: parked of run 1, warm for smollm2, since ")
    assert line.endswith(" at most; lies on GPU-0")


def test_a_worker_told_to_end_is_said_to_be_ending() -> None:
    world, worker, _ = parked_world()
    world.submit(gpus=1)
    (told,) = lying_workers(world.machine)
    assert (told["state"], told["until"]) == ("ending", None)
    line = f"worker {worker}: ending, of run 1, warm for smollm2; lies on GPU-0"
    assert worker_lines([told]) == [line]
    world.worker_gone(worker)
    assert lying_workers(world.machine) == []


async def test_gpus_and_status_tell_of_workers(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        assert (await one.get("/gpus")).json()["workers"] == []
        assert (await one.get("/status")).json()["workers"] == []
