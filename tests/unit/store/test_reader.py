"""What can be asked of the store, beside an engine that writes and without one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from passloop.kernel.changes import AttemptChanged, GroupChanged, SourceAdded, SourceChanged, TaskAdded, TaskChanged
from passloop.kernel.ids import RunId, TaskId
from passloop.kernel.source_rows import SourcePlan, SourceRow, SourceState, TemplateNode
from passloop.kernel.tasks import OutcomeKind, TaskSpec, TaskState
from passloop.store.database import Store
from passloop.store.errors import StoreDamaged, StoreMissing, StoreRefused
from passloop.store.filters import TaskFilter, is_inside
from passloop.store.home import Home
from passloop.store.reader import Reader
from passloop.store.samples import Sample
from tests.support.store_rows import (
    EVERY_DEPENDENCY,
    SPEC,
    a_batch,
    a_full_task,
    a_run,
    a_submission,
    a_task,
    an_attempt,
    an_end,
)

FAILED = {"state": TaskState.FAILED, "outcome": OutcomeKind.OUT_OF_MEMORY}


@pytest.fixture
def reader(store: Store) -> Reader:
    """Three runs: 1-3 of run 1 (2 failed), 4-6 of run 2 with keys in group night, 7 of run 3 with another class."""
    store.commit(a_submission(3))
    store.commit(a_submission(3, run=2, first=4, group="night", key="sweep/a"))
    other = TaskSpec(SPEC.request, task_class="other")
    store.commit(a_batch([a_run(3), TaskAdded(a_task(7, run=3), other, "{}", ())]))
    store.commit(a_batch([TaskChanged(a_task(2, **FAILED))]))
    return store.reader()


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (TaskFilter(), [1, 2, 3, 4, 5, 6, 7]),
        (TaskFilter(ids=((2, 4), (6, 6), (90, 99))), [2, 3, 4, 6]),
        (TaskFilter(ids=((9, 2),)), []),
        (TaskFilter(runs=(1, 3)), [1, 2, 3, 7]),
        (TaskFilter(ids=((5, 5),), runs=(1,)), [1, 2, 3, 5]),
        (TaskFilter(states=("failed",)), [2]),
        (TaskFilter(states=("failed", "ready"), runs=(1,)), [1, 2, 3]),
        (TaskFilter(ids=((3, 3),), states=("failed",)), []),
        (TaskFilter(keys=("sweep/*",)), [4, 5, 6]),
        (TaskFilter(keys=("Sweep/*",)), []),
        (TaskFilter(groups=("night",)), [4, 5, 6]),
        (TaskFilter(classes=("out_of_memory",)), [2]),
        (TaskFilter(classes=("other", "out_of_memory")), [2, 7]),
        (TaskFilter(before=3), [1, 2]),
        (TaskFilter(states=("' OR 1=1 --",)), []),
    ],
)
def test_a_filter_finds_what_it_says(reader: Reader, wanted: TaskFilter, found: list[int]) -> None:
    assert [view.row.id for view in reader.tasks(wanted)] == found
    assert reader.task_ids(wanted) == found
    assert reader.count(wanted) == len(found)
    reader.close()


@pytest.mark.parametrize(
    ("group", "found"),
    [("team", [1, 2, 3]), ("team/night", [2, 3]), ("team/night/deep", [3]), ("teams", [4]), ("t%", []), ("", [])],
)
def test_a_group_means_those_inside_it_too(store: Store, group: str, found: list[int]) -> None:
    for task, name in enumerate(["team", "team/night", "team/night/deep", "teams"], 1):
        store.commit(a_submission(1, run=task, first=task, group=name))
    reader = store.reader()
    assert reader.task_ids(TaskFilter(groups=(group,))) == found
    assert [view.row.id for view in reader.tasks(TaskFilter()) if is_inside(view.row.group, group)] == found
    reader.close()


def test_a_page_has_the_newest_tasks_in_ascending_order(reader: Reader) -> None:
    assert [view.row.id for view in reader.tasks(limit=3)] == [5, 6, 7]
    assert [view.row.id for view in reader.tasks(TaskFilter(before=5), limit=3)] == [2, 3, 4]
    reader.close()


def test_a_task_comes_with_everything_about_it(store: Store) -> None:
    row = a_full_task()
    batch = a_batch(
        [a_run(name="r"), TaskAdded(row, SPEC, '{"name": "x"}', EVERY_DEPENDENCY)], results=((1, '{"a": 1}'),)
    )
    store.commit(batch)
    store.commit(a_batch([AttemptChanged(an_end(1))]))
    store.commit(a_batch([AttemptChanged(an_attempt(2, task=1, epoch=2))], results=((1, '{"a": 2}'),)))
    with store.reader() as reader:
        view = reader.task(1)
        assert view is not None
        assert view.row == row
        assert (view.run_name, view.spec, view.after) == ("r", SPEC, EVERY_DEPENDENCY)
        assert (view.payload, view.results) == ('{"name": "x"}', '{"a": 2}')
        assert view.latest == an_attempt(2, task=1, epoch=2)
        assert reader.attempts(1) == [an_end(1), an_attempt(2, task=1, epoch=2)]
        assert reader.run_attempts(1) == reader.attempts(1)
        assert reader.run_attempts(2) == []
        assert reader.task(2) is None
    store.commit(a_batch([AttemptChanged(an_end(2)._replace(task=TaskId(1), epoch=2))], results=((1, None),)))
    assert store.results_of([1]) == {}


def test_runs_come_newest_first_with_their_counts(reader: Reader) -> None:
    runs = reader.runs()
    assert [run.row.id for run in runs] == [3, 2, 1]
    assert runs[2].counts == {"ready": 2, "failed": 1}
    assert runs[2].about == '{"kind": "queue"}'
    assert [run.row.id for run in reader.runs(limit=1, before=3)] == [2]
    assert reader.counts() == {"ready": 6, "failed": 1}
    assert (reader.last_task(), reader.last_seq()) == (7, 4)
    reader.close()


def test_a_run_is_found_by_id_or_as_the_newest_of_its_name(store: Store) -> None:
    for number in (1, 2):
        store.commit(a_batch([a_run(number, name="digits")]))
    with store.reader() as reader:
        found = [reader.run(name) for name in ("1", "digits", "3", "none", "9" * 30, "²")]
    assert [run and run.row.id for run in found] == [1, 2, None, None, None, None]


def test_a_reader_beside_a_writer_sees_each_commit_whole_and_never_waits(store: Store) -> None:
    reader = store.reader()
    for number in range(1, 30):
        store.commit(a_submission(3, run=number, first=number * 3 - 2))
        assert reader.count() == number * 3
    reader.close()


SEVERAL: dict[str, Callable[[Reader], object]] = {
    "run": lambda reader: reader.run("1"),
    "runs": lambda reader: reader.runs(),
    "page": lambda reader: reader.page(TaskFilter()),
    "groups": lambda reader: reader.groups(),
}
"""Questions that take several statements."""
SOURCE = SourceRow(RunId(1), "bench", "default", 0, SourceState.OPEN, False, 0, 0, 0, "", 1_000, None)


@pytest.mark.parametrize("question", SEVERAL)
def test_what_is_committed_between_two_statements_of_an_answer_is_not_in_it(store: Store, question: str) -> None:
    """Else a run that has just got its last task could pass for one without tasks and without more to come: as over."""
    ask = SEVERAL[question]
    plan = SourcePlan((TemplateNode(SPEC.request, completes=True),))
    store.commit(a_batch([a_run(), SourceAdded(SOURCE, plan, "{}")]))
    store.commit(a_submission(run=2))
    bring = TaskAdded(a_task(2), SPEC, "{}", ())
    exhaust = SourceChanged(SOURCE._replace(state=SourceState.EXHAUSTED))
    hold = GroupChanged("held", 0, True)
    with store.reader() as reader:
        asked: list[str] = []
        last: list[str] = []

        def note(_cursor: object, sql: str, _bindings: object) -> bool:
            if sql not in ("BEGIN", "COMMIT"):
                asked.append(sql)
                if asked == last:
                    store.commit(a_batch([bring, exhaust, hold]))
            return True

        reader._connection.exec_trace = note
        before = ask(reader)
        last, asked[:] = asked[:], []
        assert len(last) > 1
        assert ask(reader) == before
        assert ask(reader) != before


def test_no_question_leaves_its_transaction_open_though_it_fails(store: Store) -> None:
    store.commit(a_submission())
    with store.reader() as reader:
        assert reader.run("1") is not None
        assert not reader._connection.in_transaction
        store._writer.execute("DELETE FROM specs")
        with pytest.raises(StoreDamaged):
            reader.tasks()
        assert not reader._connection.in_transaction
        assert reader.count() == 1


def test_many_threads_read_while_one_writes(store: Store) -> None:
    counts: list[int] = []
    reader = store.reader()

    def read() -> None:
        counts.extend(len(reader.tasks()) for _ in range(40))

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(1, 20):
        store.commit(a_submission(2, run=number, first=number * 2 - 1))
    for thread in threads:
        thread.join(timeout=30)
    assert len(counts) == 160
    assert all(count % 2 == 0 for count in counts)
    reader.close()


def test_a_store_is_read_without_an_engine(home: Home) -> None:
    store = Store.open(home)
    store.commit(a_submission(2))
    store.close()
    with Reader.open(home) as reader:
        assert reader.count() == 2


def test_a_reader_cannot_write(store: Store) -> None:
    reader = store.reader()
    with pytest.raises(Exception, match=r"readonly|read-only"):
        reader._connection.execute("DELETE FROM tasks")
    reader.close()


def test_a_home_without_a_store_has_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(StoreMissing):
        Reader.open(Home(tmp_path))
    assert StoreMissing.exit_code == 3


def test_a_task_whose_spec_is_gone_is_damage(store: Store) -> None:
    store.commit(a_submission())
    store._writer.execute("DELETE FROM specs")
    with store.reader() as reader, pytest.raises(StoreDamaged, match="spec of task 1"):
        reader.tasks()
    with pytest.raises(StoreDamaged, match="spec of task 1"):
        store.load()


def test_samples_are_kept_in_the_order_of_time(store: Store) -> None:
    samples = [Sample(1, at, "GPU-0", 50, 1_000, 90_000) for at in (2_000, 1_000)]
    store.record_samples(samples)
    store.record_samples(samples[:1])
    store.record_samples([])
    with store.reader() as reader:
        assert reader.samples(1) == [samples[1], samples[0]]
        assert reader.samples(2) == []


def test_a_sample_that_cannot_be_kept_is_refused(store: Store) -> None:
    with pytest.raises(StoreRefused):
        store.record_samples([Sample(1, 2**70, "GPU-0", 1, 1, 1)])
