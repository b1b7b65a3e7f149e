"""What pydantic found wrong with a spec, as complaints for people: at the line and column, with a fix.

Validators of our own raise `BadValue`, whose words are used as they are; pydantic's own findings are put into
words here, once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from .errors import BadValue, did_you_mean
from .text import shown
from .yaml_nodes import Complaint, Node

__all__ = ["complaints_of"]

Path = tuple[int | str, ...]

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

BOUNDS = {
    "expected": "must be {}",
    "ge": "must be at least {}",
    "gt": "must be more than {}",
    "le": "must be at most {}",
    "lt": "must be less than {}",
    "min_length": "needs at least {}",
    "max_length": "has room for {}",
}
"""What pydantic tells of a bound, and how it is said."""


class _Finding(NamedTuple):
    """What was found at one place: the details, where that is in the file, and whether it is of one of several forms
    that a value may have (pydantic then names the form in its path).
    """

    details: ErrorDetails
    path: Path
    of_a_form: bool


def complaints_of(error: ValidationError, root: Node, model: type[BaseModel]) -> list[Complaint]:
    """All findings of `error`, each at its place in the file; what is wrong with every form of a value is one."""
    found = [_finding(details, root) for details in error.errors(include_url=False)]
    forms: dict[Path, list[ErrorDetails]] = {}
    for each in found:
        if each.of_a_form:
            forms.setdefault(each.path, []).append(each.details)
    told = []
    for each in found:
        several = forms.pop(each.path, []) if each.of_a_form else []
        if not each.of_a_form:
            told.append(_complaint(each.details, each.path, root, model))
        elif several and not any(_is_below(other.path, each.path) for other in found):
            told.append(_of_several(several, each.path, root, model))
    return told


def _finding(details: ErrorDetails, root: Node) -> _Finding:
    node, loc = root, details["loc"]
    path: list[int | str] = []
    for place, part in enumerate(loc):
        child = node.child(part)
        absent = details["type"] == "missing" and place == len(loc) - 1
        if child is not None or absent:
            path.append(part)
        node = child or node
    return _Finding(details, tuple(path), len(path) < len(loc))


def _is_below(path: Path, above: Path) -> bool:
    return len(path) > len(above) and path[: len(above)] == above


def _of_several(found: list[ErrorDetails], path: Path, root: Node, model: type[BaseModel]) -> Complaint:
    """A value that has none of the forms that it may have."""
    sorts = dict.fromkeys(EXPECTED[each["type"]] for each in found if each["type"] in EXPECTED)
    if "a number" in sorts:
        sorts.pop("a whole number", None)
    others = [each for each in found if each["type"] not in EXPECTED]
    if not sorts or (others and len(found) == 1):
        return _complaint(others[0], path, root, model)
    complaint = _complaint({**found[0], "type": "string_type"}, path, root, model)
    what = f"{shown(_name(path))} must be {' or '.join(sorts)}, not {_sort_of(found[0]['input'])}"
    cause = next((_cause(each) for each in others if _cause(each) is not None), None)
    return Complaint(complaint.line, complaint.column, what, f"or {cause.fix}" if cause is not None else complaint.fix)


def _cause(found: ErrorDetails) -> BadValue | None:
    """What a validator of our own said."""
    cause = found.get("ctx", {}).get("error")
    return cause if isinstance(cause, BadValue) else None


def _name(path: Path) -> str:
    return ".".join(str(part) for part in path) or "the spec"


def _complaint(found: ErrorDetails, path: Path, root: Node, model: type[BaseModel]) -> Complaint:
    cause = _cause(found)
    node, last = _walk(root, (*path, *(cause.path if cause is not None else ())))
    what, fix = _words(found, path, model)
    if found["type"] == "extra_forbidden" and last is not None:
        line, column = last
    else:
        line, column = node.line, node.column
    return Complaint(line, column, what, fix)


def _walk(root: Node, path: Path) -> tuple[Node, tuple[int, int] | None]:
    """The deepest node on `path`, and the place of the last key passed. Parts that name types are skipped."""
    node, last = root, None
    for part in path:
        if node.keys is not None and str(part) in node.keys:
            last = node.keys[str(part)]
        node = node.child(part) or node
    return node, last


def _words(found: ErrorDetails, path: Path, model: type[BaseModel]) -> tuple[str, str]:
    """What is wrong at `path`, and the fix."""
    kind, cause = found["type"], _cause(found)
    if cause is not None:
        return cause.what, cause.fix
    name = _name(path)
    if kind == "missing":
        return f"{shown(name)} is missing", _example(path, model)
    if kind == "extra_forbidden":
        return f"unknown key {shown(str(path[-1]))}", did_you_mean(str(path[-1]), _keys_at(path[:-1], model))
    if kind in EXPECTED:
        return f"{shown(name)} must be {EXPECTED[kind]}, not {_sort_of(found['input'])}", _example(path, model)
    return f"{shown(name)} {_bound(found)}", _example(path, model)


def _bound(found: ErrorDetails) -> str:
    """What a value of the right sort has to keep."""
    bounds = found.get("ctx", {})
    for key, words in BOUNDS.items():
        if key in bounds:
            bound = f"{bounds[key]:,g}" if isinstance(bounds[key], float) else bounds[key]
            said = "" if key.endswith("_length") else f", not {shown(found['input'])}"
            return words.format(bound) + said
    return f"cannot be {_sort_of(found['input'])}: {found['msg'].lower()}"


def _example(path: Path, model: type[BaseModel]) -> str:
    name, field = _field_at(path, model)
    if field is not None and field.examples:
        return f"write for example `{name}: {field.examples[0]}`"
    return f"see `passloop schema {next(iter(model.model_fields))}`"


def _field_at(path: Path, model: type[BaseModel]) -> tuple[str, FieldInfo | None]:
    """The last field of a model that `path` passes, with its name."""
    name, field = "", None
    here: type[BaseModel] | None = model
    for part in path:
        if here is None:
            break
        found = _fields(here).get(str(part))
        if found is not None:
            name, field, here = str(part), found, _model_in(found.annotation)
    return name, field


def _keys_at(path: Path, model: type[BaseModel]) -> tuple[str, ...]:
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
