"""The table of a matrix: a row for each model and configuration, a column for each benchmark and subset.

A field joins the seeds of a cell. What is missing is marked with its reason, never averaged away: what is a mean over
columns exists only for rows without a gap, and a difference to dense is over the seeds that both have.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from passloop.apps.figures import lower_is_better

from .intervals import interval_of_samples, interval_of_seeds
from .planned import Planned
from .results import CellResult

__all__ = ["Field", "Row", "Table", "figure_of", "table_of"]

Column = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Field:
    """One field: the metric's mean over seeds (None: missing, `why` says it), its interval, what it differs from dense
    in the seeds that both have, and how many seeds and samples it rests on. `unlike` says where dense has answered
    another number of samples a seed, so that the two are not quite comparable.
    """

    metric: str = ""
    value: float | None = None
    low: float | None = None
    high: float | None = None
    difference: float | None = None
    done: int = 0
    planned: int = 0
    samples: int = 0
    why: str = ""
    unlike: str = ""

    @property
    def complete(self) -> bool:
        """Whether every seed is there."""
        return self.value is not None and self.done == self.planned


@dataclass(frozen=True, slots=True)
class Row:
    """One model under one configuration. `mean` over all columns, the share of the cache that was `kept` and the
    `seconds` of a cell (means over its cells) only if every cell is there, and tells them.
    """

    model: str
    sparse_attention: str
    dense: bool
    fields: Mapping[Column, Field]
    mean: float | None
    kept: float | None
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Table:
    """The table: columns in the order of the matrix, the metric of each, and the rows."""

    columns: tuple[Column, ...]
    metrics: Mapping[Column, str]
    rows: tuple[Row, ...]

    @property
    def mean_name(self) -> str:
        """What the mean over columns is called: of several metrics it is no metric of its own."""
        return "mean" if len(set(self.metrics.values())) <= 1 else "mean of unlike metrics"

    @property
    def missing(self) -> int:
        """How many fields are not complete."""
        return sum(not field.complete for row in self.rows for field in row.fields.values())


def table_of(planned: Planned, results: Sequence[CellResult]) -> Table:
    """The table of these results."""
    columns = tuple(dict.fromkeys(cell.column for cell in planned.cells))
    grouped: dict[tuple[str, str], dict[Column, list[CellResult]]] = {}
    for result in results:
        key = (result.cell.model, result.cell.sparse_attention)
        grouped.setdefault(key, {}).setdefault(result.cell.column, []).append(result)
    metrics = _metrics(columns, results)
    fields = {
        key: {column: _field(some, metrics[column]) for column, some in by_column.items()}
        for key, by_column in grouped.items()
    }
    base = {model: grouped[model, name] for model, name in fields if name == _dense(planned, model, fields)}
    rows = [
        _row(
            key,
            {c: _against(f, grouped[key][c], base.get(key[0], {}).get(c, ())) for c, f in some.items()},
            grouped[key],
            planned,
            metrics,
        )
        for key, some in fields.items()
    ]
    return Table(columns, metrics, tuple(rows))


def figure_of(result: CellResult, metric: str) -> float | None:
    """The metric of one cell as a number."""
    value = result.metrics.get(metric)
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if number and value is not None else None


def _dense(planned: Planned, model: str, fields: Mapping[tuple[str, str], Any]) -> str | None:
    """The dense configuration of a model: the one named dense, else the first that is."""
    there = [name for each, name in fields if each == model and name in planned.dense]
    return "dense" if "dense" in there else next(iter(there), None)


def _metrics(columns: Sequence[Column], results: Sequence[CellResult]) -> dict[Column, str]:
    """The metric of each column: the one that was said, else `score`, else the first number that most cells have."""
    said = {result.cell.column: result.cell.metric for result in results if result.cell.metric}
    found: dict[Column, str] = {}
    for column in columns:
        own = [result for result in results if result.cell.column == column and result.status == "done"]
        names = Counter(name for each in own for name in each.metrics if figure_of(each, name) is not None)
        best = "score" if "score" in names else next(iter(n for n, _ in names.most_common(1)), "score")
        found[column] = said.get(column) or best
    return found


def _field(results: Sequence[CellResult], metric: str) -> Field:
    done = [(result, figure) for result in results if (figure := figure_of(result, metric)) is not None]
    why = _why(results, metric)
    if not done:
        return Field(metric=metric, planned=len(results), why=why)
    values = [figure for _, figure in done]
    scores = [result.scores for result, _ in done]
    between = interval_of_samples(scores) if _are_of(scores, values) else interval_of_seeds(values)
    low, high = between or (None, None)
    return Field(
        metric=metric,
        value=statistics.fmean(values),
        low=low,
        high=high,
        done=len(done),
        planned=len(results),
        samples=sum(_answered(result) for result, _ in done),
        why=why,
    )


def _are_of(scores: Sequence[Sequence[float]], values: Sequence[float]) -> bool:
    """Whether the samples' scores are what the metric of each seed is the mean of."""
    return all(
        bool(own) and math.isclose(statistics.fmean(own), value, rel_tol=1e-6, abs_tol=1e-9)
        for own, value in zip(scores, values, strict=True)
    )


