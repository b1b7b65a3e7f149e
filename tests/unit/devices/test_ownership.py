"""Whose processes hold a device, judged from a made-up /proc and from real processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from passloop.devices.base import ProcessUse, Reading
from passloop.devices.ownership import ATTEMPT_VARIABLE, Holding, Ownership
from passloop.devices.procfs import INITIAL_PID_NAMESPACE, ProcessTable, process_exists
from passloop.kernel.events import DeviceSeen

HOME = "abcd1234"
TOTAL = 80_000


class FakeProc:
    """A folder that looks like /proc."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.ended: set[int] = set()
        (root / "self" / "ns").mkdir(parents=True)
        (root / "self" / "ns" / "pid").symlink_to(INITIAL_PID_NAMESPACE)

    def add(
        self, pid: int, *, parent: int = 1, ticks: int = 0, environ: Mapping[str, str] | None = None, name: str = "x"
    ) -> None:
        folder = self.root / str(pid)
        folder.mkdir(exist_ok=True)
        fields = [str(pid), f"({name})", "S", str(parent), *["0"] * 17, str(ticks or pid * 10)]
        (folder / "stat").write_text(" ".join(fields))
        (folder / "comm").write_text(f"{name}\n")
        pairs = [f"{key}={value}\0" for key, value in (environ or {}).items()]
        (folder / "environ").write_text("".join(["PATH=/bin\0", *pairs]))

    def in_container(self) -> None:
        (self.root / "self" / "ns" / "pid").unlink()
        (self.root / "self" / "ns" / "pid").symlink_to("pid:[4026532999]")


@pytest.fixture
def proc(tmp_path: Path) -> FakeProc:
    return FakeProc(tmp_path / "proc")


def judged(proc: FakeProc, *holdings: Holding, pids: tuple[int, ...] = (), used: int = 0, each: int = 0) -> DeviceSeen:
    processes = ProcessTable(proc.root, exists=lambda pid: pid not in proc.ended)
    ownership = Ownership(HOME, lambda: holdings, processes=processes)
    compute = tuple(ProcessUse(pid, each) for pid in pids)
    return ownership.judge(Reading("GPU-a", 0, "GPU", TOTAL, used_mib=used, reserve_mib=256, compute=compute))


def named(attempt: int, home: str = HOME) -> dict[str, str]:
    return {ATTEMPT_VARIABLE: f"{home}-{attempt}"}


def holding(attempt: int, shim: int = 0, *, uuid: str = "GPU-a", mib: int = TOTAL, ticks: int = 0) -> Holding:
    return Holding(attempt, shim=shim, shim_ticks=ticks, devices=((uuid, mib),))


def test_a_descendant_of_a_shim_is_ours(proc: FakeProc) -> None:
    proc.add(10)
    proc.add(11, parent=10)
    proc.add(12, parent=11)
    seen = judged(proc, holding(7, 10), pids=(12,))
    assert (seen.foreign, seen.strays) == ((), ())


def test_a_process_that_left_its_shim_is_ours_by_its_environment(proc: FakeProc) -> None:
    proc.add(12, environ=named(7))
    seen = judged(proc, holding(7, 10), pids=(12,))
    assert (seen.foreign, seen.strays) == ((), ())


def test_a_child_with_an_emptied_environment_is_ours_by_its_parent(proc: FakeProc) -> None:
    proc.add(12, environ=named(7))
    proc.add(13, parent=12)
    assert judged(proc, holding(7), pids=(13,)).foreign == ()


def test_a_process_of_an_ended_attempt_is_a_stray(proc: FakeProc) -> None:
    proc.add(12, environ=named(7))
    proc.add(13, environ=named(5))
    seen = judged(proc, holding(8), pids=(12, 13))
    assert (seen.foreign, seen.strays) == ((), (5, 7))


def test_an_unrelated_process_is_foreign_with_its_user_and_name(proc: FakeProc) -> None:
    proc.add(12, name="train")
    (foreign,) = judged(proc, holding(7, 10), pids=(12,), each=300, used=300).foreign
    assert (foreign.pid, foreign.name, foreign.vram_mib) == (12, "train", 300)
    assert foreign.user


def test_a_process_of_another_home_is_foreign_and_the_home_is_named(proc: FakeProc) -> None:
    proc.add(12, environ=named(7, "ffff0000"), name="train")
    (foreign,) = judged(proc, holding(7), pids=(12,)).foreign
    assert foreign.name == "train (passloop home ffff0000)"


def test_a_recycled_pid_of_a_shim_is_not_ours(proc: FakeProc) -> None:
    proc.add(10, ticks=999)
    assert judged(proc, holding(7, 10, ticks=100), pids=(10,)).foreign
    assert not judged(proc, holding(7, 10, ticks=999), pids=(10,)).foreign


def test_a_live_attempt_on_a_device_it_was_not_given_makes_it_not_free(proc: FakeProc) -> None:
    proc.add(12, environ=named(7), name="train")
    (foreign,) = judged(proc, holding(7, uuid="GPU-b"), pids=(12,)).foreign
    assert "attempt 7" in foreign.name
    assert "not given" in foreign.name


def test_a_process_that_holds_leases_itself_is_ours_on_each_of_their_devices(proc: FakeProc) -> None:
    proc.add(10)
    assert judged(proc, holding(7, 10, uuid="GPU-b"), holding(8, 10), pids=(10,)).foreign == ()


def test_a_task_inside_an_attempt_of_another_home_is_ours_by_descent(proc: FakeProc) -> None:
    proc.add(10)
    proc.add(11, parent=10, environ=named(7))
    proc.add(12, parent=11, environ=named(3, "ffff0000"))
    assert judged(proc, holding(7, 10), pids=(12,)).foreign == ()


