"""Objectives and limits name what is measured, each at its point, and become numbers in the metric's own unit."""

from __future__ import annotations

from typing import Any

import pytest

from passloop.apps.tune.measures import MEASURES, OBJECTIVES
from passloop.apps.tune.records import Objective
from tests.unit.apps.tune.studies import GOOD, mistakes, study

POINTS = [{"concurrency": 4}]
LATENCY = {"metric": "e2e", "max": "9s"}


def slo(**entry: Any) -> Any:
    return study(slo=[entry]).slo[0]


@pytest.mark.parametrize(
    ("text", "number"),
    [("800ms", 800.0), ("0.8s", 800.0), ("1.5 ms", 1.5), ("250us", 0.25), ("2m", 120_000.0), (" 5s ", 5_000.0)],
)
def test_a_limit_of_a_latency_is_milliseconds(text: str, number: float) -> None:
    assert slo(metric="ttft", stat="p95", max=text).most == pytest.approx(number)


@pytest.mark.parametrize(
    ("entry", "most", "least"),
    [
        ({"metric": "itl", "max": "20ms"}, 20.0, None),
        ({"metric": "error_rate", "max": "1%"}, 0.01, None),
        ({"metric": "error_rate", "max": 0}, 0.0, None),
        ({"metric": "requests_per_second", "min": 2}, None, 2.0),
        ({"metric": "output_tokens_per_second_per_gpu", "min": 10.5}, None, 10.5),
    ],
)
def test_limits_become_most_or_least(entry: dict[str, Any], most: float | None, least: float | None) -> None:
    assert (slo(**entry).most, slo(**entry).least) == (most, least)


def test_itl_is_tpot() -> None:
    assert slo(metric="itl", stat="p90", max="20ms").metric == "tpot"


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"metric": "ttft", "max": 800}, "`800` is no latency"),
        ({"metric": "ttft", "max": "800"}, "`800` is no latency"),
        ({"metric": "ttft", "max": "0ms"}, "a latency of 0 is never kept"),
        ({"metric": "ttft", "max": "-1ms"}, "is no latency"),
        ({"metric": "ttft", "min": "1ms"}, "`ttft` has no min: less is better"),
        ({"metric": "goodput", "max": 3}, "`goodput` has no max: less is worse"),
        ({"metric": "ttft"}, "the limit of `ttft` is missing"),
        ({"metric": "ttft", "stat": "p42", "max": "1s"}, "`ttft` has no `p42`"),
        ({"metric": "goodput", "stat": "p95", "min": 1}, "`goodput` has no `p95`"),
        ({"metric": "ttft", "at": {"concurrency": 8}, "max": "1s"}, "there is no point `concurrency=8`"),
        ({"metric": "ttft", "at": "concurrency", "max": "1s"}, "there is no point `concurrency`"),
        ({"metric": "ttft", "at": {"concurency": 4}, "max": "1s"}, "names no point"),
        ({"metric": "ttf", "max": "1s"}, "`ttf` is no metric; did you mean `ttft`?"),
        ({"metric": ["ttft"], "max": "1s"}, "is no metric"),
        ({"metric": "error_rate", "max": 2}, "`2` is more than all"),
        ({"metric": "error_rate", "max": "x"}, "`x` is no number"),
        ({"metric": "max_load", "min": 2}, "no SLO itself"),
        ({"metric": "attainment", "min": 0.9}, "`attainment` counts requests that keep limits of latencies"),
        ({"metric": "ttft", "max": "1s", "weight": 0}, "slo.0.weight"),
    ],
)
def test_a_limit_that_cannot_be_is_told(entry: dict[str, Any], said: str) -> None:
    assert said in mistakes(slo=[entry])


@pytest.mark.parametrize("name", sorted(OBJECTIVES))
def test_an_objective_can_be_said_by_name(name: str) -> None:
    load = {"points": POINTS, "max_load": {}}
    made = study(load=load, slo=[LATENCY], objectives=[name]).objectives[0]
    metric, direction = OBJECTIVES[name]
    assert (made.metric, made.direction) == (metric, direction)
    assert direction == MEASURES[metric].better
    assert name.startswith(direction)


