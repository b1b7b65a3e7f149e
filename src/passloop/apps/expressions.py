"""Expressions in specs: comparisons, and/or/not, in, arithmetic, min and max over names that the spec has. Nothing is
evaluated by Python itself.

The text is parsed by `ast`, every node must be on the list here, and it is turned into closures once; a cell
then costs a few calls. Numbers only are added and multiplied, so that no text can be grown. A `Condition` holds or
does not, a `Formula` has a number as its value.
"""

from __future__ import annotations

import ast
import operator
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from passloop.apps.errors import BadValue, did_you_mean
from passloop.apps.text import shown

__all__ = ["AXIS", "Condition", "Formula", "Words"]

LONGEST = 1_000
MOST_NODES = 200
LARGEST = 10**30
FEWEST_ARGUMENTS = 2

CONSTANTS = {"true": True, "false": False, "null": None, "True": True, "False": False, "None": None}

FUNCTIONS: dict[str, Callable[..., Any]] = {"min": min, "max": max}

Values = Mapping[str, Any]
Closure = Callable[[Values], Any]

COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda left, right: left in right,
    ast.NotIn: lambda left, right: left not in right,
}
ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}


class Words(NamedTuple):
    """What an expression and the names in it are called in errors, what to do about one that is too long or wrong."""

    expression: str = "condition"
    name: str = "axis"
    split: str = "split it: `when` takes a list"
    forms: str = "write a comparison of axes, for example: depth < 8 or lr in [0.1, 0.01]"


AXIS = Words()


class _Expression:
    """A checked expression over `names`. Raises `BadValue` for what is no expression."""

    __slots__ = ("_closure", "_words", "names", "text")

    def __init__(self, text: str, names: Iterable[str], words: Words = AXIS) -> None:
        self.text = text
        self._words = words
        tree = _parsed(text, words)
        if sum(1 for _ in ast.walk(tree)) > MOST_NODES:
            raise BadValue(f"the {words.expression} {shown(text)} is too long", words.split)
        builder = _Builder(text, frozenset(names), words)
        self._closure = builder.build(tree.body)
        self.names = frozenset(builder.used)
        """The names that occur."""

    def _answer(self, values: Values) -> Any:
        try:
            return self._closure(values)
        except (TypeError, ArithmeticError) as error:
            raise self._unanswered(values, str(error)) from None

    def _unanswered(self, values: Values, why: str) -> BadValue:
        cell = ", ".join(f"{name}={value}" for name, value in values.items())
        reason = shown(why, longest=100)[1:-1]
        expression = f"the {self._words.expression} {shown(self.text)}"
        return BadValue(f"{expression} cannot be answered for {shown(cell)}: {reason}", "compare values of one type")


class Condition(_Expression):
    """An expression that holds or does not."""

    __slots__ = ()

    def holds(self, values: Values) -> bool:
        """Whether the condition holds for these values. Raises `BadValue` where it cannot be answered, as where text
        is compared with a number.
        """
        return bool(self._answer(values))


class Formula(_Expression):
    """An expression whose value is a number."""

    __slots__ = ()

    def value(self, values: Values) -> int | float:
        """The number for these values. Raises `BadValue` where there is none."""
        found = self._answer(values)
        if isinstance(found, bool) or not isinstance(found, int | float):
            raise self._unanswered(values, f"{shown(found)} is not a number")
        return found


class _Builder:
    """Turns checked syntax into closures."""

    def __init__(self, text: str, names: frozenset[str], words: Words) -> None:
        self._text = text
        self._names = names
        self._words = words
        self.used: set[str] = set()

    def build(self, node: ast.expr) -> Closure:
        if isinstance(node, ast.BoolOp):
            return self._boolean(node)
        if isinstance(node, ast.UnaryOp):
            return self._unary(node)
        if isinstance(node, ast.Compare):
            return self._compare(node)
        if isinstance(node, ast.BinOp):
            return self._arithmetic(node)
        if isinstance(node, ast.List | ast.Tuple | ast.Set):
            parts = [self.build(part) for part in node.elts]
            return lambda values: [part(values) for part in parts]
        if isinstance(node, ast.Name):
            return self._name(node)
        if isinstance(node, ast.Call):
            return self._call(node)
        if isinstance(node, ast.Constant) and isinstance(node.value, str | int | float):
            value = node.value
            return lambda _: value
        raise self._refusal("is more than comparisons, and/or/not, in, numbers and text")

    def _boolean(self, node: ast.BoolOp) -> Closure:
        parts = [self.build(part) for part in node.values]
        if isinstance(node.op, ast.And):
            return lambda values: all(part(values) for part in parts)
        return lambda values: any(part(values) for part in parts)

    def _unary(self, node: ast.UnaryOp) -> Closure:
        part = self.build(node.operand)
        if isinstance(node.op, ast.Not):
            return lambda values: not part(values)
        if isinstance(node.op, ast.USub):
            return lambda values: -_number(part(values))
        if isinstance(node.op, ast.UAdd):
            return lambda values: _number(part(values))
        raise self._refusal("has an operator that is not known")

    def _compare(self, node: ast.Compare) -> Closure:
        operators = [COMPARISONS.get(type(each)) for each in node.ops]
        if None in operators:
            raise self._refusal("has `is`, which compares no values: use ==")
        known = [each for each in operators if each is not None]
        first, rest = self.build(node.left), [self.build(part) for part in node.comparators]

        def compare(values: Values) -> bool:
            left = first(values)
            for holds, part in zip(known, rest, strict=True):
                right = part(values)
                if not holds(left, right):
                    return False
                left = right
            return True

        return compare

    def _arithmetic(self, node: ast.BinOp) -> Closure:
        calculate = ARITHMETIC.get(type(node.op))
        if calculate is None:
            raise self._refusal("has an operator that is not + - * / // or %")
        left, right = self.build(node.left), self.build(node.right)
        return lambda values: _number(calculate(_number(left(values)), _number(right(values))))

    def _call(self, node: ast.Call) -> Closure:
        function = FUNCTIONS.get(node.func.id) if isinstance(node.func, ast.Name) else None
        if function is None or node.keywords or len(node.args) < FEWEST_ARGUMENTS:
            raise self._refusal("calls something other than min(a, b) and max(a, b)")
        parts = [self.build(part) for part in node.args]
        return lambda values: function(*[_number(part(values)) for part in parts])

    def _name(self, node: ast.Name) -> Closure:
        name = node.id
        if name in self._names:
            self.used.add(name)
            return lambda values: values[name]
        if name in CONSTANTS:
            constant = CONSTANTS[name]
            return lambda _: constant
        words = self._words
        what = f"the {words.expression} {shown(self._text)} names {shown(name)}, which is no {words.name}"
        raise BadValue(what, did_you_mean(name, self._names) if self._names else words.forms)

    def _refusal(self, why: str) -> BadValue:
        return BadValue(f"the {self._words.expression} {shown(self._text)} {why}", self._words.forms)


def _parsed(text: str, words: Words) -> ast.Expression:
    if len(text) > LONGEST:
        raise BadValue(f"the {words.expression} {shown(text)} is too long", words.split)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else "it cannot be parsed"
        raise BadValue(f"the {words.expression} {shown(text)} is not readable: {reason}", words.forms) from None


def _number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{shown(value)} is not a number")
    if abs(value) > LARGEST:
        raise OverflowError("a number became too large")
    return value
