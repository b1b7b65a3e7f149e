"""The real path through nvidia-ml-py, against a stand-in for NVIDIA's library."""

from __future__ import annotations

import os
from pathlib import Path

import pynvml
import pytest

from passloop.devices.nvml import NvmlInventory
from passloop.devices.ownership import Holding, Ownership
from passloop.kernel.events import DeviceSeen
from tests.support.fake_nvml.machine import LOST, NOT_SUPPORTED, UNKNOWN, FakeMachine, gpu

MISSING = 13
TOTAL = 81_559


def only(seen: tuple[DeviceSeen, ...]) -> DeviceSeen:
    assert len(seen) == 1
    return seen[0]


def test_devices_are_in_the_order_of_their_pci_bus(machine: FakeMachine) -> None:
    machine.show(gpu("c", 0x5D), gpu("a", 0x18), gpu("b", 0x2A))
    seen = NvmlInventory().look()
    assert [(one.uuid, one.index, one.name) for one in seen] == [
        ("GPU-a", 0, "Fake H100"),
        ("GPU-b", 1, "Fake H100"),
        ("GPU-c", 2, "Fake H100"),
    ]


def test_an_idle_device_is_usable_as_a_whole(machine: FakeMachine) -> None:
    machine.show(gpu("a", 1, "used=4"))
    seen = only(NvmlInventory().look())
    assert (seen.vram_mib, seen.usable_mib) == (TOTAL, TOTAL)
    assert not seen.virtual
    assert not seen.fault


def test_an_idle_device_of_an_old_driver_is_usable_as_a_whole(machine: FakeMachine) -> None:
    machine.show(gpu("a", 1, f"fail=nvmlDeviceGetMemoryInfo_v2:{MISSING}"))
    assert only(NvmlInventory().look()).usable_mib == TOTAL


def test_a_foreign_compute_process_is_told_and_its_memory_is_not_usable(machine: FakeMachine) -> None:
    machine.show(gpu("a", 1, "used=1000"), f"compute pid={os.getpid()} used=1000")
    seen = only(NvmlInventory().look())
    assert [(one.pid, one.vram_mib) for one in seen.foreign] == [(os.getpid(), 1000)]
    assert seen.foreign[0].user
    assert seen.foreign[0].name
    assert seen.usable_mib == TOTAL - 1000


def test_a_graphics_process_is_no_foreign_user_but_its_memory_is_not_usable(machine: FakeMachine) -> None:
    machine.show(gpu("a", 1, "used=600"), "graphics pid=1 used=600")
    seen = only(NvmlInventory().look())
    assert (seen.foreign, seen.usable_mib) == ((), TOTAL - 600)


def test_a_process_that_draws_and_computes_is_foreign_and_counted_once(machine: FakeMachine) -> None:
    machine.show(gpu("a", 1, "used=600"), "graphics pid=1 used=600", "compute pid=1 used=600")
    seen = only(NvmlInventory().look())
    assert ([one.pid for one in seen.foreign], seen.usable_mib) == ([1], TOTAL - 600)


def test_memory_that_no_process_accounts_for_is_not_usable(machine: FakeMachine) -> None:
    machine.show(gpu("a", 1, "used=20256"))
    assert only(NvmlInventory().look()).usable_mib == TOTAL - 20_000


def test_a_process_whose_memory_is_not_told_is_foreign_with_all_that_is_used(machine: FakeMachine) -> None:
    machine.show(gpu("a", 1, "used=10256"), "compute pid=1")
    seen = only(NvmlInventory().look())
    assert ([one.vram_mib for one in seen.foreign], seen.usable_mib) == ([0], TOTAL - 10_000)


def test_processes_of_a_driver_without_the_newest_function_are_seen(machine: FakeMachine) -> None:
    fail = f"fail=nvmlDeviceGetComputeRunningProcesses_v3:{MISSING}"
    machine.show(gpu("a", 1, fail, "used=9"), "compute pid=1 used=9")
    assert [one.pid for one in only(NvmlInventory().look()).foreign] == [1]


@pytest.mark.parametrize("code", [NOT_SUPPORTED, MISSING, UNKNOWN])
@pytest.mark.parametrize(
    "function",
    [
        "nvmlDeviceGetUtilizationRates",
        "nvmlDeviceGetName",
        "nvmlDeviceGetComputeRunningProcesses_v3",
        "nvmlDeviceGetGraphicsRunningProcesses_v3",
        "nvmlDeviceGetMigMode",
        "nvmlDeviceGetNvLinkState",
        "nvmlDeviceGetPciInfo_v3",
    ],
)
def test_a_missing_figure_takes_nothing_else_with_it(machine: FakeMachine, function: str, code: int) -> None:
    machine.show(gpu("a", 1, f"fail={function}:{code}", "util=40"))
    seen = only(NvmlInventory().look())
    assert (seen.uuid, seen.vram_mib, seen.usable_mib, seen.fault) == ("GPU-a", TOTAL, TOTAL, "")
    assert seen.utilisation == (0 if function == "nvmlDeviceGetUtilizationRates" else 40)