def test_the_direction_follows_from_the_metric() -> None:
    made = study(objectives=[{"metric": "ttft", "stat": "p95", "at": "concurrency=1"}])
    assert made.objectives == (Objective(metric="ttft", stat="p95", at="concurrency=1", direction="minimize"),)


@pytest.mark.parametrize("load", [{"rate": 2.0}, {"rate": 2}, {"rate": 0.25}])
def test_a_point_of_a_rate_is_named_like_one(load: dict[str, float]) -> None:
    made = study(load={"points": [load, {"concurrency": 1}]}, objectives=[{"metric": "ttft", "at": load}])
    assert made.objectives[0].at == made.load.points[0].name


@pytest.mark.parametrize(
    ("objectives", "said"),
    [
        ([{"metric": "ttft"}], "the objective names no point, and there are several"),
        ([{"metric": "ttft", "at": {"rate": 2}}], "there is no point `rate=2`"),
        ([{"metric": "ttft", "at": {"concurrency": 1}, "direction": "maximize"}], "`ttft` is better the other way"),
        ([{"metric": "max_load"}], "the highest load is not searched for"),
        ([{"metric": "max_load", "at": {"concurrency": 1}}], "the highest load belongs to no point"),
        (["minimize_cost"], "`minimize_cost` is no objective"),
        ([{"metric": "goodput", "at": {"concurrency": 1}}], "`goodput` counts requests that keep limits of latencies"),
        ([], "objectives"),
        ({"metric": "ttft"}, "must be a list"),
        ([{"metric": "ttft", "at": {"concurrency": 1}}] * 2, "this objective is there twice"),
    ],
)
def test_an_objective_that_cannot_be_is_told(objectives: Any, said: str) -> None:
    assert said in mistakes(objectives=objectives)


@pytest.mark.parametrize(
    ("load", "said"),
    [
        ({"points": []}, "load.points"),
        ({"points": [{}]}, "a point has a concurrency or a rate"),
        ({"points": [{"concurrency": 1, "rate": 1}]}, "a point has a concurrency or a rate"),
        ({"points": [{"concurrency": 0}]}, "load.points.0.concurrency"),
        ({"points": [{"rate": 1e999}]}, "load.points.0.rate"),
        ({"points": [{"concurrency": 4}, {"concurrency": 4}]}, "the point `concurrency=4` is there twice"),
        ({"points": POINTS, "prompts": "none.txt"}, "there is no file `none.txt` beside this one"),
        ({"points": POINTS, "prompts": "builtin:none"}, "there are no prompts"),
        ({"points": POINTS, "options": {"apii": 1}}, "load.options cannot be read"),
        ({"points": POINTS, "client": "aiperf", "options": {"apii": 1}}, "load.options"),
        ({"points": [{"rate": 2}], "client": "genai-bench"}, "genai-bench keeps no rate"),
        ({"points": POINTS, "client": "wrk"}, "`wrk` is no load client"),
        ({"points": POINTS, "max_load": {}}, "the highest load under SLOs needs an SLO"),
        ({"points": POINTS, "max_load": {"low": 9, "high": 2}}, "low is above high"),
        ({"points": POINTS, "timeout": 0}, "a limit of 0"),
        ({"points": POINTS, "arrivals": "burst"}, "load.arrivals"),
    ],
)
def test_a_load_that_cannot_be_is_told(load: dict[str, Any], said: str) -> None:
    assert said in mistakes(load=load)


def test_a_point_says_otherwise_what_the_load_says_for_all() -> None:
    points = [{"concurrency": 1, "requests": 3, "warmup": 0}, {"rate": 2, "arrivals": "constant"}]
    load = {"points": points, "requests": 9, "repeats": 2, "seconds": 5}
    made = study(load=load, objectives=[{**GOOD["objectives"][0], "at": {"concurrency": 1}}]).load.points
    assert [(each.requests, each.warmup, each.repeats, each.seconds) for each in made] == [(3, 0, 2, 5), (9, 1, 2, 5)]
    assert [each.arrivals for each in made] == ["poisson", "constant"]
