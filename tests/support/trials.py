"""Trial processes with the scripted server: started together, since each waits for others most of its time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from passloop.apps.tune.records import (
    Document,
    EngineOrder,
    Limits,
    LoadOrder,
    Objective,
    Order,
    Point,
)

__all__ = ["SERVER", "RunningTrial", "order_of", "start_trial"]

SERVER = (sys.executable, "-m", "passloop.testing.server", "--port", "{port}", "--ttft", "5", "--tpot", "1")
PATIENCE = 50
POINTS = (Point(concurrency=2, requests=4), Point(concurrency=1, requests=2))


def order_of(*words: str, argv: Sequence[str] = SERVER, **changes: Any) -> Order:
    """An order to load the scripted server; `changes` are fields of the order."""
    engine = changes.pop("engine", {})
    order = Order(
        study="0123456789abcdef",
        trial=3,
        params={"x": 1},
        hash="fedcba9876543210",
        engine=EngineOrder(argv=(*argv, *words), **engine),
        load=LoadOrder(points=POINTS, max_tokens=4),
        objectives=(Objective(metric="output_tokens_per_second", at="concurrency=2"),),
        limits=Limits(start=30_000, warmup=30_000, point=30_000, stop=10_000, health=10_000),
    )
    return msgspec.structs.replace(order, **changes)


class RunningTrial:
    """A trial process, its folder, and the name of its attempt, which all its processes carry."""

    def __init__(self, process: subprocess.Popen[str], folder: Path, mark: str) -> None:
        self.process = process
        self.folder = folder
        self.mark = mark
        self._said: str | None = None

    @property
    def said(self) -> str:
        """What it wrote to stderr until its end."""
        if self._said is None:
            self._said = self.process.communicate(timeout=PATIENCE)[1]
        return self._said

    @property
    def code(self) -> int:
        """Its exit code, once it has ended."""
        return self.process.returncode if self.said is not None else 0

    @property
    def document(self) -> Document:
        """What it measured, or why not."""
        assert self.said is not None
        return msgspec.json.decode((self.folder / "metrics.json").read_bytes(), type=Document)

    def json(self, name: str) -> Any:
        """A JSON file that it left; None for none."""
        assert self.said is not None
        path = self.folder / name
        return json.loads(path.read_text()) if path.exists() else None

    def text(self, name: str) -> str:
        """A file that it left."""
        assert self.said is not None
        return (self.folder / name).read_text()

    def end(self) -> None:
        """End it if it is still there, with all that it started."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        assert self.said is not None


def start_trial(folder: Path, order: Order | str, environment: Mapping[str, str] | None = None) -> RunningTrial:
    """Start `python -m passloop.apps.tune.trial` with this order."""
    folder.mkdir(parents=True, exist_ok=True)
    text = order if isinstance(order, str) else msgspec.json.encode(order).decode()
    mark = f"test{os.getpid()}-{folder.name}"
    told = {"PASSLOOP_TRIAL": text, "PASSLOOP_OUT": str(folder), "PASSLOOP_ATTEMPT_ID": mark}
    process = subprocess.Popen(
        [sys.executable, "-m", "passloop.apps.tune.trial"],
        env={**os.environ, **told, **(environment or {})},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    return RunningTrial(process, folder, mark)
