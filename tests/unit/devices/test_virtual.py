"""Virtual devices: how they are written, and what can be put on them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passloop.devices.errors import BadDeviceSetting
from passloop.devices.opening import open_inventory
from passloop.devices.ownership import Holding, Ownership
from passloop.devices.virtual import VirtualInventory, parse_virtual
from passloop.kernel.events import Foreign

STRANGER = Foreign(pid=4242, user="ann", name="train", vram_mib=1024)


@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        ("4x80GiB", (81_920,) * 4),
        ("2x80GiB,2x24GiB", (81_920, 81_920, 24_576, 24_576)),
        (" 1 x 512 MiB , 1X1gib ", (512, 1024)),
        ("0", ()),
    ],
)
def test_devices_are_written_as_count_and_size(text: str, sizes: tuple[int, ...]) -> None:
    assert parse_virtual(text) == sizes


@pytest.mark.parametrize(
    "text",
    ["", ",", "4", "4x", "x80GiB", "4x80", "4x80GB", "0x80GiB", "4x0GiB", "-1x80GiB", "4x80GiB,", "1e3x1GiB",
     "2000x1GiB", "1x99999999TiB", "4x8.5GiB", "nan", "4x80GiB\0", "٤x80GiB"],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_with_the_right_form(text: str) -> None:
    with pytest.raises(BadDeviceSetting, match=r"PASSLOOP_VIRTUAL_GPUS=.*To fix it, "):
        parse_virtual(text)


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    sizes: tuple[int, ...] = ()
    refusal = ""
    try:
        sizes = parse_virtual(text)
    except BadDeviceSetting as error:
        refusal = str(error)
    assert len(refusal) < 600
    assert all(size > 0 for size in sizes)


def test_virtual_devices_say_that_they_are() -> None:
    seen = open_inventory({"PASSLOOP_VIRTUAL_GPUS": "2x80GiB,1x24GiB"}).look()
    assert [(one.uuid, one.index, one.vram_mib, one.usable_mib, one.virtual) for one in seen] == [
        ("GPU-virtual-0", 0, 81_920, 81_920, True),
        ("GPU-virtual-1", 1, 81_920, 81_920, True),
        ("GPU-virtual-2", 2, 24_576, 24_576, True),
    ]


def test_no_virtual_devices_is_said_plainly() -> None:
    inventory = open_inventory({"PASSLOOP_VIRTUAL_GPUS": "0"})
    assert inventory.look() == ()
    assert inventory.absent_reason == "PASSLOOP_VIRTUAL_GPUS=0 says that there are none."


def test_a_foreign_process_can_be_put_on_a_device_and_taken_off() -> None:
    inventory = VirtualInventory([8192, 8192])
    inventory.put_foreign("GPU-virtual-1", STRANGER)
    seen = inventory.look()
    assert [(one.foreign, one.usable_mib) for one in seen] == [((), 8192), ((STRANGER,), 7168)]
    inventory.put_foreign("GPU-virtual-1")
    assert inventory.look()[1].foreign == ()


def test_faults_strays_and_vanished_devices_can_be_put_on() -> None:
    inventory = VirtualInventory([8192, 8192])
    inventory.break_down("GPU-virtual-0", "fell off the bus")
    inventory.put_strays("GPU-virtual-0", 7)
    inventory.vanish("GPU-virtual-1")
    assert [(one.uuid, one.fault, one.strays) for one in inventory.look()] == [
        ("GPU-virtual-0", "fell off the bus", (7,))
    ]
    inventory.break_down("GPU-virtual-0", "")
    inventory.bring_back("GPU-virtual-1")
    assert [one.fault for one in inventory.look()] == ["", ""]


def test_nothing_can_be_put_on_a_device_that_does_not_exist() -> None:
    with pytest.raises(KeyError):
        VirtualInventory([8192]).vanish("GPU-virtual-1")


def test_a_real_process_on_a_virtual_device_is_judged_as_on_a_real_one() -> None:
    holdings = [Holding(3, shim=os.getpid(), devices=(("GPU-virtual-0", 8192),))]
    inventory = VirtualInventory([8192, 8192], ownership=Ownership("abcd1234", lambda: holdings))
    inventory.put_processes("GPU-virtual-0", os.getpid())
    assert inventory.look()[0].foreign == ()
    holdings.clear()
    assert [one.pid for one in inventory.look()[0].foreign] == [os.getpid()]


def test_the_file_is_read_at_every_look(tmp_path: Path) -> None:
    file = tmp_path / "foreign.json"
    inventory = open_inventory({"PASSLOOP_VIRTUAL_GPUS": "2x8GiB", "PASSLOOP_VIRTUAL_FOREIGN": str(file)})
    assert [one.foreign for one in inventory.look()] == [(), ()]
    told = {"pid": 4242, "user": "ann", "name": "train", "vram_mib": 1024}
    file.write_text(
        json.dumps(
            {
                "GPU-virtual-0": {"foreign": [told], "strays": [9], "processes": [os.getpid()]},
                "GPU-virtual-1": {"gone": True},
            }
        )
    )
    (seen,) = inventory.look()
    assert seen.strays == (9,)
    assert STRANGER in seen.foreign
    assert os.getpid() in [one.pid for one in seen.foreign]
    file.write_text("{}")
    assert len(inventory.look()) == 2


@pytest.mark.parametrize("content", ["{", "[]", '{"GPU-virtual-0": 3}', '{"GPU-virtual-0": {"foreign": [{}]}}'])
def test_a_damaged_file_is_refused_at_first_and_a_fault_later(tmp_path: Path, content: str) -> None:
    file = tmp_path / "foreign.json"
    file.write_text(content)
    with pytest.raises(BadDeviceSetting, match="PASSLOOP_VIRTUAL_FOREIGN"):
        VirtualInventory([8192], foreign_file=file)
    file.unlink()
    inventory = VirtualInventory([8192], foreign_file=file)
    file.write_text(content)
    assert "PASSLOOP_VIRTUAL_FOREIGN" in inventory.look()[0].fault


def test_samples_of_virtual_devices_are_idle() -> None:
    (sample,) = VirtualInventory([8192]).samples(["GPU-virtual-0", "GPU-virtual-9"])
    assert (sample.uuid, sample.utilisation, sample.memory_mib, sample.power_w) == ("GPU-virtual-0", 0, 0, None)
