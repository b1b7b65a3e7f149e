"""From what is committed to the files: parts of row groups that are whole, the dataset itself, and the rows that lack
something beside it. Reads the store, asks nobody; may be repeated at any time and then does only what is left.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from .cells import UnitCells, cells_of
from .costs import UNIT, cost_of, spent_of
from .dataset import BESIDE, Dataset
from .gathering import UNANSWERED, UNDECIDED, GatheredRow, gather_unit
from .parts import PartStore, lazily, parquet, table_of, write_file

if TYPE_CHECKING:
    from pathlib import Path

    from passloop.store.reader import Reader

__all__ = ["Settled", "Settling", "cost_told"]

_SAMPLES = 3


@dataclass(slots=True)
class Tally:
    """Counts over rows. `missing` is how many cells lack a value by column, `samples` the tasks of the first; of the
    rows `cancelled`, a cell was taken back. `cut_off` counts answers of kept rows that were cut off, by column.
    """

    kept: int = 0
    incomplete: int = 0
    cancelled: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    undecided: Counter[str] = field(default_factory=Counter)
    missing: Counter[str] = field(default_factory=Counter)
    samples: dict[str, list[int]] = field(default_factory=dict)
    wrong: dict[str, str] = field(default_factory=dict)
    cut_off: Counter[str] = field(default_factory=Counter)

    def add(self, row: GatheredRow) -> None:
        """Count a row."""
        if row.status == "kept":
            self.kept += 1
            self.cut_off.update(row.cut_off)
        elif row.status == "dropped":
            self.dropped[row.reason] += 1
        else:
            self.incomplete += 1
            self.undecided.update([row.reason] if row.reason else [])
        self.cancelled += row.cancelled
        for name, task in row.missing.items():
            self.missing[name] += 1
            tasks = self.samples.setdefault(name, [])
            if task is not None and len(tasks) < _SAMPLES:
                tasks.append(task)
        self.wrong |= row.wrong

    @property
    def barren(self) -> bool:
        """Whether nothing was kept, and rows were dropped for want of an answer."""
        return not self.kept and any(reason.startswith(UNANSWERED) for reason in self.dropped)

    def merge(self, told: Mapping[str, Any]) -> None:
        """Count what a part tells of its rows."""
        self.kept += told["kept"]
        self.dropped.update(told["dropped"])
        self.cut_off.update(told.get("cut_off", {}))

    def told(self) -> dict[str, Any]:
        """What a part tells."""
        return {"kept": self.kept, "dropped": self.dropped, "cut_off": self.cut_off}


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of a dataset. `whole` says that all rows are there, or dropped as was asked and not all for want of
    an answer; `left`, that the file is as it was, since this run was cancelled before it had as many rows.
    """

    tally: Tally
    rows: int
    out: Path
    incomplete_out: Path
    whole: bool
    left: bool = False


