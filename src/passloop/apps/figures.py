"""Figures as people read them: values, numbers, lengths of time, and which metrics are better when lower."""

from __future__ import annotations

import math
import re

__all__ = ["Value", "lower_is_better", "number_text", "span_text", "value_text"]

Value = str | int | float | bool | None

A_TIME = re.compile(r"(per|/)[ _]?(seconds?|minutes?|hours?|ms|s)(?![a-z])")
"""Of a rate the time does not count: `tokens_per_second` is better when higher, `errors_per_second` is not."""
LOWER_IS_BETTER = re.compile(
    r"loss|error|perplexity|latency|second|duration|bits_per_|entropy"
    r"|(^|[^a-z])(ppl|mse|rmse|mae|wer|cer|nll|bpb|bpc|time|ms|bytes)([^a-z]|$)"
)


def lower_is_better(metric: str) -> bool:
    """Whether a metric of this name is read as better when lower (losses, errors, times, sizes)."""
    return LOWER_IS_BETTER.search(A_TIME.sub("", metric.lower())) is not None


def value_text(value: Value) -> str:
    """A parameter or result as people read it; nothing is an empty text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return number_text(value) if isinstance(value, int | float) else value


def number_text(value: float) -> str:
    """A number with at most five significant digits; whole numbers in full."""
    if isinstance(value, int) or (math.isfinite(value) and value == int(value) and abs(value) < 1e15):
        return str(int(value))
    return f"{value:.5g}"


def span_text(seconds: float | None) -> str:
    """A length of time for people: `0.8 s`, `42 s`, `3 m 20 s`, `2 h 05 m`; unknown is an empty text."""
    if seconds is None:
        return ""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 100:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} m {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} m"
