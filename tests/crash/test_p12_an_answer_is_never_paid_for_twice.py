"""P12: an LLM answer that is stored is never asked for again, however often the engine is killed and the dataset begun
anew. The endpoint's log of bills is the judge: after each kill the store says which cells are answered, and no later
line may name one of them, whichever run asks.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

from passloop.apps.generate.dataset import Dataset
from passloop.apps.generate.summary import Summary
from passloop.cli.client import Client
from passloop.cli.exits import CliError
from passloop.cli.generating import Generate
from passloop.crashpoints import VARIABLE
from passloop.drivers.calls.driver import UNKNOWN
from passloop.store.filters import TaskFilter
from passloop.store.home import Home
from passloop.store.reader import Reader
from passloop.testing.billing import bills_in
from passloop.testing.endpoint import FaultyEndpoint
from passloop.testing.script import Fault, ModelScript, Script
from tests.support.deaths import Place, dies_at
from tests.support.generating import dataset_from
from tests.support.killing import Nursery
from tests.support.promises import record

FILES = "generate:files:"
"""How the key of the task begins that writes a run's files, and asks nobody."""
IN_FLIGHT = 4
GROWS = 20
"""So many rows more has a dataset each time that all its cells have ended."""
STARTS = 12
"""So often a person starts a dataset at most until each cell of it has a value."""
ENVIRON = {"PASSLOOP_VIRTUAL_GPUS": "1x80GiB", "PASSLOOP_CPUS": "2"}
FAULTS = (Fault(share=0.004, retry_after=0.01), Fault(status=503, share=0.008), Fault(kind="cut", share=0.03))
FAULTY = ModelScript(latency=10, jitter=10, faults=FAULTS)
SENT = {"call_before_send": 0, "call_under_way": 1, "call_after_reply": 1, "call_told": 1}
"""Where an engine dies in a call's life, and whether the endpoint had been asked by then."""
LONG_MS, SHORT_MS = 300, 10
"""Latencies: a call under way is one that has lasted a while."""
COMMITS = range(4, 9)


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    """One for all: it takes longer to start than most of what is done with it."""
    with Nursery() as nursery:
        yield nursery


