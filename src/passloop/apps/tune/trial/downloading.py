"""Fetches a model before anything is timed, by the order's own command; its output goes to the server's log."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from passloop.apps.tune.engines.base import CannotStart, Site
from passloop.apps.tune.engines.command import CommandEngine
from passloop.apps.tune.records import EngineOrder, Order

from .failures import TrialFailure, classify
from .server_log import ServerLog

__all__ = ["download"]

OF_A_DOWNLOAD = frozenset({"auth", "download", "bad_flag"})


async def download(order: Order, environment: Mapping[str, str], folder: Path, log: ServerLog) -> None:
    """Run the download to its end. Raises `TrialFailure`: auth, download, bad_flag or time_limit."""
    asked = EngineOrder(argv=order.engine.download, env=order.engine.env, cwd=order.engine.cwd)
    site = Site(port=0, ports=1, temporary=folder, environment=environment, log=log.write)
    try:
        program = await CommandEngine().start(asked, site)
    except CannotStart as error:
        raise TrialFailure(error.kind, f"the download: {error.message}", final=error.final) from None
    limit = order.limits.download
    try:
        async with asyncio.timeout(limit / 1000):
            end = await asyncio.shield(program.ended)
    except TimeoutError:
        lines = classify(log.lines())[1]
        raise TrialFailure("time_limit", f"the download took longer than {limit / 1000:g} s", lines=lines) from None
    finally:
        await program.stop(order.limits.stop)
    if end.code != 0:
        kind, lines = classify(log.lines())
        told = kind if kind in OF_A_DOWNLOAD else "download"
        raise TrialFailure(told, f"the download ended with {end}", lines=lines)
