"""What stays loaded between the cells of one process: at most one adapter with one loaded model.

A cell that needs the same finds it there; a cell that needs another has it unloaded first. What a cell may have changed
is proven unchanged by its fingerprint, else it is loaded anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .adapters.base import Adapter, AdapterKind, Granted, LoadNeeds
from .identity import canonical
from .own_code import CodeOfProcess

__all__ = ["Warm"]


class Warm:
    """The loaded adapter of a process."""

    def __init__(self) -> None:
        self._adapter: Adapter | None = None
        self._made = ""
        self._key = ""
        self._mark = ""
        self.code = CodeOfProcess()

    def serve(self, kind: AdapterKind, options: Mapping[str, Any], needs: LoadNeeds, granted: Granted) -> bool:
        """Have what a cell needs loaded; whether it had to be loaded now."""
        made = f"{kind.family} {canonical(options)}"
        if self._adapter is None or made != self._made:
            self.clear()
            self._adapter, self._made = kind.create(options), made
        if self._key == needs.key:
            return False
        self._unload()
        self._adapter.load(needs, granted)
        self._key, self._mark = needs.key, self._adapter.fingerprint()
        return True

    @property
    def adapter(self) -> Adapter:
        """The adapter with what was asked for last."""
        if self._adapter is None:
            raise RuntimeError("nothing was loaded")
        return self._adapter

    def settle(self, *, doubted: bool) -> bool:
        """After a cell: back to what was loaded. Whether that is still there: what is `doubted` is looked at."""
        if self._adapter is None or not self._key:
            return False
        self._adapter.reset()
        if doubted and self._adapter.fingerprint() != self._mark:
            self._unload()
            return False
        return True

    def clear(self) -> None:
        """Free everything."""
        self._unload()
        self._adapter, self._made = None, ""

    def _unload(self) -> None:
        if self._adapter is not None and self._key:
            self._key = ""
            self._adapter.unload()
