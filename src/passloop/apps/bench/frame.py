"""Results as flat records, one for each cell, and as a pandas data frame where pandas is installed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from passloop.apps.errors import BadValue

from .results import CellResult

__all__ = ["records_of", "to_pandas"]


def records_of(results: Sequence[CellResult]) -> Iterator[dict[str, Any]]:
    """Names, status and class, `metric.*`, `seconds.*` of each phase, `usage.*` (memory in MiB, kept cache)."""
    for result in results:
        cell, done = result.cell, result.done
        samples = done.get("samples")
        yield {
            "model": cell.model,
            "sparse_attention": cell.sparse_attention,
            "benchmark": cell.benchmark,
            "subset": cell.subset,
            "seed": cell.seed,
            "cell": cell.cell,
            "status": result.status,
            "class": result.error_class or None,
            "message": result.message or None,
            "samples": samples.get("answered") if isinstance(samples, Mapping) else None,
            **{f"metric.{name}": value for name, value in result.metrics.items()},
            **{f"seconds.{name}": value / 1000 for name, value in (done.get("millis") or {}).items()},
            **{f"usage.{name}": value for name, value in (done.get("usage") or {}).items()},
        }


def to_pandas(results: Sequence[CellResult]) -> Any:
    """A `pandas.DataFrame` of `records_of`. Raises `BadValue` without pandas."""
    try:
        import pandas
    except ImportError as missing:
        raise BadValue("pandas is not installed", "pip install 'passloop[pandas]'") from missing
    return pandas.DataFrame.from_records(list(records_of(results)))
