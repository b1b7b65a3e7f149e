"""P12: an LLM answer that is stored is never asked for again, however often the engine is killed. The endpoint's log of
bills is the judge: after each kill the store says which cells are answered, and no later line may name one of them.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

from passloop.apps.generate.dataset import Dataset
from passloop.apps.generate.summary import Summary
from passloop.cli.client import Client
from passloop.cli.generating import Generate
from passloop.store.filters import TaskFilter
from passloop.store.home import Home
from passloop.store.reader import Reader
from passloop.testing.billing import bills_in
from passloop.testing.endpoint import FaultyEndpoint
from passloop.testing.script import Fault, ModelScript, Script
from tests.support.generating import dataset_from
from tests.support.killing import Nursery
from tests.support.promises import record

FILES = "generate:files:"
"""How the key of the task begins that writes a run's files, and asks nobody."""
IN_FLIGHT = 4
ENVIRON = {"PASSLOOP_VIRTUAL_GPUS": "1x80GiB", "PASSLOOP_CPUS": "2"}
FAULTS = (Fault(share=0.004, retry_after=0.01), Fault(status=503, share=0.008), Fault(kind="cut", share=0.012))


@contextmanager
def endpoint_in_thread(log: Path) -> Iterator[str]:
    """A faulty endpoint that outlives the engines; gives its URL."""
    loop = asyncio.new_event_loop()
    endpoint = FaultyEndpoint(Script(default=ModelScript(latency=10, jitter=10, faults=FAULTS)), log=log)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield asyncio.run_coroutine_threadsafe(endpoint.start(), loop).result(10)
    finally:
        asyncio.run_coroutine_threadsafe(endpoint.stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def dataset(folder: Path, url: str, rows: int) -> Dataset:
    columns = [
        {"name": "topic", "kind": "sampler", "choice": {"values": ["a", "b"]}},
        {"name": "first", "kind": "llm_text", "model": "m", "prompt": "on {{ topic }}"},
        {"name": "second", "kind": "llm_text", "model": "m", "prompt": "of {{ first }}"},
    ]
    models = {"m": {"endpoint": "here", "model": "m", "max_in_flight": IN_FLIGHT}}
    return dataset_from(folder, url, rows=rows, row_group=20, columns=columns, models=models, retries={"failure": 500})


class Watch:
    """What was answered at each kill, and from which line of the log on it must not be asked again."""

    def __init__(self, home: Path, log: Path) -> None:
        self._home = home
        self._log = log
        self.answered: dict[str, int] = {}

    def note(self) -> None:
        """The engine is dead: what it committed is what is answered."""
        lines = len(bills_in(self._log))
        with Reader.open(Home(self._home)) as reader:
            done = reader.tasks(TaskFilter(states=("succeeded",)))
        for view in done:
            if not str(view.row.key).startswith(FILES):
                self.answered.setdefault(str(view.row.key), lines)

    def asked_again(self) -> list[str]:
        """Calls for cells that were answered before."""
        received = [(at, cell_of(bill)) for at, bill in enumerate(bills_in(self._log)) if bill["what"] == "received"]
        assert self.answered.keys() <= {cell for _, cell in received}, "bills name cells otherwise than the store"
        return [cell for at, cell in received if at >= self.answered.get(cell, at + 1)]


def cell_of(bill: Mapping[str, Any]) -> str:
    """The cell that a bill is for, whichever run asked: its idempotency key is the cell's key and the run."""
    return str(bill["key"]).rpartition(":")[0]


def killed(folder: Path, nursery: Nursery, url: str, *, kills: int, rows: int, seed: int) -> tuple[Watch, Summary]:
    """Make a dataset under kills, then without."""
    home, chance = folder / "home", Random(seed)
    made = dataset(folder, url, rows)
    watch = Watch(home, folder / "bills.jsonl")
    for _ in range(kills):
        engine = nursery.engine(home, ENVIRON)
        assert engine.wait_ready()
        Client(str(home)).post("/generate", {"dataset": json.loads(made.wire())})
        engine.live_on(chance.uniform(0, 0.12))
        engine.kill()
        watch.note()
    engine = nursery.engine(home, ENVIRON)
    assert engine.wait_ready()
    summary = Generate(made, home=str(home)).work(Client(str(home)), lambda _run: None)
    engine.kill()
    assert summary is not None
    return watch, summary


def judge(folder: Path, nursery: Nursery, *, kills: int, rows: int, seed: int = 1) -> None:
    log = folder / "bills.jsonl"
    with endpoint_in_thread(log) as url:
        watch, summary = killed(folder, nursery, url, kills=kills, rows=rows, seed=seed)
    assert watch.asked_again() == []
    assert len(watch.answered) > kills
    assert (summary.exit_code, summary.counts["kept"]) == (0, rows)
    answered = sum(bill["what"] == "answered" for bill in bills_in(log))
    extra = answered - 2 * rows
    assert extra <= summary.unknown <= kills * IN_FLIGHT
    told = f"{kills} kills, more stored answers than kills, 0 sent again"
    record("P12", told, kills=kills, stored=len(watch.answered), sent_again=0, paid_and_not_stored=extra)


@pytest.mark.timeout(120)
def test_p12_fifty_kills_pay_for_no_stored_answer_again(tmp_path: Path, nursery: Nursery) -> None:
    judge(tmp_path, nursery, kills=50, rows=250)


@pytest.mark.large
@pytest.mark.timeout(3_600)
def test_p12_a_thousand_kills_pay_for_no_stored_answer_again(tmp_path: Path, nursery: Nursery) -> None:
    for seed in range(10):
        folder = tmp_path / str(seed)
        folder.mkdir()
        judge(folder, nursery, kills=100, rows=600, seed=seed)
