"""Studies of twelve points in a real engine and store, whose trials a test plays by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from passloop.apps.tune.records import Order
from tests.support.tuned import Tuned
from tests.unit.apps.tune.studies import GOOD, study


def spec(**search: Any) -> dict[str, Any]:
    """A good spec with a search; on one CPU each."""
    told = {"sampler": "grid", "baseline": False, "max_parallel": 2, **search}
    return {**GOOD, "search": told}


@asynccontextmanager
async def tuning(folder: Path, **search: Any) -> AsyncIterator[Tuned]:
    """A run of such a study; its engine ends with the block."""
    made = Tuned(folder, study(spec(**search)))
    await made.open()
    await made.declare()
    try:
        yield made
    finally:
        await made.rig.close()


def by_batch(order: Order) -> float:
    """More of each parameter is better, so the last point of the grid is the best."""
    return float(order.params["batch"]) + float(order.params["slots"])
