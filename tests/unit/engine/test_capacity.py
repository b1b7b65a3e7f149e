"""How large the box is: affinity, the cgroup's limits, and what the user says instead."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from passloop.engine.capacity import CapacityError, cpu_milli, declared_pools, kernel_settings, memory_mib
from passloop.kernel.resources import CPU, MEMORY
from passloop.kernel.state import KernelSettings


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


def test_a_user_declares_pools_and_the_size_of_the_memory() -> None:
    declared = {
        p.name: p.capacity
        for p in declared_pools({"PASSLOOP_POOLS": "license=4, scratch=100", "PASSLOOP_MEMORY": "2GiB"})
    }
    assert (declared["license"], declared["scratch"], declared["memory"]) == (4, 100, 2048)


@pytest.mark.parametrize("text", ["license", "license=x", "gpu=3", "=4", "a b=1", "license=-1"])
def test_a_pool_that_cannot_be_is_said_with_its_setting(text: str) -> None:
    with pytest.raises(CapacityError, match="PASSLOOP_POOLS"):
        declared_pools({"PASSLOOP_POOLS": text})


@pytest.mark.parametrize("text", ["much", "0MiB", "12", "-3GiB"])
def test_a_memory_that_is_no_size_is_said(text: str) -> None:
    with pytest.raises(CapacityError, match="PASSLOOP_MEMORY"):
        memory_mib({"PASSLOOP_MEMORY": text})


def test_the_weights_of_the_score_can_be_set() -> None:
    weights = kernel_settings(KernelSettings(), {"PASSLOOP_SCORE_FREE_MEMORY": "0.25"}).weights
    assert (weights.memory, weights.idle) == (25, 40)
    with pytest.raises(CapacityError, match="PASSLOOP_SCORE_IDLE"):
        kernel_settings(KernelSettings(), {"PASSLOOP_SCORE_IDLE": "2"})
