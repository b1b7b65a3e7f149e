"""What a measurement's devices are, through nvidia-ml-py against a stand-in for NVIDIA's library."""

from __future__ import annotations

from passloop.devices.hardware import hardware_facts
from tests.support.fake_nvml.machine import NOT_SUPPORTED, FakeMachine, gpu


def test_driver_clocks_and_power_limit_are_told(machine: FakeMachine) -> None:
    machine.show(gpu("a", 1), gpu("b", 2))
    assert hardware_facts(["GPU-b"]) == {
        "driver": "580.65.06",
        "devices": {
            "GPU-b": {
                "name": "Fake H100",
                "clocks_mhz": {"sm": 1200, "memory": 2000},
                "most_clocks_mhz": {"sm": 1980, "memory": 2600},
                "power_limit_w": 700,
            }
        },
    }


def test_what_a_device_does_not_tell_is_left_out(machine: FakeMachine) -> None:
    fails = f"nvmlDeviceGetClockInfo:{NOT_SUPPORTED},nvmlDeviceGetEnforcedPowerLimit:{NOT_SUPPORTED}"
    machine.show(gpu("a", 1, f"fail={fails}"))
    assert set(hardware_facts(["GPU-a"])["devices"]["GPU-a"]) == {"name", "most_clocks_mhz"}


def test_a_device_that_is_gone_has_no_facts(machine: FakeMachine) -> None:
    machine.show(gpu("a", 1))
    assert hardware_facts(["GPU-z"]) == {"driver": "580.65.06"}
