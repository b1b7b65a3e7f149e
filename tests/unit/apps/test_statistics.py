"""Statistics agree with published tables and with their definitions."""

from __future__ import annotations

import math

import pytest

from passloop.apps.statistics import percentile, student_mean, student_quantile, summary, wilson


@pytest.mark.parametrize(
    ("share", "value"), [(0.0, 15.0), (0.25, 20.0), (0.4, 29.0), (0.5, 35.0), (0.95, 48.0), (1.0, 50.0)]
)
def test_percentiles_interpolate_between_the_closest_ranks(share: float, value: float) -> None:
    assert percentile([15.0, 20.0, 35.0, 40.0, 50.0], share) == pytest.approx(value)


def test_a_single_value_is_all_its_percentiles() -> None:
    assert summary([7.0]) == {"mean": 7.0, "p50": 7.0, "p90": 7.0, "p95": 7.0, "p99": 7.0}


def test_no_values_have_no_statistics() -> None:
    assert summary([]) == {}
    with pytest.raises(ValueError, match="no percentile"):
        percentile([], 0.5)
    with pytest.raises(ValueError, match="no mean"):
        student_mean([])


@pytest.mark.parametrize(
    ("freedom", "quantile"),
    [(1, 12.7062), (2, 4.3027), (3, 3.1824), (4, 2.7764), (9, 2.2622), (29, 2.0452), (120, 1.9799), (5000, 1.9600)],
)
def test_students_quantiles_are_those_of_the_tables(freedom: int, quantile: float) -> None:
    assert student_quantile(freedom) == pytest.approx(quantile, abs=6e-5)


def test_students_quantile_is_there_between_whole_degrees() -> None:
    assert student_quantile(3) < student_quantile(2.5) < student_quantile(2)
    with pytest.raises(ValueError, match="degree of freedom"):
        student_quantile(0.5)


def test_repeats_have_students_interval_and_a_single_one_has_none() -> None:
    mean = student_mean([9.0, 10.0, 11.0])
    assert mean.value == 10
    assert mean.half_width == pytest.approx(4.3027 * 1 / math.sqrt(3), abs=1e-3)
    assert student_mean([9.0]) == (9.0, None)


@pytest.mark.parametrize(
    ("hits", "count", "low", "high"),
    [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (5, 10, 0.2366, 0.7634), (81, 263, 0.2553, 0.3662)],
)
def test_wilsons_interval_is_that_of_the_literature(hits: int, count: int, low: float, high: float) -> None:
    assert wilson(hits, count) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))


def test_a_share_of_nothing_is_not_known_at_all() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
