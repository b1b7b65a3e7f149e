"""How large the box is: affinity, the cgroup's limits, and what the user says instead."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from passloop.engine.capacity import CapacityError, cpu_milli, declared_pools, memory_mib
from passloop.kernel.resources import CPU, MEMORY


def test_the_cpus_are_those_of_the_affinity(tmp_path: Path) -> None:
    assert cpu_milli({}, cgroup=tmp_path) == len(os.sched_getaffinity(0)) * 1_000


def test_a_cgroup_quota_makes_the_pool_smaller_but_never_less_than_one_cpu(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    assert cpu_milli({}, cgroup=tmp_path) == 1_000
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert cpu_milli({}, cgroup=tmp_path) == len(os.sched_getaffinity(0)) * 1_000


def test_what_the_user_says_is_taken(tmp_path: Path) -> None:
    assert cpu_milli({"PASSLOOP_CPUS": "64"}) == 64_000
    assert cpu_milli({"PASSLOOP_CPUS": " 1.5 "}) == 1_500


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "many", "1e-9"])
def test_a_size_that_cannot_be_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(CapacityError, match="PASSLOOP_CPUS=8"):
        cpu_milli({"PASSLOOP_CPUS": text})


def test_memory_is_bounded_by_the_cgroup(tmp_path: Path) -> None:
    whole = memory_mib(cgroup=tmp_path)
    (tmp_path / "memory.max").write_text(f"{64 * 1024 * 1024}\n")
    assert memory_mib(cgroup=tmp_path) == 64 < whole
    (tmp_path / "memory.max").write_text("max\n")
    assert memory_mib(cgroup=tmp_path) == whole


def test_both_pools_are_declared() -> None:
    assert [pool.name for pool in declared_pools({"PASSLOOP_CPUS": "2"})] == [CPU, MEMORY]
