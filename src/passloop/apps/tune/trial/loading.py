"""The one place where a trial calls the load client. What the client cannot do becomes a failure of the trial here.

The client stands on a large library, so it is loaded only when it is needed, while the server starts.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from passloop.apps.errors import BadValue
from passloop.apps.tune.records import Order, Point, PointResult

from .failures import TrialFailure

__all__ = ["WARMUP", "PointLoad", "Told", "load_point", "make_ready"]

WARMUP = "warmup"
"""What the client calls the phase that is not measured."""


class Told(Protocol):
    """How far a point is, as the client tells it."""

    @property
    def phase(self) -> str: ...
    @property
    def done(self) -> int: ...
    @property
    def requests(self) -> int: ...


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
    from passloop.apps.tune.load.points import NoModel, load

    try:
        return await load(order.load, point, url, slo=order.slo, folder=folder, gpus=order.gpus, progress=progress)
    except BadValue as bad:
        raise TrialFailure("bad_flag", f"the load cannot be made: {bad}", final=True) from None
    except NoModel as error:
        raise TrialFailure("crash", str(error)) from None
