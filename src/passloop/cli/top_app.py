"""The terminal screen: the page's first view, drawn with textual. It asks when the engine says that something changed.

A thread of its own waits for events and asks; the screen only draws what it was given.
"""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.css.query import NoMatches
from textual.events import Resize
from textual.widgets import DataTable, Footer, Static

from passloop.cli.client import Client, EngineStream
from passloop.cli.exits import CliError
from passloop.cli.next_engine import wait_for_engine
from passloop.cli.spans import millis_of
from passloop.cli.tables import fitted
from passloop.cli.top_rows import (
    SIGNS,
    Row,
    failure_rows,
    gpu_rows,
    headline,
    pool_rows,
    room_for_names,
    room_for_strips,
    running_rows,
    waiting_rows,
)

__all__ = ["Top"]

MINUTES = 15
SHOWN = 50
TABLES: dict[str, tuple[str, ...]] = {
    "gpus": ("where", "who", "memory", f"the last {MINUTES} minutes: {SIGNS}"),
    "running": ("task", "runs", "state", "for", "on"),
    "waiting": ("task", "waits", "state", "for", "why"),
    "failures": ("task", "failed last", "how", "when", "what it said"),
    "pools": ("pool", "used", "state", "until"),
}
ROWS: dict[str, Callable[[Any], list[Row]]] = {
    "running": running_rows,
    "waiting": waiting_rows,
    "failures": failure_rows,
    "pools": pool_rows,
}


