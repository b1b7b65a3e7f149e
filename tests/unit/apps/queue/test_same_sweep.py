"""Facts about which runs of one name are one sweep: those of the same work, never an edited command's or another
project's. Reports average over no others, and a name means no others.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from passloop.apps.queue.find import runs_of
from passloop.apps.queue.gather import gather
from passloop.kernel.changes import TaskAdded
from passloop.kernel.tasks import TaskState
from passloop.store.database import Store
from passloop.store.home import Home
from passloop.store.reader import Reader
from tests.support.store_rows import SPEC, a_batch, a_run, a_task

from .places import HERE, sweep

SPEC_TEXT = 'run: digits\ncommand: [train, --rate, "0.1", --depth, "{depth}"]\nmatrix: {depth: [2]}\nseeds: 2\n'
EDITED = SPEC_TEXT.replace("0.1", "0.4")
KEYED = SPEC_TEXT + 'key: "{depth}-{seed}"\n'


def about_of(text: str, cwd: str = "/p1") -> dict[str, Any]:
    return sweep(text, HERE._replace(cwd=cwd)).submission(HERE).about


def submit(store: Store, run: int, about: Mapping[str, Any], *, cwd: str | None = "/p1", tasks: int = 1) -> None:
    """A run of so many succeeded tasks, which have the run's number before their own."""
    added = []
    for number in range(1, tasks + 1):
        payload = json.dumps({"cwd": cwd, "command": ["x"], "params": {"depth": 2, "seed": number}})
        row = a_task(run * 10 + number, run=run, state=TaskState.SUCCEEDED, key=f"{run}:{number}")
        added.append(TaskAdded(row, SPEC, payload, ()))
    store.commit(a_batch([a_run(run, name="digits", about=json.dumps(about)), *added]))


def meant(home: Home, name: str) -> list[int]:
    with Reader.open(home) as reader:
        return runs_of(name, reader)


def test_results_of_an_edited_command_are_not_averaged_with_those_of_the_one_before(home: Home, store: Store) -> None:
    submit(store, 1, about_of(SPEC_TEXT), tasks=2)
    submit(store, 2, about_of(EDITED), tasks=2)
    with Reader.open(home) as reader:
        reports = [gather(reader, home, name, made_at=9_000) for name in ("digits", "1")]
    assert [[row.id for row in cell.rows] for report in reports for cell in report.cells] == [[21, 22], [11, 12]]


@pytest.mark.parametrize(
    "other",
    [
        about_of(EDITED),
        about_of(SPEC_TEXT, "/p2"),
        about_of(SPEC_TEXT + "env: {RATE: high}\n"),
        about_of(SPEC_TEXT.replace("[2]", "[2, 4]")) | {"work": "another snapshot's"},
        {"kind": "bench", "out": "/p1/out", "axes": ["depth"]},
    ],
    ids=["command", "directory", "env", "code", "kind"],
)
def test_a_name_means_the_newest_sweep_of_it_and_no_other(home: Home, store: Store, other: dict[str, Any]) -> None:
    submit(store, 1, other)
    submit(store, 2, about_of(SPEC_TEXT))
    assert meant(home, "digits") == [2]


def test_a_name_means_all_submissions_of_one_sweep_though_values_were_added(home: Home, store: Store) -> None:
    submit(store, 1, about_of(SPEC_TEXT))
    submit(store, 2, about_of(EDITED))
    submit(store, 3, about_of(SPEC_TEXT.replace("[2]", "[2, 4]")))
    assert meant(home, "digits") == [3, 1]


def test_a_submission_without_tasks_of_its_own_means_those_of_its_sweep(home: Home, store: Store) -> None:
    submit(store, 1, about_of(SPEC_TEXT))
    submit(store, 2, about_of(EDITED))
    submit(store, 3, about_of(SPEC_TEXT), tasks=0)
    assert meant(home, "3") == [3, 1]


def test_who_gives_the_keys_says_what_is_the_same_work(home: Home, store: Store) -> None:
    submit(store, 1, about_of(KEYED))
    submit(store, 2, about_of(KEYED.replace("0.1", "0.4"), "/p2"), cwd="/p2")
    submit(store, 3, about_of(KEYED.replace("{depth}-", "{depth}/")))
    assert (meant(home, "digits"), meant(home, "2")) == ([3], [2])
    with Reader.open(home) as reader:
        assert [row.id for row in gather(reader, home, "2", made_at=9_000).rows] == [11, 21]


@pytest.mark.parametrize(("kind", "decides"), [("bench", "out"), ("tune", "study")])
def test_of_matrices_and_studies_of_one_name_those_of_one_place_are_one(
    home: Home, store: Store, kind: str, decides: str
) -> None:
    for run, place in enumerate(("/p1/out", "/p2/out", "/p1/out"), 1):
        submit(store, run, {"kind": kind, decides: place, "axes": ["model"]})
    assert meant(home, "digits") == [3, 1]


def before(text: str) -> dict[str, Any]:
    """What was kept of a submission before its work was."""
    return {name: value for name, value in about_of(text).items() if name not in ("work", "cwd")}


def test_submissions_from_before_work_was_kept_are_told_apart_by_command_and_place(home: Home, store: Store) -> None:
    submit(store, 1, before(SPEC_TEXT))
    submit(store, 2, before(EDITED))
    submit(store, 3, before(SPEC_TEXT), cwd="/p2")
    submit(store, 4, before(SPEC_TEXT), tasks=0)
    submit(store, 5, before(SPEC_TEXT))
    assert meant(home, "digits") == [5, 4, 1]
    submit(store, 6, about_of(SPEC_TEXT), tasks=0)
    assert meant(home, "digits") == [6, 5, 4, 1]
    submit(store, 7, before(SPEC_TEXT), tasks=0)
    assert meant(home, "digits") == [7, 6, 5, 4, 1]