def test_a_device_without_memory_of_its_own_is_listed(machine: FakeMachine) -> None:
    fail = f"fail=nvmlDeviceGetMemoryInfo:{NOT_SUPPORTED},nvmlDeviceGetMemoryInfo_v2:{NOT_SUPPORTED}"
    machine.show(gpu("a", 1, fail))
    seen = only(NvmlInventory().look())
    assert (seen.vram_mib, seen.usable_mib, seen.fault) == (0, 0, "")


@pytest.mark.parametrize(
    "function",
    ["nvmlDeviceGetHandleByIndex_v2", "nvmlDeviceGetUUID", "nvmlDeviceGetMemoryInfo_v2", "nvmlDeviceGetMigMode"],
)
def test_a_device_that_is_lost_keeps_its_name_and_place(machine: FakeMachine, function: str) -> None:
    inventory = NvmlInventory()
    machine.show(gpu("a", 1), gpu("b", 2), gpu("c", 3))
    inventory.look()
    machine.show(gpu("a", 1), gpu("b", 2, f"fail={function}:{LOST}"), gpu("c", 3))
    seen = inventory.look()
    assert [(one.uuid, one.index, one.vram_mib, bool(one.fault)) for one in seen] == [
        ("GPU-a", 0, TOTAL, False),
        ("GPU-b", 1, TOTAL, True),
        ("GPU-c", 2, TOTAL, False),
    ]
    assert "lost" in seen[1].fault
    machine.show(gpu("a", 1), gpu("b", 2), gpu("c", 3))
    assert not any(one.fault for one in inventory.look())


def test_a_device_that_was_never_readable_is_shown_with_its_fault(machine: FakeMachine) -> None:
    machine.show(gpu("a", 1), gpu("b", 2, f"fail=nvmlDeviceGetHandleByIndex_v2:{LOST}"))
    seen = NvmlInventory().look()
    assert [(one.uuid, bool(one.fault)) for one in seen] == [("GPU-a", False), ("GPU-unreadable-1", True)]


def test_a_driver_that_goes_away_makes_all_devices_faulty_and_is_opened_again(machine: FakeMachine) -> None:
    inventory = NvmlInventory()
    machine.show(gpu("a", 1), gpu("b", 2))
    inventory.look()
    machine.show("driver fail=nvmlDeviceGetCount_v2:18,nvmlInitWithFlags:18", gpu("a", 1), gpu("b", 2))
    for _ in range(2):
        assert [(one.uuid, "reboot" in one.fault) for one in inventory.look()] == [("GPU-a", True), ("GPU-b", True)]
    machine.show(gpu("a", 1), gpu("b", 2))
    assert [one.fault for one in inventory.look()] == ["", ""]


def test_a_library_that_other_code_shut_down_is_opened_again(machine: FakeMachine) -> None:
    inventory = NvmlInventory()
    machine.show(gpu("a", 1))
    inventory.look()
    pynvml.nvmlShutdown()
    assert "shut down by other code" in only(inventory.look()).fault
    assert only(inventory.look()).fault == ""


def test_a_device_that_was_taken_out_does_not_come_back_as_faulty(machine: FakeMachine) -> None:
    inventory = NvmlInventory()
    machine.show(gpu("a", 1), gpu("b", 2))
    inventory.look()
    machine.show(gpu("b", 2))
    inventory.look()
    machine.show("driver fail=nvmlDeviceGetCount_v2:18", gpu("b", 2))
    assert [one.uuid for one in inventory.look()] == ["GPU-b"]


def test_a_device_that_is_taken_out_is_no_longer_listed(machine: FakeMachine) -> None:
    inventory = NvmlInventory()
    machine.show(gpu("a", 1), gpu("b", 2))
    inventory.look()
    machine.show(gpu("b", 2))
    assert [one.uuid for one in inventory.look()] == ["GPU-b"]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (9, "kernel module is not loaded"),
        (18, "reboot"),
        (4, "permissions"),
        (13, "too old"),
        (999, "cannot be used"),
    ],
)
def test_why_there_are_no_devices_is_said_plainly(machine: FakeMachine, code: int, words: str) -> None:
    machine.show(f"driver fail=nvmlInitWithFlags:{code}", gpu("a", 1))
    inventory = NvmlInventory()
    assert inventory.look() == ()
    assert words in inventory.absent_reason
    assert inventory.absent_reason.endswith(".")


