"""What a cell used: tokens read, kept and made, and peaks of memory. Figures, never results."""

from __future__ import annotations

from collections.abc import Mapping

from . import torch_edge
from .reading import ReadContext

__all__ = ["Usage"]


class Usage:
    """Sums over one cell."""

    def __init__(self) -> None:
        self._contexts = 0
        self._read = 0
        self._kept = 0.0
        self._measured = 0
        self._made = 0

    def add_context(self, read: ReadContext) -> None:
        """Count a context."""
        self._contexts += 1
        self._read += read.tokens
        if read.kept_tokens is not None:
            self._kept += read.kept_tokens
            self._measured += read.tokens

    def add_answer(self, made: int) -> None:
        """Count the tokens of an answer."""
        self._made += made

    def figures(self, planned: float | None) -> Mapping[str, float]:
        """The figures; `planned` is the share kept by the method's parameters, for where it cannot be measured."""
        import torch

        found: dict[str, float] = {
            "context_tokens": round(self._read / self._contexts, 1) if self._contexts else 0.0,
            "new_tokens": float(self._made),
            "peak_mib": torch_edge.host_peak_mib(),
            "peak_vram_mib": torch_edge.vram_peak_mib(torch),
        }
        kept = round(self._kept / self._measured, 4) if self._measured else planned
        return found if kept is None else {**found, "kept": kept}
