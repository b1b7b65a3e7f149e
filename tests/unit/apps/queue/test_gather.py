"""Facts about gathering a run from a real store: one sweep over its submissions, and the last lines of failures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from passloop.apps.queue.gather import gather
from passloop.engine.errors import NotFound
from passloop.kernel.changes import AttemptChanged, TaskAdded
from passloop.kernel.tasks import Outcome, OutcomeKind, TaskState
from passloop.store.artifacts import attempt_directory
from passloop.store.database import Store
from passloop.store.home import Home
from passloop.store.reader import Reader
from tests.support.store_rows import SPEC, a_batch, a_run, a_task, an_attempt, an_end

SWEEP = json.dumps({"kind": "run", "axes": ["depth"]})


def submit(store: Store, *tasks: TaskAdded, run: int, name: str = "digits", about: str = SWEEP) -> None:
    store.commit(a_batch([a_run(run, name=name, about=about), *tasks]))


def cell(number: int, depth: int, *, run: int, state: TaskState, **fields: object) -> TaskAdded:
    payload = json.dumps({"name": f"depth {depth}", "command": ["x"], "params": {"depth": depth}})
    fields = {"key": f"k{depth}", "attempts": 1, **fields}
    return TaskAdded(a_task(number, run=run, state=state, **fields), SPEC, payload, ())


def failed(number: int) -> AttemptChanged:
    outcome = Outcome(OutcomeKind.FAILURE, 3, message="exit code 3")
    return AttemptChanged(an_attempt(number, state="ended", ended_at=2_000, outcome=outcome))


def test_a_sweep_submitted_again_is_one_report_with_the_newest_task_of_each_cell(home: Home, store: Store) -> None:
    submit(
        store,
        cell(1, 2, run=1, state=TaskState.SUCCEEDED),
        cell(2, 4, run=1, state=TaskState.FAILED, retried_by=3),
        run=1,
    )
    submit(store, cell(3, 4, run=2, state=TaskState.SUCCEEDED), run=2)
    with Reader.open(home) as reader:
        reports = [gather(reader, home, name, made_at=9_000) for name in ("digits", "@digits", "1", "last")]
    assert [[row.id for row in report.rows] for report in reports] == [[1, 3]] * 4
    assert [report.run for report in reports] == [2, 2, 1, 2]
    assert reports[0].counts == {"succeeded": 2}
    assert [row.id for row in reports[0].replaced] == [2]


def test_runs_that_are_no_sweeps_stand_alone_even_with_one_name(home: Home, store: Store) -> None:
    submit(store, cell(1, 2, run=1, state=TaskState.SUCCEEDED, key=None), run=1, about="{}")
    submit(store, cell(2, 2, run=2, state=TaskState.SUCCEEDED, key=None), run=2, about="{}")
    with Reader.open(home) as reader:
        assert [row.id for row in gather(reader, home, "digits", made_at=9_000).rows] == [2]


def test_a_task_without_a_key_gives_way_to_its_retry(home: Home, store: Store) -> None:
    submit(
        store,
        cell(1, 2, run=1, state=TaskState.FAILED, key=None, retried_by=2),
        cell(2, 2, run=1, state=TaskState.READY, key=None, attempts=0),
        run=1,
        about="{}",
    )
    with Reader.open(home) as reader:
        assert [row.id for row in gather(reader, home, "1", made_at=9_000).rows] == [2]


def test_attempts_times_and_results_come_from_the_store(home: Home, store: Store) -> None:
    submit(store, cell(1, 2, run=1, state=TaskState.SUCCEEDED, outcome=OutcomeKind.SUCCESS), run=1)
    store.commit(a_batch([AttemptChanged(an_end(1))], results=((1, '{"accuracy": 0.5}'),)))
    with Reader.open(home) as reader:
        (row,) = gather(reader, home, "1", made_at=9_000).rows
    assert (row.results, row.params) == ({"accuracy": 0.5}, {"depth": 2})
    assert (row.started_at, row.ended_at, row.seconds) == (1_001, 2_000, 0.999)
    assert (row.wants_gpus, row.attempts[0].gpus) == (True, ("GPU-0",))


@pytest.mark.parametrize("results", ["[1, 2]", '"text"', "null", "3"])
def test_results_that_are_no_mapping_are_one_column(home: Home, store: Store, results: str) -> None:
    submit(store, cell(1, 2, run=1, state=TaskState.SUCCEEDED), run=1)
    store.commit(a_batch([AttemptChanged(an_end(1))], results=((1, results),)))
    with Reader.open(home) as reader:
        (row,) = gather(reader, home, "1", made_at=9_000).rows
    assert set(row.results) <= {"result"}


def write_log(home: Home, name: str, text: str) -> Path:
    folder = attempt_directory(home, run=1, task=1, epoch=1)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(text)
    return path


def log_of_failure(home: Home, store: Store) -> str:
    submit(store, cell(1, 2, run=1, state=TaskState.FAILED, outcome=OutcomeKind.FAILURE), run=1)
    store.commit(a_batch([failed(1)]))
    with Reader.open(home) as reader:
        return gather(reader, home, "1", made_at=9_000).rows[0].log


def test_a_failure_shows_the_end_of_its_stderr(home: Home, store: Store) -> None:
    write_log(home, "stdout.log", "not this\n")
    write_log(home, "stderr.log", "".join(f"line {n}\n" for n in range(5_000)))
    lines = log_of_failure(home, store).split("\n")
    assert (len(lines), lines[-1]) == (20, "line 4999")


def test_a_failure_with_an_empty_stderr_shows_the_end_of_its_stdout(home: Home, store: Store) -> None:
    write_log(home, "stdout.log", "this\n")
    write_log(home, "stderr.log", "\n")
    assert log_of_failure(home, store) == "this"


def test_a_log_that_is_a_link_out_of_the_home_is_not_read(home: Home, store: Store, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("do not show")
    write_log(home, "stdout.log", "")
    (attempt_directory(home, run=1, task=1, epoch=1) / "stderr.log").symlink_to(secret)
    assert log_of_failure(home, store) == ""


def test_a_failure_without_logs_has_none(home: Home, store: Store) -> None:
    assert log_of_failure(home, store) == ""


def test_a_run_that_is_not_there_is_not_found(home: Home, store: Store) -> None:
    with Reader.open(home) as reader:
        for name in ("digits", "7", "last", "@nobody"):
            with pytest.raises(NotFound):
                gather(reader, home, name, made_at=9_000)
