"""An engine in a process of its own, for tests that kill it. Prints `ready`, then one line per acknowledged submission.

Run as: python serve_until_killed.py HOME COUNT. It submits COUNT runs of three tasks from eight clients at once and
then waits to be killed, after it has cancelled the first task.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from passloop.clock import SystemClock
from passloop.engine.engine import Engine
from passloop.engine.settings import EngineSettings
from passloop.kernel.events import Cancelled, Submitted
from passloop.kernel.ids import TaskId
from passloop.kernel.tasks import NewTask
from passloop.store.database import Store
from passloop.store.home import Home
from tests.support.engines import one_cpu
from tests.support.scripted import Outside, ScriptedDriver

CLIENTS = 8


async def main(home: Path, count: int) -> None:
    store = Store.open(Home(home))
    driver = ScriptedDriver(Outside())
    settings = EngineSettings(environ={"PASSLOOP_CPUS": "2"})
    engine = Engine(store, SystemClock(not_before=store.last_now), {"processes": driver}, settings=settings)
    await engine.start()
    print("ready", flush=True)
    share = count // CLIENTS
    await asyncio.gather(*(client(engine, number, share) for number in range(CLIENTS)))
    await engine.send(Cancelled((TaskId(1),)))
    print("done", flush=True)
    await asyncio.Event().wait()


async def client(engine: Engine, number: int, count: int) -> None:
    spec = one_cpu()
    for turn in range(count):
        name = f"{number}-{turn}"
        tasks = tuple(NewTask(spec=spec, key=f"{name}-{i}", index=i) for i in range(3))
        answer = await engine.submit(Submitted(name=name, tasks=tasks))
        print(name, *answer.tasks, flush=True)


asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
