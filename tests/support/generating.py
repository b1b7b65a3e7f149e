"""For tests of datasets: a real engine and a faulty endpoint in one loop, and datasets made from text."""

from __future__ import annotations

import errno
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from passloop.apps.generate.cells import cells_of
from passloop.apps.generate.dataset import Dataset, dataset_of_file, dataset_of_text
from passloop.apps.generate.expander import declared_of
from passloop.apps.generate.settling import Settling
from passloop.apps.generate.summary import Summary, summary_of
from passloop.apps.spec_file import parse_spec
from passloop.drivers.calls.driver import UNKNOWN
from passloop.drivers.calls.endpoints import declarations
from passloop.engine.settings import EngineSettings
from passloop.kernel.ids import RunId
from passloop.store.home import Home
from passloop.store.reader import Reader
from passloop.testing.billing import bills_in
from passloop.testing.endpoint import FaultyEndpoint
from passloop.testing.script import Script
from passloop.web.host import EngineHost, open_host

__all__ = [
    "GenerateStand",
    "dataset_from",
    "fail_once",
    "generating",
    "generating_beside",
    "model_columns",
    "summary_from",
]

ENVIRON = {"PASSLOOP_VIRTUAL_GPUS": "1x80GiB", "PASSLOOP_CPUS": "2"}


def dataset_from(
    folder: Path, url: str = "http://127.0.0.1:9/v1", environ: Mapping[str, str] | None = None, **spec: Any
) -> Dataset:
    """A dataset; `spec` replaces keys. Secrets are looked for in `environ`, nothing if None. Raises `SpecError`."""
    endpoint = {"base_url": url, **spec.pop("endpoint", {})}
    whole = {
        "generate": "made",
        "rows": 6,
        "row_group": 2,
        "out": "made.parquet",
        "endpoints": {"here": endpoint},
        "models": {"m": {"endpoint": "here", "model": "m"}},
        "columns": [{"name": "text", "kind": "llm_text", "model": "m", "prompt": "say something"}],
        **spec,
    }
    file = parse_spec(json.dumps(whole).encode(), name="made.yaml", folder=folder)
    return dataset_of_file(file, cwd=folder, environ=environ or {})


def model_columns(*models: str, **more: Any) -> dict[str, Any]:
    """A spec's models and one independent text column for each."""
    columns: list[dict[str, Any]] = [
        {"name": f"by_{name}", "kind": "llm_text", "model": name, "prompt": "{{ topic }} by " + name} for name in models
    ]
    return {
        "models": {name: {"endpoint": "here", "model": name, **more} for name in models},
        "columns": [
            {"name": "topic", "kind": "sampler", "choice": {"values": ["a", "b", "c"]}},
            *columns,
        ],
    }


def summary_from(home: Path, dataset: Dataset) -> Summary:
    """What is committed of a dataset, as files and told."""
    with Reader.open(Home(home)) as reader:
        settled = Settling(dataset).settle(reader)
        unknown = reader.count_unknown_calls(f"generate:{dataset.root}:*", UNKNOWN)
        return summary_of(reader, dataset, settled, unknown=unknown)


class GenerateStand:
    """A home with an engine, beside a faulty endpoint. `bills` is what the endpoint was asked and answered."""

    def __init__(self, folder: Path, host: EngineHost, endpoint: FaultyEndpoint) -> None:
        self.folder = folder
        self.host = host
        self.endpoint = endpoint

    def dataset(self, **spec: Any) -> Dataset:
        """A dataset that calls the endpoint."""
        return dataset_from(self.folder, self.endpoint.url, **spec)

    async def declare(self, dataset: Dataset) -> RunId:
        """Declare its run."""
        engine = self.host.engine
        for pool in declarations(dataset.models.values()):
            await engine.send(pool)
        answer = await engine.declare_source(declared_of(dataset_of_text(dataset.wire()), environment={}))
        return answer.run

    async def make(self, dataset: Dataset) -> Summary:
        """Run it to its end."""
        run = await self.declare(dataset)
        await self.host.engine.wait_source(run)
        return summary_from(self.folder / "home", dataset)

    @property
    def bills(self) -> list[dict[str, Any]]:
        """The endpoint's log."""
        return list(bills_in(self.folder / "bills.jsonl"))


@asynccontextmanager
async def generating(folder: Path, script: Script | None = None) -> AsyncIterator[GenerateStand]:
    """Both, for as long as the block lasts."""
    endpoint = FaultyEndpoint(script or Script(), log=folder / "bills.jsonl")
    await endpoint.start()
    try:
        async with generating_beside(folder, endpoint) as stand:
            yield stand
    finally:
        await endpoint.stop()


@asynccontextmanager
async def generating_beside(folder: Path, endpoint: FaultyEndpoint) -> AsyncIterator[GenerateStand]:
    """An engine beside an endpoint that is there, for as long as the block lasts."""
    async with open_host(folder / "home", EngineSettings(environ=ENVIRON)) as host:
        yield GenerateStand(folder, host, endpoint)


def fail_once(monkeypatch: pytest.MonkeyPatch, unit: int) -> None:
    """What is read for a row group cannot be, once: the source fails there."""
    failed: list[int] = []

    def cells(dataset: Dataset, asked: int) -> Any:
        if asked == unit and not failed:
            failed.append(unit)
            raise OSError(errno.EIO, "input/output error")
        return cells_of(dataset, asked)

    monkeypatch.setattr("passloop.apps.generate.expander.cells_of", cells)
