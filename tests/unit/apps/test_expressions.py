"""Expressions in specs compute, and nothing else is possible in them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passloop.apps.errors import BadValue
from passloop.apps.expressions import Condition, Formula, Words

CELL = {"depth": 4, "lr": 0.1, "model": "forest", "fast": True, "none": None}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("depth == 4", True),
        ("depth != 4", False),
        ("2 < depth <= 4", True),
        ("2 < depth < 4", False),
        ("model == 'forest' and not fast", False),
        ("model in ['tree', 'forest']", True),
        ("model not in ('tree',)", True),
        ("depth * 2 + 1 == 9", True),
        ("depth % 3 == 1 and depth // 3 == 1", True),
        ("-depth < 0 and +depth > 0", True),
        ("depth / 8 == 0.5", True),
        ("depth - 4", False),
        ("fast == true", True),
        ("none == null", True),
        ("fast", True),
        ("'for' in model", True),
        ("depth in {1, 4}", True),
        ("  depth == 4  ", True),
        ("max(depth, 8) == 8 and min(depth, 8, 2) == 2", True),
    ],
)
def test_conditions_compare_axes(text: str, holds: bool) -> None:
    assert Condition(text, CELL).holds(CELL) is holds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "depth ==",
        "depth = 4",
        "depth is 4",
        "depth ** 2 > 1",
        "depth << 2",
        "~depth",
        "unknown > 1",
        "__import__('os').system('x')",
        "model.upper() == 'A'",
        "model.__class__",
        "model[0] == 'f'",
        "[x for x in model]",
        "(lambda: 1)()",
        "(x := 1)",
        "f'{depth}'",
        "b'a' == 1",
        "1j == depth",
        "depth if fast else 1",
        "...",
        "{1: 2}",
        "depth == 4; 1",
        "depth\x00",
        "(" * 300 + "depth" + ")" * 300,
        "not " * 300 + "depth",
        "depth + " * 150 + "1 > 0",
        "x" * 2_000,
        "await depth",
        "max(depth)",
        "max(depth, key=1)",
        "max(*[depth, 2])",
        "abs(depth)",
        "yield",
        "*depth",
        "\u202e depth",
    ],
)
def test_what_is_more_than_a_comparison_is_refused(text: str) -> None:
    with pytest.raises(BadValue) as caught:
        Condition(text, CELL)
    assert caught.value.fix


@pytest.mark.parametrize(
    "text",
    [
        "model < 3",
        "depth / 0",
        "depth % 0 == 1",
        "model * 3 == 'x'",
        "fast + 1 > 1",
        "depth in 3",
        "-model",
        "depth" + " * 1000000" * 20,
        "1e308 * 1e308 > depth",
        "max(model, 2) > 1",
    ],
)
def test_what_cannot_be_answered_says_so(text: str) -> None:
    with pytest.raises(BadValue, match="cannot be answered"):
        Condition(text, CELL).holds(CELL)


@given(st.text(alphabet="deptlr0123456789 <>=!()[]'.,+-*/%andornti{}:_\\\"\n", max_size=60))
def test_no_text_breaks_the_evaluator(text: str) -> None:
    try:
        Condition(text, CELL).holds(CELL)
    except BadValue as bad:
        assert bad.fix  # noqa: PT017


def test_a_formula_has_a_number_and_tells_its_names() -> None:
    formula = Formula("depth * max(2, 3) / 8", [*CELL, "other"])
    assert formula.value(CELL) == 1.5
    assert formula.names == {"depth"}


@pytest.mark.parametrize("text", ["model", "depth > 2", "none", "[depth]", "depth / 0"])
def test_a_formula_without_a_number_says_so(text: str) -> None:
    with pytest.raises(BadValue, match=r"the number .* cannot be answered"):
        Formula(text, CELL, Words("number", "parameter")).value(CELL)


def test_an_error_calls_the_names_what_they_are() -> None:
    with pytest.raises(BadValue, match="the constraint `dept < 2` names `dept`, which is no parameter"):
        Condition("dept < 2", CELL, Words("constraint", "parameter"))
