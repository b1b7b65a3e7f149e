"""How much this box has: CPUs, memory. Owns what is counted; what is free is the kernel's ledger, never a look."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from passloop.kernel.amounts import CPU_UNIT
from passloop.kernel.events import PoolDeclared, PoolKind
from passloop.kernel.resources import CPU, MEMORY

from .errors import EngineError

__all__ = ["CapacityError", "cpu_milli", "declared_pools", "memory_mib"]

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


def memory_mib(*, cgroup: Path = _CGROUP) -> int:
    """Memory of this box in MiB: what it has, or what its cgroup allows if that is less."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = _read_word(cgroup / "memory.max", 0)
    if limit is not None and limit.isdigit():
        total = min(total, int(limit))
    return total // _MIB


def declared_pools(variables: Mapping[str, str] | None = None) -> tuple[PoolDeclared, ...]:
    """The pools that every box has, as events for the machine. Declaring them again resizes them."""
    return (
        PoolDeclared(name=CPU, kind=PoolKind.AMOUNT, capacity=cpu_milli(variables)),
        PoolDeclared(name=MEMORY, kind=PoolKind.AMOUNT, capacity=memory_mib()),
    )


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
