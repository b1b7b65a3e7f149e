"""What can be read of a spec that has mistakes, so that names that are wrong are told together with them.

What was left out is never complained about: a complaint that stands on a part of the spec with a mistake is dropped.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from passloop.apps.partial import Path, partial_of, touches
from passloop.apps.spec_file import SpecFile
from passloop.apps.yaml_nodes import Complaint

from .resolve import Mistake
from .spec import AS_WRITTEN, BenchSpec

__all__ = ["Readable", "readable_of"]

DECIDING = frozenset({"adapter", "command", "python", "options"})
"""Without these nothing can be said about the names on the axes."""


class Readable(NamedTuple):
    """The mistakes of a file, the spec without the parts that have them (None: too little is left), and those parts."""

    complaints: list[Complaint]
    spec: BenchSpec | None
    left_out: tuple[Path, ...]

    def apart(self, mistakes: Iterable[Mistake]) -> list[Mistake]:
        """Those of `mistakes` that do not stand on a part that was left out."""
        return [each for each in mistakes if each.path and not any(touches(each.path, out) for out in self.left_out)]


def readable_of(file: SpecFile) -> Readable:
    """Read `file`, which is a bench spec, as far as it can be read."""
    data = file.root.plain(as_written=AS_WRITTEN)
    return Readable(*partial_of(data, file.root, BenchSpec, deciding=DECIDING))
