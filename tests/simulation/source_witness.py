"""What a home's store was given of sources and their units, and the promises held against it.

Units come one by one, each node of each once; none comes after the last, and none is left half; live ones keep no more
than the guard allows and one unit; nothing that was acknowledged is lost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from passloop.kernel.changes import SourceAdded, SourceChanged, UnitChanged
from passloop.kernel.events import Event, UnitResized
from passloop.kernel.ids import RunId
from passloop.kernel.source_rows import OPEN_STATES, Cell, SourcePlan, SourceRow, SourceState, UnitRow
from passloop.kernel.tasks import FINAL_STATES, TaskRow
from passloop.store.database import Store

__all__ = ["SourceWitness"]


class SourceWitness:
    """The sources of one home by run, and their units by run and number."""

    def __init__(self) -> None:
        self.rows: dict[int, SourceRow] = {}
        self._plans: dict[int, SourcePlan] = {}
        self._units: dict[tuple[int, int], UnitRow] = {}
        self._entered: Counter[tuple[int, int]] = Counter()
        self._cells: dict[int, tuple[int, int]] = {}
        self._resized: set[int] = set()
        self._acknowledged: set[RunId] = set()
        self._changed: set[int] = set()

    def acknowledge(self, run: RunId) -> None:
        """A client was told of a source."""
        self._acknowledged.add(run)

    def known(self) -> list[RunId]:
        """Sources that are not over, by run."""
        return [RunId(run) for run, row in self.rows.items() if row.ended_at is None or row.state is SourceState.FAILED]

    def failed(self) -> list[RunId]:
        """Sources of which a unit could not be written out."""
        return [RunId(run) for run, row in self.rows.items() if row.state is SourceState.FAILED]

    def unfinished(self) -> list[RunId]:
        """Sources that are not over."""
        return [RunId(run) for run, row in self.rows.items() if row.ended_at is None]

    def newest_unit(self, run: int) -> int:
        """The number of the last unit that came; -1 if none did."""
        return self.rows[run].unit - 1

    def add_task(self, row: TaskRow, cell: Cell) -> None:
        """A task of a unit is new: its node went on from this unit now, or in this very turn."""
        fronts = dict(self.rows[row.run].lags)
        assert fronts.get(cell.node, self.rows[row.run].unit) == cell.unit + 1, f"{cell} comes out of order: {row}"
        self._entered[row.run, cell.unit] += 1
        self._cells[row.id] = (row.run, cell.unit)

    def take(self, change: SourceAdded | SourceChanged | UnitChanged) -> None:
        """A source or unit is committed so."""
        if isinstance(change, UnitChanged):
            self._unit(change.row)
            return
        row = change.row
        old = self.rows.get(row.run)
        if isinstance(change, SourceAdded):
            assert old is None, f"run {row.run} has two sources"
            self._plans[row.run] = change.plan
        else:
            assert old is not None, f"run {row.run} has no source that could change"
            assert old.unit <= row.unit <= old.unit + 1, f"source {row.run} goes from unit {old.unit} to {row.unit}"
            over = old.state not in OPEN_STATES and old.state is not SourceState.FAILED
            assert not over or row.unit == old.unit, f"a unit of {row} comes after the last"
            before, after = dict(old.lags), dict(row.lags)
            went_back = [n for n in after if after[n] < before.get(n, old.unit)]
            assert not went_back, f"nodes {went_back} of {row} go back"
        assert row.state is not SourceState.EXHAUSTED or not row.lags, f"{row} ends with half units"
        self.rows[row.run] = row
        self._changed.add(row.run)

    def _unit(self, row: UnitRow) -> None:
        old = self._units.get((row.run, row.unit))
        parts = self._plans[row.run].guard.bytes is not None
        assert old is None or old.ended_at is None or parts, f"unit {row} changes though it is over"
        assert old is not None or (row.run, row.unit - 1) in self._units or not row.unit, f"unit {row} comes too soon"
        assert old is None or old.tasks == row.tasks or parts, f"unit {row} had {old and old.tasks} tasks"
        self._units[row.run, row.unit] = row
        self._changed.add(row.run)

    def check(self, events: Iterable[Event], tasks: Mapping[int, TaskRow]) -> None:
        """After a batch: units are whole, memory is guarded, and what is over is over."""
        self._resized.update(event.source for event in events if isinstance(event, UnitResized))
        live = Counter(cell for task, cell in self._cells.items() if tasks[task].state not in FINAL_STATES)
        for run in self._changed:
            self._check_units(run, live)
            row = self.rows[run]
            assert not (row.ended_at is not None and self._living(run)), f"{row} is over and has units"
        for run in self._changed:
            for number in self._living(run):
                assert live[run, number], f"unit {number} of run {run} is not over though its tasks are"
        over = [cell for cell in live if self._units[cell].ended_at is not None]
        assert not over, f"units {over} are over, and tasks of them are not"
        self._cells = {task: cell for task, cell in self._cells.items() if tasks[task].state not in FINAL_STATES}
        self._changed.clear()

    def _living(self, run: int) -> list[int]:
        return [number for (of, number), unit in self._units.items() if of == run and unit.ended_at is None]

    def _check_units(self, run: int, live: Mapping[tuple[int, int], int]) -> None:
        row, guard = self.rows[run], self._plans[run].guard
        units = [self._units[run, number] for number in range(row.unit)]
        assert (run, row.unit) not in self._units, f"{row} has a unit too many"
        entered = sum(self._entered[run, unit.unit] for unit in units)
        assert entered <= row.tasks, f"{entered} tasks of {row} came"
        told = sum(unit.tasks for unit in units)  # of one that came in parts it is the latest ones
        assert told == row.tasks or (guard.bytes is not None and told < row.tasks), f"{row} has {told} tasks"
        living = [unit for unit in units if unit.ended_at is None]
        assert guard.units is None or len(living) <= max(1, guard.units), f"{row} has {len(living)} units"
        if guard.bytes is not None and run not in self._resized and living:
            kept = [unit.bytes * min(live[run, unit.unit], unit.tasks) // unit.tasks for unit in living]
            before = sum(kept) - max(kept, default=0)
            assert before <= guard.bytes, f"{row} keeps {before} bytes beside its largest unit"

    def check_store(self, store: Store) -> None:
        """The store holds what was committed."""
        assert self._acknowledged <= self.rows.keys(), "a source that was acknowledged is lost"
        stored = {source.row.run: source.row for source in store.load().sources}
        kept = {run: row for run, row in self.rows.items() if row.ended_at is None or row.state is SourceState.FAILED}
        assert stored == kept, f"committed and stored sources differ: {stored} and {kept}"
