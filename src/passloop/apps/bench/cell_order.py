"""What a worker is told of one cell: everything it needs, as JSON, so that it reads no spec and asks nobody.

It travels in the task's payload, and its version is checked by whoever reads it. Nothing secret belongs in it.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec
from msgspec import Struct

from .errors import ConfigError, ErrorClass
from .invocation import Invocation

__all__ = ["CellOrder", "OrderedBenchmark", "OrderedMethod", "OrderedModel", "decode_order", "encode_order"]


class OrderedModel(Struct, frozen=True, omit_defaults=True):
    """What to load: as `LoadNeeds`."""

    key: str
    name: str
    source: str = ""
    weights: str = ""
    load: dict[str, Any] = {}


class OrderedMethod(Struct, frozen=True, omit_defaults=True):
    """The configuration: as `ResolvedMethod`."""

    name: str
    method: str | None = None
    parameters: dict[str, Any] = {}
    load: dict[str, Any] = {}
    mutates_model: bool = False
    kept: float | None = None
    version: str = ""


class OrderedBenchmark(Struct, frozen=True, omit_defaults=True):
    """The subset to run; `looked_up` tells that `name` is a benchmark that passloop knows."""

    name: str
    subset: str = ""
    options: dict[str, Any] = {}
    data: str = ""
    looked_up: bool = False
    metric: str | None = None


class CellOrder(Struct, frozen=True, omit_defaults=True):
    """One cell to run. `cell` is its hash, `identity` what it was made from, `folder` its absolute folder. `retries`
    has how often it is tried again after each class of error; `blank` parameters that only other configurations have.
    """

    version: int
    cell: str
    identity: dict[str, Any]
    folder: str
    adapter: str
    model: OrderedModel
    sparse_attention: OrderedMethod
    benchmark: OrderedBenchmark
    options: dict[str, Any] = {}
    generation: dict[str, Any] = {}
    samples: int | None = None
    seed: int = 0
    cpus_milli: int = 1_000
    retries: dict[ErrorClass, int] = {}
    blank: list[str] = []
    invocation: Invocation = Invocation()


VERSION = 1
_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(CellOrder)


def encode_order(order: CellOrder) -> str:
    """The order as JSON text."""
    return _ENCODER.encode(order).decode()


def decode_order(text: str | bytes) -> CellOrder:
    """The order in `text`. Raises `ConfigError`, also for one of another version."""
    try:
        if json.loads(text).get("version") != VERSION:
            raise ConfigError("the cell was ordered by another version of passloop: run the spec again")
        return _DECODER.decode(text)
    except (msgspec.DecodeError, ValueError, AttributeError) as error:
        raise ConfigError(f"the cell's order is not readable: {error}") from None
