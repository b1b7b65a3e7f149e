"""A space has the points that its parameters make, and each of them once."""

from __future__ import annotations

import random
from typing import Any

import pytest

from passloop.apps.tune.records import Params, Value
from passloop.apps.tune.space import Parameter, Space
from tests.unit.apps.tune.studies import argvs, mistakes, study

ARGV = ["server", "{port}", "{a}", "{b}", "{c}"]
ENGINE = {"argv": ARGV}


def space(**parameters: Any) -> Space:
    return study(engine=ENGINE, space=parameters).space


def points(**parameters: Any) -> list[Params]:
    return list(space(**parameters).grid())


@pytest.mark.parametrize(
    ("entry", "values"),
    [
        ({"type": "int", "low": 1, "high": 3}, [1, 2, 3]),
        ({"type": "int", "low": 64, "high": 200, "step": 64}, [64, 128, 192]),
        ({"type": "float", "low": 0.1, "high": 0.5, "step": 0.2}, [0.1, 0.3, 0.5]),
        ({"type": "float", "low": 2, "high": 2}, [2.0]),
        ({"type": "choice", "values": ["x", 2, 1.5, True]}, ["x", 2, 1.5, True]),
        (["x", "y"], ["x", "y"]),
    ],
)
def test_a_parameter_has_the_values_that_it_says(entry: Any, values: list[Value]) -> None:
    found = space(a=entry)
    assert [point["a"] for point in found.grid()] == values
    assert found.points == len(values)
    assert all(found["a"].holds(value) for value in values)


def test_the_highest_value_is_one_that_can_be() -> None:
    assert space(a={"type": "int", "low": 64, "high": 200, "step": 64})["a"].high == 192


@pytest.mark.parametrize("value", [0, 66, 1.0, True, "1", None])
def test_a_value_of_another_type_or_between_steps_is_none_of_them(value: object) -> None:
    found = space(a={"type": "int", "low": 1, "high": 129, "step": 64})
    assert not found["a"].holds(value)


def test_a_choice_tells_numbers_from_booleans_and_texts() -> None:
    found = space(a=[1, "x"], b=[True, "1"])
    assert [found["a"].holds(value) for value in (1, True, 1.0, "1", "x")] == [True, False, False, False, True]
    assert [found["b"].holds(value) for value in (1, True, "1")] == [False, True, True]


def test_a_float_without_steps_has_no_end() -> None:
    found = space(a={"type": "float", "low": 0.5, "high": 0.9}, b=[1, 2])
    assert found.points is None
    assert found["a"].values is None
    assert found["a"].holds(0.7)
    assert not found["a"].holds(0.91)


def test_the_last_parameter_is_the_fastest() -> None:
    assert [tuple(each.values()) for each in points(a=[1, 2], b=["x", "y"])] == [(1, "x"), (1, "y"), (2, "x"), (2, "y")]


def test_a_parameter_that_is_not_active_makes_no_further_points() -> None:
    found = points(a=[1, 2], b={"type": "choice", "values": [10, 20], "when": "a == 2"})
    assert found == [{"a": 1}, {"a": 2, "b": 10}, {"a": 2, "b": 20}]


def test_a_condition_may_name_what_comes_later_in_the_spec() -> None:
    found = points(a={"type": "choice", "values": [10, 20], "when": "b == 2"}, b=[1, 2])
    assert found == [{"b": 1}, {"a": 10, "b": 2}, {"a": 20, "b": 2}]


def test_a_condition_on_what_is_left_out_does_not_hold() -> None:
    found = points(a=[1, 2], b={"type": "choice", "values": [3], "when": "a > 1"}, c={**choice(5, 6), "when": "b < 9"})
    assert found == [{"a": 1}, {"a": 2, "b": 3, "c": 5}, {"a": 2, "b": 3, "c": 6}]


def test_drawing_asks_for_active_parameters_only() -> None:
    found = space(a=[1, 2], b={**choice(10, 20), "when": "a == 2"})
    asked: list[str] = []

    def first(parameter: Parameter) -> Value:
        asked.append(parameter.name)
        assert parameter.values is not None
        return parameter.values[0]

    assert found.suggest(first) == {"a": 1}
    assert asked == ["a"]


