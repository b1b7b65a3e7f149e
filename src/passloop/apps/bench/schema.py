"""The JSON Schema of a bench spec."""

from __future__ import annotations

from typing import Any

from .spec import BenchSpec

__all__ = ["bench_schema"]


def bench_schema() -> dict[str, Any]:
    """The schema, by the names that are written in a file."""
    return BenchSpec.model_json_schema(by_alias=True)
