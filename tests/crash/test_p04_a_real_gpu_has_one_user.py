"""P4 on a real GPU where there is one: it is kept from everybody while its last user is there, whoever that is.

A foreign process holds it, then the task of a home whose engine and shim are killed with 9, and beside them another
home wants it. Nothing is needed but the driver's libraries. The same story is told to the stand-in for NVML, so that it
is known to run where there is no GPU.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from passloop.devices.nvml import NvmlInventory
from passloop.drivers.identity import process_from_json
from passloop.store.inotify import MODIFIED, watcher
from tests.support.fake_nvml.machine import FakeMachine, build, gpu
from tests.support.killing import ROOT, SECONDS, Field, Nursery
from tests.support.promises import record

HOLDER = Path(__file__).parents[1] / "support" / "gpu_holder.py"
MIB = 2_048
UNTOLD_MIB = 1_024
"""What a driver may keep of a device for itself from one look to the next, and much less than a holder takes."""


@dataclass
class Box:
    """One device, how programs find it, and where those that hold it say so."""

    folder: Path
    uuid: str
    environ: dict[str, str] = field(default_factory=dict)
    bury: Callable[[int], None] = lambda _pid: None
    """Takes a dead process off the device, which a real driver does by itself."""

    def command(self) -> list[str]:
        words = [f"{name}={value}" for name, value in self.environ.items()]
        return ["env", *words, sys.executable, "-I", "-S", str(HOLDER), *self.paths(), str(MIB)]

    def paths(self) -> list[str]:
        return [str(self.folder / "held"), str(self.folder / "gate")]

    def held(self, count: int) -> dict[str, Any]:
        """Wait until so many have held the device, one after another; what the last said."""
        with watcher() as watch:
            watch.add(str(self.folder / "held"), MODIFIED)
            while len(lines := (self.folder / "held").read_text().splitlines()) < count:
                assert select.select([watch], [], [], SECONDS)[0], f"nobody is the {count}. to hold it"
                watch.drain()
        assert len(lines) == count, lines
        found: dict[str, Any] = json.loads(lines[-1])
        return found

    def let_go(self, count: int) -> None:
        """Let the last of so many end by itself."""
        gate = os.open(self.folder / "gate", os.O_WRONLY)
        os.write(gate, b"\n")
        os.close(gate)
        self.ended(self.held(count)["pid"])

    def ended(self, holder: int) -> None:
        """Wait for the end of a process that descends from somebody else."""
        try:
            descriptor = os.pidfd_open(holder)
        except ProcessLookupError:
            pass
        else:
            assert select.select([descriptor], [], [], SECONDS)[0], f"{holder} lives on"
            os.close(descriptor)
        self.bury(holder)


def real_box(folder: Path) -> Box:
    inventory = NvmlInventory()
    devices = inventory.look()
    reason = inventory.absent_reason
    inventory.close()
    usable = [one.uuid for one in devices if not (one.foreign or one.fault)]
    if not usable:
        pytest.skip(f"no real GPU that nobody uses: {reason or 'others use them all'}")
    return Box(folder, usable[0])


def stand_in(folder: Path) -> Box:
    shown = FakeMachine(folder / "machine")
    shown.show(gpu("a", 1))

    def bury(pid: int) -> None:
        shown.show(*(line for line in shown.file.read_text().splitlines() if f"pid={pid} " not in line))

    return Box(folder, "GPU-a", {"LD_LIBRARY_PATH": str(build(folder).parent), "FAKE_NVML": str(shown.file)}, bury)


@pytest.fixture(params=["real", "stand-in"])
def box(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Box]:
    (tmp_path / "held").touch()
    os.mkfifo(tmp_path / "gate")
    made = real_box(tmp_path) if request.param == "real" else stand_in(tmp_path)
    gate = os.open(tmp_path / "gate", os.O_RDWR | os.O_NONBLOCK)
    yield made
    os.close(gate)


@pytest.fixture
def homes(box: Box, tmp_path: Path) -> Iterator[tuple[Field, Field]]:
    """Two homes that may use this one device."""
    for name in ("locks", "one", "two"):
        (tmp_path / name).mkdir()
    (tmp_path / "locks").chmod(0o1777)
    with Field.on(tmp_path / "one") as one, Field.on(tmp_path / "two") as two:
        for each in (one, two):
            del each.environ["PASSLOOP_VIRTUAL_GPUS"]
            each.environ |= {"PASSLOOP_LOCK_DIR": str(tmp_path / "locks"), "PASSLOOP_GPUS_ALLOW": box.uuid}
            each.environ |= box.environ
        yield one, two


def wait_for_reason(home: Field, task: int, reason: str) -> None:
    """Until a task is told to wait for this; it is asked at each commit."""
    with home.client.events() as events:
        while reason not in (said := why(home, task)):
            assert events.ready() is not False, said


def why(home: Field, task: int) -> str:
    blockers = home.client.get(f"/tasks/{task}/why", timeout=SECONDS)["blockers"]
    return "; ".join(blocker["sentence"] for blocker in blockers)


@contextmanager
def outsider(box: Box) -> Iterator[subprocess.Popen[bytes]]:
    """A process of nobody's home that holds the device."""
    environ = {**os.environ, **box.environ, "CUDA_VISIBLE_DEVICES": box.uuid}
    with subprocess.Popen(box.command(), env=environ, cwd=ROOT) as process:
        try:
            yield process
        finally:
            process.kill()


