"""`execution_summary.json`: how every cell stands, what failed and why, and what it took. Made from results alone, so
that it can be made again from the tree or from the store at any time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .durable import write_json
from .planned import Planned
from .rescore import of_other_scorer
from .results import CellResult, counts_of

__all__ = ["SUMMARY", "exit_code_of", "failures_of", "summary_of", "write_summary"]

SUMMARY = "execution_summary.json"
SCHEMA_VERSION = 1


def summary_of(planned: Planned, results: Sequence[CellResult]) -> dict[str, Any]:
    """The summary; `times` is empty and `of_other_scorer` 0 where only the store was asked."""
    counts = counts_of(results)
    return {
        "schema_version": SCHEMA_VERSION,
        "bench": planned.bench,
        "complete": counts["done"] == counts["total"],
        "counts": counts,
        "errors": dict(sorted(Counter(each.error_class for each in results if each.error_class).items())),
        "failures": failures_of(results),
        "of_other_scorer": of_other_scorer(results),
        "cells": [_cell(each) for each in results],
        "times": {each.cell.cell: _times(each) for each in results if each.done},
    }


def write_summary(root: Path, summary: dict[str, Any]) -> None:
    """Keep the summary at the root of the results."""
    write_json(root / SUMMARY, summary)


def failures_of(results: Sequence[CellResult]) -> list[dict[str, Any]]:
    """Cells that failed or were skipped, each with its class and sentence."""
    return [
        {**_names(each), "status": each.status, "class": each.error_class, "message": each.message}
        for each in results
        if each.status in ("failed", "skipped")
    ]


def exit_code_of(counts: dict[str, int]) -> int:
    """0 if every cell is done, else 1: what was taken out counts as missing."""
    return 0 if counts["done"] == counts["total"] else 1


def _cell(result: CellResult) -> dict[str, Any]:
    return {
        **_names(result),
        "status": result.status,
        "class": result.error_class or None,
        "metrics": dict(result.metrics),
    }


def _names(result: CellResult) -> dict[str, Any]:
    cell = result.cell
    return {
        "model": cell.model,
        "sparse_attention": cell.sparse_attention,
        "benchmark": cell.benchmark,
        "subset": cell.subset,
        "seed": cell.seed,
        "cell": cell.cell,
    }


def _times(result: CellResult) -> dict[str, Any]:
    return {
        "millis": result.done.get("millis"),
        "usage": result.done.get("usage"),
        "attempt": result.done.get("attempt"),
    }
