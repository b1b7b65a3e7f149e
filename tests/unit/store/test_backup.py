"""A backup is a whole store of its own, taken while the engine writes."""

from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path

import pytest

from passloop.store import backup
from passloop.store.database import Store
from passloop.store.errors import StoreError, StoreFull
from passloop.store.home import Home
from tests.support.file_sizes import files_up_to
from tests.support.sick_home import rows_in
from tests.support.store_rows import a_submission

F_OFD_SETLK = 37
"""Of Linux (fcntl.h): Python 3.11 has no name for it."""


def test_a_backup_is_private_and_leaves_nothing_beside_it(home: Home, store: Store) -> None:
    store.commit(a_submission())
    before = {path.name for path in home.path.iterdir()}
    assert store.backup() == home.backup
    assert store.backup().stat().st_mode & 0o777 == 0o600
    assert {path.name for path in home.path.iterdir()} == before | {"backup.sqlite"}


def test_copies_to_one_file_at_once_are_both_whole_and_touch_nothing_else(
    home: Home, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second began by removing what the first was filling, which then gave it a name though it was half."""
    store.commit(a_submission())
    target = tmp_path / "copy"
    (tmp_path / "copy.part").write_text("a user's own")
    for name in ("copy.00ff00ff.part", "copy.00ff00ff.part-journal"):
        (tmp_path / name).write_text("of a copy that died")
        os.utime(tmp_path / name, (0, 0))

    def copy_while_another_is_made(name: str) -> None:
        monkeypatch.setattr(backup, "crashpoint", lambda _name: None)
        if name == "before_backup":
            first = {path.name for path in tmp_path.iterdir()}
            store.backup(target)
            assert {path.name for path in tmp_path.iterdir()} == first | {"copy"}
            target.unlink()

    monkeypatch.setattr(backup, "crashpoint", copy_while_another_is_made)
    store.backup(target)
    assert {path.name for path in tmp_path.iterdir()} - {home.path.name} == {"copy", "copy.part"}
    rows = rows_in(target)
    assert len(rows["tasks"]) == 1
    assert ("copied",) in rows["meta"]


def test_a_copy_is_made_where_locks_of_files_and_of_their_bytes_are_one(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On NFS `flock` locks the bytes, for another owner than SQLite's: a lock of ours would keep SQLite out."""
    whole = struct.pack("hhqqi", fcntl.F_WRLCK, 0, 0, 0, 0)
    monkeypatch.setattr(fcntl, "flock", lambda file, _how: fcntl.fcntl(file, F_OFD_SETLK, whole))
    store.commit(a_submission())
    store.backup(tmp_path / "copy")
    assert len(rows_in(tmp_path / "copy")["tasks"]) == 1


def test_a_backup_that_cannot_be_written_leaves_the_old_one(home: Home, store: Store, tmp_path: Path) -> None:
    """For want of room it is a full disk, and nothing else is."""
    store.commit(a_submission())
    old = store.backup().read_bytes()
    with pytest.raises(StoreError, match="cannot be written: No such file") as refused:
        store.backup(tmp_path / "none" / "copy.sqlite")
    assert (type(refused.value), refused.value.hint) == (StoreError, f"Look: ls -ld {tmp_path / 'none'}")
    with files_up_to(4_096), pytest.raises(StoreFull):
        store.backup()
    assert home.backup.read_bytes() == old
