"""What can be read of a spec that has mistakes, so that names that are wrong are told together with them.

What was left out is never complained about: a complaint that stands on a part of the spec with a mistake is dropped.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from pydantic import ValidationError

from passloop.apps.errors import BadValue
from passloop.apps.model_errors import complaints_of
from passloop.apps.spec_file import SpecFile
from passloop.apps.yaml_nodes import Complaint

from .resolve import Mistake
from .spec import AS_WRITTEN, BenchSpec

__all__ = ["Readable", "readable_of"]

Path = tuple[str | int, ...]

DECIDING = frozenset({"adapter", "command", "python", "options"})
"""Without these nothing can be said about the names on the axes."""


class Readable(NamedTuple):
    """The mistakes of a file, the spec without the parts that have them (None: too little is left), and those parts."""

    complaints: list[Complaint]
    spec: BenchSpec | None
    left_out: tuple[Path, ...]

    def apart(self, mistakes: Iterable[Mistake]) -> list[Mistake]:
        """Those of `mistakes` that do not stand on a part that was left out."""
        return [each for each in mistakes if each.path and not any(_touches(each.path, out) for out in self.left_out)]


def readable_of(file: SpecFile) -> Readable:
    """Read `file`, which is a bench spec, as far as it can be read."""
    data = file.root.plain(as_written=AS_WRITTEN)
    try:
        return Readable([], BenchSpec.model_validate(data), ())
    except ValidationError as error:
        left_out = _left_out(data, _paths(error))
        complaints = complaints_of(error, file.root, BenchSpec)
    if any(path[:1] == () or path[0] in DECIDING for path in left_out):
        return Readable(complaints, None, left_out)
    try:
        return Readable(complaints, BenchSpec.model_validate(data), left_out)
    except ValidationError:
        return Readable(complaints, None, left_out)


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


def _touches(path: Path, left_out: Path) -> bool:
    """Whether a complaint at `path` stands on what was left out: on the same entry of an axis, or the same key."""
    reach = left_out[:2] if len(left_out) > 1 else left_out
    return path[: len(reach)] == reach or reach[: len(path)] == path