def test_what_is_drawn_at_random_is_a_point_of_the_grid() -> None:
    found = space(a=[1, 2, 3], b={**choice("x", "y"), "when": "a > 1"}, c={"type": "bool"})
    grid = list(found.grid())
    draw = random.Random(7)
    for _ in range(50):
        drawn = found.suggest(lambda parameter: draw.choice(list(parameter.values or ())))
        assert drawn in grid
        assert found.active({**drawn, "b": "x"}) in grid


def test_a_default_holds_where_the_condition_does_not() -> None:
    made = study(engine=ENGINE, space={"a": [1, 2], "b": {**choice(10, 20), "when": "a == 2", "default": 7}})
    assert made.space.values({"a": 1}) == {"a": 1, "b": 7}
    assert [argv[2:4] for argv in argvs(made)] == [("1", "7"), ("2", "10"), ("2", "20")]


def test_what_is_fixed_is_known_to_conditions() -> None:
    made = study(engine=ENGINE, fixed={"c": 5}, space={"a": [1], "b": {**choice(2), "when": "c == 5"}})
    assert argvs(made) == [("server", "{port}", "1", "2", "5")]


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"type": "int", "low": 1}, "needs low and high"),
        ({"type": "int", "low": 5, "high": 1}, "low `5` is above high `1`"),
        ({"type": "int", "low": 1.5, "high": 3}, "low of an int is `1.5`"),
        ({"type": "int", "low": 1, "high": 3, "step": 0}, "the step `0` leads nowhere"),
        ({"type": "int", "low": 0, "high": 3, "log": True}, "log needs a low above 0"),
        ({"type": "int", "low": 1, "high": 3, "step": 2, "log": True}, "log needs a low above 0, and no step"),
        ({"type": "int", "low": 1, "high": 10**16}, "high is too large"),
        ({"type": "int", "values": [1]}, "an int has no values"),
        ({"type": "float", "low": 0, "high": 1, "step": 1e-9}, "more than 10,000 steps of `1e-09`"),
        ({"type": "choice"}, "a choice needs values"),
        ({"type": "choice", "values": []}, "there are 0 values"),
        ({"type": "choice", "values": [1, 1]}, "the value `1` is there twice"),
        ({"type": "choice", "values": [[1]]}, "this is a list"),
        ({"type": "choice", "values": [1], "low": 1}, "a choice has no low"),
        ({"type": "bool", "values": [True]}, "a bool has no values"),
        ({"type": "choice", "values": [1], "default": 1}, "a default counts only where `when` does not hold"),
        ({"type": "choice", "values": [1], "when": "b = 2"}, "is not readable"),
        ({"type": "choice", "values": [1], "when": "bb == 2"}, "names `bb`, which is no parameter"),
        ({"type": "choice", "values": [1], "when": "a == 2"}, "these wait for each other"),
        ({"type": "choice", "values": [1], "flag": "batch"}, "`batch` is no flag"),
        ({"type": "choice", "values": [1], "off": "--no-a"}, "a choice is never off"),
        ({"type": "chioce", "values": [1]}, "space.a.type"),
        (7, "must be a mapping"),
    ],
)
def test_a_parameter_that_cannot_be_is_told(entry: Any, said: str) -> None:
    assert said in mistakes(engine=ENGINE, space={"a": entry, "b": [1, 2]})


def test_a_condition_that_cannot_be_answered_is_told() -> None:
    assert "cannot be answered" in mistakes(engine=ENGINE, space={"a": ["x"], "b": {**choice(1), "when": "a < 3"}})


@pytest.mark.parametrize("name", ["port", "model", "9a", "a-b", "and", "min", ""])
def test_a_name_that_braces_or_expressions_cannot_say_is_refused(name: str) -> None:
    assert "name" in mistakes(engine=ENGINE, space={name: [1]})


def choice(*values: Value) -> dict[str, Any]:
    return {"type": "choice", "values": list(values)}
