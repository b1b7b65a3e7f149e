"""P14: no starvation, no deadlock, and a true reason for every task that waits. Seeded histories of the real engine.

*safety*: whatever fails, no invariant and no promise breaks. *liveness*: once all heals everything becomes final, and
what a reason names is what stands in the way. *load*: who waits beside work without end starts in time.
Tasks come from clients and from sources, run in processes, as calls and on warm workers. A failing seed prints what
replays it; what it found becomes a test by name where it is mended. `make simulate SEEDS=20000` plays as many as one
likes.
"""

from __future__ import annotations

from collections import Counter

import pytest

from passloop.crashpoints import CRASHPOINTS
from tests.support.promises import record

from .history import play

MODES = ("safety", "liveness")
CHUNKS, SEEDS = 10, 500
OFTEN = {"before_commit", "after_commit", "before_launch", "after_launch", "before_answers"}
"""The crash points that any hundred histories reach."""
AHEAD = "of what is claimed ahead and written in parts, 0 breaks"
POOLS = "of pools that runs declare otherwise, 0 breaks"
LOAD = "of an endless load, 0 who start too late"
PLAYED = {"Submitted", "Expanded", "ExpansionFailed", "WorkerGone", "StrayGone", "StartRefused", "PauseChanged"}
"""What happens in any fifty histories, beside much else."""


def play_all(seeds: range, events: int) -> Counter[str]:
    """Play each seed in the mode that is its turn; gives how engines died. Raises, at the end, all that was broken."""
    deaths: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    explained = 0
    broken: list[Exception] = []
    for seed in seeds:
        try:
            told = play(MODES[seed % 2], seed, events)
        except Exception as error:
            broken.append(error)
            continue
        assert told.events >= events
        deaths += told.deaths
        kinds += told.kinds
        explained += told.explained
    if broken:
        raise ExceptionGroup(f"{len(broken)} of {len(seeds)} histories broke a promise", broken)
    assert explained, "no reason was put to the test"
    assert kinds.keys() >= PLAYED, f"nobody plays {PLAYED - kinds.keys()}"
    return deaths


@pytest.mark.timeout(300)
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_every_history_keeps_every_promise(chunk: int) -> None:
    size = SEEDS // CHUNKS
    seeds = range(chunk * size, (chunk + 1) * size)
    deaths = play_all(seeds, 150)
    killed = sum(deaths.values())
    assert killed > size
    record("P14", f"{len(seeds)} seeds of 150 events, 0 breaks", seeds=len(seeds), events=150, engines_killed=killed)


@pytest.mark.timeout(120)
def test_nobody_reaches_a_worker_before_one_whose_devices_are_looked_at() -> None:
    play("ahead", 1_051, 300)


@pytest.mark.timeout(120)
def test_what_is_claimed_ahead_and_written_in_parts_keeps_every_promise() -> None:
    expanded = [play("ahead", seed, 150).kinds["Expanded"] for seed in range(2)]
    assert sum(expanded) > 5
    record("P14", f"{len(expanded)} seeds of 150 events {AHEAD}", ahead_seeds=len(expanded))


@pytest.mark.timeout(120)
def test_pools_that_are_declared_again_keep_every_promise() -> None:
    declared = [play("pools", seed, 150).kinds["PoolDeclared"] for seed in range(4)]
    assert sum(declared) > 40
    record("P14", f"{len(declared)} seeds of 150 events {POOLS}", pools_seeds=len(declared))


@pytest.mark.timeout(120)
def test_nobody_starves_beside_an_endless_load() -> None:
    through = [play("load", seed, 300).through for seed in range(8)]
    assert sum(through) > 16
    record("P14", f"{len(through)} seeds of 300 events {LOAD}", load_seeds=len(through), through=sum(through))


@pytest.mark.large
@pytest.mark.timeout(7_200)
@pytest.mark.parametrize("chunk", range(5))
def test_what_is_claimed_ahead_and_written_in_parts_keeps_every_promise_at_length(chunk: int) -> None:
    first = 1_000 + 100 * chunk
    expanded = [play("ahead", seed, 300).kinds["Expanded"] for seed in range(first, first + 100)]
    assert sum(expanded) > 1_000
    record("P14", f"{len(expanded)} seeds of 300 events {AHEAD}", ahead_seeds=len(expanded))


@pytest.mark.large
@pytest.mark.timeout(7_200)
@pytest.mark.parametrize("chunk", range(5))
def test_pools_that_are_declared_again_keep_every_promise_at_length(chunk: int) -> None:
    first = 1_000 + 100 * chunk
    declared = [play("pools", seed, 300).kinds["PoolDeclared"] for seed in range(first, first + 100)]
    assert sum(declared) > 1_000
    record("P14", f"{len(declared)} seeds of 300 events {POOLS}", pools_seeds=len(declared))


@pytest.mark.large
@pytest.mark.timeout(7_200)
@pytest.mark.parametrize("chunk", range(5))
def test_nobody_starves_beside_an_endless_load_at_length(chunk: int) -> None:
    first = 1_000 + 200 * chunk
    through = [play("load", seed, 1_000).through for seed in range(first, first + 200)]
    assert sum(through) > 1_000
    record("P14", f"{len(through)} seeds of 1,000 events {LOAD}", load_seeds=len(through), through=sum(through))


@pytest.mark.large
@pytest.mark.timeout(36_000)
@pytest.mark.parametrize("chunk", range(20))
def test_every_history_keeps_every_promise_at_length(chunk: int) -> None:
    first = 10_000 + 1_000 * chunk
    seeds = range(first, first + 1_000)
    deaths = play_all(seeds, 500)
    killed = sum(deaths.values())
    assert deaths.keys() & CRASHPOINTS.keys() >= OFTEN
    record("P14", f"{len(seeds):,} seeds of 500 events, 0 breaks", seeds=len(seeds), events=500, engines_killed=killed)
