"""Secrets in a spec's `env:` that would stand in the results: what is in an identity is in each `cell.json`, which
people publish. A new matrix is refused; one that was started with them is known by them, so it goes on and is told.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from passloop.apps.secrecy import holds_password, looks_secret
from passloop.apps.text import shown

from .cell_folder import CELL
from .durable import read_json
from .names import PLAN
from .resolve import Mistake

if TYPE_CHECKING:
    from .matrix import Cell

__all__ = ["left_out_name", "secret_mistakes", "secrets_in"]

PLACE = re.compile(r".*_(?:FILE|PATH)", re.IGNORECASE)
"""Names of variables that say where something lies, and hold no secret themselves."""
REFERENCE = re.compile(r"\$\{\w+\}")
"""What stands for the value of another variable, and is none itself."""
SHORTEST = 6
"""Characters of a value below which it is a setting, such as the RS256 of JWT_ALGORITHM."""


def secrets_in(kept: Mapping[str, str]) -> dict[str, str]:
    """Of the variables that are kept in identities those that hold secrets, each with a word on why it seems so."""
    found = {}
    for name, value in kept.items():
        if holds_password(REFERENCE.sub("", value)):
            found[name] = "holds a URL with a password"
        elif len(value) >= SHORTEST and looks_secret(name) and not PLACE.fullmatch(name):
            found[name] = "looks like a secret"
    return found


def secret_mistakes(kept: Mapping[str, str], cells: Iterable[Cell], out: str) -> Iterator[Mistake]:
    """What is wrong with `env:`, of which `kept` is in the identity of the `cells`. Nothing, if any of them was started
    before in the folder `out`: by another value its results could not be found.
    """
    found = secrets_in(kept)
    if not found or _were_started(cells, Path(out)):
        return
    for name, why in found.items():
        fix = f"let the program set it from {left_out_name(name)}, which stands in none, or read it from a file that "
        fix += f"{name}_FILE names; what is no secret wants another name"
        what = f"{shown(name)} {why}, and its value would stand in each {CELL} of the results"
        yield Mistake(("env", name), what, fix)


def left_out_name(name: str) -> str:
    """A name for the same variable whose value is part of no identity."""
    return f"{name}_TOKEN"


def _were_started(cells: Iterable[Cell], out: Path) -> bool:
    """Whether results or plan in `out` know any of the cells."""
    plan = read_json(out / PLAN)
    rows = plan.get("cells") if isinstance(plan, Mapping) else None
    planned = {each for row in rows or () if isinstance(row, list) for each in row if isinstance(each, str)}
    return any(cell.hash in planned or (out / cell.path / CELL).exists() for cell in cells)
