"""What pydantic found wrong with a spec, as complaints for people: at the line and column, with a fix.

Validators of our own raise `BadValue`, whose words are used as they are; pydantic's own findings are put into
words here, once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from .errors import BadValue, did_you_mean
from .text import shown
from .yaml_nodes import Complaint, Node

__all__ = ["complaints_of"]

EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}


def complaints_of(error: ValidationError, root: Node, model: type[BaseModel]) -> list[Complaint]:
    """All findings of `error`, each at its place in the file."""
    return [_complaint(found, root, model) for found in error.errors(include_url=False)]


def _complaint(found: ErrorDetails, root: Node, model: type[BaseModel]) -> Complaint:
    cause = found.get("ctx", {}).get("error")
    node, last = _walk(root, (*found["loc"], *(cause.path if isinstance(cause, BadValue) else ())))
    what, fix = _words(found, model)
    if found["type"] == "extra_forbidden" and last is not None:
        line, column = last
    else:
        line, column = node.line, node.column
    return Complaint(line, column, what, fix)


def _walk(root: Node, path: tuple[int | str, ...]) -> tuple[Node, tuple[int, int] | None]:
    """The deepest node on `path`, and the place of the last key passed. Parts that name types are skipped."""
    node, last = root, None
    for part in path:
        if node.keys is not None and str(part) in node.keys:
            last = node.keys[str(part)]
        node = node.child(part) or node
    return node, last


def _words(found: ErrorDetails, model: type[BaseModel]) -> tuple[str, str]:
    """What is wrong, and the fix."""
    kind, path = found["type"], found["loc"]
    cause = found.get("ctx", {}).get("error")
    if isinstance(cause, BadValue):
        return cause.what, cause.fix
    name = ".".join(str(part) for part in path) or "the spec"
    if kind == "missing":
        return f"{shown(name)} is missing", _example(path, model)
    if kind == "extra_forbidden":
        return f"unknown key {shown(str(path[-1]))}", did_you_mean(str(path[-1]), _keys_at(path[:-1], model))
    if kind in EXPECTED:
        return f"{shown(name)} must be {EXPECTED[kind]}, not {_sort_of(found['input'])}", _example(path, model)
    return f"{shown(name)}: {found['msg'].lower()}", _example(path, model)


def _example(path: tuple[int | str, ...], model: type[BaseModel]) -> str:
    field = _field_at(path, model)
    if field is not None and field.examples:
        return f"write for example `{path[-1] if isinstance(path[-1], str) else path[0]}: {field.examples[0]}`"
    return f"see `passloop schema {next(iter(model.model_fields))}`"


def _field_at(path: tuple[int | str, ...], model: type[BaseModel]) -> FieldInfo | None:
    """The last field of a model that `path` passes."""
    field: FieldInfo | None = None
    here: type[BaseModel] | None = model
    for part in path:
        if here is None:
            break
        found = _fields(here).get(str(part))
        if found is not None:
            field, here = found, _model_in(found.annotation)
    return field


def _keys_at(path: tuple[int | str, ...], model: type[BaseModel]) -> tuple[str, ...]:
    here = model
    for part in path:
        found = _fields(here).get(str(part))
        inner = _model_in(found.annotation) if found is not None else None
        here = inner or here
    return tuple(_fields(here))


def _fields(model: type[BaseModel]) -> Mapping[str, FieldInfo]:
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model in an annotation such as `list[Model] | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for part in get_args(annotation) if (model := _model_in(part)) is not None), None)


def _sort_of(value: object) -> str:
    if value is None:
        return "empty"
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "a mapping"
    sort = "true or false" if isinstance(value, bool) else "text" if isinstance(value, str) else "a number"
    return f"{sort} ({shown(value)})"
