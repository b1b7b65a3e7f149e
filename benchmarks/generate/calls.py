"""`python -m benchmarks.generate.calls`: what a call costs beside the HTTP client's own, and what trouble costs.

Four models, 20 ms each, 4 in flight per model, before the faulty endpoint in a process of its own. The floor is plain
asyncio with the same client (aiohttp; with httpx, too, where it is installed) and a gate per model, without durability;
all run by turns. Cases: all well; one model closed for 10 s (429 with Retry-After); 5 % sporadic 429. CPU is of the
calling process; the engine's is given by thread (its loop, its writer), so that what is beside the client's own can be
read off.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.support.box import scratch
from benchmarks.support.machine import common_options, described, fsync_us, write_results
from passloop.cli.serving import collect_seldom
from passloop.clock import SystemClock
from passloop.drivers.calls.caller import Answer, CallOrder, CallRequest, Settled
from passloop.drivers.calls.driver import CallDriver
from passloop.drivers.calls.endpoints import Endpoint, Model, declarations, draws_of
from passloop.engine.engine import Engine
from passloop.engine.settings import EngineSettings
from passloop.kernel.events import Submitted
from passloop.kernel.resources import Request, Variant
from passloop.kernel.tasks import NewTask, TaskSpec
from passloop.store.database import Store
from passloop.store.home import Home, HomeLock
from passloop.testing.billing import bills_in

MODELS, IN_FLIGHT, LATENCY = 4, 4, 20
BODY = {"messages": [{"role": "user", "content": "Write a short ticket about billing."}], "max_tokens": 8}
CLOSED_MS = 10_000
CLOSED = {"faults": [{"kind": "status", "status": 429, "until": CLOSED_MS, "retry_after": CLOSED_MS // 1_000}]}
SPORADIC = {"faults": [{"kind": "status", "status": 429, "share": 0.05, "retry_after": 1}]}
CASES: dict[str, dict[str, Any]] = {"clean": {}, "one closed 10 s": {"m3": CLOSED}, "5 % sporadic 429": {"*": SPORADIC}}


@contextmanager
def endpoint(folder: Path, case: dict[str, Any]) -> Iterator[tuple[str, Path]]:
    """The faulty endpoint with its bills, in a process of its own."""
    models = {
        f"m{number}": {"latency": LATENCY} | case.get("*", case.get(f"m{number}", {})) for number in range(MODELS)
    }
    script, log = folder / "script.json", folder / "bills.jsonl"
    script.write_text(json.dumps({"models": models}), encoding="utf-8")
    log.unlink(missing_ok=True)
    words = [sys.executable, "-m", "passloop.testing.endpoint", "--script", str(script), "--log", str(log)]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())["url"], log
        finally:
            process.terminate()


class Plain:
    """The app's side: as little as can be."""

    def __init__(self, models: list[Model]) -> None:
        self._models = models

    async def prepare(self, order: CallOrder) -> CallRequest:
        return CallRequest(self._models[order.payload["m"]], BODY, key=str(order.task))

    async def accept(self, order: CallOrder, answer: Answer) -> Settled:
        return Settled(json.dumps({"text": answer.text}))


@asynccontextmanager
async def opened(folder: Path, models: list[Model]) -> AsyncIterator[Engine]:
    """A new engine on a new home."""
    home = Home(folder / f"home-{time.monotonic_ns()}")
    home.prepare()
    with HomeLock(home):
        store = Store.open(home)
        driver = CallDriver(SystemClock())
        driver.register("plain", Plain(models))
        environ = {"PASSLOOP_CPUS": str(os.cpu_count())}
        engine = Engine(store, SystemClock(), {"calls": driver}, settings=EngineSettings(environ=environ))
        try:
            await engine.start()
            yield engine
        finally:
            await engine.stop()
            store.close()


