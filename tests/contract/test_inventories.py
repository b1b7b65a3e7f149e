"""What every inventory of devices keeps to: the virtual one, the real one, and one with devices left out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from passloop.devices.base import Inventory
from passloop.devices.choice import ChosenInventory, DeviceChoice
from passloop.devices.nvml import NvmlInventory
from passloop.devices.virtual import VirtualInventory
from passloop.kernel.events import Foreign
from tests.support.fake_nvml.fixtures import fake_library as fake_library
from tests.support.fake_nvml.fixtures import machine as machine
from tests.support.fake_nvml.machine import LOST, gpu

MIB = 81_559


@dataclass
class Kind:
    """An inventory with two idle devices, and what a test may do to the second."""

    inventory: Inventory
    occupy: Callable[[], None]
    break_down: Callable[[], None]
    take_out: Callable[[], None]


def virtual(_request: pytest.FixtureRequest) -> Kind:
    inventory = VirtualInventory([MIB, MIB])
    second = "GPU-virtual-1"
    return Kind(
        inventory,
        occupy=lambda: inventory.put_foreign(second, Foreign(1, vram_mib=1000)),
        break_down=lambda: inventory.break_down(second, "lost"),
        take_out=lambda: inventory.vanish(second),
    )


def real(request: pytest.FixtureRequest) -> Kind:
    shown = request.getfixturevalue("machine")
    shown.show(gpu("a", 1), gpu("b", 2))
    return Kind(
        NvmlInventory(),
        occupy=lambda: shown.show(gpu("a", 1), gpu("b", 2, "used=1000"), "compute pid=1 used=1000"),
        break_down=lambda: shown.show(gpu("a", 1), gpu("b", 2, f"fail=nvmlDeviceGetUtilizationRates:{LOST}")),
        take_out=lambda: shown.show(gpu("a", 1)),
    )


def chosen(_request: pytest.FixtureRequest) -> Kind:
    inner = VirtualInventory([MIB, MIB, MIB])
    third = "GPU-virtual-2"
    return Kind(
        ChosenInventory(inner, DeviceChoice(deny=("1",))),
        occupy=lambda: inner.put_foreign(third, Foreign(1, vram_mib=1000)),
        break_down=lambda: inner.break_down(third, "lost"),
        take_out=lambda: inner.vanish(third),
    )


@pytest.fixture(params=[virtual, real, chosen], ids=lambda make: str(make.__name__))
def kind(request: pytest.FixtureRequest) -> Kind:
    made: Kind = request.param(request)
    return made


def test_idle_devices_are_listed_in_order_and_wholly_usable(kind: Kind) -> None:
    seen = kind.inventory.look()
    assert len({one.uuid for one in seen}) == 2
    assert [one.index for one in seen] == sorted(one.index for one in seen)
    for one in seen:
        assert (one.vram_mib, one.usable_mib, one.fault, one.foreign, one.strays) == (MIB, MIB, "", (), ())
        assert one.name
        assert one.virtual == kind.inventory.virtual
    assert kind.inventory.absent_reason == ""


def test_two_looks_at_an_unchanged_machine_are_equal(kind: Kind) -> None:
    assert kind.inventory.look() == kind.inventory.look()


def test_a_look_at_some_devices_tells_the_same_of_them(kind: Kind) -> None:
    both = kind.inventory.look()
    assert kind.inventory.look([both[1].uuid]) == both[1:]
    assert kind.inventory.look([]) == ()
    assert kind.inventory.look(["GPU-unknown"]) == ()


def test_a_foreign_process_is_told_with_its_memory(kind: Kind) -> None:
    kind.occupy()
    first, second = kind.inventory.look()
    assert (first.foreign, [one.pid for one in second.foreign]) == ((), [1])
    assert second.usable_mib == MIB - 1000


def test_a_broken_device_keeps_its_place_and_has_a_fault(kind: Kind) -> None:
    before = kind.inventory.look()
    kind.break_down()
    after = kind.inventory.look()
    assert [(one.uuid, one.index, one.vram_mib) for one in after] == [
        (one.uuid, one.index, one.vram_mib) for one in before
    ]
    assert [bool(one.fault) for one in after] == [False, True]


def test_a_device_that_is_taken_out_is_not_listed(kind: Kind) -> None:
    first, second = kind.inventory.look()
    kind.take_out()
    assert [one.uuid for one in kind.inventory.look()] == [first.uuid]
    assert kind.inventory.look([second.uuid]) == ()


def test_samples_are_of_the_asked_devices_that_are_there(kind: Kind) -> None:
    second = kind.inventory.look()[1].uuid
    (sample,) = kind.inventory.samples([second, "GPU-unknown"])
    assert (sample.uuid, sample.utilisation, sample.memory_mib) == (second, 0, 0)


def test_closing_twice_is_allowed_and_a_later_look_opens_again(kind: Kind) -> None:
    before = kind.inventory.look()
    kind.inventory.close()
    kind.inventory.close()
    assert kind.inventory.look() == before


async def test_many_threads_may_look_at_once(kind: Kind) -> None:
    looks = [asyncio.to_thread(kind.inventory.look) for _ in range(8)]
    assert len(set(await asyncio.gather(*looks))) == 1
