"""What a repair may lose at the most, said from the damaged place alone: the pages that are gone, and where the log
ends. All else must be there again, exactly, and what is lost must be in the report, exactly. It shares no code with a
repair.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from passloop.store.repair import RepairReport
from passloop.store.salvage import TABLES

from .sick_home import Damage, Key, Rows

__all__ = ["Judge"]

STARTABLE = {"waiting", "held", "backoff", "ready"}
LIVE = {"admitted", "running", "stopping"}
UNTOUCHED = sorted(
    set(TABLES) - {"meta", "runs", "tasks", "payloads", "attempts", "sources", "units", "cells", "journal"}
)
RUN_OF = {"runs": 0, "tasks": 1, "sources": 0, "units": 0, "unit_specs": 0}
HOME_ID = ("home_id",)
READ_FROM_BOTH_ENDS = {"meta", "pools", "limit_steps", "task_groups", "settings", "samples", "units"}
"""Tables whose keys are no numbers to halve: between two damaged places of one, what is whole may be lost, too."""


@cache
def columns(table: str) -> tuple[str, ...]:
    """The names of a table's columns, by what the migrations say."""
    from passloop.store.migrate import migration_files

    connection = sqlite3.connect(":memory:")
    for step in migration_files():
        connection.executescript(step.read_text(encoding="utf-8"))
    names = tuple(str(row[1]) for row in connection.execute(f"PRAGMA table_info({table})"))
    connection.close()
    return names


def named(table: str, row: tuple[Any, ...]) -> dict[str, Any]:
    return dict(zip(columns(table), row, strict=True))


def ids_in(ranges: Iterable[tuple[int, int]]) -> set[int]:
    return {one for first, last in ranges for one in range(first, last + 1)}


