"""`generate` between the app and the engine: declares the run of a dataset, follows it, writes its files as row groups
end, and tells what came of it. What a cell is and whether it is there is decided in `apps.generate`.
"""

from __future__ import annotations

import json
import os
import select
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from passloop.apps.generate.dataset import Dataset
from passloop.apps.generate.gathering import gather_unit
from passloop.apps.generate.settling import Settling
from passloop.apps.generate.summary import Summary, summary_of
from passloop.apps.queue.environment import storable
from passloop.cli import streams
from passloop.cli.client import Client, EngineStream
from passloop.cli.wording import FINAL
from passloop.drivers.calls.driver import UNKNOWN
from passloop.store.home import Home
from passloop.store.reader import Reader

__all__ = ["Generate"]

_COMING = ("open", "asked", "resting")
_LOOK_SECONDS = 0.3
_MOST_SECONDS = 2.0
_LINE_SECONDS = 5.0


class Generate:
    """One start of a spec: its run is declared, or the one that is under way is joined; then followed and told."""

    def __init__(self, dataset: Dataset, *, home: str, writes: bool = True) -> None:
        self.dataset = dataset
        self._home = home
        self._writes = writes
        self._settling = Settling(dataset)
        self._parts: set[int] = set()
        self._said = 0.0
        self.run: Mapping[str, Any] | None = None

    def work(self, client: Client, note: Callable[[int], None]) -> Summary | None:
        """Declare, follow to the end, write the files. `note` is told the run. Of a preview there is no summary."""
        with client.events(form="marks") as events:
            self.run = self._declare(client)
            note(int(self.run["id"]))
            with Reader.open(Home(Path(self._home))) as reader:
                self._follow(client, events, reader)
        return self.settle() if self._writes else None

    def settle(self) -> Summary:
        """Write the files from what is committed, and tell."""
        with Reader.open(Home(Path(self._home))) as reader:
            settled = self._settling.settle(reader)
            unknown = reader.count_unknown_calls(f"generate:{self.dataset.root}:*", UNKNOWN)
            return summary_of(reader, self.dataset, settled, unknown=unknown)

    def rows(self) -> list[dict[str, Any]]:
        """The rows as they are committed: those of a preview."""
        with Reader.open(Home(Path(self._home))) as reader:
            units = range(self.dataset.units)
            gathered = [row for unit in units for row in gather_unit(reader, self.dataset, unit)]
        return [{**{n: row.values.get(n) for n in self.dataset.outputs}, "_status": row.status} for row in gathered]

    def _declare(self, client: Client) -> Mapping[str, Any]:
        environment = storable(os.environ).stored if any(each.kind == "python" for each in self.dataset.tasks) else {}
        body = {"dataset": json.loads(self.dataset.wire()), "environment": environment}
        answer = client.post("/generate", body)
        run: Mapping[str, Any] = answer["run"]
        word = "joined" if answer["joined"] else "started"
        streams.say(f"run {run['id']} {run['name']} {word}: {self.dataset.spec.rows:,} rows -> {self.dataset.out}")
        return run

    def _follow(self, client: Client, events: EngineStream, reader: Reader) -> None:
        """Look at the run whenever something happened, until no task is to come and all are final."""
        assert self.run is not None
        while True:
            began = time.monotonic()
            found = client.get(f"/runs/{self.run['id']}")["run"]
            self._show(found["counts"])
            if self._writes and self.dataset.spec.target is None:
                self._write_parts(reader)
            if is_over(found):
                return
            took = time.monotonic() - began
            events.ready()
            _gather_events(events, until=time.monotonic() + min(max(_LOOK_SECONDS, 5 * took), _MOST_SECONDS))

    def _write_parts(self, reader: Reader) -> None:
        assert self.run is not None
        for unit in reader.ended_units(int(self.run["id"])):
            if unit not in self._parts:
                self._parts.add(unit)
                self._settling.write_part(reader, unit)

    def _show(self, counts: Mapping[str, int]) -> None:
        now = time.monotonic()
        if now - self._said >= _LINE_SECONDS and counts:
            self._said = now
            told = ", ".join(f"{number:,} {state}" for state, number in sorted(counts.items()) if number)
            streams.say(f"cells: {told}")


def is_over(found: Mapping[str, Any]) -> bool:
    """Whether nothing of a run (JSON shape) is to come and all of it is final."""
    source = found.get("source") or {}
    return source.get("state") not in _COMING and all(state in FINAL for state, n in found["counts"].items() if n)


def _gather_events(events: EngineStream, *, until: float) -> None:
    """Take events until a time, so that one look answers many of them."""
    while (left := until - time.monotonic()) > 0:
        if not events.pending and not select.select([events], [], [], left)[0]:
            return
        events.ready()
