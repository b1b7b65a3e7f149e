"""Laws of scoring over any measurements, and of the watch for over-saturation over simulated servers."""

from __future__ import annotations

import math
import random
from heapq import heapify, heapreplace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passloop.apps.statistics import STATS, percentile, student_mean, summary, wilson
from passloop.apps.tune.load.requests import RequestRecord
from passloop.apps.tune.load.results import point_result
from passloop.apps.tune.records import Document, Objective, Point, Slo
from passloop.apps.tune.scoring.best import ranked, score
from passloop.apps.tune.scoring.front import dominates, pareto
from passloop.apps.tune.scoring.gain import gain
from passloop.apps.tune.scoring.penalty import penalty_factor
from passloop.apps.tune.scoring.saturation import Saturation
from passloop.apps.tune.scoring.slo import checks
from tests.support.trial_documents import complete, failed, point

values = st.lists(st.floats(0, 1e6), min_size=1, max_size=60)
SOON = Objective(metric="ttft", direction="minimize")
FAST = Objective(metric="goodput")
SLO = [Slo(metric="ttft", most=500)]


@given(values)
def test_percentiles_grow_and_stay_among_the_values(found: list[float]) -> None:
    stats = summary(found)
    ordered = [stats[name] for name in STATS[1:]]
    assert ordered == sorted(ordered)
    assert min(found) <= ordered[0]
    assert ordered[-1] <= max(found)
    assert percentile(sorted(found), 0.0) == min(found)


@given(st.integers(0, 500), st.integers(0, 500))
def test_wilsons_interval_holds_the_share_and_stays_one(hits: int, misses: int) -> None:
    low, high = wilson(hits, hits + misses)
    assert 0 <= low <= high <= 1
    if hits + misses:
        assert low <= hits / (hits + misses) <= high
        assert high - low > 0


@given(st.lists(st.floats(1, 1e6), min_size=2, max_size=20))
def test_students_interval_is_as_wide_for_shifted_values(found: list[float]) -> None:
    here, there = student_mean(found), student_mean([value + 1000 for value in found])
    assert here.half_width is not None
    assert there.half_width is not None
    assert here.half_width == pytest.approx(there.half_width, rel=1e-6, abs=1e-6)


@given(st.floats(0, 5e4), st.floats(0, 5e4), st.floats(0.01, 10), st.floats(0.01, 2))
def test_more_excess_never_costs_less(one: float, other: float, weight: float, steepness: float) -> None:
    def factor(ttft: float) -> float:
        slo = [Slo(metric="ttft", most=500, weight=weight)]
        found = penalty_factor(tuple(checks([point(ttft=ttft)], slo)), steepness=steepness)
        assert found is not None
        return found

    small, large = sorted((one, other))
    assert 1 <= factor(small) <= factor(large) < math.inf


@given(st.floats(1e-9, 1e-3), st.floats(0.01, 100))
def test_the_penalty_begins_at_nothing_whatever_its_weight(over: float, weight: float) -> None:
    slo = [Slo(metric="ttft", most=500, weight=weight)]
    found = penalty_factor(tuple(checks([point(ttft=500 * (1 + over))], slo)))
    assert found == pytest.approx(1 + weight * over / 0.1, rel=0.01)


@st.composite
def documents(draw: st.DrawFn) -> list[Document]:
    """Trials in any order, of which some failed, missed the SLO or measured nothing."""
    found: list[Document] = []
    for number in range(draw(st.integers(0, 12))):
        ttft, goodput = draw(st.integers(0, 8)) * 100, draw(st.integers(0, 6))
        kind = draw(st.sampled_from(["complete", "complete", "complete", "failed", "half"]))
        if kind == "failed":
            found.append(failed(number, point(ttft=ttft, goodput=goodput)))
        else:
            measured = point(ttft=ttft, goodput=goodput) if kind == "complete" else point(ttft=ttft)
            found.append(complete(number, measured))
    return draw(st.permutations(found))


@given(documents())
def test_the_front_holds_all_that_nothing_beats_and_no_more(trials: list[Document]) -> None:
    objectives = [SOON, FAST]
    scored = {one.trial: [score(one, objective, SLO) for objective in objectives] for one in trials}
    known = {trial: [v for v in found if v is not None] for trial, found in scored.items() if None not in found}
    beaten = {trial for trial, mine in known.items() if any(dominates(its, mine, objectives) for its in known.values())}
    assert {one.trial for one in pareto(trials, objectives, SLO)} == known.keys() - beaten


