"""P10: clock jumps do no harm. The wall clock is set by hours and days, back and forth, also while the machine sleeps,
and engines restart in between; engine time never goes back, nothing is called lost or timed out that was not, and no
view shows a negative duration.
"""

from __future__ import annotations

from itertools import pairwise

import pytest

from passloop.apps.queue.gather import gather
from passloop.apps.queue.timeline import build_timeline
from passloop.clock import FakeClock, SystemClock
from passloop.store.home import Home
from passloop.store.reader import Reader
from tests.support.promises import record

from .history import play

CHUNKS, SCHEDULES = 4, 100
HOUR = 3_600_000
FIGURE = "schedules, 0 false rescues, 0 negative durations"


def no_negative_durations(home: Home, wall: int) -> int:
    """Look at all that a user is shown, as of this wall time; gives how many attempts it covers."""
    covered = 0
    with Reader.open(home) as reader:
        for run in reader.runs():
            for attempt in reader.run_attempts(run.row.id):
                covered += 1
                moments = [attempt.admitted_at, attempt.started_at, attempt.ended_at]
                known = [at for at in moments if at is not None]
                assert known == sorted(known), f"attempt {attempt.id} goes back in time: {attempt}"
            if not any(run.counts.values()):
                continue  # every key in it was known
            report = gather(reader, home, str(run.row.id), made_at=wall)
            assert report.busy_seconds >= 0
            assert all((row.seconds or 0) >= 0 for row in report.rows)
            assert all(end >= start for start, end in report.active)
            timeline = build_timeline(report)
            lanes = timeline.lanes if timeline is not None else ()
            assert all(bar.end >= bar.start for lane in lanes for bar in lane.bars)
        for view in reader.tasks():
            row = view.row
            known = [at for at in (row.submitted_at, row.started_at, row.ended_at) if at is not None]
            assert known == sorted(known), f"task {row.id} goes back in time: {row}"
    return covered


def play_schedules(seeds: range, events: int) -> int:
    """Play these histories; gives how many attempts they had."""
    attempts = 0
    for seed in seeds:
        shown: list[int] = []

        def look(home: Home, wall: int, shown: list[int] = shown) -> None:
            shown.extend(no_negative_durations(home, moved) for moved in (wall, wall - 400 * 24 * HOUR))

        play("clocks", seed, events, look=look)
        assert shown
        attempts += shown[-1]
    return attempts


@pytest.mark.timeout(200)
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_no_schedule_of_jumps_does_harm(chunk: int) -> None:
    size = SCHEDULES // CHUNKS
    seeds = range(chunk * size, (chunk + 1) * size)
    attempts = play_schedules(seeds, 150)
    assert attempts > size
    record("P10", f"{len(seeds)} {FIGURE}", schedules=len(seeds), attempts=attempts)


@pytest.mark.large
@pytest.mark.timeout(7_200)
@pytest.mark.parametrize("chunk", range(5))
def test_no_long_schedule_of_jumps_does_harm(chunk: int) -> None:
    seeds = range(1_000 + 100 * chunk, 1_100 + 100 * chunk)
    attempts = play_schedules(seeds, 500)
    record("P10", f"{len(seeds)} {FIGURE}", schedules=len(seeds), attempts=attempts)


def test_engine_time_follows_no_jump() -> None:
    system = FakeClock(1_700_000_000_000)

    def clock(not_before: int) -> SystemClock:
        return SystemClock(
            not_before=not_before,
            wall_ns=lambda: system.wall() * 1_000_000,
            monotonic_ns=lambda: system.now() * 1_000_000,
        )

    engine = clock(0)
    seen = [engine.now()]
    for jump in (HOUR, -7 * HOUR, 400 * 24 * HOUR, -400 * 24 * HOUR):
        system.set_wall(jump)
        system.advance(1_000)
        seen.append(engine.now())
    assert [later - earlier for earlier, later in pairwise(seen)] == [1_000] * 4
    system.set_wall(-24 * HOUR)
    assert clock(seen[-1]).now() == seen[-1]