@contextmanager
def endpoint_in_thread(log: Path, model: ModelScript = FAULTY) -> Iterator[str]:
    """A faulty endpoint that outlives the engines; gives its URL."""
    loop = asyncio.new_event_loop()
    endpoint = FaultyEndpoint(Script(default=model), log=log)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield asyncio.run_coroutine_threadsafe(endpoint.start(), loop).result(10)
    finally:
        asyncio.run_coroutine_threadsafe(endpoint.stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def dataset(folder: Path, url: str, rows: int, in_flight: int = IN_FLIGHT) -> Dataset:
    """Two answers a row. A call that fails ends its cell, so that runs end with cells that are asked again later."""
    columns = [
        {"name": "topic", "kind": "sampler", "choice": {"values": ["a", "b"]}},
        {"name": "first", "kind": "llm_text", "model": "m", "prompt": "on {{ topic }}"},
        {"name": "second", "kind": "llm_text", "model": "m", "prompt": "of {{ first }}"},
    ]
    models = {"m": {"endpoint": "here", "model": "m", "max_in_flight": in_flight}}
    return dataset_from(folder, url, rows=rows, row_group=GROWS, columns=columns, models=models, retries={"failure": 0})


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

    def paid_unaccountably(self) -> dict[str, int]:
        """How many answers to each cell were billed beyond the one that is kept and those that the store says may have
        been paid for; also what was asked twice within the life of one engine is among them.
        """
        billed = Counter(cell_of(bill) for bill in bills_in(self._log) if bill["what"] == "answered")
        with Reader.open(Home(self._home)) as reader:
            extra = {cell: n - 1 - reader.count_unknown_calls(cell, UNKNOWN) for cell, n in billed.items() if n > 1}
        return {cell: more for cell, more in extra.items() if more > 0}


def cell_of(bill: Mapping[str, Any]) -> str:
    """The cell that a bill is for, whichever run asked: its idempotency key is the cell's key and the run."""
    return str(bill["key"]).rpartition(":")[0]


class Customer:
    """Who wants a dataset, comes back after each crash, and wants more of it once it has all."""

    def __init__(self, folder: Path, url: str, chance: Random) -> None:
        self.rows = GROWS
        self.runs: set[int] = set()
        self._folder, self._url, self._chance = folder, url, chance
        self._client = Client(str(folder / "home"))

    def come(self) -> None:
        """Retry what failed, or not; then start the dataset with more rows, or the one that is still being made, if it
        is not an older one of which something is tried again.
        """
        if self._chance.random() < 0.3:
            self._client.post("/tasks/retry", {"select": ["state:failed"]})
        if self._starts(self.rows + GROWS):
            self.rows += GROWS
        else:
            self._starts(self.rows)

    def _starts(self, rows: int) -> bool:
        """Whether it was begun or joined; not beside a run that makes the same file of other rows."""
        wire = json.loads(dataset(self._folder, self._url, rows).wire())
        try:
            answer = self._client.post("/generate", {"dataset": wire, "files": False})
        except CliError as refused:
            if "still makes" not in str(refused):
                raise
            return False
        self.runs.add(answer["run"]["id"])
        return True

    def finish(self) -> Summary:
        """Start it as often as it takes, as the summary says, until each cell has a value, once older runs are over."""
        for run in sorted(self.runs):
            waited = self._client.get("/wait", [("select", f"@{run}"), ("timeout_ms", "60000")], timeout=65)
            assert waited["final"], f"run {run} is not over"
        made = dataset(self._folder, self._url, self.rows)
        for _ in range(STARTS):
            summary = Generate(made, home=str(self._folder / "home")).work(self._client, lambda run: self.runs.add(run))
            assert summary is not None
            if summary.whole:
                break
        return summary


def killed(folder: Path, nursery: Nursery, url: str, *, kills: int, seed: int) -> tuple[Watch, Customer, Summary]:
    """Make a growing dataset under kills, then the rest without."""
    home, chance = folder / "home", Random(seed)
    watch, customer = Watch(home, folder / "bills.jsonl"), Customer(folder, url, chance)
    for _ in range(kills):
        engine = nursery.engine(home, ENVIRON)
        assert engine.wait_ready()
        customer.come()
        engine.live_on(chance.uniform(0, 0.12))
        engine.kill()
        watch.note()
    engine = nursery.engine(home, ENVIRON)
    assert engine.wait_ready()
    summary = customer.finish()
    engine.kill()
    return watch, customer, summary


def judge(folder: Path, nursery: Nursery, *, kills: int, seed: int = 1) -> None:
    log = folder / "bills.jsonl"
    with endpoint_in_thread(log) as url:
        watch, customer, summary = killed(folder, nursery, url, kills=kills, seed=seed)
    assert watch.asked_again() == []
    assert watch.paid_unaccountably() == {}
    assert len(watch.answered) > kills
    assert len(customer.runs) > kills // 10, "hardly any run followed another one"
    assert (summary.exit_code, summary.counts["kept"]) == (0, customer.rows)
    extra = said(log, "answered") - 2 * customer.rows
    assert extra <= summary.unknown <= kills * IN_FLIGHT
    told = f"{kills} kills, more stored answers than kills, 0 sent again"
    stored, runs = len(watch.answered), len(customer.runs)
    record("P12", told, kills=kills, runs=runs, stored=stored, sent_again=0, paid_and_not_stored=extra)


def said(log: Path, what: str) -> int:
    """How many lines of the log say this."""
    return sum(bill["what"] == what for bill in bills_in(log))


@pytest.mark.timeout(120)
def test_p12_fifty_kills_pay_for_no_stored_answer_again(tmp_path: Path, nursery: Nursery) -> None:
    judge(tmp_path, nursery, kills=50)


@pytest.mark.large
@pytest.mark.timeout(3_600)
def test_p12_a_thousand_kills_pay_for_no_stored_answer_again(tmp_path: Path, nursery: Nursery) -> None:
    for seed in range(10):
        folder = tmp_path / str(seed)
        folder.mkdir()
        judge(folder, nursery, kills=100, seed=seed)


def dies(home: Path, nursery: Nursery, made: Dataset, asked: Mapping[str, str]) -> None:
    """An engine that is asked for the dataset, if it lives so long, and that must die where it is asked to."""
    engine = nursery.engine(home, {**ENVIRON, **asked})
    with contextlib.suppress(CliError, OSError):
        if engine.wait_ready():
            Client(str(home)).post("/generate", {"dataset": json.loads(made.wire()), "files": False})
    engine.end(-signal.SIGKILL)


def made_after_all(home: Path, nursery: Nursery, made: Dataset) -> Summary:
    """What the next engine makes of it."""
    engine = nursery.engine(home, ENVIRON)
    assert engine.wait_ready()
    summary = Generate(made, home=str(home)).work(Client(str(home)), lambda _run: None)
    engine.kill()
    assert summary is not None
    return summary


@dies_at(*SENT)
def test_p12_an_engine_dies_at_this_place_of_a_call(place: Place, tmp_path: Path, nursery: Nursery) -> None:
    """It is the second call, so that there is an answer to be kept. Only the call under way has an unknown end."""
    home, log = tmp_path / "home", tmp_path / "bills.jsonl"
    latency = LONG_MS if place.name == "call_under_way" else SHORT_MS
    with endpoint_in_thread(log, ModelScript(latency=latency)) as url:
        made = dataset(tmp_path, url, rows=2, in_flight=1)
        watch = Watch(home, log)
        dies(home, nursery, made, place.nth(2))
        watch.note()
        summary = made_after_all(home, nursery, made)
    assert len(watch.answered) == 1
    assert watch.asked_again() == []
    assert watch.paid_unaccountably() == {}
    assert (summary.exit_code, summary.unknown) == (0, 1)
    assert said(log, "received") == 4 + SENT[place.name]


def test_p12_an_engine_dies_before_and_after_each_commit_of_a_dataset(tmp_path: Path, nursery: Nursery) -> None:
    home, log = tmp_path / "home", tmp_path / "bills.jsonl"
    with endpoint_in_thread(log, ModelScript(latency=SHORT_MS)) as url:
        made = dataset(tmp_path, url, rows=2 * GROWS, in_flight=1)
        watch = Watch(home, log)
        for number in COMMITS:
            for place in ("before_commit", "after_commit"):
                dies(home, nursery, made, {VARIABLE: f"{place}:{number}"})
                watch.note()
        summary = made_after_all(home, nursery, made)
    assert watch.asked_again() == []
    assert watch.paid_unaccountably() == {}
    assert len(watch.answered) >= 2 * len(COMMITS)
    assert (summary.exit_code, summary.counts["kept"]) == (0, 2 * GROWS)
    assert said(log, "answered") - 4 * GROWS <= summary.unknown <= 2 * len(COMMITS)
