"""`generate` between the app and the engine: declares the run of a dataset, follows it, writes parts of its file as row
groups end, and tells what came of it. The file itself is written by the run's last task; where that could not, from
here. What a cell is and whether it is there is decided in `apps.generate`.
"""

from __future__ import annotations

import json
import os
import select
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from passloop.apps.generate.changed_code import changed_columns
from passloop.apps.generate.dataset import Dataset
from passloop.apps.generate.declaring import makes_files, newest_file_task, run_of_spec, runs_of_dataset
from passloop.apps.generate.gathering import gather_unit
from passloop.apps.generate.settling import Settled, Settling
from passloop.apps.generate.summary import Summary, summary_of
from passloop.apps.queue.environment import storable
from passloop.cli import streams
from passloop.cli.client import Client, EngineStream
from passloop.cli.exits import CliError, Exit
from passloop.cli.lasting_reads import LastingReads
from passloop.cli.wording import COMING, ENDING, FINAL, is_run_over
from passloop.drivers.calls.driver import UNKNOWN
from passloop.store.home import Home
from passloop.store.reader import Reader

__all__ = ["Generate"]

_LOOK_SECONDS = 0.3
_MOST_SECONDS = 2.0
_LINE_SECONDS = 5.0
_BLOCKERS = 2
"""Reasons why no more comes that a line of progress tells."""


