"""What is measured of a simulated load, and how the figures of several seeds are put together.

GPU utilisation is the GPU time in use from the first instant to the last arrival, over the GPU time there is
until then. A wait is start less arrival, of every task, also those started after the last arrival.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .workload import GPUS, MINUTE, WHOLE, Arrival

__all__ = ["Figures", "averaged", "figures_of"]


@dataclass(frozen=True, slots=True)
class Figures:
    """Utilisation as a fraction; waits in minutes (`worst_eight`: the longest of a task for all GPUs)."""

    utilisation: float
    wait_all: float
    wait_cpu: float
    wait_eight: float
    worst_eight: float


def figures_of(arrivals: Sequence[Arrival], starts: Sequence[int]) -> Figures:
    """The figures of one seed."""
    horizon = arrivals[-1].at
    used = 0
    waits: dict[str, list[int]] = {"cpu": [0], "eight": [0]}
    every = []
    for arrival, start in zip(arrivals, starts, strict=True):
        inside = max(0, min(start + arrival.millis, horizon) - min(start, horizon))
        used += arrival.shape.share * inside
        waits.setdefault(arrival.shape.name, []).append(start - arrival.at)
        every.append(start - arrival.at)
    return Figures(
        utilisation=used / (WHOLE * GPUS * horizon),
        wait_all=_minutes(every),
        wait_cpu=_minutes(waits["cpu"][1:] or [0]),
        wait_eight=_minutes(waits["eight"][1:] or [0]),
        worst_eight=max(waits["eight"]) / MINUTE,
    )


def _minutes(waits: Sequence[int]) -> float:
    return sum(waits) / len(waits) / MINUTE


def averaged(seeds: Sequence[Figures]) -> Figures:
    """The mean over seeds of every figure (of the worst waits, too)."""
    count = len(seeds)
    return Figures(
        utilisation=sum(one.utilisation for one in seeds) / count,
        wait_all=sum(one.wait_all for one in seeds) / count,
        wait_cpu=sum(one.wait_cpu for one in seeds) / count,
        wait_eight=sum(one.wait_eight for one in seeds) / count,
        worst_eight=sum(one.worst_eight for one in seeds) / count,
    )
