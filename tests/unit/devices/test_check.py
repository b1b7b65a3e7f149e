"""The second look: whether what was granted is still free, other homes' locks included."""

from __future__ import annotations

from pathlib import Path

import pytest

from passloop.devices.check import DeviceCheck
from passloop.devices.locks import DeviceLocks
from passloop.devices.virtual import VirtualInventory
from passloop.kernel.amounts import SHARE_WHOLE
from passloop.kernel.events import Foreign
from passloop.kernel.resources import Grant

A, B = "GPU-virtual-0", "GPU-virtual-1"


@pytest.fixture
def inventory() -> VirtualInventory:
    return VirtualInventory([8192, 8192])


@pytest.fixture
def check(inventory: VirtualInventory) -> DeviceCheck:
    return DeviceCheck(inventory)


def whole(uuid: str, mib: int = 8192) -> Grant:
    return Grant(uuid, SHARE_WHOLE, mib)


def test_free_devices_are_told_in_the_order_asked(check: DeviceCheck) -> None:
    look = check.second_look([whole(B), whole(A)])
    assert ([one.uuid for one in look.seen], look.reason) == ([B, A], "")


def test_a_foreign_process_on_one_device_is_a_reason(inventory: VirtualInventory, check: DeviceCheck) -> None:
    inventory.put_foreign(B, Foreign(4242, "ann", "train", 10))
    look = check.second_look([whole(A), whole(B)])
    assert look.reason == f"{B}: in use by train of ann (pid 4242)"
    assert [len(one.foreign) for one in look.seen] == [0, 1]


def test_a_fault_a_stray_and_a_vanished_device_are_reasons(inventory: VirtualInventory, check: DeviceCheck) -> None:
    inventory.break_down(A, "the GPU is lost")
    assert check.second_look([whole(A)]).reason == f"{A}: the GPU is lost"
    inventory.put_strays(B, 7)
    assert "attempt 7 ended but" in check.second_look([whole(B)]).reason
    inventory.vanish(B)
    assert "no longer there" in check.second_look([whole(B)]).reason
    (gone,) = check.still_free([B])
    assert (gone.uuid, gone.usable_mib, gone.virtual) == (B, 0, True)


def test_less_usable_memory_than_granted_is_a_reason(inventory: VirtualInventory, check: DeviceCheck) -> None:
    inventory.put_foreign(A, Foreign(1, vram_mib=192))
    inventory.look()
    (seen,) = check.still_free([A])
    assert seen.usable_mib == 8000
    plain = DeviceCheck(VirtualInventory([8000]))
    assert plain.second_look([Grant(A, 5000, 4000)], beside_mib=4000).reason == ""
    assert "8000 MiB are usable, 8001 MiB" in plain.second_look([Grant(A, 5000, 4000)], beside_mib=4001).reason


def test_a_device_that_another_home_has_counts_as_used_by_it(inventory: VirtualInventory, tmp_path: Path) -> None:
    theirs, ours = DeviceLocks("bbbb2222", tmp_path), DeviceLocks("aaaa1111", tmp_path)
    check = DeviceCheck(inventory, ours)
    assert theirs.take(A) is not None
    first, second = check.look()
    assert ([one.name for one in first.foreign], second.foreign) == (["passloop home bbbb2222"], ())
    assert "in use by passloop home bbbb2222 of " in check.second_look([whole(A)]).reason
    theirs.release(A)
    assert check.look()[0].foreign == ()


def test_a_device_of_our_own_home_does_not(inventory: VirtualInventory, tmp_path: Path) -> None:
    ours = DeviceLocks("aaaa1111", tmp_path)
    ours.take(A)
    assert DeviceCheck(inventory, ours).look()[0].foreign == ()
