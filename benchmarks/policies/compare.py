"""Runs every policy over the same seeds, on as many cores as asked, and gives the averaged figures."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from .figures import Figures, averaged, figures_of
from .ours import BOUNDS, simulate_ours
from .reference import POLICIES, simulate
from .workload import MINUTE, USUAL, Arrival, RunTimes, endless_stream, mixed_load

__all__ = ["NAMES", "compare_mixed", "compare_stream", "starts_under"]

NAMES = (*POLICIES, *BOUNDS)


def starts_under(policy: str, arrivals: Sequence[Arrival]) -> list[int]:
    """Start times under a reference policy, or under the machine with these bounds."""
    if policy in POLICIES:
        return simulate(arrivals, POLICIES[policy])
    return simulate_ours(arrivals, policy)


def _mixed(work: tuple[str, int, int, RunTimes]) -> tuple[str, Figures]:
    policy, seed, tasks, times = work
    arrivals = mixed_load(seed, tasks, times)
    return policy, figures_of(arrivals, starts_under(policy, arrivals))


def _stream(work: tuple[str, int, int]) -> tuple[str, float]:
    policy, seed, hours = work
    arrivals, large = endless_stream(seed, hours)
    started = starts_under(policy, arrivals)[large]
    return policy, (started - arrivals[large].at) / MINUTE / 60


def compare_mixed(
    *, seeds: Sequence[int], tasks: int, cores: int, names: Sequence[str] = NAMES, times: RunTimes = USUAL
) -> dict[str, Figures]:
    """The averaged figures of each policy over the mixed load."""
    work = [(name, seed, tasks, times) for name in reversed(names) for seed in seeds]
    with ProcessPoolExecutor(cores, mp_context=get_context("spawn")) as pool:
        results = list(pool.map(_mixed, work))
    return {name: averaged([one for policy, one in results if policy == name]) for name in names}


def compare_stream(
    *, seeds: Sequence[int], hours: int, cores: int, names: Sequence[str] = NAMES
) -> dict[str, list[float]]:
    """For each policy and seed: hours that the eight-GPU task waits behind an endless stream of one-GPU
    tasks.
    """
    work = [(name, seed, hours) for name in reversed(names) for seed in seeds]
    with ProcessPoolExecutor(cores, mp_context=get_context("spawn")) as pool:
        results = list(pool.map(_stream, work))
    return {name: [wait for policy, wait in results if policy == name] for name in names}