def kill_shim(home: Field, task: int) -> None:
    (attempt,) = home.ledger()[task][1]
    os.kill(process_from_json(attempt.process).pid, signal.SIGKILL)


def check_nobody_of_ours(home: Field) -> None:
    """What others have there may have been seen a while ago."""
    (device,) = home.client.get("/gpus", timeout=SECONDS)["gpus"]
    assert (device["holders"], device["strays"]) == ([], [])


def test_p04_a_device_is_kept_from_everybody_while_its_last_user_is_there(box: Box, homes: tuple[Field, Field]) -> None:
    one, two = homes
    with Nursery(environ={**os.environ, **box.environ}) as nursery, ExitStack() as stack:
        foreign = stack.enter_context(outsider(box))
        free_mib = box.held(1)["used_before"]
        engine, other = nursery.engine(one.home.path, one.environ), nursery.engine(two.home.path, two.environ)
        assert engine.wait_ready()
        assert other.wait_ready()
        (first,) = one.submit_tasks([{"command": box.command()}])
        wait_for_reason(one, first, "not ours")
        foreign.kill()
        foreign.wait()
        box.bury(foreign.pid)
        holder = box.held(2)
        assert (holder["device"], holder["order"], holder["seen"]) == (box.uuid, "PCI_BUS_ID", 1)
        assert holder["used_before"] < free_mib + UNTOLD_MIB
        one.wait_running([first])
        (second,) = two.submit_tasks([{"command": box.command()}])
        wait_for_reason(two, second, "not ours")
        engine.kill()
        kill_shim(one, first)
        os.kill(holder["pid"], 0)
        assert "not ours" in why(two, second)
        again = nursery.engine(one.home.path, one.environ)
        assert again.wait_ready()
        one.cancel([first])
        box.ended(holder["pid"])
        assert box.held(3)["used_before"] < free_mib + UNTOLD_MIB, "it was given away while its last user was there"
        box.let_go(3)
        two.wait_final([second])
        one.wait_final([first])
        last = one.submit_tasks([{"command": box.command()}])
        assert box.held(4)["used_before"] < free_mib + UNTOLD_MIB
        box.let_go(4)
        one.wait_final(last)
        for home in homes:
            check_nobody_of_ours(home)
            home.assert_whole_and_nobody_lives()
        for victim in (again, other):
            victim.kill()
    real = not box.environ
    where = "a real GPU" if real else "the stand-in for NVML"
    figure = f"{where}: a foreign process, a dead engine's and dead shim's task, another home: 0 held twice"
    record("P4", figure, real_gpus=int(real), stand_in_gpus=int(not real), twice=0)
