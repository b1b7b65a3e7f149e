"""The engine that an order names. Loads what one kind stands on only when that kind is asked for."""

from __future__ import annotations

from passloop.apps.tune.records import EngineOrder

from .base import Engine

__all__ = ["engine_of"]


def engine_of(order: EngineOrder) -> Engine:
    """The engine of this kind. Raises `CannotStart` if what it stands on is not installed."""
    if order.kind == "docker":
        from .docker import DockerEngine  # its SDK is an extra

        return DockerEngine()
    from .command import CommandEngine

    return CommandEngine()
