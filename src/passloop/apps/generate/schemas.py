"""JSON Schemas of structured answers, and finding the JSON in what a model said. Reads schema files, writes nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

from passloop.apps.errors import BadValue
from passloop.apps.text import shown

from .spec import Column

__all__ = ["NoJson", "json_in", "schema_of", "violation"]

_FENCED = re.compile(r"```(?:json)?\s*\n(.*?)```", re.DOTALL)
_LONGEST = 300
_MOST_TRIES = 100


class NoJson(ValueError):
    """There is no JSON in a text."""


def schema_of(column: Column, folder: Path) -> Mapping[str, Any]:
    """The schema of a structured column: written in the spec, or in a file beside it. Raises `BadValue`."""
    schema = column.schema_
    if isinstance(schema, str):
        try:
            schema = json.loads((folder / schema).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            why = (error.strerror if isinstance(error, OSError) else None) or error
            what = f"the schema {shown(column.schema_)} cannot be read: {why}"
            raise BadValue(what, "name a JSON file beside the spec") from None
    if not isinstance(schema, dict):
        raise BadValue("the schema is no JSON Schema", "write a mapping, or the name of a file with one")
    _check(schema)
    return schema


def _check(schema: Mapping[str, Any]) -> None:
    jsonschema = _library()
    try:
        jsonschema.validators.validator_for(schema).check_schema(schema)
    except jsonschema.SchemaError as error:
        raise BadValue(f"the schema is no JSON Schema: {error.message}", "see json-schema.org") from None


def json_in(text: str) -> Any:
    """The JSON value in what a model said: all of it, what is fenced in it, or the first object or list in it.

    Raises `NoJson`.
    """
    for candidate in (text, *_FENCED.findall(text)):
        try:
            return json.loads(candidate)
        except (ValueError, RecursionError):
            continue
    decoder = json.JSONDecoder()
    for found in islice(re.finditer(r"[{\[]", text), _MOST_TRIES):
        try:
            return decoder.raw_decode(text, found.start())[0]
        except (ValueError, RecursionError):
            continue
    raise NoJson("the answer holds no JSON")


def violation(value: Any, schema: Mapping[str, Any]) -> str | None:
    """What a value does against a schema, in one sentence; None if nothing."""
    error = next(iter(_validator(json.dumps(schema, sort_keys=True)).iter_errors(value)), None)
    if error is None:
        return None
    place = ".".join(str(part) for part in error.absolute_path) or "the whole"
    return f"at {place}: {error.message}"[:_LONGEST]


@lru_cache(maxsize=100)
def _validator(schema: str) -> Any:
    jsonschema = _library()
    decoded = json.loads(schema)
    return jsonschema.validators.validator_for(decoded)(decoded)


def _library() -> Any:
    try:
        import jsonschema  # type: ignore[import-untyped]
    except ImportError:
        raise BadValue("structured columns need one more package", "pip install 'passloop[generate]'") from None
    return jsonschema
