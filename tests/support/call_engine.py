"""A real engine with the driver of calls on a home, for tests of what is kept of calls."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from passloop.clock import SystemClock
from passloop.drivers.calls.driver import CallDriver
from passloop.drivers.calls.endpoints import Model, declarations, draws_of
from passloop.engine.engine import Engine
from passloop.engine.settings import EngineSettings
from passloop.kernel.events import Submitted
from passloop.kernel.ids import TaskId
from passloop.kernel.resources import Request, Variant
from passloop.kernel.tasks import NewTask, RetryBudgets, TaskSpec
from passloop.store.database import Store
from passloop.store.home import Home

from .calls import PlainCaller

__all__ = ["CallEngine", "call_engine"]


class CallEngine:
    """The engine, and what a run would do with it."""

    def __init__(self, engine: Engine, model: Model, caller: PlainCaller) -> None:
        self.engine = engine
        self.model = model
        self.caller = caller

    async def submit(self, *payloads: Mapping[str, Any], **spec: Any) -> Sequence[TaskId]:
        """Submit a call for each payload."""
        for pool in declarations([self.model]):
            await self.engine.send(pool)
        request = Request((Variant(amounts=draws_of(self.model, tokens=32)),))
        spec = {"retries": RetryBudgets(failure=2, timeout=2, backoff_first=1), "grace": 0} | spec
        one = TaskSpec(request=request, driver="calls", **spec)
        tasks = tuple(
            NewTask(spec=one, payload=json.dumps({"caller": "plain", **payload}), index=index)
            for index, payload in enumerate(payloads)
        )
        return (await self.engine.submit(Submitted("calls", tasks))).tasks

    async def results(self, tasks: Sequence[TaskId]) -> list[Any]:
        """What these tasks left, once they are final."""
        await self.engine.wait_final(tasks)
        texts = self.engine.store.results_of(tasks)
        return [json.loads(texts[task]) if task in texts else None for task in tasks]


@asynccontextmanager
async def call_engine(path: Path, model: Model, environ: Mapping[str, str] | None = None) -> AsyncIterator[CallEngine]:
    """An engine on the home in `path`, stopped at the end."""
    home = Home(path / "home")
    home.prepare()
    store = Store.open(home)
    clock = SystemClock(not_before=store.last_now)
    driver = CallDriver(clock, environ=environ or {})
    caller = PlainCaller(model)
    driver.register("plain", caller)
    engine = Engine(store, clock, {"calls": driver}, settings=EngineSettings(environ={"PASSLOOP_CPUS": "1"}))
    try:
        await engine.start()
        yield CallEngine(engine, model, caller)
    finally:
        await engine.stop()
        store.close()
