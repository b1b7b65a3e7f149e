"""`python -m benchmarks.submit_rate`: how fast tasks become durable, beside SQLite itself in the same run.

10,000 tasks in one call: `Engine.submit` of an engine in this process; the whole of POST /submit of a daemon, reading
and checking the body included; and `passloop submit --array 1-10000` from its start to its end. All with WAL and
synchronous=FULL, each time on a fresh home whose engine starts the first tasks in the same turn. Raw SQLite writes
rows of 200 bytes with one index into one table; passloop writes a task's row with its indexes, its payload and its
part of the journal. Taken in turns; ratios are those within a round.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from pathlib import Path

import apsw

from passloop.apps.queue.convert import to_submitted
from passloop.apps.queue.wire import decode_submission
from passloop.engine.settings import EngineSettings
from passloop.store.database import Store
from passloop.store.home import Home, HomeLock
from passloop.web.host import compose

from .support.box import Box, opened, scratch
from .support.machine import common_options, described, fsync_us, spread, write_results
from .support.submissions import TRUE, true_tasks

ROW_BYTES = 200
SINGLE_ROWS = 1_000


def raw_sqlite(folder: Path | None, rows: int, *, at_once: int) -> float:
    """Rows a second into one table with one index, `at_once` in each durable commit."""
    with scratch(folder) as place:
        database = apsw.Connection(str(place / "raw.sqlite"))
        database.execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL")
        database.execute("CREATE TABLE tasks (id INTEGER PRIMARY KEY, state TEXT, body TEXT)")
        database.execute("CREATE INDEX tasks_by_state ON tasks (state)")
        values = [(number, "ready", "x" * ROW_BYTES) for number in range(rows)]
        began = time.perf_counter()
        for start in range(0, rows, at_once):
            with database:
                database.executemany("INSERT INTO tasks VALUES (?, ?, ?)", values[start : start + at_once])
        span = time.perf_counter() - began
        database.close()
        return rows / span


def through_engine(folder: Path | None, count: int) -> float:
    """Tasks a second of `Engine.submit` alone: from the call to the answer after the commit."""
    submitted, environments = to_submitted(decode_submission(true_tasks(count)))

    async def measure(home: Home) -> float:
        store = Store.open(home)
        engine = compose(store, EngineSettings(environ={"PASSLOOP_CPUS": "2", "PASSLOOP_VIRTUAL_GPUS": "0"}))
        await engine.start()
        began = time.perf_counter()
        answer = await engine.submit(submitted, environments=environments)
        span = time.perf_counter() - began
        assert len(answer.tasks) == count
        await engine.drain(stop_running=True)
        await engine.stop()
        store.close()
        return count / span

    with scratch(folder) as place:
        home = Home(place / "home")
        home.prepare()
        with HomeLock(home):
            return asyncio.run(measure(home))


def reading_the_body(count: int) -> float:
    """Tasks a second of decoding, checking and converting a request body, no engine."""
    body = true_tasks(count)
    began = time.perf_counter()
    to_submitted(decode_submission(body))
    return count / (time.perf_counter() - began)


def through_http(box: Box, count: int) -> float:
    """Tasks a second of one POST /submit, from the first byte sent to the answer read."""
    body = true_tasks(count)
    began = time.perf_counter()
    answer = box.submit(body)
    span = time.perf_counter() - began
    assert len(answer["tasks"]) == count
    return count / span


def through_cli(box: Box, count: int) -> float:
    """Tasks a second of the command from its start to its end, interpreter and all."""
    began = time.perf_counter()
    box.command("submit", "--array", f"1-{count}", "--", TRUE, "{index}")
    return count / (time.perf_counter() - began)


def one_round(folder: Path | None, count: int) -> dict[str, float]:
    """Everything once."""
    taken = {
        "raw_sqlite_1000_rows_a_commit": raw_sqlite(folder, count, at_once=1_000),
        "engine_submit": through_engine(folder, count),
        "raw_sqlite_1_row_a_commit": raw_sqlite(folder, SINGLE_ROWS, at_once=1),
        "reading_the_body_alone": reading_the_body(count),
    }
    for name, measure in (("http_submit", through_http), ("cli_array", through_cli)):
        with opened(folder, cpus=2) as box:
            taken[name] = measure(box, count)
    return taken


def main() -> None:
    """Measure in turns, print, write."""
    parser = common_options(__doc__, rounds=9)
    parser.add_argument("--tasks", type=int, default=10_000)
    options = parser.parse_args()
    rounds, fsyncs = [], []
    with scratch(options.folder) as disk:
        for _ in range(options.rounds):
            fsyncs.append(fsync_us(disk))
            rounds.append(one_round(options.folder, options.tasks))
            print("  ".join(f"{name} {rate:,.0f}/s" for name, rate in rounds[-1].items()), flush=True)
        about = described(disk)
    figures = {
        "machine": about,
        "tasks": options.tasks,
        "tasks_a_second": {name: spread([one[name] for one in rounds], 0) for name in rounds[0]},
        "ratio_to_raw_1000_rows_a_commit": {
            name: round(statistics.median(one[name] / one["raw_sqlite_1000_rows_a_commit"] for one in rounds), 3)
            for name in ("engine_submit", "http_submit", "cli_array")
        },
        "fsync_us": spread(fsyncs, 1),
    }
    write_results("submit_rate", figures, dry_run=options.dry_run)


if __name__ == "__main__":
    main()
