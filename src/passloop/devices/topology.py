"""Which devices are near each other: NVLink groups from link facts, memory nodes from sysfs. Reads no NVML
itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

__all__ = ["SWITCH", "SYSFS", "link_groups", "numa_node"]

SWITCH = "switch"
"""The remote end of a link to an NVSwitch: all devices that have one can reach each other."""

SYSFS = Path("/sys")


def link_groups(links: Mapping[str, frozenset[str]]) -> dict[str, str]:
    """Bus id -> name of its NVLink group, given bus id -> remote ends (bus ids of devices, or `SWITCH`).

    Devices reach each other over one or more links. A device without a link to another one here is in no
    group. The name is made of the group's lowest bus id, so it stays the same while the machine does.
    """
    groups: dict[str, set[str]] = {bus: {bus} for bus in links}
    switched = [bus for bus, ends in links.items() if SWITCH in ends]
    pairs = [(bus, end) for bus, ends in links.items() for end in ends if end in links]
    for first, second in [*pairs, *pairwise(switched)]:
        joined = groups[first] | groups[second]
        for bus in joined:
            groups[bus] = joined
    return {bus: f"nvlink-{min(group)}" for bus, group in groups.items() if len(group) > 1}


def numa_node(bus_id: str, sysfs: Path = SYSFS) -> int:
    """The memory node near the device at this PCI bus id ("0000:18:00.0"); -1 when it is not known.

    From sysfs and not from nvmlDeviceGetNumaNodeId: that one names the node that a GPU's own memory is, on
    machines where there is such a node, and says nothing about which GPUs share one.
    """
    try:
        return int((sysfs / "bus" / "pci" / "devices" / bus_id / "numa_node").read_text())
    except (OSError, ValueError):
        return -1
