"""What a process that holds GPUs locks: all of them, or none and a reason."""

from __future__ import annotations

import fcntl
import os
import subprocess
from pathlib import Path

import pytest

from passloop import PassloopError
from passloop.api.gpu_locks import lock_gpus
from passloop.devices import locks as locks_file
from passloop.devices.locks import DeviceLocks


def test_a_holder_keeps_its_gpus_without_an_engine(folder: Path, theirs: DeviceLocks) -> None:
    engine = DeviceLocks("aaaa1111", folder)
    engine.take("GPU-a")
    held = lock_gpus(str(folder), "aaaa1111", ["GPU-a", "GPU-b"])
    engine.close()
    assert (theirs.take("GPU-a"), theirs.take("GPU-b")) == (None, None)
    held.give_back()
    assert None not in (theirs.take("GPU-a"), theirs.take("GPU-b"))


def test_a_holder_that_becomes_another_program_keeps_its_gpus(folder: Path, theirs: DeviceLocks) -> None:
    held = lock_gpus(str(folder), "aaaa1111", ["GPU-a"])
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, close_fds=False):
        held.close()
        assert theirs.take("GPU-a") is None
    assert theirs.take("GPU-a") is not None


def test_what_another_home_has_is_named_and_nothing_stays_locked(folder: Path, theirs: DeviceLocks) -> None:
    theirs.take("GPU-b")
    with pytest.raises(PassloopError, match=r"keep GPU-b from other homes.*: passloop home bbbb2222 \(.+\) has it"):
        lock_gpus(str(folder), "aaaa1111", ["GPU-a", "GPU-b"])
    assert theirs.take("GPU-a") is not None


def test_a_folder_that_cannot_be_used_is_told_with_the_setting(tmp_path: Path) -> None:
    with pytest.raises(PassloopError, match=r"the lease was given back: .*cannot be opened.*PASSLOOP_LOCK_DIR"):
        lock_gpus(str(tmp_path / "none"), "aaaa1111", ["GPU-a"])


def test_a_gpu_that_another_engine_decides_about_is_tried_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = os.open(folder / "passloop-GPU-a.gate", os.O_RDWR | os.O_CREAT, 0o644)
    fcntl.flock(gate, fcntl.LOCK_EX)
    wait, waits = locks_file._locked_by_waiting, []

    def open_at_the_fifth(descriptor: int) -> bool:
        waits.append(descriptor)
        if len(waits) == 5:
            os.close(gate)
        return wait(descriptor)

    monkeypatch.setattr(locks_file, "GATE_PATIENCE_S", 0)
    monkeypatch.setattr(locks_file, "_locked_by_waiting", open_at_the_fifth)
    held = lock_gpus(str(folder), "aaaa1111", ["GPU-a"])
    assert held.descriptor("GPU-a") is not None
    held.give_back()


def test_a_gpu_that_others_decide_about_for_ever_is_given_up(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = os.open(folder / "passloop-GPU-a.gate", os.O_RDWR | os.O_CREAT, 0o644)
    fcntl.flock(gate, fcntl.LOCK_EX)
    monkeypatch.setattr(locks_file, "GATE_PATIENCE_S", 0)
    with pytest.raises(PassloopError, match="another engine is deciding about it"):
        lock_gpus(str(folder), "aaaa1111", ["GPU-a"])
    os.close(gate)
