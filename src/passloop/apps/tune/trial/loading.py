"""The one place where a trial calls the load client. What the client cannot do becomes a failure of the trial here.

The client stands on a large library, so it is loaded only when it is needed, while the server starts.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec

from passloop.apps.errors import BadValue
from passloop.apps.tune.records import Order, Point, PointResult

from .failures import TrialFailure

__all__ = ["WARMUP", "PointLoad", "highest_load", "load_point", "make_ready"]

WARMUP = "warmup"
"""What the client calls the phase that is not measured."""


class PointLoad(Protocol):
    """Loads a server at `url` with one point; see `load_point`."""

    async def __call__(
        self, order: Order, point: Point, url: str, *, folder: Path, progress: Callable[[Any], None]
    ) -> PointResult: ...


def make_ready() -> None:
    """Load the client's code now, from any thread."""
    import passloop.apps.tune.load.points  # noqa: F401  here, because it takes 0.2 s in which the server can start


async def load_point(
    order: Order, point: Point, url: str, *, folder: Path, progress: Callable[[Any], None]
) -> PointResult:
    """Load the server with one point. Raises `TrialFailure` for a load that cannot be."""
    from passloop.apps.tune.load.errors import LoadFailed
    from passloop.apps.tune.load.points import load

    try:
        return await load(order.load, point, url, slo=order.slo, folder=folder, gpus=order.gpus, progress=progress)
    except BadValue as bad:
        raise TrialFailure("bad_flag", f"the load cannot be made: {bad}", final=True) from None
    except LoadFailed as error:
        raise TrialFailure("crash", str(error)) from None


async def highest_load(
    order: Order, measure: Callable[[Point], Awaitable[PointResult]], measured: Sequence[PointResult]
) -> dict[str, Any]:
    """What the search for the highest load under the SLOs found, as it is stored. `measure` loads the live server.

    Raises `TrialFailure` for a search that cannot be.
    """
    from passloop.apps.tune.load.max_load import max_load_under_slo, read_max_load

    try:
        asked = read_max_load(order.search_load or {})
    except BadValue as bad:
        raise TrialFailure("bad_flag", str(bad), final=True) from None
    like = order.load.points[0] if order.load.points else Point(concurrency=1)
    found = await max_load_under_slo(measure, order.slo, asked, like=like, measured=measured)
    plain: dict[str, Any] = msgspec.to_builtins(found)
    return plain