class Judge:
    """Holds a repaired store against what could be known of it: from what is left, and from the backup."""

    def __init__(self, damage: Damage, backup: Rows, report: RepairReport, found: Rows) -> None:
        self.damage = damage
        self.report = report
        self.found = found
        self.left = damage.known
        self.removed_runs = self._runs_removed_since(backup)
        tasks = backup.get("tasks", {}).items()
        self.removed_with_runs = {task for (task,), row in tasks if row[RUN_OF["tasks"]] in self.removed_runs}
        self.backup = {table: self._standing(table, rows) for table, rows in backup.items()}
        self.known = {table: {**self.backup.get(table, {}), **self.left[table]} for table in TABLES}
        self._forget_results_of_earlier_attempts()
        self.newest = max((seq for (seq,) in self.known["journal"]), default=0)
        self.lost = max(0, damage.marked - self.newest)
        self.live: dict[int, dict[str, Any]] = {}
        for row in self.known["attempts"].values():
            attempt = named("attempts", row)
            if attempt["state"] in LIVE:
                self.live[attempt["task"]] = attempt

    def check(self) -> None:
        """Raises AssertionError for the first that is not as it must be."""
        self._check_tables()
        tasks = self._tasks()
        self._check_tasks(tasks)
        self._check_what_hangs_on(tasks)
        self._check_units()
        self._check_journal()
        self._check_report(tasks)

    def _removed(self, meta: Mapping[Key, tuple[Any, ...]]) -> set[int]:
        return ids_in(json.loads(meta[("removed",)][1])) if ("removed",) in meta else set()

    def _runs_removed_since(self, backup: Rows) -> set[int]:
        """Those that the backup alone has, where no run is lost of a store that goes on behind it."""
        is_newer = max(self.left["journal"], default=(0,)) >= max(backup.get("journal", ()), default=(0,))
        if not is_newer or self.left["runs"] != self.damage.whole.rows["runs"] or "runs" in self.damage.hurt:
            return set()
        return {run for (run,) in backup.get("runs", {}).keys() - self.left["runs"].keys()}

    def _standing(self, table: str, rows: Mapping[Key, tuple[Any, ...]]) -> dict[Key, tuple[Any, ...]]:
        """The rows of a backup without those of tasks and runs that were removed since."""
        if table in RUN_OF:
            rows = {key: row for key, row in rows.items() if row[RUN_OF[table]] not in self.removed_runs}
        if table not in ("tasks", "payloads", "results", "attempts"):
            return dict(rows)
        place, removed = int(table == "attempts"), self._removed(self.left["meta"]) | self.removed_with_runs
        return {key: row for key, row in rows.items() if row[place] not in removed}

    def _forget_results_of_earlier_attempts(self) -> None:
        """What the backup has of a task as its results is the last attempt's, if it has all that is known."""
        for key in self.known["results"].keys() - self.left["results"].keys():
            then, now = (self._how_far(rows, *key) for rows in (self.backup, self.known))
            if then != now:
                del self.known["results"][key]

    def _how_far(self, rows: Rows, task: int) -> tuple[object, ...]:
        row = named("tasks", rows["tasks"][(task,)]) if (task,) in rows["tasks"] else {"state": None, "attempts": 0}
        final = row["state"] not in STARTABLE | LIVE and row["state"]
        ended = {one[2] for one in rows["attempts"].values() if one[1] == task and one[3] == "ended"}
        return final, row["attempts"], ended

    def _between(self, table: str, found: Mapping[Key, Any], known: Mapping[Key, Any]) -> None:
        """Equal; where a table is read from both ends, what lies between two damaged places may be gone."""
        gone = [key for key, pages in self.damage.whole.needs[table].items() if pages & self.damage.lost]
        between = {
            key for key in known if table in READ_FROM_BOTH_ENDS and gone and min(gone) < key < max(gone)
        } - self.backup.get(table, {}).keys()
        lacking = {key for key, row in known.items() if found.get(key) != row} - between
        assert not lacking, f"{table} could be known and is not there: {sorted(lacking)[:5]}"
        assert set(found) <= set(known), f"{table} came out of nothing: {sorted(set(found) - set(known))[:5]}"

    def _check_tables(self) -> None:
        for table in UNTOUCHED:
            self._between(table, self.found[table], self.known[table])
        runs = {key: row for key, row in self.found["runs"].items() if not row[1].startswith("lost-")}
        self._between("runs", runs, self.known["runs"])
        meta = {key: row for key, row in self.found["meta"].items() if key != ("removed",)}
        known = {**self.known["meta"], HOME_ID: self.damage.whole.rows["meta"][HOME_ID]}  # it is in the first page, too
        known.pop(("copied",), None)  # that is what the backup is, and not the store that is made of it
        self._between("meta", meta, {key: row for key, row in known.items() if key != ("removed",)})
        assert meta[HOME_ID] == known[HOME_ID]
        assert self._removed(self.found["meta"]) == self._removed(self.known["meta"]) | self.removed_with_runs

    def _tasks(self) -> dict[int, dict[str, Any]]:
        """The tasks that must be there; one whose spec is gone cannot be read by anybody."""
        rows = {task: named("tasks", row) for (task,), row in self.known["tasks"].items()}
        return {task: row for task, row in rows.items() if (row["spec"],) in self.known["specs"]}

    def _check_tasks(self, tasks: dict[int, dict[str, Any]]) -> None:
        found = {task: named("tasks", row) for (task,), row in self.found["tasks"].items()}
        assert found.keys() == tasks.keys(), f"tasks: {sorted(found.keys() ^ tasks.keys())[:9]}"
        held, held_running = set(), set()
        for task, row in tasks.items():
            expected = dict(row, attempts=max(row["attempts"], self._last_epoch(task)))
            if row["state"] in STARTABLE and task in self.live:
                expected["state"] = self.live[task]["state"]
            if expected["state"] in LIVE and self._may_have_ended(task):
                held_running.add(task)
                assert found[task]["message"], f"task {task} starts no more and nobody says why"
                expected |= {"held": 1, "message": found[task]["message"]}
            if self._must_be_held(task, row) or self._came_after_what_is_gone(row, tasks):
                held.add(task)
                assert found[task]["message"], f"task {task} is held and nobody says why"
                expected |= {"state": "held", "held": 1, "reservation": None, "head_since": None}
                expected["message"] = found[task]["message"]
            assert found[task] == expected, f"task {task}: {expected} became {found[task]}"
        assert set(self.report.held) == held
        assert set(self.report.held_running) == held_running

    def _may_have_ended(self, task: int) -> bool:
        """Whether what ran may be over by now: it goes on if it lives, and starts by itself in no case."""
        if task not in self.live:
            return False
        attempt = (self.live[task]["id"],)
        return bool(self.lost) or (task,) not in self.left["tasks"] or attempt not in self.left["attempts"]

    def _must_be_held(self, task: int, row: dict[str, Any]) -> bool:
        """What may have run, or whose command is gone, starts only when somebody says so."""
        if row["state"] not in STARTABLE | LIVE or task in self.live:
            return False
        certain = not self.lost and (task,) in self.left["tasks"] and (task,) in self.known["payloads"]
        return row["state"] in LIVE or not certain

    def _came_after_what_is_gone(self, row: dict[str, Any], tasks: Mapping[int, Any]) -> bool:
        """Nobody knows how that ended, so it counts neither as fulfilled nor as still to come."""
        gone = {task for task, _ in json.loads(row["depends"])} - tasks.keys()
        return bool(gone) and row["state"] in ("waiting", "held")

    def _last_epoch(self, task: int) -> int:
        return max((row[2] for row in self.known["attempts"].values() if row[1] == task), default=0)

    def _check_what_hangs_on(self, tasks: dict[int, dict[str, Any]]) -> None:
        attempts = {key: row for key, row in self.known["attempts"].items() if row[1] in tasks}
        self._between("attempts", self.found["attempts"], attempts)
        lost = {(task,): (task, "{}") for task in tasks if (task,) not in self.known["payloads"]}
        self._between("payloads", self.found["payloads"], {**self.known["payloads"], **lost})
        runs = {(row["run"],) for row in tasks.values()} - self.known["runs"].keys()
        assert runs == {key for key, row in self.found["runs"].items() if row[1] == f"lost-{key[0]}"} - set(
            self.known["runs"]
        )

    def _check_units(self) -> None:
        """Sources go on, held where what became of them is not certain."""
        for table, same in (("sources", ("run", "kind", "plan", "spec")), ("units", ("run", "unit", "tasks"))):
            cut = [
                {key: tuple(named(table, row)[name] for name in same) for key, row in rows[table].items()}
                for rows in (self.found, self.known)
            ]
            self._between(table, *cut)
        self._check_sources_held()
        whole = {(named("tasks", row)["run"], key) for key, row in self.found["tasks"].items()}
        places = {task: run for run, task in whole}
        cells = {
            key: row
            for key, row in self.known["cells"].items()
            if key in places
            and (places[key], row[1]) in self.found["units"]
            and (places[key],) in self.found["sources"]
        }
        self._between("cells", self.found["cells"], cells)

    def _check_sources_held(self) -> None:
        """Those that may have been cancelled, or have gone on, since; the others go on as they were."""
        uncertain = self.lost or any(key not in self.left["tasks"] for key in self.known["tasks"])
        held = set()
        for (run,), row in self.found["sources"].items():
            found, left = named("sources", row), self.left["sources"].get((run,))
            if found["state"] == "open" and (uncertain or left is None):
                held.add(run)
                assert found["message"], f"run {run} is held and nobody says why"
            is_held = left is not None and named("sources", left)["held"]
            assert found["held"] == int(run in held or is_held), f"run {run} goes on, or is held for nothing"
        assert set(self.report.held_runs) == held

    def _check_journal(self) -> None:
        """The newest rows that follow each other up to the end, and one more that says where it goes on."""
        following = dict(self._following()) if not self.lost else {}
        found = dict(self.found["journal"])
        last = named("journal", found.pop(max(found)))
        assert found == following
        assert last["seq"] == max(self.newest, self.damage.marked) + 1
        for name, table in (("next_run", "runs"), ("next_task", "tasks"), ("next_attempt", "attempts")):
            given = max((key[0] for key in self.damage.whole.rows[table]), default=0)
            assert self.lost or last[name] > max((key[0] for key in self.known[table]), default=0)
            assert not self.lost or last[name] > given, "an id that was given out can come back"

    def _following(self) -> Iterator[tuple[Key, tuple[Any, ...]]]:
        seq = self.newest
        while (row := self.known["journal"].get((seq,))) is not None:
            yield (seq,), row
            seq -= 1

    def _check_report(self, tasks: dict[int, dict[str, Any]]) -> None:
        report = self.report
        assert not report.whole
        assert report.lost_batches == self.lost
        restored = self.known["tasks"].keys() - self.left["tasks"].keys()
        assert report.from_backup == len(restored)
        removed = self._removed(self.known["meta"]) | self.removed_with_runs
        end = max([self._next_task(), *(task + 1 for task in tasks.keys() | removed)])
        gone = set(range(1, end)) - tasks.keys() - removed
        assert ids_in(report.missing) == gone
        lacking = {table for table, rows in self.damage.whole.rows.items() if len(rows) > len(self.left[table])}
        assert lacking <= set(report.unread) <= self.damage.hurt, (report.unread, lacking, self.damage.hurt)
        said = "\n".join(report.sentences())
        assert "Nothing" in said or all(table.replace("_", " ") in said for table in report.unread)
        assert not (self.lost and f"Last batches that could not be read: {self.lost:,};" not in said)

    def _next_task(self) -> int:
        row = self.known["journal"].get((self.newest,))
        return 1 if row is None else int(named("journal", row)["next_task"])
