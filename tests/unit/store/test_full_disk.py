"""A disk that takes no more loses nothing that was acknowledged, and work goes on when there is room."""

from __future__ import annotations

import errno
from pathlib import Path

import apsw
import pytest

from passloop.store.connection import open_writing, translated
from passloop.store.database import Store
from passloop.store.errors import (
    HomeRefused,
    StoreBusy,
    StoreDamaged,
    StoreError,
    StoreFull,
    StoreRefused,
    StoreUnreadable,
    full_disk,
)
from passloop.store.home import Home, HomeLock
from passloop.store.integrity import check_home
from tests.support.file_sizes import files_up_to
from tests.support.store_rows import a_submission


def test_a_batch_that_does_not_fit_is_not_kept_and_can_be_tried_again(store: Store, home: Home) -> None:
    store.commit(a_submission(3))
    before = store.load()
    big = a_submission(200, run=2, first=4, payload='{"name": "' + "x" * 2_000 + '"}')
    with files_up_to(100_000):
        for _ in range(3):
            with pytest.raises(StoreFull, match="cannot be written") as full:
                store.commit(big)
            assert "Free space" in full.value.hint
            assert full.value.exit_code == 5
            assert store.load() == before
    assert store.commit(big) == 2
    assert len(store.load().tasks) == 203
    store.close()
    check_home(home)


def test_a_small_batch_still_fits_beside_a_big_one_that_does_not(store: Store) -> None:
    store.commit(a_submission(3))
    with files_up_to(300_000):
        with pytest.raises(StoreFull):
            store.commit(a_submission(400, run=2, first=4, payload='{"name": "' + "x" * 2_000 + '"}'))
        assert store.commit(a_submission(1, run=2, first=4)) == 2
    assert len(store.load().tasks) == 4


def test_an_engine_that_dies_on_a_full_disk_leaves_what_was_acknowledged(home: Home) -> None:
    store = Store.open(home)
    store.commit(a_submission(3))
    with files_up_to(100_000), pytest.raises(StoreFull):
        store.commit(a_submission(400, run=2, first=4, payload='{"name": "' + "x" * 2_000 + '"}'))
    other = Store.open(home)
    assert len(other.load().tasks) == 3
    other.close()
    store.close()


@pytest.mark.parametrize(
    ("raised", "ours"),
    [
        (apsw.FullError, StoreFull),
        (apsw.IOError, StoreFull),
        (apsw.CorruptError, StoreDamaged),
        (apsw.NotADBError, StoreDamaged),
        (apsw.SQLError, StoreDamaged),
        (apsw.ConstraintError, StoreRefused),
        (apsw.BusyError, StoreBusy),
        (apsw.LockedError, StoreBusy),
        (apsw.CantOpenError, HomeRefused),
        (apsw.ReadOnlyError, HomeRefused),
    ],
)
def test_each_error_of_sqlite_becomes_one_of_ours_that_names_the_file(
    raised: type[apsw.Error], ours: type[StoreError]
) -> None:
    with pytest.raises(ours, match="the/store"), translated(Path("the/store")):
        raise raised("because")


def test_a_disk_that_cannot_be_read_is_not_called_full() -> None:
    """Whoever freed space was told the same again, for good. An engine that runs tries it again as before."""
    error = apsw.IOError("disk I/O error")
    error.extendedresult = apsw.SQLITE_IOERR_READ
    with (
        pytest.raises(StoreUnreadable, match="the/store cannot be read: disk I/O error") as found,
        translated(Path("the/store")),
    ):
        raise error
    assert (found.value.exit_code, isinstance(found.value, StoreFull)) == (4, True)
    assert "Free space" not in found.value.hint
    assert "copy what can be read of the to another one" in found.value.hint


def test_a_transaction_that_somebody_else_holds_is_waited_for_and_then_named(home: Home) -> None:
    store = Store.open(home)
    other = open_writing(home.database)
    other.execute("BEGIN IMMEDIATE")
    store._writer.set_busy_timeout(1)
    with pytest.raises(StoreBusy, match="locked by another process"):
        store.commit(a_submission())
    other.execute("ROLLBACK")
    other.close()
    assert store.commit(a_submission()) == 1
    store.close()


@pytest.mark.parametrize(
    ("number", "said", "hint"),
    [
        (errno.ENOSPC, "disk full: the/home cannot be written: ", "Free space"),
        (errno.EDQUOT, "disk full: the/home cannot be written: ", "Free space"),
        (errno.EFBIG, "the/home cannot be written: ", "ulimit -f"),
    ],
)
def test_a_want_of_room_is_told_as_one_by_disk_quota_or_limit(number: int, said: str, hint: str) -> None:
    full = full_disk("the/home", OSError(number, "no"))
    assert full is not None
    assert full.message == f"{said}no"
    assert hint in full.hint
    assert full_disk("the/home", PermissionError(errno.EACCES, "no")) is None


def test_a_lock_that_cannot_be_written_is_a_full_disk_and_is_given_back(home: Home) -> None:
    with files_up_to(0), pytest.raises(StoreFull, match="lock cannot be written"):
        HomeLock(home).acquire()
    with HomeLock(home):
        before = home.lock.stat()
    home.lock.write_bytes(b"1234567\n")
    with HomeLock(home):
        assert home.lock.stat().st_size == before.st_size, "what is longer is cut"


def test_a_home_that_cannot_be_made_for_want_of_room_is_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(StoreFull, match="disk full"):
        Home(tmp_path / "new").prepare()
