"""Locks between two homes on one box: with real files, descriptors and processes."""

from __future__ import annotations

import fcntl
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from passloop.devices import locks as locks_file
from passloop.devices.errors import LockFolderRefused
from passloop.devices.locks import DeviceLocks, default_folder, device_locks
from tests.support.forked_child import forked_child, open_files
from tests.support.wants import no_thread_begins

GPU = "GPU-a"
HOLD = "import sys; print(flush=True); sys.stdin.read()"
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to another user")
NOBODY = 65534


@pytest.fixture
def ours(folder: Path) -> DeviceLocks:
    return DeviceLocks("aaaa1111", folder)


def let_all_wait_in_vain() -> None:
    """Wait until nobody waits any more for a gate that was locked too long."""
    for thread in threading.enumerate():
        if thread.name == "passloop-device-gate":
            thread.join(30)


def test_a_device_belongs_to_one_home_at_a_time(ours: DeviceLocks, theirs: DeviceLocks) -> None:
    assert ours.take(GPU) is not None
    assert theirs.take(GPU) is None
    ours.release(GPU)
    assert theirs.take(GPU) is not None
    assert ours.take(GPU) is None


def test_other_devices_are_not_touched(ours: DeviceLocks, theirs: DeviceLocks) -> None:
    assert ours.take(GPU) is not None
    assert theirs.take("GPU-ab") is not None


def test_a_home_takes_a_device_for_several_leases(ours: DeviceLocks, theirs: DeviceLocks) -> None:
    assert ours.take(GPU) == ours.take(GPU) == ours.descriptor(GPU)
    ours.release(GPU)
    assert theirs.take(GPU) is None
    ours.release(GPU)
    assert ours.descriptor(GPU) is None
    assert theirs.take(GPU) is not None


def test_releasing_what_is_not_held_does_nothing(ours: DeviceLocks) -> None:
    ours.release(GPU)
    assert ours.take(GPU) is not None


def test_the_home_that_has_a_device_is_named(ours: DeviceLocks, theirs: DeviceLocks) -> None:
    assert theirs.taken_elsewhere(GPU) is None
    ours.take(GPU)
    other = theirs.taken_elsewhere(GPU)
    assert other is not None
    assert (other.home_id, bool(other.user), other.trouble) == ("aaaa1111", True, "")
    assert ours.taken_elsewhere(GPU) is None


def test_a_shim_keeps_the_device_when_its_engine_is_gone(ours: DeviceLocks, theirs: DeviceLocks, folder: Path) -> None:
    descriptor = ours.take(GPU)
    assert descriptor is not None
    command = [sys.executable, "-c", HOLD]
    with subprocess.Popen(command, pass_fds=[descriptor], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as shim:
        assert shim.stdout is not None
        shim.stdout.readline()
        ours.close()
        assert theirs.take(GPU) is None
        next_engine = DeviceLocks("aaaa1111", folder)
        assert next_engine.take(GPU) is not None
        next_engine.close()
        assert theirs.take(GPU) is None
        shim.communicate(timeout=30)
    assert theirs.take(GPU) is not None


def test_what_an_engine_starts_besides_shims_keeps_no_device(ours: DeviceLocks, theirs: DeviceLocks) -> None:
    ours.take(GPU)
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, close_fds=False):
        ours.release(GPU)
        assert theirs.take(GPU) is not None


def test_a_holder_that_gives_back_unlocks_for_its_children_too(ours: DeviceLocks, theirs: DeviceLocks) -> None:
    descriptor = ours.take(GPU)
    assert descriptor is not None
    inherited = os.dup(descriptor)
    ours.give_back()
    assert theirs.take(GPU) is not None
    os.close(inherited)


def test_ending_one_of_two_leases_leaves_the_others_lock(ours: DeviceLocks, theirs: DeviceLocks) -> None:
    descriptor = ours.take(GPU)
    assert descriptor is not None
    kept = os.dup(descriptor)
    ours.release(GPU)
    assert theirs.take(GPU) is None
    os.close(kept)
    assert theirs.take(GPU) is not None


def test_every_user_may_read_the_files_and_nobody_else_may_write(ours: DeviceLocks, folder: Path) -> None:
    before = os.umask(0o077)
    try:
        ours.take(GPU)
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert modes == {"passloop-GPU-a.gate": 0o644, "passloop-GPU-a.aaaa1111.lock": 0o644}


def test_idle_files_of_our_own_user_are_removed(ours: DeviceLocks, theirs: DeviceLocks, folder: Path) -> None:
    ours.take(GPU)
    ours.release(GPU)
    theirs.take(GPU)
    assert sorted(path.name for path in folder.iterdir()) == [
        "passloop-GPU-a.bbbb2222.lock",
        "passloop-GPU-a.gate",
    ]


@pytest.mark.parametrize("name", ["passloop-GPU-a.aaaa1111.lock", "passloop-GPU-a.gate"])
@pytest.mark.parametrize("is_there", [True, False])
def test_a_link_in_place_of_a_file_is_not_followed(
    ours: DeviceLocks, folder: Path, tmp_path: Path, name: str, is_there: bool
) -> None:
    target = tmp_path / "target"
    if is_there:
        target.touch()
    (folder / name).symlink_to(target)
    assert ours.take(GPU) is None
    assert target.exists() is is_there