class Settling:
    """Writes the files of one dataset."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._parts = PartStore(dataset.out)
        self._identities: dict[int, str] = {}
        self._latest: UnitCells | None = None

    def write_part(self, reader: Reader, unit: int) -> bool:
        """Write the part of a row group whose cells are final; False if some of its rows lack something."""
        path = self._path(unit)
        if path.exists():
            return True
        rows = gather_unit(reader, self._dataset, unit, self._cells(unit))
        tally = Tally()
        for row in rows:
            tally.add(row)
        if tally.incomplete or tally.missing:
            return False
        kept = [row.values for row in rows if row.status == "kept"]
        self._parts.write(path, kept, self._dataset.outputs, tally.told())
        return True

    def settle(self, reader: Reader, *, writes: bool = True, cancelled: bool = False) -> Settled:
        """Write the dataset from all row groups; what lacks something goes into a file beside it.

        Without `writes` it only counts. What was `cancelled`, the run or cells of it, replaces no file of more rows.
        """
        target = self._dataset.spec.target
        tally, pieces, lacking = self._gather(reader, writes=writes)
        whole = not tally.incomplete and not tally.barren if target is None else tally.kept >= target
        left = (cancelled or tally.cancelled > 0) and not whole and tally.kept < self._parts.rows(self._dataset.out)
        if writes and not left:
            self._write(reader, tally, pieces, lacking, whole=whole)
        tally.kept = tally.kept if target is None else min(tally.kept, target)
        return Settled(tally, self._dataset.spec.rows, self._dataset.out, self._beside, whole, left)

    def write_rows(self, reader: Reader, path: Path) -> Tally:
        """Write the rows that are kept to a file of their own and change no other; what was counted."""
        tally, pieces, _ = self._gather(reader, writes=False)
        made = self._of_target(tally, pieces)
        write_file(path, lazily(made), self._metadata(reader, tally))
        tally.kept = min(tally.kept, self._dataset.spec.target or tally.kept)
        return tally

    @property
    def is_of_this_spec(self) -> bool:
        """Whether the file is there and of this very spec and number of rows, whichever of them it has."""
        return self.spec_of_file == (self._dataset.hash, self._dataset.spec.rows)

    @property
    def spec_of_file(self) -> tuple[object, object]:
        """The hash of the spec that the file is of, and how many rows that wanted; None where it says none."""
        told = self._parts.told(self._dataset.out) or {}
        return told.get("spec_hash"), told.get("rows")

    def written(self) -> Settled | None:
        """What the file says of itself, if it is that of the whole dataset and these very cells; late parts are
        deleted.
        """
        told = self._parts.told(self._dataset.out)
        if told is None or told["incomplete"] or told["spec_hash"] != self._dataset.hash:
            return None
        if told["rows"] != self._dataset.spec.rows or self._dataset.spec.target is not None:
            return None
        if told.get("cells") != self._made_of:
            return None
        tally = Tally()
        tally.merge(told)
        if tally.barren or _is_undecided(told):
            return None
        self._parts.remove()
        return Settled(tally, self._dataset.spec.rows, self._dataset.out, self._beside, True)

    def _gather(self, reader: Reader, *, writes: bool) -> tuple[Tally, list[Callable[[], Any]], list[GatheredRow]]:
        """Counts, what makes tables of the rows that are kept, and the rows that lack something."""
        tally = Tally()
        pieces: list[Callable[[], Any]] = []
        lacking: list[GatheredRow] = []
        target = self._dataset.spec.target
        for unit in range(self._dataset.units):
            if target is not None and tally.kept >= target:
                break
            told = self._part_told(reader, unit) if writes else None
            if told is not None:
                tally.merge(told)
                pieces.append(self._reading(self._path(unit)))
                continue
            rows = gather_unit(reader, self._dataset, unit)
            for row in rows:
                tally.add(row)
            lacking += [row for row in rows if row.status in ("incomplete", "open")]
            kept = [row.values for row in rows if row.status == "kept"]
            pieces.append(partial(table_of, kept, self._dataset.outputs))
        return tally, pieces, lacking

    def _of_target(self, tally: Tally, pieces: list[Callable[[], Any]]) -> list[Callable[[], Any]]:
        """The same, cut after the rows that are wanted."""
        target = self._dataset.spec.target
        return _first(pieces, target) if target is not None and tally.kept > target else pieces

    def _part_told(self, reader: Reader, unit: int) -> Any:
        told = self._parts.told(self._path(unit)) if self.write_part(reader, unit) else None
        return None if told is None or _is_undecided(told) else told

    def _write(
        self, reader: Reader, tally: Tally, pieces: list[Any], lacking: list[GatheredRow], *, whole: bool
    ) -> None:
        dataset = self._dataset
        out, beside = dataset.out, self._beside
        write_file(out, lazily(self._of_target(tally, pieces)), self._metadata(reader, tally))
        if lacking and not whole:
            columns = ["row", *(name for name in dataset.outputs if name != "row"), "lacks"]
            rows = [{**row.values, "row": row.row, "lacks": ", ".join(row.missing) or row.reason} for row in lacking]
            write_file(beside, [table_of(rows, columns)], {"dataset": out.name})
        else:
            beside.unlink(missing_ok=True)
        if whole:
            self._parts.remove()

    @property
    def _beside(self) -> Path:
        out = self._dataset.out
        return out.with_name(f"{out.stem}{BESIDE}{out.suffix}")

    def _metadata(self, reader: Reader, tally: Tally) -> dict[str, Any]:
        spent = spent_of(reader, self._dataset)
        return {
            "generate": self._dataset.spec.generate,
            "spec_hash": self._dataset.hash,
            "rows": self._dataset.spec.rows,
            "cells": self._made_of,
            **tally.told(),
            "incomplete": tally.incomplete,
            "input": {name: read for name, (read, _) in spent.items()},
            "output": {name: written for name, (_, written) in spent.items()},
            "cost": cost_told(self._dataset, spent),
        }

    def _reading(self, path: Path) -> Any:
        return lambda: parquet().read_table(path).replace_schema_metadata(None)

    def _cells(self, unit: int) -> UnitCells:
        """The cells of a row group. Those asked for last are kept: naming a part and filling it both need them."""
        if self._latest is None or self._latest.unit != unit:
            self._latest = cells_of(self._dataset, unit)
        return self._latest

    @property
    def _made_of(self) -> str:
        """What the file of the whole dataset is made of: the identities of its row groups, put together."""
        made = hashlib.sha256()
        for unit in range(self._dataset.units):
            made.update(self._identity(unit).encode())
        return made.hexdigest()[:16]

    def _path(self, unit: int) -> Path:
        return self._parts.path(unit, self._identity(unit))

    def _identity(self, unit: int) -> str:
        """What a part is made of: its cells, what its rows are given (a seed or a draw that no cell uses is in no key),
        what is kept of them, and what is written of these.
        """
        if unit not in self._identities:
            cells = self._cells(unit)
            keys = [cell.key for cell in cells.cells]
            told = [keys, cells.givens, self._dataset.spec.keep, self._dataset.outputs, self._columns]
            self._identities[unit] = hashlib.sha256(repr(told).encode()).hexdigest()[:16]
        return self._identities[unit]

    @property
    def _columns(self) -> list[str]:
        return list(self._dataset.fingerprints.values())


def _is_undecided(told: Mapping[str, Any]) -> bool:
    """Whether rows are told to be dropped of which it cannot be said, as files of older versions do."""
    return any(reason.startswith(UNDECIDED) for reason in told["dropped"])


def cost_told(dataset: Dataset, spent: Mapping[str, tuple[int, int]]) -> dict[str, float]:
    """The cost by column, in the currency of the prices; columns without a price are left out."""
    priced = {name for name, model in dataset.spec.models.items() if model.price is not None}
    columns = (dataset.columns[name] for name in sorted(spent))
    return {
        column.name: cost_of(dataset, column, spent[column.name]) / UNIT for column in columns if column.model in priced
    }


def _first(pieces: list[Any], count: int) -> list[Any]:
    """The same, cut after `count` rows."""
    found, left = [], count
    for piece in pieces:
        size = piece().num_rows
        if left <= 0:
            break
        found.append(piece if size <= left else (lambda piece=piece, left=left: piece().slice(0, left)))
        left -= size
    return found