def _answered(result: CellResult) -> int:
    samples = result.done.get("samples")
    return int(samples.get("answered") or 0) if isinstance(samples, Mapping) else 0


def _why(results: Sequence[CellResult], metric: str) -> str:
    """Why something is missing; empty if nothing is."""
    reasons = Counter(each.error_class or each.status for each in results if each.status != "done")
    lacking = sum(each.status == "done" and figure_of(each, metric) is None for each in results)
    if lacking:
        reasons[f"no {metric}"] = lacking
    return ", ".join(reason if count == 1 else f"{count} {reason}" for reason, count in reasons.items())


def _against(field: Field, results: Sequence[CellResult], dense: Sequence[CellResult]) -> Field:
    """The field with its difference to dense, over the seeds that both have."""
    own, its = ({each.cell.seed: each for each in some if _has(each, field.metric)} for some in (results, dense))
    both = [seed for seed in own if seed in its]
    if not both:
        return field
    mine, others = ([figure_of(some[seed], field.metric) or 0.0 for seed in both] for some in (own, its))
    answered, asked = (sum(_answered(some[seed]) for seed in both) for some in (own, its))
    unlike = f"{answered} samples, dense {asked}" if answered != asked and answered and asked else ""
    return replace(field, difference=statistics.fmean(mine) - statistics.fmean(others), unlike=unlike)


def _has(result: CellResult, metric: str) -> bool:
    return figure_of(result, metric) is not None


def _row(
    key: tuple[str, str],
    fields: Mapping[Column, Field],
    results: Mapping[Column, Sequence[CellResult]],
    planned: Planned,
    metrics: Mapping[Column, str],
) -> Row:
    whole = len(fields) == len(metrics) and all(field.complete for field in fields.values())
    one_way = len({lower_is_better(metric) for metric in metrics.values()}) <= 1
    values = [field.value for field in fields.values() if field.value is not None]
    cells = [each for some in results.values() for each in some] if whole else []
    return Row(
        model=key[0],
        sparse_attention=key[1],
        dense=key[1] in planned.dense,
        fields=fields,
        mean=statistics.fmean(values) if whole and one_way and values else None,
        kept=_mean([_used(each, "kept") for each in cells]),
        seconds=_mean([_seconds(each) for each in cells]),
    )


def _mean(values: Sequence[float | None]) -> float | None:
    """The mean, unless one is missing: means over unequal sets of cells are not to be compared."""
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known and len(known) == len(values) else None


def _used(result: CellResult, name: str) -> float | None:
    usage = result.done.get("usage")
    value = usage.get(name) if isinstance(usage, Mapping) else None
    return float(value) if isinstance(value, int | float) else None


def _seconds(result: CellResult) -> float | None:
    """What answering took, loading apart; None for a cell that went on with answers of an earlier attempt."""
    millis, samples = result.done.get("millis"), result.done.get("samples")
    if isinstance(samples, Mapping) and samples.get("kept"):
        return None
    value = millis.get("run") if isinstance(millis, Mapping) else None
    return value / 1000 if isinstance(value, int) else None
