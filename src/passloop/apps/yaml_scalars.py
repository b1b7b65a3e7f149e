"""What a plain YAML scalar means: the core schema of YAML 1.2 and nothing else.

So `no`, `on`, `12:30` and `2024-01-01` are text, `1e-5` is a number, and nothing can construct an object.
"""

from __future__ import annotations

import math
import re

from .errors import BadValue
from .text import shown

__all__ = ["Scalar", "plain_scalar", "tagged_scalar"]

Scalar = str | int | float | bool | None

NULLS = frozenset({"", "~", "null", "Null", "NULL"})
TRUES = frozenset({"true", "True", "TRUE"})
FALSES = frozenset({"false", "False", "FALSE"})
NOT_NUMBERS = {".nan": math.nan, ".NaN": math.nan, ".NAN": math.nan}
INTEGER = re.compile(r"[-+]?[0-9]+")
BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
INFINITE = re.compile(r"([-+]?)\.(?:inf|Inf|INF)")
MOST_DIGITS = 300


def plain_scalar(text: str) -> Scalar:
    """The value of an unquoted scalar. Raises `BadValue` for a number of more than 300 digits."""
    if text in NULLS:
        return None
    if text in TRUES or text in FALSES:
        return text in TRUES
    if text[0] not in "+-.0123456789":
        return text
    return _number(text)


def tagged_scalar(tag: str, text: str) -> Scalar:
    """The value of a scalar with an explicit tag of the core schema. Raises `BadValue` for any other."""
    kind = tag.removeprefix("tag:yaml.org,2002:").removeprefix("!!")
    if kind in ("str", "!"):
        return text
    value = plain_scalar(text)
    wanted = {"int": int, "float": int | float, "bool": bool, "null": type(None)}.get(kind)
    if wanted is None:
        raise BadValue(f"the tag {shown(tag)} is not known", "remove it: a spec has only text, numbers and lists")
    if not isinstance(value, wanted) or (isinstance(value, bool) and kind != "bool"):
        raise BadValue(f"{shown(text)} is not of the type {shown(tag)}", "remove the tag")
    return float(value) if kind == "float" and isinstance(value, int) else value


def _number(text: str) -> Scalar:
    if INTEGER.fullmatch(text) or BASED.fullmatch(text):
        if len(text) > MOST_DIGITS:
            raise BadValue(f"{shown(text)} has {len(text):,} digits", "write a shorter number, or quote it as text")
        base = {"0o": 8, "0x": 16}.get(text[:2], 10)
        return int(text[2:] if base != 10 else text, base)
    if FLOAT.fullmatch(text):
        return float(text)
    if text in NOT_NUMBERS:
        return NOT_NUMBERS[text]
    infinite = INFINITE.fullmatch(text)
    return text if infinite is None else (-math.inf if infinite.group(1) == "-" else math.inf)
