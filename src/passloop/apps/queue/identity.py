"""A cell's identity: the hash of what determines its result. Equal cells have equal keys, so a spec that is
submitted again runs only what is missing or failed.

In it: the version of this scheme, the command template, the parameters, the variables the spec sets (secrets
apart), and where the code comes from: the snapshot's hash, or else the working directory, because the same
relative command in two projects is not the same work. Not in it: names, groups, resources, limits, retries.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from passloop.apps.secrecy import is_outside_identity

__all__ = ["Identity", "work_of_keys"]

VERSION = 1


class Identity:
    """Makes keys for the cells of one sweep; what the cells share is hashed once."""

    __slots__ = ("_common", "_texts")

    def __init__(self, command: Sequence[str], *, env: Mapping[str, str], code: str) -> None:
        kept = {name: value for name, value in env.items() if not is_outside_identity(name)}
        common = {"version": VERSION, "kind": "run", "command": list(command), "env": kept, "code": code}
        self._common = hashlib.sha256(_canonical(common).encode())
        self._texts: dict[tuple[type, Any], str] = {}

    @property
    def work(self) -> str:
        """What all cells have in common, whatever their parameters: 32 hex digits."""
        return self._common.hexdigest()[:32]

    def key_of(self, params: Mapping[str, Any], *, index: int | None = None) -> str:
        """The key of a cell: 32 hex digits. `index` counts only where the command itself uses it."""
        parts = ",".join([f"{name}:{self._text(params[name])}" for name in sorted(params)])
        digest = self._common.copy()
        digest.update(f"{index}|{parts}".encode())
        return digest.hexdigest()[:32]

    def _text(self, value: Any) -> str:
        """The value's canonical text; a sweep has few distinct values and many cells."""
        known = self._texts.get((type(value), value))
        if known is None:
            known = self._texts[type(value), value] = _canonical(value)
        return known


def work_of_keys(template: str) -> str:
    """The same for cells to which the user gives keys: who gives two the same one says that they are the same work."""
    return hashlib.sha256(_canonical({"version": VERSION, "kind": "run", "key": template}).encode()).hexdigest()[:32]


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
