"""P4, its part in crashes: no device was held twice and all are free again, in the run of kills of P1; and two homes
with real engines share no device, though the engine of one is dead while its work goes on.

The machine's own laws are in `properties/test_machine_laws.py`, histories of two homes in `simulation/`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from passloop.devices.procfs import user_name
from passloop.kernel.tasks import TaskState
from tests.support.kill_runs import KillRuns, Remains
from tests.support.killing import SECONDS, Field, Nursery, worker
from tests.support.ledger import HOLDER
from tests.support.promises import record

CLOSES_ALL = "import os, sys; os.closerange(3, 4_096); os.execv(sys.argv[1], sys.argv[1:])"
"""What daemons do: of the locks that it inherits nothing is left in the command."""


def judge(runs: list[Remains]) -> None:
    kills = sum(run.kills for run in runs)
    for run in runs:
        run.assert_p04_no_device_was_held_twice()
        assert all(gpu["state"] == "available" and gpu["free_mib"] == gpu["vram_mib"] for gpu in run.gpus)
        assert not any(gpu["holders"] or gpu["strays"] for gpu in run.gpus)
    holders = sum(len(line.gpus) for run in runs for line in run.lines() if line.what == "start")
    record("P4", f"{kills} kills, {holders} devices given out, 0 held twice", kills=kills, given=holders, twice=0)


@pytest.mark.timeout(300)
def test_p04_two_hundred_kills_give_no_device_out_twice(kill_runs: KillRuns) -> None:
    judge(kill_runs.all(kills=50, seeds=range(4)))


@pytest.mark.large
@pytest.mark.timeout(3_600)
def test_p04_a_thousand_kills_give_no_device_out_twice(kill_runs: KillRuns) -> None:
    judge(kill_runs.all(kills=100, seeds=range(10, 20)))


@pytest.fixture
def two_homes(tmp_path: Path) -> Iterator[tuple[Field, Field]]:
    """Two homes on one box with the same two devices, and a folder for the locks that all homes share."""
    locks = tmp_path / "locks"
    for folder in (locks, tmp_path / "one", tmp_path / "two"):
        folder.mkdir()
    locks.chmod(0o1777)
    with Field.on(tmp_path / "one", gpus="2x80GiB") as one, Field.on(tmp_path / "two", gpus="2x80GiB") as two:
        for field in (one, two):
            field.environ["PASSLOOP_LOCK_DIR"] = str(locks)
        yield one, two


def why(field: Field, task: int) -> str:
    """What a task is told to wait for."""
    blockers = field.client.get(f"/tasks/{task}/why", timeout=SECONDS)["blockers"]
    return "; ".join(blocker["sentence"] for blocker in blockers)


def test_p04_what_runs_keeps_its_device_from_another_home_though_its_engine_is_dead(
    two_homes: tuple[Field, Field], nursery: Nursery
) -> None:
    one, two = two_homes
    engine = nursery.engine(one.home.path, one.environ)
    assert engine.wait_ready()
    command = [sys.executable, "-I", "-S", "-c", CLOSES_ALL, *worker(one.folder, "gate")]
    first = one.submit_tasks([{"command": command}])
    one.wait_lines("start", 1)
    one.wait_running(first)
    engine.kill()
    other = nursery.engine(two.home.path, two.environ)
    assert other.wait_ready()
    beside = two.submit(0)
    two.wait_final(beside)
    with two.client.events() as events:
        (both,) = two.submit(0, gpus=2)
        while not (said := why(two, both)):
            events.ready()
    holder = f"passloop home {one.home_id()[:16]} ({user_name(os.geteuid())})"
    assert said == f"GPU 0 (GPU-virtual-0) is used by {holder}, not ours"
    assert [line.task for line in two.lines() if line.what == "start"] == beside
    one.open_gate()
    two.wait_final([both])
    assert one.wait_lines("end", 1)[0].at < two.wait_lines("start", 2)[1].at
    again = nursery.engine(one.home.path, one.environ)
    assert again.wait_ready()
    one.wait_final(first)
    assert {row.state for row, _ in one.ledger().values()} == {TaskState.SUCCEEDED}
    for field in (one, two):
        field.assert_everything_is_free_and_whole()
    for victim in (again, other):
        victim.kill()
    record("P4", "two engines with two homes: a dead engine's work kept its device from the other", homes=2, twice=0)


def test_p04_a_lease_keeps_its_devices_from_another_home_though_its_engine_is_dead(
    two_homes: tuple[Field, Field], nursery: Nursery
) -> None:
    one, two = two_homes
    engine = nursery.engine(one.home.path, one.environ)
    assert engine.wait_ready()
    words = [sys.executable, "-c", HOLDER, "2"]
    with subprocess.Popen(words, env=one.environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"GPU-virtual-0,GPU-virtual-1\n"
        engine.kill()
        other = nursery.engine(two.home.path, two.environ)
        assert other.wait_ready()
        with two.client.events() as events:
            waiting = two.submit(0)
            while not (said := why(two, waiting[0])):
                events.ready()
        assert f"is used by passloop home {one.home_id()[:16]} ({user_name(os.geteuid())}), not ours" in said
        again = nursery.engine(one.home.path, one.environ)
        assert again.wait_ready()
        gpus = one.client.get("/gpus", timeout=SECONDS)["gpus"]
        assert [(gpu["holders"], gpu["foreign"]) for gpu in gpus] == [([1], [])] * 2
        for victim in (again, other):
            victim.kill()
        assert not [line for line in two.lines() if line.what == "start"]
        holder.kill()
    for field, tasks in ((two, waiting), (one, [1])):  # each looks at its devices when it comes up
        assert nursery.engine(field.home.path, field.environ).wait_ready()
        field.wait_final(tasks)
    for field in (one, two):
        field.assert_p04_all_devices_are_free()
