"""Tells a copy of a store from the store itself, by a row of `meta` that every copy has from its making.

A copy that is put into another home knows nothing of what became of its work since. So no engine takes it: a repair
makes a store of that home's own of it.
"""

from __future__ import annotations

from collections.abc import Iterable

import apsw

from .errors import StoreDamaged
from .records import Values
from .sql import statement

__all__ = ["NOTE", "forget_copying", "is_copy", "refuse_copy"]

NOTE = "copied"
"""The name of the row; its value is the home that the copy is of."""


def refuse_copy(connection: apsw.Connection, found: int, marked: int) -> None:
    """Refuse a copy that goes further, to batch `found`, than this home is known to have come: it is of another one, or
    of one that lost more than its store. Raises `StoreDamaged`.
    """
    noted = connection.execute(statement("select_meta"), (NOTE,)).fetchone()
    if noted is not None and found > marked:
        what = f"the store is a copy of that in {noted[0]}, and nobody knows here what became of its work since"
        raise StoreDamaged(
            what, hint="Make it this home's own with `passloop doctor --repair`; it holds what may have run."
        )


def is_copy(meta: Iterable[Values]) -> bool:
    """Whether rows of `meta` are those of a copy; those of one that an earlier version made do not say so."""
    return any(name == NOTE for name, _ in meta)


def forget_copying(connection: apsw.Connection) -> None:
    """Let this be the store itself, in the open transaction."""
    connection.execute(statement("delete_meta"), (NOTE,))
