"""GET /runs/{run}/...: what a run of each kind is for. What a kind needs is imported when its page is looked at."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from fastapi import APIRouter, Path, Query
from fastapi.responses import Response

from passloop.apps.queue.views import Json
from passloop.engine.engine import Engine
from passloop.engine.errors import NotFound
from passloop.store.reader import Reader, RunView
from passloop.web.port import EngineHere, json_reply
from passloop.web.read_models import run_view_of

if TYPE_CHECKING:
    from passloop.web.models.bench import Asked

__all__ = ["router"]

router = APIRouter(tags=["runs"])
Name = Annotated[str, Path(max_length=300)]
Offset = Annotated[int, Query(ge=0, le=2**31)]
Row = Annotated[int, Path(ge=0, le=2**31)]
Result = TypeVar("Result")
Ask = Callable[[Reader, RunView, Mapping[str, Any]], Result]


@router.get("/runs/{run}/sweep")
async def show_sweep(
    engine: EngineHere, run: Name, offset: Offset = 0, limit: Annotated[int, Query(ge=1, le=5_000)] = 1_000
) -> Response:
    """A sweep: its points, what was measured there, its tasks."""
    from passloop.web.models.sweep import sweep

    at = engine.clock.wall()
    found = await engine.read(lambda reader: sweep(reader, engine.home, run, made_at=at, offset=offset, limit=limit))
    return json_reply(found)


@router.get("/runs/{run}/bench")
async def show_bench(engine: EngineHere, run: Name) -> Response:
    """A matrix: its table, and how every cell stands."""
    from passloop.web.models import bench

    return await _of_matrix(engine, run, bench.matrix)


@router.get("/runs/{run}/bench/{cell}")
async def show_cell(engine: EngineHere, run: Name, cell: Name) -> Response:
    """One cell of a matrix, by its hash."""
    from passloop.web.models import bench

    return await _of_matrix(engine, run, lambda asked: bench.cell(asked, cell))


@router.get("/runs/{run}/bench/{cell}/samples")
async def show_samples(
    engine: EngineHere, run: Name, cell: Name, offset: Offset = 0, limit: Annotated[int, Query(ge=1, le=500)] = 50
) -> Response:
    """Answers of one cell with their references and scores."""
    from passloop.web.models import bench

    return await _of_matrix(engine, run, lambda asked: bench.samples(asked, cell, offset=offset, limit=limit))


@router.get("/runs/{run}/generate")
async def show_dataset(engine: EngineHere, run: Name) -> Response:
    """A dataset: its columns, how far each is, what it cost."""
    models = _dataset_models()
    now = engine.clock.now()
    pools = await engine.look(lambda machine, at: {pool.name: pool for pool in machine.pools(at)})
    return await _told(
        engine, run, "generate", lambda reader, view, _: models.dataset(reader, view, now=now, pools=pools)
    )


@router.get("/runs/{run}/generate/rows")
async def show_rows(
    engine: EngineHere, run: Name, offset: Offset = 0, limit: Annotated[int, Query(ge=1, le=500)] = 50
) -> Response:
    """Some rows of a dataset."""
    models = _dataset_models()
    return await _told(
        engine, run, "generate", lambda reader, view, _: models.rows(reader, view, offset=offset, limit=limit)
    )


@router.get("/runs/{run}/generate/rows/{row}")
async def show_row(engine: EngineHere, run: Name, row: Row) -> Response:
    """One row of a dataset, with each prompt and answer."""
    models = _dataset_models()
    return await _told(engine, run, "generate", lambda reader, view, _: models.one_row(reader, view, row))


@router.get("/runs/{run}/tune")
async def show_study(engine: EngineHere, run: Name) -> Response:
    """A study: its aims, its space, its trials as they stand, the best so far."""
    from passloop.web.models.study import study

    devices, pools = await engine.look(lambda machine, now: (machine.devices(), machine.pools(now)))
    return await _told(
        engine, run, "tune", lambda reader, view, _: study(reader, engine.home, view, devices=devices, pools=pools)
    )


@router.get("/runs/{run}/tune/{trial}")
async def show_trial(engine: EngineHere, run: Name, trial: Row) -> Response:
    """One trial of a study: its command, what was measured, why it failed."""
    from passloop.web.models.study import one_trial

    return await _told(engine, run, "tune", lambda reader, view, _: one_trial(reader, engine.home, view, trial))


async def _told(engine: Engine, run: str, kind: str, ask: Ask[Json]) -> Response:
    """What `ask` says of a run of this kind. Raises `NotFound` for a run of another."""
    return json_reply(await _asked(engine, run, kind, ask))


async def _of_matrix(engine: Engine, run: str, tell: Callable[[Asked], Json]) -> Response:
    """What `tell` says of a matrix, by its results: these lie anywhere, so that a thread of the store's reading side is
    not kept for them. Raises `NotFound`, `Unanswered`.
    """
    from passloop.web.models import bench

    asked = await _asked(engine, run, "bench", bench.asked_of)
    return json_reply(await engine.outside.run(str(asked.root), lambda: tell(asked)))


async def _asked(engine: Engine, run: str, kind: str, ask: Ask[Result]) -> Result:
    """What `ask` finds of a run of this kind in the store. Raises `NotFound` for a run of another."""

    def asked(reader: Reader) -> Result:
        view = run_view_of(reader, run)
        about = json.loads(view.about)
        if not isinstance(about, dict) or about.get("kind") != kind:
            raise NotFound(f"run {view.row.id} is no run of {kind}", hint=f"passloop ls @{view.row.id}")
        return ask(reader, view, about)

    return await engine.read(asked)


def _dataset_models() -> Any:
    """The read models of datasets. Raises `NotFound` where their extra is not installed."""
    try:
        from passloop.web.models import dataset
    except ImportError as missing:
        hint = "pip install 'passloop[generate]'"
        raise NotFound(f"datasets need {missing.name}, which is not installed", hint=hint) from None
    return dataset
