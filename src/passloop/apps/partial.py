"""A spec with mistakes of form, read without the parts that have them, so that what else is wrong is told together.

What was left out is never complained about: whoever checks further asks `touches`, or leaves such checks out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, Generic, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from .errors import BadValue
from .model_errors import complaints_of
from .yaml_nodes import Complaint, Node

__all__ = ["Partial", "Path", "partial_of", "touches"]

M = TypeVar("M", bound=BaseModel)
Path = tuple[str | int, ...]


class Partial(NamedTuple, Generic[M]):
    """The mistakes, the model without the parts that have them (None: too little is left), and those parts."""

    complaints: list[Complaint]
    model: M | None
    left_out: tuple[Path, ...]


def partial_of(data: Any, root: Node, model: type[M], *, deciding: Collection[str | int] = ()) -> Partial[M]:
    """Read `data`, which the file at `root` holds, as far as it can be read. It is nothing without the keys `deciding`,
    where they have mistakes. `data` is changed.
    """
    try:
        return Partial(list(root.wrong), model.model_validate(data), ())
    except ValidationError as error:
        left_out = _left_out(data, _paths(error))
        complaints = [*root.wrong, *complaints_of(error, root, model)]
    if any(path[:1] == () or path[0] in deciding for path in left_out):
        return Partial(complaints, None, left_out)
    try:
        return Partial(complaints, model.model_validate(data), left_out)
    except ValidationError:
        return Partial(complaints, None, left_out)


def touches(path: Path, left_out: Path) -> bool:
    """Whether a complaint at `path` stands on what was left out: on the same entry under a key, or the same key."""
    reach = left_out[:2] if len(left_out) > 1 else left_out
    return path[: len(reach)] == reach or reach[: len(path)] == path


def _paths(error: ValidationError) -> list[Path]:
    """Where the mistakes are."""
    paths = []
    for found in error.errors(include_url=False):
        cause = found.get("ctx", {}).get("error")
        paths.append((*found["loc"], *(cause.path if isinstance(cause, BadValue) else ())))
    return paths


def _left_out(data: Any, paths: Iterable[Path]) -> tuple[Path, ...]:
    """Take what is at `paths` out of `data`, each part once; what was taken out."""
    taken: list[Path] = []
    for path in paths:
        if not any(path[: len(each)] == each for each in taken):
            taken.append(_leave_out(data, path))
    return tuple(taken)


def _leave_out(data: Any, path: Path) -> Path:
    """Take the deepest key on `path` out of `data`; where it was. A list goes whole: places in it stay true."""
    passed: Path = ()
    holder, key, here = data, None, data
    for part in path:
        if not isinstance(here, dict) or part not in here:
            break
        holder, key, here = here, part, here[part]
        passed = (*passed, part)
    if key is not None:
        del holder[key]
    return passed
