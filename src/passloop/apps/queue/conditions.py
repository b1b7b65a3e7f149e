"""The expressions of `when:`: comparisons, and/or/not, in, and arithmetic over axis names. Nothing is
evaluated by Python itself.

The text is parsed by `ast`, every node must be on the list here, and it is turned into closures once; a cell
then costs a few calls. Numbers only are added and multiplied, so that no text can be grown.
"""

from __future__ import annotations

import ast
import operator
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from passloop.apps.errors import BadValue, did_you_mean
from passloop.apps.text import shown

__all__ = ["Condition"]

LONGEST = 1_000
MOST_NODES = 200
LARGEST = 10**30

FORMS = "write a comparison of axes, for example: depth < 8 or lr in [0.1, 0.01]"
CONSTANTS = {"true": True, "false": False, "null": None, "True": True, "False": False, "None": None}

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


class Condition:
    """A checked expression. `holds` raises `BadValue` where it cannot be answered (text against a number)."""

    __slots__ = ("_closure", "text")

    def __init__(self, text: str, names: Iterable[str]) -> None:
        self.text = text
        tree = _parsed(text)
        if sum(1 for _ in ast.walk(tree)) > MOST_NODES:
            raise BadValue(f"the condition {shown(text)} is too long", "split it: `when` takes a list")
        self._closure = _Builder(text, frozenset(names)).build(tree.body)

    def holds(self, values: Values) -> bool:
        """Whether the condition holds for a cell with these axis values."""
        try:
            return bool(self._closure(values))
        except (TypeError, ArithmeticError) as error:
            cell = ", ".join(f"{name}={value}" for name, value in values.items())
            reason = shown(str(error), longest=100)[1:-1]
            what = f"the condition {shown(self.text)} cannot be answered for {shown(cell)}: {reason}"
            raise BadValue(what, "compare values of one type") from None


class _Builder:
    """Turns checked syntax into closures."""

    def __init__(self, text: str, names: frozenset[str]) -> None:
        self._text = text
        self._names = names

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

    def _name(self, node: ast.Name) -> Closure:
        name = node.id
        if name in self._names:
            return lambda values: values[name]
        if name in CONSTANTS:
            constant = CONSTANTS[name]
            return lambda _: constant
        what = f"the condition {shown(self._text)} names {shown(name)}, which is no axis"
        raise BadValue(what, did_you_mean(name, self._names))

    def _refusal(self, why: str) -> BadValue:
        return BadValue(f"the condition {shown(self._text)} {why}", FORMS)


def _parsed(text: str) -> ast.Expression:
    if len(text) > LONGEST:
        raise BadValue(f"the condition {shown(text)} is too long", "split it: `when` takes a list")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else "it cannot be parsed"
        raise BadValue(f"the condition {shown(text)} is not readable: {reason}", FORMS) from None


def _number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{shown(value)} is not a number")
    if abs(value) > LARGEST:
        raise OverflowError("a number became too large")
    return value
