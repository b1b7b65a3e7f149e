"""What adapters of free names share: names mean nothing here, so nothing is looked up, and parameters are kept as they
are written.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from passloop.apps.bench.adapters.base import MethodAsk, ModelAsk, ResolvedMethod, ResolvedModel

__all__ = ["FreeNames", "kept_share"]


class FreeNames:
    """The light half of an adapter that takes any names."""

    free_names = True
    warm = True

    def resolve_model(self, ask: ModelAsk) -> ResolvedModel:
        """The model as it was written."""
        weights = f"{ask.source}@{ask.revision}" if ask.revision else ask.source
        return ResolvedModel(weights=weights, source=ask.source, load=dict(ask.load))

    def resolve_method(self, ask: MethodAsk, model: ResolvedModel) -> ResolvedMethod:
        """The configuration as it was written."""
        return ResolvedMethod(method=ask.method, parameters=dict(ask.parameters), kept=kept_share(ask))

    def check_generation(self, arguments: Mapping[str, Any]) -> None:
        """They are whoever answers's to check."""


def kept_share(ask: MethodAsk) -> float | None:
    """The share of the cache that a configuration keeps, where its parameters tell it by the usual name."""
    ratio = ask.parameters.get("compression_ratio")
    if isinstance(ratio, int | float) and not isinstance(ratio, bool) and 0 <= ratio <= 1:
        return 1.0 - ratio
    return None if ask.method or ask.parameters else 1.0
