"""How many calls a model was allowed at once: the least of its own limit, its endpoint's and its provider's."""

from __future__ import annotations

from passloop.apps.generate.limit_times import allowed
from passloop.drivers.calls.endpoints import Endpoint, Model, limits_of
from passloop.store.limits import LimitStep


def test_a_call_draws_on_its_model_its_endpoint_and_its_provider() -> None:
    assert limits_of(Model(Endpoint("http://h/v1", provider="p"), "m")) == ("h/v1/m", "h/v1", "provider/p")


def test_the_least_limit_counts() -> None:
    steps = [LimitStep("m", 10, "open", 4), LimitStep("e", 10, "open", 8), LimitStep("e", 30, "open", 3)]
    assert allowed(steps, begin=10, end=50) == [(0, 4), (20, 3)]


def test_what_is_closed_lets_nobody_and_what_is_tried_lets_one() -> None:
    gates = [(10, "open"), (20, "cooling"), (30, "half_open"), (35, "cooling"), (40, "dead"), (45, "open")]
    steps = [LimitStep("m", at, gate, 4) for at, gate in gates]
    assert allowed(steps, begin=10, end=50) == [(0, 4), (10, 0), (20, 1), (25, 0), (35, 4)]


def test_what_held_before_is_drawn_from_the_begin_and_what_came_after_is_not() -> None:
    steps = [LimitStep("m", 10, "open", 4), LimitStep("m", 90, "open", 5)]
    assert allowed(steps, begin=40, end=80) == [(0, 4)]


def test_of_limits_that_changed_at_once_the_last_is_drawn() -> None:
    steps = [LimitStep("m", 10, "open", 4), LimitStep("m", 20, "cooling", 4), LimitStep("e", 20, "open", 2)]
    assert allowed(steps, begin=0, end=80) == [(10, 4), (20, 0)]
    assert allowed([], begin=0, end=80) == []
