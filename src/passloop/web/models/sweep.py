"""A sweep as the page shows it: its axes, what was measured, its points with the spread of repeats, its tasks."""

from __future__ import annotations

from passloop.apps.figures import lower_is_better
from passloop.apps.queue.gather import gather
from passloop.apps.queue.report import Cell, Report, Row
from passloop.apps.queue.views import Json, document
from passloop.store.home import Home
from passloop.store.reader import Reader

__all__ = ["sweep"]


def sweep(reader: Reader, home: Home, run: str, *, made_at: int, offset: int, limit: int) -> Json:
    """The document of a run of commands. Raises `NotFound`. `offset` and `limit` are of the points and the tasks."""
    report: Report = gather(reader, home, run, made_at=made_at, logs=False)
    return document(
        run={"id": report.run, "name": report.name},
        axes=list(report.axes),
        metrics=list(report.metrics),
        ranked_by=report.ranked_by,
        lower_is_better={metric: lower_is_better(metric) for metric in report.metrics},
        total=len(report.rows),
        points=len(report.cells),
        cells=[_cell(cell) for cell in report.cells[offset : offset + limit]],
        rows=[_row(row) for row in report.rows[offset : offset + limit]],
    )


def _cell(cell: Cell) -> Json:
    metrics = {
        name: {"mean": spread.mean, "deviation": spread.deviation, "count": spread.count}
        for name, spread in cell.metrics.items()
    }
    return {"params": dict(cell.params), "tasks": [row.id for row in cell.rows], "metrics": metrics}


def _row(row: Row) -> Json:
    seconds = row.seconds
    return {
        "task": row.id,
        "name": row.name,
        "state": row.state,
        "outcome": row.outcome,
        "message": row.message,
        "params": dict(row.params),
        "results": dict(row.results),
        "millis": None if seconds is None else round(seconds * 1000),
    }