def test_a_stray_under_a_process_that_holds_a_lease_is_still_a_stray(proc: FakeProc) -> None:
    proc.add(10)
    proc.add(11, parent=10, environ=named(5))
    assert judged(proc, holding(8, 10), pids=(11,)).strays == (5,)


def test_a_circle_of_parents_ends(proc: FakeProc) -> None:
    proc.add(10, parent=11)
    proc.add(11, parent=10)
    assert len(judged(proc, pids=(10,)).foreign) == 1


@pytest.mark.parametrize("value", ["", "-", "7", f"{HOME}-", f"{HOME}-x", f"{HOME}-7-8", f"{HOME}--7"])
def test_a_variable_that_is_no_attempt_of_ours_is_foreign(proc: FakeProc, value: str) -> None:
    proc.add(12, environ={ATTEMPT_VARIABLE: value})
    assert len(judged(proc, holding(7), pids=(12,)).foreign) == 1


def test_without_a_home_nothing_is_ours(proc: FakeProc) -> None:
    proc.add(12, environ={ATTEMPT_VARIABLE: "-7"})
    ownership = Ownership(processes=ProcessTable(proc.root))
    assert ownership.judge(Reading("GPU-a", 0, "GPU", TOTAL, compute=(ProcessUse(12),))).foreign


def test_a_hidden_process_is_foreign_on_a_plain_machine(proc: FakeProc) -> None:
    (foreign,) = judged(proc, holding(7, 10), pids=(99,)).foreign
    assert (foreign.pid, foreign.user, foreign.name) == (99, "", "process not visible here")


def test_a_process_that_ended_meanwhile_is_nobody_but_memory_it_left_is_not_usable(proc: FakeProc) -> None:
    proc.ended.add(99)
    assert judged(proc, pids=(99,), each=500, used=0).usable_mib == TOTAL
    seen = judged(proc, pids=(99,), each=500, used=20_256)
    assert (seen.foreign, seen.usable_mib) == ((), TOTAL - 20_000)


def test_the_kernel_is_asked_for_processes_that_are_not_visible() -> None:
    with subprocess.Popen([sys.executable, "-c", "pass"]) as child:
        assert process_exists(child.pid)
        child.communicate(timeout=30)
    assert not process_exists(child.pid)
    assert not process_exists(1 << 70)
    assert process_exists(1)


def test_a_hidden_process_in_a_container_is_ours_only_while_ours_hold_the_device(proc: FakeProc) -> None:
    proc.in_container()
    assert judged(proc, holding(7, 10), pids=(99,)).foreign == ()
    assert judged(proc, holding(7, 10, uuid="GPU-b"), pids=(99,)).foreign != ()
    assert judged(proc, pids=(99,)).foreign != ()


def test_an_attempt_that_has_not_started_explains_nothing(proc: FakeProc) -> None:
    proc.in_container()
    seen = judged(proc, holding(7, 0), pids=(99,), used=20_256)
    assert seen.foreign
    assert seen.usable_mib == TOTAL - 20_000


def test_hidden_memory_is_ours_up_to_what_ours_were_granted(proc: FakeProc) -> None:
    assert judged(proc, holding(7, 10, mib=30_000), used=20_256).usable_mib == TOTAL
    assert judged(proc, holding(7, 10, mib=30_000), used=45_256).usable_mib == TOTAL - 15_000
    assert judged(proc, used=45_256).usable_mib == TOTAL - 45_000


def test_what_ours_use_stays_usable_and_what_others_use_does_not(proc: FakeProc) -> None:
    proc.add(10)
    proc.add(12)
    seen = judged(proc, holding(7, 10, mib=5_000), pids=(10, 12), each=4_000, used=8_000)
    assert seen.usable_mib == TOTAL - 4_000


def test_usable_memory_is_never_negative(proc: FakeProc) -> None:
    proc.add(12)
    assert judged(proc, pids=(12,), each=TOTAL * 2, used=TOTAL * 2).usable_mib == 0


def test_a_real_child_is_ours_by_its_environment_and_by_descent() -> None:
    command = [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()"]
    environ = dict(os.environ) | named(7)
    with subprocess.Popen(command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        reading = Reading("GPU-a", 0, "GPU", TOTAL, compute=(ProcessUse(child.pid),))
        by_name = Ownership(HOME, lambda: [holding(7)]).judge(reading)
        by_descent = Ownership("99999999", lambda: [holding(1, os.getpid())]).judge(reading)
        ended = Ownership(HOME).judge(reading)
        foreign = Ownership("99999999").judge(reading)
        child.communicate(timeout=30)
    assert (by_name.foreign, by_descent.foreign, ended.strays) == ((), (), (7,))
    assert [one.pid for one in foreign.foreign] == [child.pid]


def test_names_from_other_processes_are_made_printable(proc: FakeProc) -> None:
    proc.add(12, name="a\x1b[31m\u202e" + "b" * 100)
    (foreign,) = judged(proc, pids=(12,)).foreign
    assert foreign.name.isprintable()
    assert len(foreign.name) <= 64


def test_processes_of_a_warm_worker_go_by_the_attempt_that_started_it(proc: FakeProc) -> None:
    proc.add(12, environ=named(7))
    serving = Holding(9, named=7, devices=(("GPU-a", TOTAL),))
    seen = judged(proc, serving, pids=(12,))
    assert (seen.foreign, seen.strays) == ((), ())
    elsewhere = Holding(9, named=7, devices=(("GPU-b", TOTAL),))
    assert judged(proc, elsewhere, pids=(12,)).foreign
