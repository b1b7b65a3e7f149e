"""A backup is a whole store of its own, taken while the engine writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from passloop.store.database import Store
from passloop.store.errors import StoreFull
from passloop.store.home import Home
from tests.support.store_rows import a_submission


def test_a_backup_is_private_and_leaves_nothing_beside_it(home: Home, store: Store) -> None:
    store.commit(a_submission())
    before = {path.name for path in home.path.iterdir()}
    assert store.backup() == home.backup
    assert store.backup().stat().st_mode & 0o777 == 0o600
    assert {path.name for path in home.path.iterdir()} == before | {"backup.sqlite"}


def test_a_backup_that_cannot_be_written_leaves_the_old_one(store: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreFull, match="cannot be written"):
        store.backup(tmp_path / "none" / "copy.sqlite")
