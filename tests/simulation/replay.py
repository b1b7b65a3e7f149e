"""Replays one history, or plays many: `.venv/bin/python -m tests.simulation.replay --help`.

.venv/bin/python -m tests.simulation.replay --mode safety --seed 17 --events 500 --trace
.venv/bin/python -m tests.simulation.replay --seeds 1..20000 --workers 2     (what `make simulate SEEDS=20000` does)
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from .history import MODES, Told, command, play

__all__ = ["many"]

EVENTS = 500


class Played(NamedTuple):
    """One history of many: what it was, or what it broke."""

    mode: str
    seed: int
    told: Told | None
    broken: str
    cpu_s: float


def _play(one: tuple[str, int, int]) -> Played:
    mode, seed, events = one
    begun = time.process_time()
    try:
        told, broken = play(mode, seed, events), ""
    except BaseException:
        told, broken = None, traceback.format_exc()
    return Played(mode, seed, told, broken, time.process_time() - begun)


def many(modes: Sequence[str], seeds: Sequence[int], events: int, *, workers: int) -> Iterator[Played]:
    """Play all these seeds in each mode, in so many processes; in the order in which they end."""
    wanted = [(mode, seed, events) for seed in seeds for mode in modes]
    if workers == 1:
        yield from map(_play, wanted)
        return
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        yield from pool.imap_unordered(_play, wanted, chunksize=4)


def number_of(text: str) -> int:
    """A whole number over 0. Raises `argparse.ArgumentTypeError`."""
    if not (text.isascii() and text.isdigit()) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number over 0")
    return int(text)


def seeds_of(text: str) -> range:
    """`200` is so many seeds, from 1 on; `17..20` those four. Raises `argparse.ArgumentTypeError`."""
    first, dots, last = text.partition("..")
    try:
        seeds = range(int(first), int(last) + 1) if dots else range(1, int(first) + 1)
    except ValueError:
        seeds = range(0)
    if not seeds:
        raise argparse.ArgumentTypeError(f"{text!r} names no seeds: give 200 for so many, or 17..20 for those four")
    return seeds


def main(words: Sequence[str] | None = None) -> int:
    """See the module. 0 if no history broke a promise, 1 if any did, 2 for words that make no sense."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.replay", description="Play simulated histories.")
    parser.add_argument("--mode", choices=MODES, action="append", help="default: each seed in safety and in liveness")
    parser.add_argument("--seed", type=int, help="one history, as it was")
    parser.add_argument("--seeds", type=seeds_of, help="200 is so many, 17..20 are those four; default: 200")
    parser.add_argument("--events", type=number_of, default=EVENTS, help="how many events one history has")
    parser.add_argument("--workers", type=number_of, default=1, help="processes")
    parser.add_argument("--trace", action="store_true", help="with --seed: say what happens")
    wanted = parser.parse_args(words)
    if wanted.seed is not None and wanted.seeds is not None:
        parser.error("give --seed for one history or --seeds for many, not both")
    modes = wanted.mode or ["safety", "liveness"]
    if wanted.seed is not None:
        for mode in modes:
            print(_held(mode, wanted.seed, play(mode, wanted.seed, wanted.events, trace=wanted.trace)))
        return 0
    return _play_many(modes, wanted.seeds or range(1, 201), wanted.events, wanted.workers)


def _held(mode: str, seed: int, told: Told) -> str:
    """What there is to say of one history that broke no promise."""
    died = f"{told.deaths.total()} engines died, {told.pauses} commits found the disk full"
    return (
        f"{mode}, seed {seed}: {told.events} events in {told.turns} turns, {died}; no promise broke\n"
        f"events: {dict(told.kinds)}\nattempts ended: {dict(told.outcomes)}\nfingerprint: {told.fingerprint:016x}"
    )


def _play_many(modes: Sequence[str], seeds: Sequence[int], events: int, workers: int) -> int:
    begun, cpu, histories = time.monotonic(), 0.0, 0
    kinds: Counter[str] = Counter()
    deaths: Counter[str] = Counter()
    broken: list[Played] = []
    for one in many(modes, seeds, events, workers=workers):
        histories += 1
        cpu += one.cpu_s
        if one.told is None:
            broken.append(one)
            print(f"{one.broken}\n{command(one.mode, one.seed, events)}\n", flush=True)
        else:
            kinds += one.told.kinds
            deaths += one.told.deaths
    took = time.monotonic() - begun
    print(f"{histories} histories of {events} events in {took:.0f} s, {len(broken)} broke a promise")
    minutes = max(cpu, 0.001) / 60
    alike = kinds.total() / events
    print(f"{histories / minutes:.0f} histories a minute and core, {alike / minutes:.0f} of {events} events each")
    print(f"{kinds.total()} events: {dict(kinds)}")
    print(f"{deaths.total()} engines died: {dict(deaths)}")
    for one in broken:
        print(command(one.mode, one.seed, events))
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
