"""JSON Schemas: of the specs that people write, and of the submission that programs send."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from passloop.apps.errors import Problem, SpecError, did_you_mean

__all__ = ["SCHEMAS", "schema_of"]

NONE: Mapping[str, Callable[[], dict[str, Any]]] = MappingProxyType({})
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema_of(kind: str, others: Mapping[str, Callable[[], dict[str, Any]]] = NONE) -> dict[str, Any]:
    """The JSON Schema of `kind` (`run`, `wire`, or one of the `others`). Raises `SpecError` for an unknown one."""
    known = {**SCHEMAS, **others}
    make = known.get(kind)
    if make is None:
        problem = Problem(f"there is no schema `{kind[:40]}`", did_you_mean(kind, known), "schema")
        raise SpecError([problem], next_command="passloop schema run")
    return {"$schema": DIALECT, **make()}


def _sweep() -> dict[str, Any]:
    from .spec import SweepSpec  # here, because pydantic is slow to import and most commands never need it

    return SweepSpec.model_json_schema(by_alias=True)


def _wire() -> dict[str, Any]:
    from .wire import submission_schema

    return submission_schema()


SCHEMAS: dict[str, Callable[[], dict[str, Any]]] = {"run": _sweep, "wire": _wire}
