"""Which app writes out which sources: the one place where expanders meet the engine. An app that declares sources of a
kind adds its line here; the engine knows only the protocol. What is large to import comes with the first source of its
kind."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Mapping

from passloop.apps.generate.caller import CALLER, GenerateCaller
from passloop.apps.generate.expander import KIND, GenerateExpander
from passloop.apps.queue import units
from passloop.drivers.calls.caller import Caller
from passloop.engine.expanding import ExpandAsk, Expander, Expansion
from passloop.engine.reading import Reading

__all__ = ["TUNE", "app_callers", "app_expanders"]

TUNE = "tune"
"""The kind of the sources of studies."""


def app_expanders() -> Mapping[str, Expander]:
    """The expanders of all apps, by the kind of their sources."""
    return {units.KIND: units.UnitsExpander(), KIND: GenerateExpander(), TUNE: _Studies()}


def app_callers(reading: Reading) -> Mapping[str, Caller]:
    """Who prepares and judges the calls of which app, by the name in the payload of its tasks."""
    return {CALLER: GenerateCaller(reading)}


class _Studies:
    """The expander of studies, made when the first unit of one is asked for."""

    def __init__(self) -> None:
        self._made: Expander | None = None

    async def expand(self, ask: ExpandAsk) -> Expansion:
        """What the expander of studies says."""
        if self._made is None:
            await asyncio.to_thread(importlib.import_module, "passloop.apps.tune.search.expander")
            from passloop.apps.tune.search.expander import TuneExpander

            self._made = TuneExpander()
        return await self._made.expand(ask)