class Top(App[None]):
    """What runs, what waits and why, what failed last."""

    CSS = "DataTable { height: auto; max-height: 30%; margin-bottom: 1; } #head { height: 1; text-style: bold; }"
    TITLE = "passloop"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "leave"),
        Binding("c", "act('cancel')", "cancel"),
        Binding("h", "act('hold')", "hold"),
        Binding("r", "act('release')", "release"),
        Binding("t", "act('retry')", "try again"),
    ]

    def __init__(self, home: str) -> None:
        super().__init__()
        self._client = Client(home)
        self._width = 80
        self._now: dict[str, Any] | None = None
        self._timeline: dict[str, Any] | None = None
        self._asked: tuple[str, int] | None = None
        self._leave_read, self._leave_write = os.pipe()
        self._follower = threading.Thread(target=self._follow, name="passloop-top", daemon=True)

    def compose(self) -> ComposeResult:
        """The parts of the screen, from top to bottom."""
        yield Static("", id="head")
        for name, columns in TABLES.items():
            table: DataTable[Text] = DataTable(id=name, cursor_type="row", zebra_stripes=True)
            for column in columns:
                table.add_column(column, key=column)
            yield table
        yield Footer()

    def on_mount(self) -> None:
        """Begin to follow, and let the clock go on."""
        self._follower.start()
        self.set_interval(1.0, self._tick)

    def on_resize(self, event: Resize) -> None:
        """Make the strips and names as long as there is room for."""
        self._width = event.size.width
        for name in TABLES:
            self.query_one(f"#{name}", DataTable).clear()
        if self._now is not None and self._timeline is not None:
            self._show(self._now, self._timeline)

    def on_unmount(self) -> None:
        """End the thread; it sleeps on the pipe, too."""
        os.write(self._leave_write, b".")
        self._follower.join(timeout=5)
        if not self._follower.is_alive():  # else it waits for an engine, and ends with the process
            os.close(self._leave_read)
            os.close(self._leave_write)

    def action_act(self, verb: str) -> None:
        """Do something to the task under the cursor; cancelling is asked for twice."""
        task = self._chosen()
        if task is None:
            return
        if verb == "cancel" and self._asked != (verb, task):
            self._asked = (verb, task)
            self.notify(f"press c again to cancel task {task}")
            return
        self._asked = None
        self.run_worker(lambda: self._act(verb, task), thread=True, exclusive=False)

    def _act(self, verb: str, task: int) -> None:
        try:
            answer = self._client.post(f"/tasks/{verb}", {"select": [str(task)]}, timeout=60)
        except CliError as refused:
            self.call_from_thread(self.notify, refused.message, severity="error")
            return
        unchanged = answer.get("unchanged") or []
        said = f"task {task}: {unchanged[0]['reason']}" if unchanged else f"task {task}: {verb}"
        self.call_from_thread(self.notify, said, markup=False)

    def _chosen(self) -> int | None:
        table = self.focused
        if not isinstance(table, DataTable) or table.id in ("gpus", "pools") or not table.row_count:
            return None
        key = table.coordinate_to_cell_key(table.cursor_coordinate).row_key.value
        return int(key) if key and key.isdecimal() else None

    def _follow(self) -> None:
        """Until the screen is left: ask, sleep until something happens, ask again; after a lost engine the next one."""
        while not self._followed():
            if not self._told("no engine runs; waiting for one: passloop up") or not self._next_engine():
                return

    def _followed(self) -> bool:
        """Follow one engine: True once the screen is left, False when the engine is gone."""
        try:
            with self._client.events() as events:
                return self._asked_until_left(events)
        except CliError:
            return False

    def _next_engine(self) -> bool:
        """Wait for the engine that comes; False if the screen was left meanwhile."""
        while not wait_for_engine(self._client.home):
            if self._is_left(1.0):  # a home that is gone is told at once, and may come back
                return False
        return True

    def _asked_until_left(self, events: EngineStream) -> bool:
        """True once the screen is left. Raises `CliError` when the engine ends its stream."""
        while True:
            now = self._client.get("/now", [("limit", SHOWN)], timeout=60)
            span = [("from", _millis(now) - MINUTES * 60_000), ("width", 60)]
            timeline = self._client.get("/timeline", span, timeout=60)
            if not self._given(now, timeline):
                return True
            if not events.pending and self._is_left(None, events):
                return True
            events.ready()

    def _is_left(self, seconds: float | None, *others: EngineStream) -> bool:
        """Whether the screen was left, once one of the others has something or the time is over."""
        sleepers: list[int | EngineStream] = [self._leave_read, *others]
        return self._leave_read in select.select(sleepers, [], [], seconds)[0]

    def _given(self, now: dict[str, Any], timeline: dict[str, Any]) -> bool:
        return self._from_thread(lambda: self._show(now, timeline))

    def _told(self, text: str) -> bool:
        return self._from_thread(lambda: self._say_instead(text))

    def _say_instead(self, text: str) -> None:
        """A word in the place of the engine's, until there is one again."""
        self._now = None
        self.query_one("#head", Static).update(Text(text))

    def _from_thread(self, what: Callable[[], object]) -> bool:
        """Do it on the screen; False if there is none any more."""
        if self._is_left(0):
            return False
        try:
            self.call_from_thread(what)
        except (RuntimeError, NoMatches):  # it is left just now: no loop any more, or no tables
            return False
        return True

    def _show(self, now: dict[str, Any], timeline: dict[str, Any]) -> None:
        self._now, self._timeline = now, timeline
        self._fill("gpus", gpu_rows(now, timeline, across=room_for_strips(self._width, now)))
        self._tick()

    def _tick(self) -> None:
        """Draw anew what says how long ago something was."""
        if self._now is not None:
            self.query_one("#head", Static).update(Text(headline(self._now)))
            for name, rows in ROWS.items():
                self._fill(name, self._named(rows(self._now)))

    def _named(self, rows: Sequence[Row]) -> list[Row]:
        """Rows with names that leave room for the rest."""
        room = room_for_names(self._width)
        return [(key, (first, fitted(name, room), *more)) for key, (first, name, *more) in rows]

    def _fill(self, name: str, rows: Sequence[Row]) -> None:
        """Bring a table to these rows. Rows that stay are changed in their place, so that the cursor stays, too."""
        table: DataTable[Text] = self.query_one(f"#{name}", DataTable)
        known = [key.value for key in table.rows]
        if known != [key for key, _ in rows]:
            table.clear()
            for key, cells in rows:
                table.add_row(*map(Text, cells), key=key)
            return
        for key, cells in rows:
            for column, cell in zip(TABLES[name], cells, strict=True):
                table.update_cell(key, column, Text(cell))


def _millis(now: dict[str, Any]) -> int:
    return millis_of(now["at"]) or 0
