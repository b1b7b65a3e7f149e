"""The penalty grows from nothing at the limit, and what is ruled out stays so."""

from __future__ import annotations

import math

import pytest

from passloop.apps.tune.records import Objective, Slo
from passloop.apps.tune.scoring.best import best_trial, score
from passloop.apps.tune.scoring.penalty import STEEPEST, penalised, penalty_factor
from passloop.apps.tune.scoring.slo import checks
from tests.support.trial_documents import complete, failed, point

SOON = Objective(metric="e2e", direction="minimize")
FAST = Objective(metric="output_tokens_per_second")
HARD = Slo(metric="ttft", stat="p95", most=1000, hard_fail=True, fail_ratio=0.5)


def factor(ttft: float, *, weight: float = 2.0, steepness: float = 0.1) -> float | None:
    slo = Slo(metric="ttft", stat="p95", most=1000, weight=weight)
    return penalty_factor(tuple(checks([point(ttft_p95=ttft)], [slo])), steepness=steepness)


def test_the_penalty_is_continuous_at_the_limit() -> None:
    """The ancestor's factor was 3 at 0.002 % over the limit with a weight of 2."""
    assert factor(1000) == 1
    assert factor(1000.02) == pytest.approx(1, abs=1e-3)
    assert factor(999.98) == 1


def test_the_penalty_has_the_formula_of_the_issue() -> None:
    assert factor(1100) == pytest.approx(1 + 2 * (math.e - 1))
    assert factor(1100, steepness=0.2) == pytest.approx(1 + 2 * (math.exp(0.5) - 1))


def test_several_misses_add_up() -> None:
    slo = [Slo(metric="ttft", most=100), Slo(metric="tpot", most=10, weight=3)]
    found = tuple(checks([point(ttft=110, tpot=11)], slo))
    assert penalty_factor(found) == pytest.approx(1 + 4 * (math.e - 1))


def test_what_is_minimised_grows_and_what_is_maximised_shrinks() -> None:
    document = complete(1, point(e2e=200, output_tokens_per_second=50, ttft_p95=1100))
    slo = [Slo(metric="ttft", stat="p95", most=1000)]
    assert penalised(document, SOON, slo) == pytest.approx(200 * math.e)
    assert penalised(document, FAST, slo) == pytest.approx(50 / math.e)


def test_a_hard_limit_is_infeasible_only_beyond_its_fail_ratio() -> None:
    assert penalised(complete(1, point(e2e=2, ttft_p95=1500)), SOON, [HARD]) is not None
    assert penalised(complete(1, point(e2e=2, ttft_p95=1501)), SOON, [HARD]) is None


def test_the_penalty_never_makes_a_number_of_a_failure() -> None:
    assert penalised(failed(1, point(e2e=2, ttft_p95=1)), SOON, [HARD]) is None
    assert penalised(complete(1, point(e2e=2)), SOON, [HARD]) is None
    assert penalised(complete(1, point(ttft_p95=2)), SOON, [HARD]) is None


def test_the_penalty_stays_finite_however_large_the_miss() -> None:
    assert factor(1e12) == pytest.approx(2 * math.exp(STEEPEST))


def test_with_the_penalty_scorer_a_small_miss_may_be_worth_it() -> None:
    slo = [Slo(metric="ttft", stat="p95", most=1000)]
    slow = complete(1, point(output_tokens_per_second=50, ttft_p95=900))
    fast = complete(2, point(output_tokens_per_second=90, ttft_p95=1010))
    assert best_trial([slow, fast], [FAST], slo) == slow
    assert best_trial([slow, fast], [FAST], slo, "penalty") == fast
    assert score(fast, FAST, slo) is None
