"""A home keeps its id, whoever made its store, and is never two."""

from __future__ import annotations

import pytest

from passloop.store.connection import open_writing
from passloop.store.database import Store
from passloop.store.errors import StoreDamaged
from passloop.store.home import Home
from passloop.store.integrity import check_home
from passloop.store.repair import repair
from tests.support.damage import lose_meta_of
from tests.support.store_rows import a_submission

FIRST_PAGE = "PRAGMA application_id"
IN_META = "SELECT value FROM meta WHERE name = 'home_id'"


def id_in(home: Home, place: str, change: str = "") -> object:
    """What a place of a closed store says, after it was changed by a statement if there is one."""
    connection = open_writing(home.database)
    connection.execute(change)
    found = connection.execute(place).get
    connection.close()
    return found


@pytest.mark.parametrize("home_id", ["00000001", "7fffffff", "80000000", "ffffffff"])
def test_a_home_of_an_earlier_version_keeps_its_id(home: Home, home_id: str) -> None:
    """That had it in `meta` alone; from now on either place would do."""
    Store.open(home).close()
    as_it_was = f"PRAGMA application_id = 0; UPDATE meta SET value = '{home_id}' WHERE name = 'home_id'"
    assert id_in(home, FIRST_PAGE, as_it_was) == 0
    for forgotten in ("", "DELETE FROM meta WHERE name = 'home_id'", "PRAGMA application_id = 0"):
        id_in(home, FIRST_PAGE, forgotten)
        store = Store.open(home)
        store.close()
        assert store.home_id == home_id
    assert id_in(home, IN_META) == home_id


def test_an_odd_id_of_an_earlier_version_stays(home: Home) -> None:
    Store.open(home).close()
    id_in(home, IN_META, "PRAGMA application_id = 0; UPDATE meta SET value = 'odd' WHERE name = 'home_id'")
    for _ in range(2):
        store = Store.open(home)
        store.close()
        assert store.home_id == "odd"


def test_a_store_with_two_ids_is_damaged_and_a_repair_keeps_that_of_its_first_page(home: Home) -> None:
    store = Store.open(home)
    store.commit(a_submission())
    store.close()
    id_in(home, IN_META, "UPDATE meta SET value = '0badcafe' WHERE name = 'home_id'")
    for looks in (Store.open, check_home):
        with pytest.raises(StoreDamaged, match=f"this home is {store.home_id}, and that it is 0badcafe") as refused:
            looks(home)
        assert (refused.value.exit_code, "doctor --repair" in refused.value.hint) == (4, True)
    assert f"this home is {store.home_id}" in repair(home).problem
    check_home(home)
    assert id_in(home, IN_META) == store.home_id


def test_a_repair_from_a_backup_without_its_page_of_meta_keeps_the_id(home: Home) -> None:
    store = Store.open(home)
    store.commit(a_submission())
    store.backup()
    store.close()
    lose_meta_of(home.backup)
    home.database.write_bytes(b"x" * 10_000)
    repair(home)
    assert id_in(home, IN_META) == store.home_id
