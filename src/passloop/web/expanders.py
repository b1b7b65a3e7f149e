"""Which app writes out which sources: the one place where expanders meet the engine. An app that declares sources of a
kind adds its line here; the engine knows only the protocol."""

from __future__ import annotations

from collections.abc import Mapping

from passloop.apps.generate.caller import CALLER, GenerateCaller
from passloop.apps.generate.expander import KIND, GenerateExpander
from passloop.apps.queue import units
from passloop.apps.tune.search import expander as tune
from passloop.drivers.calls.caller import Caller
from passloop.engine.expanding import Expander
from passloop.engine.reading import Reading

__all__ = ["app_callers", "app_expanders"]


def app_expanders() -> Mapping[str, Expander]:
    """The expanders of all apps, by the kind of their sources."""
    return {units.KIND: units.UnitsExpander(), KIND: GenerateExpander(), tune.KIND: tune.TuneExpander()}


def app_callers(reading: Reading) -> Mapping[str, Caller]:
    """Who prepares and judges the calls of which app, by the name in the payload of its tasks."""
    return {CALLER: GenerateCaller(reading)}
