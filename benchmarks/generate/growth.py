"""`python -m benchmarks.generate.growth`: one dataset of many rows and one column: is a call as cheap at its end?

The endpoint is this process: it answers at once and counts. Whenever it has answered another `--step` calls, CPU and
resident memory of the daemon are read, so that growth shows as a slope. Then, with all rows there, what a person waits
for: plan, the first call, the page's documents, `why`, the report, the same spec again, one file in another format.

    python -m benchmarks.generate.growth --rows 100000
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
from aiohttp import web

from benchmarks.support.box import Box, program, scratch
from benchmarks.support.machine import common_options, described, fsync_us, write_results
from benchmarks.support.process_time import cpu_ms
from passloop.store.home import Home
from passloop.store.reader import Reader

IN_FLIGHT = 16
SAYS = {"choices": [{"message": {"role": "assistant", "content": "A short ticket."}, "finish_reason": "stop"}]}
ANSWER = json.dumps({**SAYS, "usage": {"prompt_tokens": 12, "completion_tokens": 4, "total_tokens": 16}}).encode()
PAGE = ("/runs/1/generate", "/runs/1/generate/rows?offset=0", "/runs/1/generate/rows?offset={last}", "/runs")


class Counting:
    """An endpoint that answers at once. `marks` are (answers, seconds, CPU ms, resident MiB of the process `pid`)."""

    def __init__(self, step: int) -> None:
        self.step = step
        self.pid = 0
        self.answers = 0
        self.began = 0.0
        self.first_at = 0.0
        self.marks: list[tuple[int, float, float, float]] = []

    async def answer(self, _request: web.Request) -> web.Response:
        """One answer."""
        if not self.answers:
            self.first_at = time.perf_counter()
            self.mark()
        self.answers += 1
        if self.answers % self.step == 0:
            self.mark()
        return web.Response(body=ANSWER, content_type="application/json")

    def mark(self) -> None:
        """Read what the process has used so far."""
        mib = psutil.Process(self.pid).memory_info().rss / 2**20
        self.marks.append((self.answers, time.perf_counter() - self.began, cpu_ms(self.pid), mib))

    def steps(self) -> list[dict[str, float]]:
        """Between two marks each: calls a second, CPU ms a call; and MiB at its end."""
        found = []
        for (calls, at, cpu, _), (more, later, spent, mib) in zip(self.marks, self.marks[1:], strict=False):
            made = more - calls
            found.append(
                {
                    "answers": more,
                    "a_second": round(made / (later - at), 1),
                    "cpu_ms_a_call": round((spent - cpu) / made, 3),
                    "mib": round(mib, 1),
                }
            )
        return found


@asynccontextmanager
async def served(counting: Counting) -> AsyncIterator[str]:
    """The endpoint on the loopback; its URL."""
    app = web.Application()
    app.router.add_post("/v1/chat/completions", counting.answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


def spec(url: str, rows: int) -> dict[str, Any]:
    """One sampler and one column that asks."""
    return {
        "generate": "many",
        "rows": rows,
        "out": "many.parquet",
        "endpoints": {"here": {"base_url": url}},
        "models": {"m": {"endpoint": "here", "model": "m", "max_in_flight": IN_FLIGHT}},
        "columns": [
            {"name": "topic", "kind": "sampler", "choice": {"values": ["a", "b", "c"]}},
            {"name": "ticket", "kind": "llm_text", "model": "m", "prompt": "A short ticket about {{ topic }}."},
        ],
    }


async def timed(box: Box, *words: str) -> tuple[float, int, str]:
    """Seconds, exit code and output of a command; the endpoint goes on meanwhile."""
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *program(),
        *words,
        cwd=box.folder,
        env=box.environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    said, _ = await process.communicate()
    return round(time.perf_counter() - began, 2), process.returncode or 0, said.decode()


async def page_seconds(box: Box, last: int) -> dict[str, float]:
    """How long each document of the page takes."""
    found = {}
    for path in PAGE:
        began = time.perf_counter()
        await asyncio.to_thread(box.client.get, path.format(last=last))
        found[path] = round(time.perf_counter() - began, 3)
    return found


async def as_a_user(box: Box, rows: int) -> dict[str, Any]:
    """With all rows there: what is waited for."""
    figures: dict[str, Any] = {"page_seconds": await page_seconds(box, max(0, rows - 50))}
    for name, words in {
        "ls": ("ls", "@many"),
        "why": ("why", "@many"),
        "one_row": ("generate", "many.yaml", "--row", str(rows - 1)),
        "report": ("report", "many", "-o", "report.html"),
        "again": ("generate", "many.yaml"),
        "export_csv": ("export", "many", "-o", "many.csv"),
    }.items():
        seconds, code, _ = await timed(box, *words)
        figures[f"{name}_seconds"] = seconds if code == 0 else f"exit {code}"
    return figures


def stored(home: Path, rows: int) -> dict[str, float]:
    """Bytes a cell of the journal's events, and of the whole store."""
    with Reader.open(Home(home)) as reader:
        journal = sum(len(row.events) + len(row.touched) for row in reader.journal())
    files = sum(path.stat().st_size for path in home.glob("store.sqlite*"))
    return {"journal_bytes_a_cell": round(journal / rows, 1), "store_bytes_a_cell": round(files / rows, 1)}


async def measured(folder: Path, rows: int, step: int) -> dict[str, Any]:
    """One dataset from nothing to its report."""
    counting = Counting(step)
    async with served(counting) as url:
        box = await asyncio.to_thread(Box(folder, cpus=os.cpu_count() or 1).up)
        try:
            counting.pid = box.pid
            (folder / "many.yaml").write_text(json.dumps(spec(url, rows)), encoding="utf-8")
            plan, _, _ = await timed(box, "plan", "many.yaml")
            counting.began = time.perf_counter()
            seconds, code, said = await timed(box, "generate", "many.yaml")
            if counting.answers % step:
                counting.mark()
            return {
                "plan_seconds": plan,
                "first_call_after_seconds": round(counting.first_at - counting.began, 2),
                "seconds": seconds,
                "exit_code": code,
                "said": said.strip().splitlines()[-2:],
                "answers": counting.answers,
                "steps": counting.steps(),
                "mib_at_first_and_at_most": [round(of(mark[3] for mark in counting.marks)) for of in (next, max)],
                **stored(box.home, rows),
                **await as_a_user(box, rows),
                "answers_in_all": counting.answers,
            }
        finally:
            await asyncio.to_thread(box.down)


def main() -> None:
    """Measure and write down."""
    parser = common_options(__doc__, rounds=1)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--step", type=int, default=10_000, help="calls between two readings")
    given = parser.parse_args()
    with scratch(given.folder) as folder:
        figures: dict[str, object] = {"machine": described(folder), "fsync_us": fsync_us(folder), "rows": given.rows}
        for number in range(given.rounds):
            place = folder / str(number)
            place.mkdir()
            figures[f"round {number + 1}"] = asyncio.run(measured(place, given.rows, given.step))
    write_results("generate_growth", figures, dry_run=given.dry_run)


if __name__ == "__main__":
    main()
