"""NVLink groups from link facts, memory nodes from sysfs."""

from __future__ import annotations

from pathlib import Path

import pytest

from passloop.devices.topology import SWITCH, link_groups, numa_node


def ends(*names: str) -> frozenset[str]:
    return frozenset(names)


def test_a_chain_of_links_is_one_group_named_after_its_lowest_bus() -> None:
    groups = link_groups({"3": ends("2"), "1": ends("2"), "2": ends("1", "3"), "4": ends()})
    assert groups == {"1": "nvlink-1", "2": "nvlink-1", "3": "nvlink-1"}


def test_two_bridged_pairs_are_two_groups() -> None:
    groups = link_groups({"1": ends("2"), "2": ends("1"), "3": ends("4"), "4": ends("3")})
    assert groups == {"1": "nvlink-1", "2": "nvlink-1", "3": "nvlink-3", "4": "nvlink-3"}


def test_devices_on_switches_are_one_group_and_a_link_to_nowhere_is_none() -> None:
    groups = link_groups({"1": ends(SWITCH), "2": ends(SWITCH), "3": ends(SWITCH), "4": ends("9")})
    assert groups == dict.fromkeys("123", "nvlink-1")


@pytest.mark.parametrize(("text", "node"), [("0\n", 0), ("1", 1), ("-1\n", -1), ("", -1), ("x", -1), (None, -1)])
def test_the_memory_node_is_read_from_sysfs(tmp_path: Path, text: str | None, node: int) -> None:
    file = tmp_path / "bus/pci/devices/0000:18:00.0/numa_node"
    file.parent.mkdir(parents=True)
    if text is not None:
        file.write_text(text)
    assert numa_node("0000:18:00.0", tmp_path) == node
