"""What is measured at a point, by name: each metric's statistics, its unit, and whether more or less of it is better.

The names are those of `records.PointResult`; specs are checked against this table, and nothing is computed here.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

__all__ = ["MAX_LOAD", "MEASURES", "OBJECTIVES", "Measure", "Unit"]

Unit = Literal["ms", "rate", "share"]
Direction = Literal["maximize", "minimize"]

MAX_LOAD = "max_load"
"""What the search for the highest load under the SLOs found, where a spec asks for it; it belongs to no point."""


class Measure(NamedTuple):
    """One metric: `ms`, a `rate` (per second) or a `share` of 1."""

    unit: Unit
    stats: tuple[str, ...]
    better: Direction


_LATENCY = Measure("ms", ("mean", "p50", "p90", "p95", "p99"), "minimize")
_RATE = Measure("rate", ("mean",), "maximize")
_RATES = ("output_tokens_per_second", "total_tokens_per_second", "requests_per_second", "goodput")

MEASURES: Mapping[str, Measure] = MappingProxyType(
    {
        **dict.fromkeys(("ttft", "tpot", "e2e"), _LATENCY),
        **{name: _RATE for rate in _RATES for name in (rate, f"{rate}_per_gpu")},
        "error_rate": Measure("share", ("mean",), "minimize"),
        "attainment": Measure("share", ("mean", "low", "high"), "maximize"),
        MAX_LOAD: _RATE,
    }
)

OBJECTIVES: Mapping[str, tuple[str, Direction]] = MappingProxyType(
    {
        "minimize_latency": ("e2e", "minimize"),
        "minimize_ttft": ("ttft", "minimize"),
        "minimize_tpot": ("tpot", "minimize"),
        "minimize_errors": ("error_rate", "minimize"),
        "maximize_throughput": ("output_tokens_per_second", "maximize"),
        "maximize_throughput_per_gpu": ("output_tokens_per_second_per_gpu", "maximize"),
        "maximize_total_throughput": ("total_tokens_per_second", "maximize"),
        "maximize_total_throughput_per_gpu": ("total_tokens_per_second_per_gpu", "maximize"),
        "maximize_requests": ("requests_per_second", "maximize"),
        "maximize_goodput": ("goodput", "maximize"),
        "maximize_goodput_per_gpu": ("goodput_per_gpu", "maximize"),
        "maximize_attainment": ("attainment", "maximize"),
        "maximize_load": (MAX_LOAD, "maximize"),
    }
)
"""Objectives by name: metric and direction."""