@given(documents(), st.randoms())
def test_the_order_of_ends_changes_nothing(trials: list[Document], chance: random.Random) -> None:
    shuffled = chance.sample(trials, len(trials))
    for scorer in ("objective", "penalty"):
        order = [one.trial for one in ranked(trials, [FAST, SOON], SLO, scorer)]
        assert order == [one.trial for one in ranked(shuffled, [FAST, SOON], SLO, scorer)]
        assert all(one.state == "complete" for one in ranked(trials, [FAST], SLO, scorer))


@settings(max_examples=30)
@given(st.floats(1, 1e4), st.floats(1, 1e4), st.floats(0, 0.3), st.floats(0, 0.3), st.integers(2, 9))
def test_a_gain_lies_in_its_interval(mine: float, its: float, width: float, other: float, repeats: int) -> None:
    base = complete(0, point(repeats=repeats, ttft=its, width_ttft=its * other))
    for objective in (SOON, Objective(metric="ttft", direction="maximize")):
        found = gain(complete(1, point(repeats=repeats, ttft=mine, width_ttft=mine * width)), base, objective)
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        assert found.low <= found.value + 1e-9
        assert found.value <= found.high + 1e-9


@st.composite
def requests(draw: st.DrawFn) -> list[RequestRecord]:
    """Requests of one repeat, some of which failed."""
    found = []
    for index in range(draw(st.integers(1, 30))):
        due, wait, tokens = draw(st.floats(0, 1e4)), draw(st.floats(0, 1e3)), draw(st.integers(1, 20))
        error = draw(st.sampled_from([None, None, None, "closed"]))
        first = due + wait
        last = first + 10.0 * (tokens - 1)
        found.append(
            RequestRecord(
                point="rate=1",
                repeat=0,
                index=index,
                scheduled=due,
                sent=due,
                first=first,
                last=last,
                ended=last + 1,
                tokens_in=3,
                tokens_out=tokens,
                error=error,
            )
        )
    return found


@given(requests(), st.floats(0, 1e3), st.floats(0, 1e3))
def test_a_stricter_limit_never_makes_more_requests_good(repeat: list[RequestRecord], one: float, other: float) -> None:
    strict, wide = sorted((one, other))
    point_of = Point(rate=1.0)
    few = point_result(point_of, [repeat], limits={"ttft": strict}).metrics
    many = point_result(point_of, [repeat], limits={"ttft": wide}).metrics
    assert few["attainment"]["mean"] <= many["attainment"]["mean"] <= 1 - many["error_rate"]["mean"] + 1e-12
    for name, rate in few.items():
        if name == "goodput":
            assert rate["mean"] <= many[name]["mean"] <= many["requests_per_second"]["mean"] + 1e-12
        elif name != "attainment":
            assert rate == many[name]


def seen_after(load: float, servers: int, requests: int, seed: int, *, spread: float) -> int | None:
    """Play Poisson arrivals at a share of the capacity; how many had come when over-saturation was seen."""
    chance = random.Random(f"{load}/{servers}/{seed}/{spread}")
    rate = load * servers / 0.2
    free, now, events = [0.0] * servers, 0.0, []
    heapify(free)
    for _ in range(requests):
        now += chance.expovariate(rate)
        begun = max(now, free[0])
        service = chance.gammavariate(1 / spread, 0.2 * spread)
        heapreplace(free, begun + service)
        events += [(now, 0, 0.0), (begun + 0.01, 1, (begun + 0.01 - now) * 1000), (begun + 0.01 + service, 2, 0.0)]
    watch = Saturation(rate)
    for at, kind, ttft in sorted(events):
        if at > now or watch.seen:
            break
        if kind == 0:
            watch.on_due()
        elif kind == 1:
            watch.on_first(ttft)
        else:
            watch.on_end(answered=True)
    return watch.arrived if watch.seen else None


@pytest.mark.parametrize("spread", [0.1, 1.0])
def test_a_load_below_capacity_is_never_given_up(spread: float) -> None:
    for servers in (1, 8, 32):
        for load in (0.5, 0.8, 0.95):
            assert not any(seen_after(load, servers, 400, seed, spread=spread) for seed in range(8))


@pytest.mark.parametrize(("load", "requests"), [(1.5, 500), (2.0, 300), (4.0, 300)])
def test_a_load_beyond_capacity_is_seen_soon(load: float, requests: int) -> None:
    for servers in (1, 8):
        assert all(seen_after(load, servers, requests, seed, spread=0.3) for seed in range(8))


def test_more_overload_is_seen_sooner() -> None:
    found = [seen_after(load, 1, 2_000, 1, spread=0.3) or 2_001 for load in (1.2, 1.5, 2.0)]
    assert all(later < sooner for sooner, later in pairwise(found))