async def by_engine(folder: Path, url: str, calls: int) -> dict[str, float]:
    """All calls through an engine: wall time, CPU by thread, bytes of journal. The client is loaded before."""
    from passloop.drivers.calls import client  # noqa: F401  # its library takes as long to load as many a call

    models = [Model(Endpoint(url), f"m{number}", max_in_flight=IN_FLIGHT) for number in range(MODELS)]
    async with opened(folder, models) as engine:
        for pool in declarations(models):
            await engine.send(pool)
        specs = [
            TaskSpec(Request((Variant(amounts=draws_of(m, tokens=64)),)), driver="calls", time_limit=60_000, grace=0)
            for m in models
        ]
        payloads = [json.dumps({"caller": "plain", "m": number}) for number in range(MODELS)]
        tasks = tuple(NewTask(specs[i % MODELS], payloads[i % MODELS], index=i) for i in range(calls))
        answer = await engine.submit(Submitted("calls", tasks))
        seq = engine.store.last_seq
        wall, cpu, loop = time.perf_counter(), time.process_time(), time.thread_time()
        await engine.wait_final(answer.tasks)
        wall, cpu, loop = time.perf_counter() - wall, time.process_time() - cpu, time.thread_time() - loop
        rows = await engine.read(lambda reader: reader.journal(after=seq))
        states = Counter((await engine.states_of(answer.tasks)).values())
        assert len(states) == 1, f"not all succeeded: {states}"
    return {
        "seconds": round(wall, 2),
        "cpu_ms_a_call": round(cpu / calls * 1e3, 3),
        "loop_thread_ms_a_call": round(loop / calls * 1e3, 3),
        "other_threads_ms_a_call": round((cpu - loop) / calls * 1e3, 3),
        "turns": len(rows),
        "journal_bytes_a_call": round(sum(len(row.events) + len(row.touched) for row in rows) / calls, 1),
    }


Told = tuple[int, Mapping[str, str], Any]
"""What an endpoint told: status, headers, and for 200 the answer."""
Post = Callable[[str, Mapping[str, Any]], Awaitable[Told]]


@asynccontextmanager
async def over_aiohttp() -> AsyncIterator[Post]:
    """The client that ours stands on."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def post(url: str, body: Mapping[str, Any]) -> Told:
            async with session.post(url, json=body) as response:
                answer = await (response.json() if response.status == 200 else response.read())
                return response.status, response.headers, answer

        yield post


@asynccontextmanager
async def over_httpx() -> AsyncIterator[Post]:
    """The client that many scripts use, where it is installed."""
    library = importlib.import_module("httpx")
    async with library.AsyncClient(timeout=None) as client:

        async def post(url: str, body: Mapping[str, Any]) -> Told:
            response = await client.post(url, json=body)
            return response.status_code, response.headers, response.json() if response.status_code == 200 else None

        yield post


CLIENTS = {"floor": over_aiohttp, "floor with httpx": over_httpx}


async def by_hand(url: str, calls: int, client: Callable[[], AbstractAsyncContextManager[Post]]) -> dict[str, float]:
    """The same with a gate per model: a refused call sleeps for its Retry-After with its model's gate shut."""
    opens = [0.0] * MODELS
    gates = [asyncio.Semaphore(IN_FLIGHT) for _ in range(MODELS)]
    wall, cpu = time.perf_counter(), time.process_time()
    async with client() as post:

        async def one(m: int) -> str:
            body = {"model": f"m{m}", **BODY}
            while True:
                async with gates[m]:
                    pause = opens[m] - time.perf_counter()
                    if pause > 0:
                        await asyncio.sleep(pause)
                    status, headers, answer = await post(f"{url}/chat/completions", body)
                    if status == 200:
                        return str(answer["choices"][0]["message"]["content"])
                    opens[m] = time.perf_counter() + float(headers.get("retry-after", "1"))

        await asyncio.gather(*(one(i % MODELS) for i in range(calls)))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {"seconds": round(wall, 2), "cpu_ms_a_call": round(cpu / calls * 1e3, 3)}


def healthy(log: Path) -> dict[str, float]:
    """What the endpoint saw: refused calls, and of the models that were well, the longest gap without an answer."""
    bills = bills_in(log)
    well = sorted(int(str(one["at"])) for one in bills if one["what"] == "answered" and one["model"] != "m3")
    gaps = [later - sooner for sooner, later in pairwise(well)]
    return {"refused": sum(one["what"] == "refused" for one in bills), "longest_gap_of_the_healthy_ms": max(gaps)}


def main() -> None:
    """Measure and write down."""
    parser = common_options(__doc__, rounds=1)
    parser.add_argument("--calls", type=int, default=4_000)
    given = parser.parse_args()
    collect_seldom()  # as the daemon does; the floor gains by it, too
    figures: dict[str, object] = {}
    clients = {name: made for name, made in CLIENTS.items() if made is over_aiohttp or find_spec("httpx")}
    with scratch(given.folder) as folder:
        figures |= {"machine": described(folder), "fsync_us": fsync_us(folder), "calls": given.calls}
        for case, script in CASES.items():
            rounds = []
            for _ in range(given.rounds):
                found = {}
                for name, client in clients.items():
                    with endpoint(folder, script) as (url, log):
                        found[name] = asyncio.run(by_hand(url, given.calls, client)) | healthy(log)
                with endpoint(folder, script) as (url, log):
                    found["engine"] = asyncio.run(by_engine(folder, url, given.calls)) | healthy(log)
                rounds.append(found)
            figures[case] = rounds
    write_results("generate_calls", figures, dry_run=given.dry_run)


if __name__ == "__main__":
    main()
