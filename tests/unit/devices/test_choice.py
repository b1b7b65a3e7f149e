"""Which devices may be used at all: lists by UUID or index."""

from __future__ import annotations

import pytest

from passloop.devices.errors import UnknownDevice
from passloop.devices.opening import open_inventory

FOUR = {"PASSLOOP_VIRTUAL_GPUS": "4x8GiB"}


def indexes(**lists: str) -> list[int]:
    environ = FOUR | {f"PASSLOOP_GPUS_{name.upper()}": value for name, value in lists.items()}
    return [one.index for one in open_inventory(environ).look()]


@pytest.mark.parametrize(
    ("lists", "left"),
    [
        ({}, [0, 1, 2, 3]),
        ({"allow": ""}, [0, 1, 2, 3]),
        ({"allow": "0, GPU-virtual-2"}, [0, 2]),
        ({"deny": "3,1"}, [0, 2]),
        ({"deny": "none"}, [0, 1, 2, 3]),
        ({"allow": "0,1", "deny": "GPU-virtual-1"}, [0]),
        ({"allow": "none"}, []),
    ],
)
def test_devices_are_chosen_by_uuid_or_index_and_keep_their_index(lists: dict[str, str], left: list[int]) -> None:
    assert indexes(**lists) == left


@pytest.mark.parametrize("name", ["4", "-1", "GPU-virtual-9", "GPU-virtual", "00"])
@pytest.mark.parametrize("setting", ["allow", "deny"])
def test_an_unknown_device_is_an_error_that_names_it_and_the_known_ones(setting: str, name: str) -> None:
    with pytest.raises(UnknownDevice) as refused:
        indexes(**{setting: name})
    assert f"PASSLOOP_GPUS_{setting.upper()} names the GPU {name!r}" in str(refused.value)
    assert "0 = GPU-virtual-0, 1 = GPU-virtual-1" in str(refused.value)


def test_a_name_where_there_are_no_devices_tells_why_there_are_none() -> None:
    with pytest.raises(UnknownDevice, match="there are none"):
        open_inventory({"PASSLOOP_VIRTUAL_GPUS": "0", "PASSLOOP_GPUS_ALLOW": "0"})


def test_that_all_devices_are_left_out_is_the_reason_for_their_absence() -> None:
    inventory = open_inventory(FOUR | {"PASSLOOP_GPUS_ALLOW": "none"})
    assert inventory.look() == ()
    assert inventory.absent_reason == "All GPUs are left out by PASSLOOP_GPUS_ALLOW or PASSLOOP_GPUS_DENY."


def test_a_device_that_is_left_out_is_neither_looked_at_nor_sampled() -> None:
    inventory = open_inventory(FOUR | {"PASSLOOP_GPUS_DENY": "1"})
    both = ["GPU-virtual-0", "GPU-virtual-1"]
    assert [one.uuid for one in inventory.look(both)] == ["GPU-virtual-0"]
    assert [one.uuid for one in inventory.samples(both)] == ["GPU-virtual-0"]
    assert inventory.virtual
    assert inventory.absent_reason == ""
    inventory.close()
