"""Objectives speak of one point, and a failure is never a score."""

from __future__ import annotations

import msgspec
import pytest

from passloop.apps.tune.records import Objective, Slo
from passloop.apps.tune.scoring.best import best_trial, ranked
from passloop.apps.tune.scoring.front import dominates, pareto
from passloop.apps.tune.scoring.objectives import better, named_objective, objective_value, objective_values
from tests.support.trial_documents import complete, failed, point

FAST = Objective(metric="output_tokens_per_second")
SOON = Objective(metric="ttft", stat="p95", direction="minimize")
SLO = [Slo(metric="ttft", stat="p95", most=800)]


def test_values_come_in_the_order_of_the_objectives() -> None:
    document = complete(1, point(output_tokens_per_second=50, ttft_p95=100))
    assert objective_values(document, [SOON, FAST]) == (100, 50)


def test_an_objective_without_a_point_is_never_an_average_over_concurrencies() -> None:
    document = complete(1, point("concurrency=1", ttft_p95=100), point("concurrency=8", ttft_p95=300))
    assert objective_value(document, SOON) is None
    assert objective_value(document, msgspec.structs.replace(SOON, at="concurrency=8")) == 300


def test_a_failure_is_never_a_score() -> None:
    document = failed(1, point(output_tokens_per_second=1e9, ttft_p95=0.1))
    assert objective_values(document, [FAST, SOON]) == (None, None)
    pruned = msgspec.structs.replace(document, state="pruned", pruned="cannot beat the best")
    assert objective_values(pruned, [FAST, SOON]) == (None, None)


def test_what_was_not_measured_is_no_score() -> None:
    assert objective_value(complete(1, point(e2e=4)), SOON) is None
    assert objective_value(complete(1, point("rate=2", ttft_p95=4)), Objective(metric="ttft", at="rate=3")) is None


def test_a_point_that_was_given_up_is_no_score() -> None:
    assert objective_value(complete(1, point(output_tokens_per_second=900, stopped="saturated")), FAST) is None


def test_the_highest_load_is_an_objective_of_the_whole_trial() -> None:
    objective = Objective(metric="max_load")
    document = complete(1, point(ttft=1))
    assert objective_value(document, objective) is None
    assert objective_value(msgspec.structs.replace(document, max_load={"value": 12}), objective) == 12


@pytest.mark.parametrize(
    ("name", "metric", "direction"),
    [
        ("minimize_latency", "e2e", "minimize"),
        ("maximize_throughput", "output_tokens_per_second", "maximize"),
        ("minimize_ttft", "ttft", "minimize"),
        ("minimize_tpot", "tpot", "minimize"),
    ],
)
def test_objectives_have_the_names_that_people_know(name: str, metric: str, direction: str) -> None:
    objective = named_objective(name, at="rate=2")
    assert (objective.metric, objective.direction, objective.stat, objective.at) == (
        metric,
        direction,
        "mean",
        "rate=2",
    )


def test_better_follows_the_direction() -> None:
    assert better(2, 1, FAST)
    assert better(1, 2, SOON)
    assert not better(1, 1, FAST)
    assert not better(1, 1, SOON)


def test_the_best_trial_is_the_best_feasible_one() -> None:
    documents = [
        complete(1, point(output_tokens_per_second=50, ttft_p95=100)),
        complete(2, point(output_tokens_per_second=90, ttft_p95=900)),
        failed(3, point(output_tokens_per_second=500, ttft_p95=1)),
        complete(4, point(output_tokens_per_second=70, ttft_p95=200)),
    ]
    best = best_trial(documents, [FAST], SLO)
    assert best is not None
    assert best.trial == 4
    assert [document.trial for document in ranked(documents, [SOON], SLO)] == [1, 4]


def test_among_equal_trials_the_lowest_number_is_best_in_any_order_of_ends() -> None:
    documents = [complete(number, point(output_tokens_per_second=50, ttft_p95=1)) for number in (7, 3, 5)]
    best = best_trial(documents, [FAST], SLO)
    assert best is not None
    assert best.trial == 3


def test_without_a_feasible_trial_there_is_no_best() -> None:
    assert best_trial([complete(1, point(output_tokens_per_second=9, ttft_p95=900)), failed(2)], [FAST], SLO) is None
    assert best_trial([], [FAST], SLO) is None
    assert best_trial([complete(1, point(ttft_p95=1))], [], SLO) is None


def test_a_missing_metric_is_never_a_good_score() -> None:
    """Neither the fastest nor the slowest: a trial that lacks it is not ranked at all."""
    documents = [complete(1, point(ttft_p95=1)), complete(2, point(output_tokens_per_second=1, ttft_p95=1))]
    assert [document.trial for document in ranked(documents, [FAST], SLO)] == [2]
    assert [document.trial for document in ranked(documents, [SOON, FAST], SLO)] == [2]


def test_the_front_is_of_feasible_trials_that_nothing_beats() -> None:
    documents = [
        complete(1, point(output_tokens_per_second=50, ttft_p95=100)),
        complete(2, point(output_tokens_per_second=90, ttft_p95=400)),
        complete(3, point(output_tokens_per_second=40, ttft_p95=120)),
        complete(4, point(output_tokens_per_second=99, ttft_p95=900)),
        complete(5, point(output_tokens_per_second=90, ttft_p95=400)),
        failed(6, point(output_tokens_per_second=900, ttft_p95=1)),
        complete(7, point(output_tokens_per_second=900)),
    ]
    assert [document.trial for document in pareto(documents, [FAST, SOON], SLO)] == [2, 5, 1]


def test_equal_values_do_not_dominate_each_other() -> None:
    assert not dominates([1, 2], [1, 2], [FAST, SOON])
    assert dominates([1, 1], [1, 2], [FAST, SOON])
    assert not dominates([2, 3], [1, 2], [FAST, SOON])
