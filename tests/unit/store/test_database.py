"""What is committed is loaded, whole or not at all, and fences hold inside the transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from passloop.kernel.changes import (
    AttemptChanged,
    Change,
    DurationLearned,
    GroupChanged,
    PoolChanged,
    SettingChanged,
    TaskAdded,
    TaskChanged,
)
from passloop.kernel.events import GroupHeld
from passloop.kernel.saved import Saved, SavedTask
from passloop.kernel.tasks import Dependency, OutcomeKind, RunRow, TaskSpec, TaskState
from passloop.store.database import Store
from passloop.store.errors import StoreMissing, StoreRefused
from passloop.store.home import Home
from passloop.store.mark import Mark
from tests.support.builders import World
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
    started,
)

SUCCEEDED = {"state": TaskState.SUCCEEDED, "outcome": OutcomeKind.SUCCESS, "exit_code": 0, "ended_at": 2_000}


def test_a_new_store_is_empty(store: Store) -> None:
    assert store.load() == Saved()
    assert store.last_seq == 0


def test_of_a_fact_that_changes_twice_in_one_turn_the_last_is_kept(store: Store) -> None:
    store.commit(a_batch([SettingChanged("draining", "true"), SettingChanged("draining", "false")]))
    assert store.load().settings == (SettingChanged("draining", "false"),)


def test_every_kind_of_row_is_loaded_as_it_was_committed(store: Store) -> None:
    task = a_full_task()
    changes: tuple[Change, ...] = (
        a_run(),
        TaskAdded(task, SPEC, "{}", EVERY_DEPENDENCY),
        AttemptChanged(an_attempt()),
        PoolChanged("cpu", "amount", '{"free": 1}'),
        GroupChanged("default", 12, True),
        DurationLearned("train", "train.py", 99),
        SettingChanged("draining", "true"),
    )
    store.commit(a_batch(changes, now=4_000))
    assert store.load() == Saved(
        tasks=(SavedTask(task, SPEC, EVERY_DEPENDENCY),),
        runs=(RunRow(1, "run-1", "default", 1_000),),
        attempts=(an_attempt(),),
        pools=(PoolChanged("cpu", "amount", '{"free": 1}'),),
        groups=(GroupChanged("default", 12, True),),
        durations=(DurationLearned("train", "train.py", 99),),
        settings=(SettingChanged("draining", "true"),),
        next_run=2,
        next_task=2,
        next_attempt=2,
        last_now=4_000,
    )


def test_a_machine_and_the_store_agree_after_every_turn(store: Store) -> None:
    world = World(gpus=2, cpus=4)
    first = world.submit_many(gpus=1, n=3, limit=60_000)
    world.submit(cpus=1, after=[first[0]], name="later")
    world.submit(cpus=1, after_any=[first[1]])
    world.hold(first[2])
    world.end(first[0])
    world.end(first[1], "failure", stray=True, exit_code=3)
    world.submit(cpus=64, wait_for_capacity=True, refuse_impossible=False)
    for turn, (events, now, seed) in zip(world.turns, world.batches, strict=True):
        store.commit(replace(a_batch(turn.changes, *events, now=now), seed=seed))
    expected, loaded = world.rows.saved(), store.load()
    assert loaded.tasks == expected.tasks
    assert loaded.runs == expected.runs
    assert loaded.attempts == expected.attempts
    assert loaded.known == expected.known
    assert loaded.durations == expected.durations
    assert loaded.settings == tuple(sorted(expected.settings))
    assert loaded.pools == tuple(sorted(expected.pools))
    assert loaded.groups == tuple(sorted(expected.groups))
    assert (loaded.next_run, loaded.next_task, loaded.next_attempt, loaded.last_now) == (
        expected.next_run,
        expected.next_task,
        expected.next_attempt,
        expected.last_now,
    )


def test_a_row_is_replaced_by_what_it_is_now(store: Store) -> None:
    store.commit(a_submission())
    changed = a_full_task()._replace(run=1, index=0, key=None, submitted_at=1_000)
    store.commit(a_batch([TaskChanged(changed), GroupChanged("default", 1, False)]))
    store.commit(a_batch([GroupChanged("default", 2, False)]))
    assert [saved.row for saved in store.load().tasks] == [changed]
    assert store.load().groups == (GroupChanged("default", 2, False),)


def test_what_is_over_is_not_loaded(store: Store) -> None:
    store.commit(a_submission(2))
    store.commit(a_batch([started(1)]))
    store.commit(a_batch([TaskChanged(a_task(1, **SUCCEEDED)), AttemptChanged(an_end(1))]))
    saved = store.load()
    assert [one.row.id for one in saved.tasks] == [2]
    assert saved.attempts == ()


def test_a_stray_of_a_final_task_is_loaded_with_its_task_and_run(store: Store) -> None:
    store.commit(a_submission())
    stray = an_end(1)._replace(state="stray")
    store.commit(a_batch([TaskChanged(a_task(1, **SUCCEEDED)), AttemptChanged(stray)]))
    assert store.load().attempts == (stray,)
    assert [one.row.id for one in store.load().tasks] == [1]
    assert [run.id for run in store.load().runs] == [1]


def test_final_states_of_dependencies_of_live_tasks_are_known(store: Store) -> None:
    store.commit(a_submission(2, first=1))
    waiting = a_task(3, state=TaskState.WAITING)
    store.commit(a_batch([TaskAdded(waiting, SPEC, "{}", (Dependency(1), Dependency(2)))]))
    store.commit(a_batch([TaskChanged(a_task(1, **SUCCEEDED))]))
    assert store.load().known == ((1, "succeeded"),)


def test_equal_specs_are_one_object_after_a_load(store: Store) -> None:
    store.commit(a_submission(2))
    store.commit(a_submission(1, run=2, first=3))
    specs = {id(one.spec) for one in store.load().tasks}
    assert len(specs) == 1


def test_specs_of_tasks_are_not_mixed_up(store: Store) -> None:
    other = TaskSpec(SPEC.request, driver="calls")
    store.commit(a_batch([a_run(), TaskAdded(a_task(1), SPEC, "{}", ()), TaskAdded(a_task(2), other, "{}", ())]))
    assert [one.spec.driver for one in store.load().tasks] == ["processes", "calls"]


def test_the_last_thousand_durations_of_a_class_are_loaded_oldest_first(store: Store) -> None:
    many = [DurationLearned("a", "", n) for n in range(1_005)]
    store.commit(a_batch([*many, DurationLearned("b", "", 7)]))
    learned = store.load().durations
    assert [one.millis for one in learned if one.task_class == "a"] == list(range(5, 1_005))
    assert [one.millis for one in learned if one.task_class == "b"] == [7]


def test_durations_that_are_not_loaded_any_more_are_dropped_at_the_next_start(home: Home) -> None:
    store = Store.open(home)
    store.commit(a_batch([DurationLearned("a", "", n) for n in range(1_005)]))
    before = store.load().durations
    store.close()
    store = Store.open(home)
    assert store.load().durations == before
    assert store._writer.execute("SELECT count(*) FROM durations").get == 1_000
    store.close()


def test_an_ended_attempt_is_never_overwritten_and_nothing_of_the_batch_stays(store: Store) -> None:
    store.commit(a_submission(2))
    store.commit(a_batch([started(1)]))
    store.commit(a_batch([AttemptChanged(an_end(1))]))
    before = store.load()
    with pytest.raises(StoreRefused, match="ended attempt"):
        store.commit(a_batch([TaskChanged(a_task(2, priority=9)), started(1)], now=9_000))
    assert store.load() == before
    assert store.last_seq == 3


def test_an_attempt_never_changes_its_epoch(store: Store) -> None:
    store.commit(a_submission())
    store.commit(a_batch([started(1, epoch=2)]))
    with pytest.raises(StoreRefused):
        store.commit(a_batch([AttemptChanged(an_end(1, epoch=1))]))


def test_two_attempts_never_share_an_epoch(store: Store) -> None:
    store.commit(a_submission())
    store.commit(a_batch([started(1)]))
    with pytest.raises(StoreRefused):
        store.commit(a_batch([started(2, task=1)]))


def test_a_final_task_never_changes_but_for_what_retries_it(store: Store) -> None:
    store.commit(a_submission())
    final = a_task(1, **SUCCEEDED)
    store.commit(a_batch([TaskChanged(final)]))
    store.commit(a_batch([TaskChanged(final._replace(retried_by=7))]))
    for field, value in {"state": TaskState.READY, "exit_code": 1, "outcome": None, "ended_at": 1}.items():
        with pytest.raises(StoreRefused, match="final task"):
            store.commit(a_batch([TaskChanged(final._replace(**{field: value}))]))


def test_ids_in_use_and_unknown_tasks_are_refused(store: Store) -> None:
    store.commit(a_submission())
    with pytest.raises(StoreRefused):
        store.commit(a_submission())
    with pytest.raises(StoreRefused, match="1 of 2 changed tasks"):
        store.commit(a_batch([TaskChanged(a_task(1)), TaskChanged(a_task(99))]))


@pytest.mark.parametrize("message", ["\ud800", "x" * 3 + "\udfff"])
def test_text_that_cannot_be_kept_is_refused_and_the_store_goes_on(store: Store, message: str) -> None:
    store.commit(a_submission())
    with pytest.raises(StoreRefused):
        store.commit(a_batch([TaskChanged(a_task(1, message=message))]))
    with pytest.raises(StoreRefused):
        store.commit(a_batch([], GroupHeld(message)))
    store.commit(a_batch([TaskChanged(a_task(1, message="fine"))]))


def test_a_number_that_cannot_be_kept_is_refused(store: Store) -> None:
    store.commit(a_submission())
    with pytest.raises(StoreRefused):
        store.commit(a_batch([TaskChanged(a_task(1, priority=2**70))]))


def test_keys_find_their_newest_task(store: Store) -> None:
    store.commit(a_submission(1, key="k"))
    store.commit(a_batch([TaskChanged(a_task(1, key="k", **SUCCEEDED))]))
    store.commit(a_submission(1, run=2, first=2, key="k"))
    store.commit(a_submission(1, run=3, first=3, key="other"))
    assert store.find_keys(["k", "none"]) == {"k": (2, TaskState.READY)}
    assert store.find_keys([]) == {}


def test_states_and_payloads_are_found_by_task(store: Store) -> None:
    store.commit(a_submission(2, payload='{"name": "x"}'))
    assert store.states_of([1, 2, 3]) == {1: TaskState.READY, 2: TaskState.READY}
    assert store.payloads_of([2, 3]) == {2: '{"name": "x"}'}


def test_an_environment_is_stored_once(store: Store) -> None:
    for _ in range(2):
        store.commit(a_batch([], environments=(("ab12", '{"HOME": "/root", "X": "ä"}'),)))
    assert store.environment("ab12") == {"HOME": "/root", "X": "ä"}
    assert store.environment("none") == {}


def test_ids_grow_over_restarts_and_removals(home: Home) -> None:
    store = Store.open(home)
    store.commit(a_submission(3))
    store.commit(a_batch([TaskChanged(a_task(n, **SUCCEEDED)) for n in (1, 2, 3)]))
    assert store.remove_tasks([1, 2, 3]) == (1, 2, 3)
    store.close()
    store = Store.open(home)
    saved = store.load()
    store.close()
    assert (saved.next_run, saved.next_task) == (2, 4)


def test_the_home_keeps_its_id(home: Home) -> None:
    first = Store.open(home)
    number = first.home_id
    first.close()
    second = Store.open(home)
    second.close()
    assert second.home_id == number
    assert len(number) == 8
    assert int(number, 16) >= 0


def test_the_files_of_a_store_are_private(home: Home, store: Store) -> None:
    store.commit(a_submission())
    modes = {path.name: path.stat().st_mode & 0o777 for path in home.path.iterdir()}
    assert set(modes.values()) == {0o600}
    assert "store.sqlite-wal" in modes


def test_no_store_is_made_if_none_is_wanted(home: Home) -> None:
    with pytest.raises(StoreMissing):
        Store.open(home, create=False)
    assert not home.database.exists()


LOOK_UPS: dict[str, Callable[[Store], object]] = {
    "keys": lambda store: store.find_keys(["a"]),
    "states": lambda store: store.states_of([1]),
    "runs": lambda store: store.runs_there([1]),
    "payloads": lambda store: store.payloads_of([1]),
    "results": lambda store: store.results_of([1]),
}


@pytest.mark.parametrize("name", LOOK_UPS)
def test_threads_look_up_one_after_the_other(name: str, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """They share a connection, which takes a second one at a time for damage of the store."""
    taken: list[str] = []

    @contextmanager
    def lock() -> Iterator[None]:
        taken.append(name)
        yield

    with monkeypatch.context() as patch:
        patch.setattr(store, "_reading", lock())
        LOOK_UPS[name](store)
    assert taken == [name]


def test_removal_spares_what_is_live_or_still_waited_for(store: Store) -> None:
    store.commit(a_submission(4))
    waiting = a_task(5, state=TaskState.WAITING)
    store.commit(a_batch([TaskAdded(waiting, SPEC, "{}", (Dependency(2),))]))
    stray = an_attempt(3)._replace(state="stray")
    ends = [TaskChanged(a_task(n, **SUCCEEDED)) for n in (1, 2, 3)]
    store.commit(a_batch([*ends, AttemptChanged(stray), AttemptChanged(an_end(1))]))
    assert store.remove_tasks([1, 2, 3, 4, 5, 99]) == (1,)
    assert set(store.states_of(range(10))) == {2, 3, 4, 5}
    assert store.payloads_of([1]) == {}


def test_a_removal_is_a_batch_without_events_that_the_mark_counts(store: Store) -> None:
    store.commit(a_submission(2))
    store.commit(a_batch([TaskChanged(a_task(1, **SUCCEEDED))]))
    assert store.remove_tasks([2]) == ()
    assert (store.last_seq, Mark(store.home.mark).read()) == (2, 2)
    before = store.load()
    assert store.remove_tasks([1], at=5_000) == (1,)
    assert (store.last_seq, Mark(store.home.mark).read(), store.load()) == (3, 3, before)
    with store.reader() as reader:
        row = reader.journal()[-1]
    assert (row.seq, row.now, row.at, row.events, row.touched) == (3, before.last_now, 5_000, "[]", "[]")
    assert (row.first_run, row.first_task, row.first_attempt) == (row.next_run, row.next_task, row.next_attempt)
    assert store.commit(a_batch([])) == 4


def test_a_run_goes_with_its_last_task(store: Store) -> None:
    store.commit(a_submission(2))
    store.commit(a_batch([TaskChanged(a_task(1, **SUCCEEDED))]))
    store.remove_tasks([1])
    with store.reader() as reader:
        assert [run.row.id for run in reader.runs()] == [1]
    store.commit(a_batch([TaskChanged(a_task(2, **SUCCEEDED))]))
    store.remove_tasks([2])
    with store.reader() as reader:
        assert reader.runs() == []
