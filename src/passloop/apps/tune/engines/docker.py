"""Servers in containers, by the docker SDK. Not there yet."""

from __future__ import annotations

from passloop.apps.tune.records import EngineOrder

from .base import CannotStart, Server, Site

__all__ = ["DockerEngine"]


class DockerEngine:
    """Starts containers."""

    async def start(self, order: EngineOrder, site: Site) -> Server:
        """Raises `CannotStart`."""
        raise CannotStart("bad_flag", "servers in containers cannot be started yet; use kind: command", final=True)