class Generate:
    """One start of a spec: its run is declared, or the one that is under way is joined; then followed and told."""

    def __init__(self, dataset: Dataset, *, home: str, writes: bool = True) -> None:
        self.dataset = dataset
        self._home = home
        self._writes = writes
        self._settling = Settling(dataset)
        self._parts: set[int] = set()
        self._said = 0.0
        self._told = ""
        self._due: float | None = None
        self._files_are_there = False
        self._was_cancelled = False
        self.run: Mapping[str, Any] | None = None

    def work(self, client: Client, note: Callable[[int], None]) -> Summary | None:
        """Declare, follow to the end, write the files. `note` is told the run. Of a preview there is no summary, and of
        a dataset that is written already no run.
        """
        self._tell_changed_code()
        if self._writes and self._is_written():
            whose = "" if self.run is None else f"run {self.run['id']} {self.run['name']} is whole: "
            streams.say(f"{whose}every row is in the file, or was dropped: nothing is asked")
            return self.settle()
        if not self.dataset.tasks:
            streams.say("no column asks anybody: the rows are made here, without a run")
            return self.settle() if self._writes else None
        with client.events(form="marks") as events:
            self.run = self._declare(client)
            note(int(self.run["id"]))
            with Reader.open(Home(Path(self._home))) as reader:
                self._follow(client, events, reader)
        return self.settle() if self._writes else None

    def _tell_changed_code(self) -> None:
        """Say of which columns cells are kept that are of other code than there is now."""
        if not self.dataset.codes:
            return
        with Reader.open(Home(Path(self._home))) as reader:
            runs = runs_of_dataset(reader, self.dataset.root)
            changed = changed_columns(reader, self.dataset, ((view.row.id, about) for view, about in runs))
        for name in changed:
            code = self.dataset.columns[name].call
            streams.say(
                f"column {name}: the module of {code} was changed since cells were made, and these are kept; another "
                "`version:` in the column makes them anew, and what comes after them"
            )

    def _is_written(self) -> bool:
        """Whether the file is that of these very cells, and no run of the dataset is under way."""
        if self._settling.written() is None:
            return False
        with Reader.open(Home(Path(self._home))) as reader:
            newest, _ = next(iter(runs_of_dataset(reader, self.dataset.root)), (None, None))
            made_by = run_of_spec(reader, self.dataset)
        if newest is None or newest.source is None or newest.source.row.state in COMING:
            return False
        self.run = None if made_by is None else {"id": made_by.row.id, "name": made_by.row.name}
        self._files_are_there = all(state in FINAL for state, count in newest.counts.items() if count)
        return self._files_are_there

    def settle(self) -> Summary:
        """Write the files from what is committed, unless that was done, and tell."""
        with Reader.open(Home(Path(self._home))) as reader:
            there = self._settling.written() if self._files_are_there else None
            settled = there or self._settle(reader)
            unknown = reader.count_unknown_calls(f"generate:{self.dataset.root}:*", UNKNOWN)
            return summary_of(reader, self.dataset, settled, unknown=unknown)

    def _settle(self, reader: Reader) -> Settled:
        try:
            return self._settling.settle(reader, writes=not self._files_are_there, cancelled=self._was_cancelled)
        except OSError as refused:
            what = f"the dataset cannot be written to {self.dataset.out}: {refused.strerror}"
            raise CliError(
                what, hint="make room for it, then the same command: no call is made again", exit_code=Exit.WORK_FAILED
            ) from None

    def rows(self) -> list[dict[str, Any]]:
        """The rows as they are committed: those of a preview."""
        with Reader.open(Home(Path(self._home))) as reader:
            units = range(self.dataset.units)
            gathered = [row for unit in units for row in gather_unit(reader, self.dataset, unit)]
        return [{**{n: row.values.get(n) for n in self.dataset.outputs}, "_status": row.status} for row in gathered]

    def _declare(self, client: Client) -> Mapping[str, Any]:
        environment = storable(os.environ).stored if any(each.kind == "python" for each in self.dataset.tasks) else {}
        body = {"dataset": json.loads(self.dataset.wire()), "environment": environment, "files": self._writes}
        answer = client.post("/generate", body)
        run: Mapping[str, Any] = answer["run"]
        word = "joined" if answer["joined"] else "started"
        out = streams.clean(str(self.dataset.out))
        streams.say(f"run {run['id']} {run['name']} {word}: {self.dataset.spec.rows:,} rows -> {out}")
        if answer.get("ending"):
            streams.say(ENDING)
        return run

    def _follow(self, client: Client, events: EngineStream, reader: Reader) -> None:
        """Look at the run whenever something happened, until no task is to come, all are final and so are its files."""
        assert self.run is not None
        reads = LastingReads(client)
        while True:
            began = time.monotonic()
            found = reads.run(int(self.run["id"]))["run"]
            self._show(found)
            if self._writes and self.dataset.spec.target is None:
                self._write_parts(reader)
            if is_run_over(found) and self._has_files(reader):
                return
            took = time.monotonic() - began
            _wait_for_event(events, until=self._due)
            _gather_events(events, until=time.monotonic() + min(max(_LOOK_SECONDS, 5 * took), _MOST_SECONDS))

    def _write_parts(self, reader: Reader) -> None:
        assert self.run is not None
        for unit in reader.ended_units(int(self.run["id"])):
            if unit not in self._parts:
                self._parts.add(unit)
                self._settling.write_part(reader, unit)

    def _has_files(self, reader: Reader) -> bool:
        """Whether the task has ended that writes the files of the run as it is now, or there is to be none."""
        assert self.run is not None
        source = None if not self._writes else reader.source(int(self.run["id"]))
        self._was_cancelled = source is not None and source.row.state == "cancelled"
        if source is None or self._was_cancelled or not makes_files(source.spec):
            return True
        task = newest_file_task(reader, source)
        self._files_are_there = task is not None and task.row.state == "succeeded"
        return task is not None and task.row.state in FINAL

    def _show(self, found: Mapping[str, Any]) -> None:
        """Say how far a run (JSON shape) is and what holds it, every few seconds; what is new meanwhile is due then,
        though nothing else happens.
        """
        now = time.monotonic()
        counts = ", ".join(f"{number:,} {state}" for state, number in sorted(found["counts"].items()) if number)
        blockers = (found.get("source") or {}).get("blockers") or ()
        held = [streams.clean(one["sentence"]) for one in blockers[:_BLOCKERS]]
        told = "; ".join(filter(None, [f"tasks: {counts}" if counts else "", *held]))
        self._due = None
        if told == self._told:
            return
        if now - self._said < _LINE_SECONDS:
            self._due = self._said + _LINE_SECONDS
            return
        self._said, self._told = now, told
        streams.say(told)


def _wait_for_event(events: EngineStream, *, until: float | None) -> None:
    """Wait until something happens, or for a time on the monotonic clock."""
    left = None if until is None else max(0.0, until - time.monotonic())
    if events.pending or select.select([events], [], [], left)[0]:
        events.ready()


def _gather_events(events: EngineStream, *, until: float) -> None:
    """Take events until a time, so that one look answers many of them."""
    while (left := until - time.monotonic()) > 0:
        if not events.pending and not select.select([events], [], [], left)[0]:
            return
        events.ready()
