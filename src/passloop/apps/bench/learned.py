"""What complete cells tell about those to come: how long they take, and how much memory at the most.

Read from the results alone, so that it is there on the next day and on another home. Times in ms.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .matrix import Cell
from .memory import Bucket, bucket_of
from .order import prior_ms

__all__ = ["Learned", "tokens_of"]

PRIOR_TOKENS = 256
PRIOR_NEW = 16
PRIOR_SAMPLES = 10


class Learned:
    """Means of times by what cells have in common, and peaks by bucket."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, ...], tuple[int, int]] = {}
        self._scale: tuple[int, int] = (0, 0)
        self.peaks: dict[Bucket, int] = {}
        self.host_peaks: dict[Bucket, int] = {}

    def learn(self, cell: Cell, done: Mapping[str, Any]) -> None:
        """File what a complete cell took; of one that went on with answers of an earlier attempt its memory only."""
        millis, samples = done.get("millis"), done.get("samples")
        went_on = isinstance(samples, Mapping) and samples.get("kept")
        if isinstance(millis, Mapping) and not went_on:
            took = sum(int(each) for each in millis.values() if isinstance(each, int))
            for key in _keys(cell):
                total, count = self._sums.get(key, (0, 0))
                self._sums[key] = (total + took, count + 1)
            self._scale = (self._scale[0] + took, self._scale[1] + _prior(cell))
        usage = done.get("usage")
        if isinstance(usage, Mapping):
            self._learn_peak(self.peaks, cell, usage.get("peak_vram_mib"))
            self._learn_peak(self.host_peaks, cell, usage.get("peak_mib"))

    def millis(self, cell: Cell) -> int:
        """What the cell is thought to take: the mean of the nearest of its kind, else the prior, scaled."""
        for key in _keys(cell):
            if key in self._sums:
                total, count = self._sums[key]
                return max(1, total // count)
        took, prior = self._scale
        return max(1, _prior(cell) * took // prior) if prior else _prior(cell)

    @property
    def known(self) -> bool:
        """Whether anything was learned."""
        return bool(self._sums)

    def _learn_peak(self, peaks: dict[Bucket, int], cell: Cell, mib: Any) -> None:
        if isinstance(mib, int | float) and mib > 0:
            bucket = bucket_of(cell.names.model, cell.names.sparse_attention, tokens_of(cell))
            peaks[bucket] = max(round(mib), peaks.get(bucket, 0))


def tokens_of(cell: Cell) -> int:
    """Tokens of one context with its answer, as far as they are known."""
    new = cell.subset.new_tokens or cell.settled.generation.get("max_new_tokens")
    return (cell.subset.context_tokens or PRIOR_TOKENS) + (new if isinstance(new, int) else PRIOR_NEW)


def _keys(cell: Cell) -> tuple[tuple[str, ...], ...]:
    """What a cell has in common with others, the closest first."""
    names = cell.names
    return (
        (names.model, names.sparse_attention, names.benchmark, names.subset),
        (names.model, "", names.benchmark, names.subset),
        (names.model, "", names.benchmark, ""),
    )


def _prior(cell: Cell) -> int:
    shape = cell.point.model.shape
    samples = cell.settled.samples or cell.subset.samples or PRIOR_SAMPLES
    return prior_ms(parameters=shape.parameters if shape else 0, tokens=tokens_of(cell), samples=samples)
