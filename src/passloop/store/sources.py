"""Writes and reads sources and their units, inside the caller's transaction. When to ask for a unit is the kernel's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import apsw
import msgspec

from passloop.kernel.changes import SourceAdded, SourceChanged, UnitChanged
from passloop.kernel.saved import SavedSource
from passloop.kernel.source_rows import Cell, Lag, Part, SourcePlan, SourceRow, SourceState, UnitRow

from .connection import REPAIR_HINT
from .errors import StoreDamaged, StoreRefused
from .records import Values, decode_json, encode_json
from .sql import statement

__all__ = [
    "SOURCE_FIELDS",
    "SourceHead",
    "SourceView",
    "add_sources",
    "change_sources",
    "load_cells",
    "load_sources",
    "load_units",
    "read_source",
    "source_of",
    "sources_of",
    "write_units",
]

SOURCE_FIELDS = len(SourceRow._fields)

_plan = msgspec.json.Decoder(SourcePlan)
_part = msgspec.json.Decoder(Part)
_lags = msgspec.json.Decoder(tuple[Lag, ...])
_STATES = {str(state): state for state in SourceState}


class SourceHead(NamedTuple):
    """A source and its plan, as lists show it: without its spec, which may be large."""

    row: SourceRow
    plan: SourcePlan


class SourceView(NamedTuple):
    """A source with all that never changes of it; `spec` is the JSON text for who expands it."""

    row: SourceRow
    plan: SourcePlan
    spec: str


def add_sources(connection: apsw.Connection, added: Sequence[SourceAdded]) -> None:
    """Write new sources. A run that has one is refused."""
    rows = [(*_values(one.row), encode_json(one.plan), one.spec) for one in added]
    connection.executemany(statement("insert_source"), rows)
    units = ((one.row.run, unit, spec) for one in added for unit, spec in enumerate(one.unit_specs))
    connection.executemany(statement("insert_unit_spec"), units)


def change_sources(connection: apsw.Connection, changed: Sequence[SourceChanged]) -> None:
    """Write sources as they are now. One that is not there is refused."""
    before = connection.total_changes()
    connection.executemany(statement("update_source"), [_values(one.row) for one in changed])
    if connection.total_changes() - before != len(changed):
        raise StoreRefused("a changed source is not in the store", hint="passloop doctor")


def _values(row: SourceRow) -> Values:
    """The columns of a source, in the order of its fields."""
    *values, asked, lags, end = row
    return (*values, None if asked is None else encode_json(asked), encode_json(lags), end)


def write_units(connection: apsw.Connection, changed: Sequence[UnitChanged]) -> None:
    """Write units as they are now."""
    connection.executemany(statement("upsert_unit"), [one.row for one in changed])


def read_source(values: Values) -> SourceRow:
    """A source from the first columns of `sources`."""
    row = SourceRow._make(values[:SOURCE_FIELDS])
    state = _STATES.get(row.state)
    if state is None:
        raise StoreDamaged(f"the source of run {row.run} has the unknown state {row.state!r}", hint=REPAIR_HINT)
    asked, lags, _ = values[SOURCE_FIELDS - 3 : SOURCE_FIELDS]
    return row._replace(
        state=state,
        held=bool(row.held),
        asked=None if asked is None else decode_json(_part.decode, asked, "what is asked of a source"),
        lags=decode_json(_lags.decode, lags, "how far a source is"),
    )


def load_sources(connection: apsw.Connection) -> tuple[SavedSource, ...]:
    """The sources that are not over, and those that failed."""
    return tuple(
        SavedSource(
            read_source(values),
            decode_json(_plan.decode, values[SOURCE_FIELDS], "source plan"),
        )
        for values in connection.execute(statement("select_live_sources"))
    )


def load_units(connection: apsw.Connection) -> tuple[UnitRow, ...]:
    """The units that are not finished."""
    return tuple(UnitRow._make(values) for values in connection.execute(statement("select_live_units")))


def load_cells(connection: apsw.Connection) -> dict[int, Cell]:
    """The places of live tasks in their sources, by task."""
    return {int(task): Cell(unit, node) for task, unit, node in connection.execute(statement("select_live_cells"))}


def source_of(connection: apsw.Connection, run: int) -> SourceView | None:
    """The source of a run with its spec, if it has one."""
    rows = connection.execute(statement("select_source"), (run,))
    return next((SourceView(*_head(values[:-1]), values[-1]) for values in rows), None)


def sources_of(connection: apsw.Connection, runs: Iterable[int]) -> dict[int, SourceHead]:
    """The sources of these runs, by run; runs without one are left out."""
    asked = encode_json(sorted(set(runs)))
    rows = connection.execute(statement("select_sources"), (asked,))
    return {int(values[0]): _head(values) for values in rows}


def _head(values: Values) -> SourceHead:
    return SourceHead(read_source(values), decode_json(_plan.decode, values[SOURCE_FIELDS], "source plan"))