def test_a_driver_without_gpus_is_told_apart_from_no_driver(
    machine: FakeMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    inventory = NvmlInventory()
    assert inventory.look() == ()
    assert "reports no GPU" in inventory.absent_reason
    monkeypatch.delenv("FAKE_NVML")
    without = NvmlInventory()
    assert without.look() == ()
    assert "No NVIDIA driver was found" in without.absent_reason


def test_with_devices_there_is_no_reason_for_their_absence(machine: FakeMachine) -> None:
    machine.show(gpu("a", 1))
    inventory = NvmlInventory()
    inventory.look()
    assert inventory.absent_reason == ""


def test_mig_instances_are_the_devices_and_their_gpu_is_none(machine: FakeMachine, tmp_path: Path) -> None:
    node = tmp_path / "bus/pci/devices/0000:02:00.0/numa_node"
    node.parent.mkdir(parents=True)
    node.write_text("1\n")
    machine.show(
        gpu("a", 1),
        gpu("b", 2, "mig=1"),
        "mig uuid=MIG-x name=Fake_H100_MIG_3g total=40000 used=10 gi=1 ci=0",
        "compute pid=1 used=10 gi=1 ci=0",
        "mig uuid=MIG-y name=Fake_H100_MIG_3g total=40000 used=0 gi=2 ci=0",
        "compute pid=1 used=10 gi=1 ci=0",
    )
    seen = NvmlInventory(sysfs=tmp_path).look()
    assert [(one.uuid, one.index, one.vram_mib, len(one.foreign), one.numa) for one in seen] == [
        ("GPU-a", 0, TOTAL, 0, -1),
        ("MIG-x", 1, 40_000, 1, 1),
        ("MIG-y", 2, 40_000, 0, 1),
    ]


def test_gpus_in_mig_mode_without_instances_are_no_devices_and_that_is_said(machine: FakeMachine) -> None:
    machine.show(gpu("a", 1, "mig=1"))
    inventory = NvmlInventory()
    assert inventory.look() == ()
    assert "MIG" in inventory.absent_reason


def test_nvlinks_between_devices_make_groups(machine: FakeMachine) -> None:
    machine.show(
        gpu("a", 1),
        "link to=0000:02:00",
        gpu("b", 2),
        "link to=0000:01:00",
        gpu("c", 3),
        "link off=1 to=0000:01:00",
        gpu("d", 4),
    )
    links = [one.links for one in NvmlInventory().look()]
    assert links == ["nvlink-0000:01:00.0", "nvlink-0000:01:00.0", "", ""]


def test_devices_on_a_switch_are_one_group(machine: FakeMachine) -> None:
    machine.show(gpu("a", 1), "link switch=1", gpu("b", 2), "link switch=1", gpu("c", 3), "link switch=1")
    assert len({one.links for one in NvmlInventory().look()} - {""}) == 1


def test_groups_are_found_anew_when_the_devices_change(machine: FakeMachine) -> None:
    inventory = NvmlInventory()
    machine.show(gpu("a", 1))
    assert [one.links for one in inventory.look()] == [""]
    machine.show(gpu("a", 1), "link switch=1", gpu("b", 2), "link switch=1")
    assert "" not in [one.links for one in inventory.look()]


def test_only_the_asked_devices_are_read(machine: FakeMachine) -> None:
    machine.show(gpu("a", 1), gpu("b", 2))
    inventory = NvmlInventory()
    assert [(one.uuid, one.index) for one in inventory.look(["GPU-b", "GPU-unknown"])] == [("GPU-b", 1)]


def test_a_process_of_a_live_attempt_is_ours_and_its_memory_stays_usable(machine: FakeMachine) -> None:
    machine.show(gpu("a", 1, "used=5000"), f"compute pid={os.getpid()} used=4600")
    holding = Holding(7, shim=os.getpid(), devices=(("GPU-a", 40_000),))
    inventory = NvmlInventory(ownership=Ownership("abcd1234", lambda: [holding]))
    seen = only(inventory.look())
    assert (seen.foreign, seen.strays, seen.usable_mib) == ((), (), TOTAL)


def test_samples_tell_how_busy_devices_are(machine: FakeMachine) -> None:
    machine.show(
        gpu("a", 1, "util=55", "used=1234", "power=345678"),
        gpu("b", 2, f"fail=nvmlDeviceGetPowerUsage:{NOT_SUPPORTED},nvmlDeviceGetUtilizationRates:{NOT_SUPPORTED}"),
        gpu("c", 3, f"fail=nvmlDeviceGetHandleByUUID:{LOST}"),
    )
    inventory = NvmlInventory()
    inventory.look()
    samples = inventory.samples(["GPU-a", "GPU-b", "GPU-c", "GPU-gone"])
    assert [(one.uuid, one.utilisation, one.memory_mib, one.power_w) for one in samples] == [
        ("GPU-a", 55, 1234, 346),
        ("GPU-b", None, 0, None),
    ]


def test_a_closed_inventory_opens_again_at_the_next_look(machine: FakeMachine) -> None:
    machine.show(gpu("a", 1))
    inventory = NvmlInventory()
    inventory.look()
    inventory.close()
    inventory.close()
    assert [one.uuid for one in inventory.look()] == ["GPU-a"]