def test_a_link_in_place_of_another_homes_lock_locks_nothing(ours: DeviceLocks, folder: Path, tmp_path: Path) -> None:
    link, target = folder / "passloop-GPU-a.bbbb2222.lock", tmp_path / "target"
    target.touch()
    link.symlink_to(target)
    with target.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert ours.take(GPU) is not None
    assert link.is_symlink()


def test_a_pipe_or_folder_in_place_of_a_lock_blocks_nobody(ours: DeviceLocks, folder: Path) -> None:
    os.mkfifo(folder / "passloop-GPU-a.bbbb2222.lock")
    (folder / "passloop-GPU-a.cccc3333.lock").mkdir()
    assert ours.take(GPU) is not None


def test_a_gate_that_is_no_plain_file_is_trouble_that_is_told(ours: DeviceLocks, folder: Path) -> None:
    (folder / "passloop-GPU-a.gate").mkdir()
    assert ours.take(GPU) is None
    other = ours.taken_elsewhere(GPU)
    assert other is not None
    assert "passloop-GPU-a.gate" in other.trouble


@pytest.mark.parametrize("how", [fcntl.LOCK_EX, fcntl.LOCK_SH])
def test_a_gate_that_is_held_is_not_waited_for_long(ours: DeviceLocks, folder: Path, how: int) -> None:
    """Nor passed beside anybody, who may look at the same locks and see the device free, too."""
    ours.take(GPU)
    ours.release(GPU)
    gate = os.open(folder / "passloop-GPU-a.gate", os.O_RDONLY)
    fcntl.flock(gate, how)
    assert ours.take(GPU) is None
    other = ours.taken_elsewhere(GPU)
    assert other is not None
    assert other.trouble == "another engine is deciding about it"
    os.close(gate)
    assert ours.take(GPU) is not None


