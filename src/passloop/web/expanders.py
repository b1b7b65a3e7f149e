"""Which app writes out which sources: the one place where expanders meet the engine. An app that declares sources of a
kind adds its line here; the engine knows only the protocol."""

from __future__ import annotations

from collections.abc import Mapping

from passloop.apps.queue import units
from passloop.engine.expanding import Expander

__all__ = ["app_expanders"]


def app_expanders() -> Mapping[str, Expander]:
    """The expanders of all apps, by the kind of their sources."""
    return {units.KIND: units.UnitsExpander()}
