"""The journal has every batch, in order, and shows what was altered."""

from __future__ import annotations

import apsw
import pytest

from passloop.kernel.changes import TaskChanged
from passloop.kernel.events import Cancelled, GroupHeld
from passloop.kernel.ids import TaskId
from passloop.kernel.tasks import TaskState
from passloop.store.connection import open_writing
from passloop.store.database import Store
from passloop.store.errors import StoreDamaged
from passloop.store.home import Home
from passloop.store.journal import Touched
from tests.support.store_rows import a_batch, a_submission, a_task


def fill(home: Home) -> None:
    store = Store.open(home)
    store.commit(a_submission(3))
    store.commit(a_batch([], GroupHeld("g"), now=2_000, first_ids=(2, 4, 1)))
    changes = [TaskChanged(a_task(n, state=TaskState.CANCELLED)) for n in (1, 2)]
    store.commit(a_batch(changes, Cancelled((TaskId(1), TaskId(2))), now=3_000))
    store.close()


@pytest.fixture
def writer(home: Home) -> apsw.Connection:
    fill(home)
    return open_writing(home.database)


def test_rows_tell_what_went_in_and_what_it_touched(home: Home) -> None:
    fill(home)
    store = Store.open(home)
    with store.reader() as reader:
        rows = reader.journal()
        assert [row.seq for row in reader.journal(after=1, limit=1)] == [2]
        assert reader.journal(after=3) == []
    store.close()
    assert [(row.seq, row.now) for row in rows] == [(1, 1_000), (2, 2_000), (3, 3_000)]
    assert rows[0].touched_tasks() == (Touched(1, 3, "ready"),)
    assert rows[2].touched_tasks() == (Touched(1, 2, "cancelled"),)
    assert rows[1].decoded_events() == (GroupHeld("g"),)
    assert (rows[0].first_task, rows[0].next_task) == (1, 4)


def test_touched_tasks_with_other_states_or_gaps_are_ranges_of_their_own(store: Store) -> None:
    store.commit(a_submission(5))
    states = {1: TaskState.HELD, 2: TaskState.HELD, 3: TaskState.READY, 5: TaskState.READY}
    store.commit(a_batch([TaskChanged(a_task(n, state=state)) for n, state in states.items()]))
    with store.reader() as reader:
        (row,) = reader.journal(after=1)
    assert row.touched_tasks() == (Touched(1, 2, "held"), Touched(3, 1, "ready"), Touched(5, 1, "ready"))


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE journal SET events = replace(events, 'g', 'h') WHERE seq = 2",
        "UPDATE journal SET events = substr(events, 1, 10) WHERE seq = 1",
        "UPDATE journal SET now = now + 1 WHERE seq = 2",
        "UPDATE journal SET seed = 0 WHERE seq = 3",
        "UPDATE journal SET touched = '[]' WHERE seq = 1",
        "UPDATE journal SET next_task = 1 WHERE seq = 3",
        "UPDATE journal SET checksum = '' WHERE seq = 3",
        "DELETE FROM journal WHERE seq = 2",
        "DELETE FROM journal WHERE seq = 3",
        "DELETE FROM journal",
    ],
)
def test_a_row_that_was_altered_or_taken_out_is_noticed_at_the_start(
    home: Home, writer: apsw.Connection, damage: str
) -> None:
    writer.execute(damage)
    writer.close()
    with pytest.raises(StoreDamaged, match="doctor --repair"):
        Store.open(home)