def test_a_gate_that_is_let_go_in_time_is_passed(
    ours: DeviceLocks, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours.take(GPU)
    ours.release(GPU)
    monkeypatch.setattr(locks_file, "GATE_PATIENCE_S", 30.0)
    command = [
        sys.executable,
        "-c",
        "import fcntl, sys; f = open(sys.argv[1]); fcntl.flock(f, fcntl.LOCK_EX); print(flush=True); f.close()",
        str(folder / "passloop-GPU-a.gate"),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        assert ours.take(GPU) is not None
        other.communicate(timeout=30)


def test_a_gate_that_no_thread_can_wait_for_is_not_passed_and_leaves_nothing_open(
    ours: DeviceLocks, folder: Path
) -> None:
    ours.take(GPU)
    ours.release(GPU)
    gate = os.open(folder / "passloop-GPU-a.gate", os.O_RDONLY)
    fcntl.flock(gate, fcntl.LOCK_EX)
    let_all_wait_in_vain()
    before = sorted(os.listdir("/proc/self/fd"))
    with no_thread_begins():
        assert ours.take(GPU) is None
    assert sorted(os.listdir("/proc/self/fd")) == before
    os.close(gate)
    assert ours.take(GPU) is not None


@AS_ROOT
def test_a_file_of_another_user_that_cannot_be_read_counts_as_locked(folder: Path) -> None:
    locked = folder / "passloop-GPU-a.bbbb2222.lock"
    locked.touch(mode=0o600)
    script = (
        "import os, sys; from pathlib import Path; from passloop.devices.locks import DeviceLocks\n"
        "locks = DeviceLocks('aaaa1111', Path(sys.argv[1]))\n"
        f"os.setuid({NOBODY})\n"
        "print(locks.take('GPU-a'), locks.taken_elsewhere('GPU-a').home_id)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(folder)], capture_output=True, timeout=50, check=True)
    assert done.stdout.split() == [b"None", b"bbbb2222"]


@AS_ROOT
def test_two_users_keep_off_each_others_devices(folder: Path, ours: DeviceLocks) -> None:
    script = (
        "import os, sys; from pathlib import Path; from passloop.devices.locks import DeviceLocks\n"
        "locks = DeviceLocks('bbbb2222', Path(sys.argv[1]))\n"
        f"os.setuid({NOBODY})\n"
        "print(locks.take('GPU-a'), locks.take('GPU-b') is not None, flush=True)\n"
        "sys.stdin.read()"
    )
    assert ours.take(GPU) is not None
    command = [sys.executable, "-c", script, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline().split() == [b"None", b"True"]
        assert ours.take("GPU-b") is None
        taken = ours.taken_elsewhere("GPU-b")
        assert taken is not None
        assert taken.user == "nobody"
        other.communicate(timeout=30)
    assert ours.take("GPU-b") is not None


def test_a_folder_that_is_a_link_is_refused(tmp_path: Path, folder: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(folder)
    with pytest.raises(LockFolderRefused, match=r"is a link.*PASSLOOP_LOCK_DIR"):
        DeviceLocks("aaaa1111", link)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LockFolderRefused, match="cannot be opened"):
        DeviceLocks("aaaa1111", tmp_path / "missing")


def test_a_folder_open_to_all_but_not_sticky_is_refused(folder: Path) -> None:
    folder.chmod(0o777)
    with pytest.raises(LockFolderRefused, match="not sticky"):
        DeviceLocks("aaaa1111", folder)


@AS_ROOT
def test_a_folder_of_another_user_is_refused(folder: Path) -> None:
    os.chown(folder, NOBODY, NOBODY)
    with pytest.raises(LockFolderRefused, match="belongs to another user"):
        DeviceLocks("aaaa1111", folder)


def test_what_a_program_forks_while_it_decides_keeps_no_other_home_from_deciding(
    ours: DeviceLocks, theirs: DeviceLocks, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A child has each descriptor that is open just then: of the gate, and of another home's file that is looked at."""
    earlier = DeviceLocks(theirs.home_id, folder)
    assert earlier.take(GPU) is not None
    earlier.close()
    real, inherited = os.open, list[int]()

    def fork_then(*about: Any, **named: Any) -> int:
        descriptor = real(*about, **named)
        inherited.append(os.dup(descriptor))
        return descriptor

    with monkeypatch.context() as patch:
        patch.setattr(locks_file.os, "open", fork_then)
        assert ours.take(GPU) is not None
    ours.give_back()
    assert len(inherited) > 2
    assert theirs.take(GPU) is not None
    for descriptor in inherited:
        os.close(descriptor)


def test_a_gate_that_was_waited_for_too_long_is_locked_for_nobody(
    ours: DeviceLocks, theirs: DeviceLocks, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor by who inherited what waits for it, which is locked when nobody wants it any more."""
    ours.take(GPU)
    ours.release(GPU)
    gate = os.open(folder / "passloop-GPU-a.gate", os.O_RDONLY)
    fcntl.flock(gate, fcntl.LOCK_EX)
    real, inherited = os.dup, list[int]()

    def fork_then(descriptor: int) -> int:
        inherited.append(real(descriptor))
        return real(descriptor)

    monkeypatch.setattr(locks_file, "GATE_PATIENCE_S", 0)
    with monkeypatch.context() as patch:
        patch.setattr(os, "dup", fork_then)
        assert ours.take(GPU) is None
    os.close(gate)
    let_all_wait_in_vain()
    assert len(inherited) == 1
    assert theirs.take(GPU) is not None
    os.close(inherited[0])


def test_what_an_engines_process_forks_keeps_no_device(ours: DeviceLocks, theirs: DeviceLocks) -> None:
    ours.take(GPU)
    with forked_child():
        assert theirs.take(GPU) is None, "the child's copy is closed, ours is not"
        ours.release(GPU)
        assert theirs.take(GPU) is not None


def test_what_the_holder_of_a_lease_forks_keeps_its_device(folder: Path, theirs: DeviceLocks) -> None:
    held = DeviceLocks("aaaa1111", folder, forked_too=True)
    held.take(GPU)
    with forked_child():
        held.close()
        assert theirs.take(GPU) is None
    assert theirs.take(GPU) is not None


def test_what_is_forked_while_an_engine_decides_has_no_part_in_it(ours: DeviceLocks) -> None:
    ours.take("GPU-b")
    with ours._gate(GPU) as mine, forked_child() as child:
        assert mine
        assert not [path for path in open_files(child) if path.suffix in (".gate", ".lock")]


def test_virtual_devices_are_locked_only_in_a_named_folder(folder: Path) -> None:
    assert device_locks("aaaa1111", {}, virtual=True) is None
    assert device_locks("aaaa1111", {"PASSLOOP_LOCK_DIR": str(folder)}, virtual=True) is not None


def test_the_default_folder_is_open_to_all_users() -> None:
    mode = default_folder().stat().st_mode
    assert mode & stat.S_ISVTX
    assert mode & stat.S_IWOTH


def test_a_name_with_slashes_stays_in_the_folder(ours: DeviceLocks, folder: Path) -> None:
    assert ours.take("MIG-GPU-a/1/../0") is not None
    assert {path.parent for path in folder.iterdir()} == {folder}


HAMMER = """
import os, sys
from pathlib import Path
from passloop.devices.locks import DeviceLocks
folder, home = Path(sys.argv[1]), sys.argv[2]
locks, both, taken = DeviceLocks(home, folder), folder.parent / "owner", 0
for _ in range(1_000_000):
    if taken == 200:
        break
    if locks.take("GPU-a") is None:
        os.sched_yield()
        continue
    os.close(os.open(both, os.O_CREAT | os.O_EXCL))
    taken += 1
    os.unlink(both)
    locks.release("GPU-a")
print(taken)
"""


def test_two_homes_in_a_hurry_never_have_a_device_together(folder: Path) -> None:
    commands = [[sys.executable, "-c", HAMMER, str(folder), home] for home in ("aaaa1111", "bbbb2222")]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE) for command in commands]
    outputs = [one.communicate(timeout=50)[0] for one in running]
    assert [one.returncode for one in running] == [0, 0]
    assert [int(output) for output in outputs] == [200, 200]
