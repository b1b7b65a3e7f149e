"""Facts about intervals of a matrix: right and wrong answers, few and many scores, seeds that ask the same again.

Bounds of right and wrong answers and of small samples are checked against values worked out apart from the code.
"""

from __future__ import annotations

import random
import statistics

import pytest

from passloop.apps.bench.intervals import interval_of_samples, interval_of_seeds


@pytest.mark.parametrize(
    ("right", "count", "low", "high"),
    [(10, 10, 0.7225, 1.0), (0, 4, 0.0, 0.4899), (5, 10, 0.2366, 0.7634), (1, 2, 0.0945, 0.9055)],
)
def test_right_and_wrong_answers_have_the_interval_of_a_share(right: int, count: int, low: float, high: float) -> None:
    found = interval_of_samples([[1.0] * right + [0.0] * (count - right)])
    assert found is not None
    assert found == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))


def test_seeds_that_ask_the_same_questions_are_no_further_samples() -> None:
    once = [1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 0.0]
    assert interval_of_samples([once, once, once]) == interval_of_samples([once])


def test_seeds_that_ask_other_questions_narrow_the_interval() -> None:
    chance = random.Random(1)
    seeds = [[float(chance.random() < 0.5) for _ in range(40)] for _ in range(4)]
    one, four = interval_of_samples(seeds[:1]), interval_of_samples(seeds)
    assert one is not None
    assert four is not None
    assert 0.4 < (four[1] - four[0]) / (one[1] - one[0]) < 0.62, "by the square root of four"


def test_seeds_of_unequal_numbers_of_samples_are_put_together() -> None:
    assert interval_of_samples([[1.0, 0.0], [1.0]]) == interval_of_samples([[1.0, 0.0, 1.0]])


def test_few_scores_have_students_interval_within_what_a_score_can_be() -> None:
    # 0.5 and 1.0 three times each: mean 0.75, deviation 0.2739, t(5) = 2.5706, so 0.75 +- 0.2874
    found = interval_of_samples([[0.5, 1.0] * 3])
    assert found == (pytest.approx(0.4626, abs=1e-4), 1.0)


def test_few_scores_beyond_one_are_not_cut() -> None:
    # 1, 2, 6: mean 3, deviation 2.6458, t(2) = 4.3027, so 3 +- 6.5724
    assert interval_of_samples([[1.0, 2.0, 6.0]]) == (pytest.approx(-3.5724, abs=1e-4), pytest.approx(9.5724, abs=1e-4))


def test_many_scores_have_an_interval_as_wide_as_their_mean_strays() -> None:
    chance = random.Random(2)
    values = [chance.random() for _ in range(400)]
    found = interval_of_samples([values])
    assert found is not None
    error = statistics.stdev(values) / 20
    assert found[0] < statistics.fmean(values) < found[1]
    assert 0.85 < (found[1] - found[0]) / (2 * 1.96 * error) < 1.15


def test_where_nothing_differs_nothing_is_known_of_chance() -> None:
    assert interval_of_seeds([0.25, 0.25, 0.25]) is None
    assert interval_of_seeds([0.25]) is None
    assert interval_of_samples([[0.25, 0.25]]) is None
    assert interval_of_samples([[1.0]]) is None
    assert interval_of_samples([[]]) is None


def test_two_seeds_say_next_to_nothing() -> None:
    # mean 0.5, deviation 0.1414, t(1) = 12.706: 0.5 +- 1.2706
    assert interval_of_seeds([0.4, 0.6]) == (pytest.approx(-0.7706, abs=1e-4), pytest.approx(1.7706, abs=1e-4))
