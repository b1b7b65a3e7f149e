"""JSON Schemas of structured answers, and finding the JSON in what a model said. Reads schema files, writes nothing."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from math import isfinite
from pathlib import Path
from typing import Any

from passloop.apps.errors import BadValue
from passloop.apps.text import shown

from .spec import Column

__all__ = ["NoJson", "jsons_in", "schema_of", "spoken", "violation"]

_FENCED = re.compile(r"```(?:json)?\s*\n(.*?)```", re.DOTALL)
_BEGINS = re.compile(r"""\{\s*["}]|\[\s*["\[\]{\d\-tfn]""")
"""Where an object or a list may begin: braces of other languages are no tries."""
_THINKS, _HAS_THOUGHT = "<think>", "</think>"
_LONGEST = 300
_MOST_TRIES = 100
_DATA = frozenset({"const", "default", "enum", "examples"})
"""Keys of a schema whose values are no schemas."""


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
    for reference in _references(schema):
        if not _leads_somewhere(reference, schema):
            what = f"the schema has nothing at {shown(reference)}"
            raise BadValue(what, "define it in the schema itself, or mend the $ref: nothing is fetched")


def _references(schema: Any) -> Iterator[str]:
    """What a schema refers to; what has an id of its own in it is left to be judged later."""
    if isinstance(schema, list):
        for each in schema:
            yield from _references(each)
    elif isinstance(schema, dict):
        reference = schema.get("$ref")
        if isinstance(reference, str):
            yield reference
        for key, told in schema.items():
            if key not in _DATA and not (isinstance(told, dict) and "$id" in told):
                yield from _references(told)


def _leads_somewhere(reference: str, schema: Mapping[str, Any]) -> bool:
    from referencing import Resource
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import DRAFT202012

    resource = Resource.from_contents(schema, default_specification=DRAFT202012)
    base = resource.id() or ""
    try:
        _drafts().with_resource(base, resource).resolver(base_uri=base).lookup(reference)
    except Unresolvable:
        return False
    return True


def jsons_in(text: str) -> list[Any]:
    """The JSON values in what a model said, the likeliest first: all of it; else what is fenced, then its objects,
    then its lists. A later one comes before an earlier, which may be a draft. What it thought aloud is left out.

    Raises `NoJson`.
    """
    said = spoken(text)
    whole = _decoded(text, said)
    found = whole or [*reversed(_decoded(*_FENCED.findall(said)[-_MOST_TRIES:])), *_among_words(said)]
    if not found:
        raise NoJson("the answer holds no JSON")
    return found


def spoken(text: str) -> str:
    """What a model said after it had thought aloud; empty if it came to no end of that. Some chat templates write the
    opening tag themselves, so that only the closing one is said.
    """
    is_begun = text.lstrip().startswith(_THINKS)
    thought, ended, rest = text.partition(_HAS_THOUGHT)
    if not ended:
        return "" if is_begun else text
    return rest if is_begun or _THINKS not in thought else text


def _decoded(*texts: str) -> list[Any]:
    """Those of the texts that are JSON from end to end, each once."""
    found = []
    for text in dict.fromkeys(texts):
        with suppress(ValueError, RecursionError):
            found.append(_sayable(_DECODER.decode(text)))
    return found


def _among_words(text: str) -> list[Any]:
    """The objects and then the lists in a text that are in no other one, the last first. A list is often a footnote."""
    objects: deque[Any] = deque(maxlen=_MOST_TRIES)
    lists: deque[Any] = deque(maxlen=_MOST_TRIES)
    place, tries = 0, 0
    while tries < _MOST_TRIES and (begun := _BEGINS.search(text, place)):
        try:
            value, place = _DECODER.raw_decode(text, begun.start())
            (objects if isinstance(value, dict) else lists).appendleft(_sayable(value))
        except (ValueError, RecursionError):
            place, tries = max(place, begun.start() + 1), tries + 1
    return [*objects, *lists]


def _refused(word: str) -> Any:
    """NaN and the infinities, which Python reads and JSON does not know."""
    raise ValueError(f"{word} is no JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    return number if isfinite(number) else _refused(digits)


_DECODER = json.JSONDecoder(parse_constant=_refused, parse_float=_finite)


def _sayable(value: Any) -> Any:
    """The value, if it can be stored: half of a character, written as an escape, cannot."""
    json.dumps(value, ensure_ascii=False).encode()
    return value


def violation(value: Any, schema: Mapping[str, Any]) -> str | None:
    """What a value does against a schema, in one sentence; None if nothing."""
    try:
        error = next(iter(_validator(json.dumps(schema, sort_keys=True)).iter_errors(value)), None)
    except RecursionError:
        return "it is nested too deep"
    if error is None:
        return None
    place = ".".join(str(part) for part in error.absolute_path) or "the whole"
    return f"at {place}: {error.message}"[:_LONGEST]


@lru_cache(maxsize=100)
def _validator(schema: str) -> Any:
    return _made(json.loads(schema))


def _made(schema: Mapping[str, Any]) -> Any:
    """Who judges by a schema. It knows the drafts of JSON Schema and fetches nothing."""
    return _library().validators.validator_for(schema)(schema, registry=_drafts())


def _drafts() -> Any:
    """The drafts of JSON Schema: all that a schema may refer to outside itself."""
    _library()
    from jsonschema_specifications import REGISTRY  # type: ignore[import-untyped]

    return REGISTRY


def _library() -> Any:
    try:
        import jsonschema  # type: ignore[import-untyped]
    except ImportError:
        raise BadValue("structured columns need one more package", "pip install 'passloop[generate]'") from None
    return jsonschema
