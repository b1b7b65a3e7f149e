"""How much this box has: CPUs, memory, what the user declares. Owns what is counted; what is free is the kernel's
ledger, never a look. Also how a user weighs free memory against idleness when GPUs are chosen."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from passloop.kernel.amounts import CPU_UNIT
from passloop.kernel.device_pool import Weights
from passloop.kernel.events import PoolDeclared, PoolKind
from passloop.kernel.ids import PoolName
from passloop.kernel.resources import CPU, GPU, MEMORY, NODE
from passloop.kernel.state import KernelSettings

from .errors import EngineError

__all__ = ["CapacityError", "cpu_milli", "declared_pools", "kernel_settings", "memory_mib"]

_MIB = 1024 * 1024
_CGROUP = Path("/sys/fs/cgroup")


class CapacityError(EngineError):
    """A size of a pool was given that cannot be."""

    code = "invalid"
    exit_code = 2


def cpu_milli(variables: Mapping[str, str] | None = None, *, cgroup: Path = _CGROUP) -> int:
    """CPUs of this box in 1/1,000: `PASSLOOP_CPUS` if set, else what affinity and the cgroup's quota allow.

    Raises `CapacityError` for a `PASSLOOP_CPUS` that is not a positive number.
    """
    variables = os.environ if variables is None else variables
    said = variables.get("PASSLOOP_CPUS", "").strip()
    if said:
        return _said_cpus(said)
    usable = len(os.sched_getaffinity(0)) * CPU_UNIT
    quota = _cgroup_cpu_milli(cgroup)
    return usable if quota is None else max(CPU_UNIT, min(usable, quota))


def memory_mib(variables: Mapping[str, str] | None = None, *, cgroup: Path = _CGROUP) -> int:
    """Memory of this box in MiB: `PASSLOOP_MEMORY` if set, else what it has or what its cgroup allows.

    Raises `CapacityError` for a `PASSLOOP_MEMORY` that is no size.
    """
    variables = os.environ if variables is None else variables
    said = variables.get("PASSLOOP_MEMORY", "").strip()
    if said:
        return _said_memory(said)
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = _read_word(cgroup / "memory.max", 0)
    if limit is not None and limit.isdigit():
        total = min(total, int(limit))
    return total // _MIB


def declared_pools(variables: Mapping[str, str] | None = None) -> tuple[PoolDeclared, ...]:
    """The pools of this box, as events for the machine: its own and those of `PASSLOOP_POOLS`. Declaring them again
    resizes them.
    """
    environ = os.environ if variables is None else variables
    return (
        PoolDeclared(name=CPU, kind=PoolKind.AMOUNT, capacity=cpu_milli(variables)),
        PoolDeclared(name=MEMORY, kind=PoolKind.AMOUNT, capacity=memory_mib(variables)),
        *_said_pools(environ.get("PASSLOOP_POOLS", "")),
    )


def kernel_settings(settings: KernelSettings, variables: Mapping[str, str]) -> KernelSettings:
    """The kernel's settings with the weights of `PASSLOOP_SCORE_FREE_MEMORY` and `PASSLOOP_SCORE_IDLE`, from 0 to 1."""
    memory = _said_percent("PASSLOOP_SCORE_FREE_MEMORY", variables, settings.weights.memory)
    idle = _said_percent("PASSLOOP_SCORE_IDLE", variables, settings.weights.idle)
    return replace(settings, weights=Weights(memory=memory, idle=idle))


def _said_percent(name: str, variables: Mapping[str, str], default: int) -> int:
    said = variables.get(name, "").strip()
    if not said:
        return default
    try:
        percent = round(float(said) * 100)
    except (ValueError, OverflowError):
        percent = -1
    if not 0 <= percent <= 100:
        raise CapacityError(f"{name} is {said!r}; give a weight from 0 to 1", hint="passloop config")
    return percent


def _said_memory(text: str) -> int:
    found = re.fullmatch(r"(\d{1,9})(MiB|GiB)", text)
    size = int(found[1]) * (1024 if found[2] == "GiB" else 1) if found else 0
    if size < 1:
        raise CapacityError(
            f"PASSLOOP_MEMORY is {text!r}; give a size, like PASSLOOP_MEMORY=64GiB", hint="passloop config"
        )
    return size


def _said_pools(text: str) -> list[PoolDeclared]:
    """What `PASSLOOP_POOLS=license=4,scratch=100` declares."""
    declared = []
    for pair in filter(None, (part.strip() for part in text.split(","))):
        found = re.fullmatch(r"([A-Za-z][A-Za-z0-9_.-]{0,63})=(\d{1,15})", pair)
        if found is None or found[1] in {CPU, GPU, MEMORY, NODE}:
            raise CapacityError(
                f"PASSLOOP_POOLS has {pair!r}; give your own names and amounts, like license=4,scratch=100",
                hint="passloop config",
            )
        declared.append(PoolDeclared(name=PoolName(found[1]), kind=PoolKind.AMOUNT, capacity=int(found[2])))
    return declared


def _said_cpus(text: str) -> int:
    try:
        milli = int(float(text) * CPU_UNIT)
    except (ValueError, OverflowError):
        milli = 0
    if milli < 1:
        raise CapacityError(
            f"PASSLOOP_CPUS is {text!r}; give a positive number of CPUs, like PASSLOOP_CPUS=8",
            hint="passloop config",
        )
    return milli


def _cgroup_cpu_milli(cgroup: Path) -> int | None:
    quota = _read_word(cgroup / "cpu.max", 0)
    period = _read_word(cgroup / "cpu.max", 1)
    if quota is None or period is None or not quota.isdigit() or not period.isdigit() or period == "0":
        return None
    return int(quota) * CPU_UNIT // int(period)


def _read_word(path: Path, position: int) -> str | None:
    try:
        return path.read_text(encoding="ascii").split()[position]
    except (OSError, IndexError, UnicodeDecodeError):
        return None
