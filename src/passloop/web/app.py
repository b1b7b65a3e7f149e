"""The HTTP application: every route of `/api/v1`, its errors and its OpenAPI document. Serves nothing by itself."""

from __future__ import annotations

from fastapi import FastAPI

from .errors import add_error_handlers
from .port import Host
from .routes import (
    actions,
    devices,
    down,
    events,
    generate,
    health,
    leases,
    logs,
    new,
    now,
    page,
    run_views,
    runs,
    sources,
    status,
    submit,
    table,
    task_parts,
    tasks,
    tune,
    waits,
)
from .version import version

__all__ = ["API", "make_app"]

API = "/api/v1"
AREAS = (
    *(submit, new, sources, generate, tune),
    *(now, table, tasks, task_parts, logs, actions, waits, runs, run_views, leases, devices),
    *(status, page, down, events),
)


def make_app(host: Host) -> FastAPI:
    """The application over a host's engine."""
    app = FastAPI(
        title="passloop",
        version=version(),
        openapi_url=f"{API}/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.host = host
    add_error_handlers(app)
    for area in AREAS:
        app.include_router(area.router, prefix=API)
    app.include_router(health.router)
    return app
