"""Units of sources come to their end: the last task of a unit is final, a source is over. It asks for nothing."""

from __future__ import annotations

from .records import Task
from .source_records import LiveCell, Source, Unit
from .source_rows import SourceState
from .state import State

__all__ = ["close_if_over", "end_source", "leave", "leave_unit"]


def leave(state: State, task: Task, cell: LiveCell) -> None:
    """A task of a source became final: there is more room in memory, and a resting source looks again."""
    task.cell = None
    source = cell.unit.source
    source.left -= 1
    cell.node.live -= 1
    leave_unit(state, cell.unit)
    state.stir()
    if source.state is SourceState.RESTING:
        source.state = SourceState.OPEN
        state.touch_source(source)


def leave_unit(state: State, unit: Unit) -> None:
    """One less holds the unit open, and what it kept in memory is free. With the last one the unit leaves memory."""
    unit.count(-1)
    if unit.left:
        return
    source = unit.source
    unit.ended_at = state.now
    del source.units[unit.number]
    state.touch_unit(unit)
    close_if_over(state, source)


def close_if_over(state: State, source: Source) -> None:
    """A source to which nothing comes any more is over with its last unit."""
    if source.is_open or source.units or source.ended_at is not None:
        return
    source.ended_at = state.now
    state.over.append(source)
    state.touch_source(source)


def end_source(state: State, source: Source, end: SourceState, message: str) -> None:
    """No unit comes any more. What was asked for is not taken in."""
    source.state, source.asked = end, None
    source.message = message
    source.ended_at = None
    state.touch_source(source)
    close_if_over(state, source)
