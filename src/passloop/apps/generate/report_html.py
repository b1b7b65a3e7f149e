"""The report of a dataset as one HTML file: counts, drops, tokens and cost, what held it, the first rows. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from passloop.apps.markup import Markup, element, joined
from passloop.apps.page import grid, page_of
from passloop.apps.plots import STYLE

from .call_plots import calls_section
from .call_times import CallTimes
from .costs import cost_text
from .dataset import Dataset
from .summary import Summary

__all__ = ["report_html"]

LONGEST = 300


def report_html(
    dataset: Dataset, summary: Summary, times: CallTimes, rows: Sequence[Mapping[str, Any]], *, made_at: int
) -> str:
    """The file as text. `rows` are shown as examples, `made_at` is wall time in ms."""
    title = f"Dataset {dataset.spec.generate}"
    word = "so far" if summary.under_way is not None else "complete" if summary.whole else "partial"
    head = element("header", element("h1", title), element("p", f"{word}: {summary.counts['kept']:,} rows"))
    sections = [
        _section("Rows", _pairs(summary.counts)),
        _section("Dropped", _pairs(summary.dropped)) if summary.dropped else Markup(),
        _section("Neither kept nor dropped", _pairs(summary.undecided)) if summary.undecided else Markup(),
        _section("Tokens and cost", _usage(summary)),
        _section("What held it", _failures(summary)) if summary.failures else Markup(),
        calls_section(times) if times.models else Markup(),
        _section("Columns", _columns(dataset)),
        _section("First rows", _rows(dataset, rows)) if rows else Markup(),
    ]
    return page_of(title, head, *sections, made_at=made_at, style=STYLE)


def _section(title: str, content: Markup) -> Markup:
    return element("section", element("h2", title), content)


def _pairs(of: Mapping[str, int]) -> Markup:
    return grid(["", ""], [[element("td", name), _number(value)] for name, value in of.items()])


def _usage(summary: Summary) -> Markup:
    rows = [
        [element("td", name), element("td", "not told"), element("td", "not told"), element("td", "not known")]
        if name in summary.untold
        else [element("td", name), _number(each["input"]), _number(each["output"]), element("td", _cost(each))]
        for name, each in summary.usage.items()
    ]
    unknown = f"{summary.unknown:,} calls were under way when an engine ended; they may have been paid for."
    said = [*summary.cut_off_lines(), *([unknown] if summary.unknown else [])]
    return joined(grid(["column", "tokens in", "tokens out", "cost"], rows), *(element("p", line) for line in said))


def _failures(summary: Summary) -> Markup:
    return grid(
        ["column", "model", "endpoint", "cells", "message"],
        [
            [
                element("td", failure.column),
                element("td", failure.model or ""),
                element("td", failure.endpoint or ""),
                _number(failure.cells),
                element("td", failure.message),
            ]
            for failure in summary.failures
        ],
    )


def _columns(dataset: Dataset) -> Markup:
    rows = [
        [
            element("td", column.name),
            element("td", column.kind),
            element("td", column.model or ""),
            element("td", ", ".join(sorted(dataset.graph.needs[column.name]))),
            element("td", column.prompt or column.expr or column.call or ""),
        ]
        for column in dataset.graph.order
    ]
    return grid(["column", "kind", "model", "after", "says"], rows)


def _rows(dataset: Dataset, rows: Sequence[Mapping[str, Any]]) -> Markup:
    return grid(dataset.outputs, [[element("td", _text(row.get(name))) for name in dataset.outputs] for row in rows])


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= LONGEST else text[:LONGEST] + "..."


def _number(value: float) -> Markup:
    return element("td", f"{value:,}", class_="number")


def _cost(each: Mapping[str, float]) -> str:
    return cost_text(each["cost"]) if "cost" in each else ""
