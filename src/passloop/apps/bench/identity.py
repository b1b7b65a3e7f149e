"""A cell's identity: the hash of everything that determines its answers, and of nothing else.

In it: weights, load arguments, method with all its parameters, benchmark, its data, subset, generation arguments,
samples and seed; the names too where an adapter takes any name. Not in it: devices, threads, batch sizes, limits, and
the scorer, so that scoring again never runs a model again. Each version of the scheme stays here as long as results of
it may lie somewhere.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

__all__ = ["VERSION", "Ingredients", "canonical", "identity_of", "recomputed"]

VERSION = 1


class Ingredients(NamedTuple):
    """What determines a cell's answers; the parts are canonical JSON, made once for all cells that share them."""

    adapter: str
    model: str
    load: str
    method: str
    benchmark: str
    subset: str
    generation: str
    names: str
    samples: int | None
    seed: int


class Identity(NamedTuple):
    """The hash in hex, and the canonical JSON it was made from."""

    hash: str
    text: str


def canonical(value: object) -> str:
    """JSON with sorted keys, without spaces; the same for equal values on every machine. Raises `ValueError` for NaN
    and `TypeError` for what is no JSON.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=True)


def identity_of(parts: Ingredients) -> Identity:
    """The identity in the newest version of the scheme."""
    text = (
        f'{{"adapter":{parts.adapter},"benchmark":{parts.benchmark},"generation":{parts.generation}'
        f',"load":{parts.load},"method":{parts.method},"model":{parts.model},"names":{parts.names}'
        f',"samples":{"null" if parts.samples is None else parts.samples},"seed":{parts.seed}'
        f',"subset":{parts.subset},"version":{VERSION}}}'
    )
    return Identity(hashlib.sha256(text.encode()).hexdigest(), text)


def recomputed(document: Mapping[str, Any]) -> str | None:
    """The hash of an identity as stored in a `cell.json`, by the version it says; None for an unknown version."""
    scheme = SCHEMES.get(document.get("version", 0))
    return None if scheme is None else scheme(document)


def _first(document: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical(document).encode()).hexdigest()


SCHEMES: dict[int, Callable[[Mapping[str, Any]], str]] = {1: _first}
