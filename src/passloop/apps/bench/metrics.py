"""Metrics as JSON can say them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["storable"]


def storable(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Metrics as JSON can say them: NaN and infinity become their names."""
    return {str(name): _plain(value) for name, value in metrics.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return storable(value)
    if isinstance(value, str | int | float | bool) or value is None:
        return value
    return [_plain(each) for each in value] if isinstance(value, Iterable) else str(value)
