"""Checks of the store: the SQLite in use, the database whole, attempts that nobody watches. Nothing is changed."""

from __future__ import annotations

from pathlib import Path

from passloop.cli.checks.finding import Check, Finding, Place, fail, ok, warn
from passloop.cli.client import Client
from passloop.cli.reads import Ask
from passloop.cli.store_reads import StoreReads
from passloop.cli.wording import counted, ids_text
from passloop.passing import Passing
from passloop.store.connection import check_version
from passloop.store.errors import StoreError, StoreUnreadable
from passloop.store.home import Home
from passloop.store.integrity import check_home
from passloop.store.linked import linked_sqlite

__all__ = ["STORE_CHECKS"]

_UNDER_WAY = ("state:admitted", "state:running", "state:stopping")


def _sqlite(_place: Place) -> Finding:
    version = linked_sqlite()
    try:
        check_version(version)
    except StoreError as refused:
        return fail(refused.message, refused.hint)
    return ok(f"SQLite {version}, without the defect of its write-ahead log")


def _whole(place: Place) -> Finding:
    home = Home(Path(place.home))
    if not home.path.exists():
        return ok("nothing is stored yet")
    try:
        check_home(home)
    except StoreError as found:
        if isinstance(found, Passing):
            is_damage = isinstance(found, StoreUnreadable)
            return fail(f"could not be checked: {found.message}", found.hint, is_damage=is_damage)
        return fail(found.message, found.hint or "passloop doctor --repair", is_damage=True)
    return ok("every page and every journal row is whole" if home.database.exists() else "nothing is stored yet")


def _unwatched(place: Place) -> Finding:
    """Attempts that are under way according to the store while no engine runs."""
    if Client(place.home).alive():
        return ok("the engine watches what runs")
    try:
        tasks = StoreReads(place.home).tasks(Ask(_UNDER_WAY))["tasks"]
    except StoreError as found:
        if isinstance(found, Passing):
            return warn("cannot be told: the store could not be read", found.hint)
        return warn("cannot be told from a damaged store", "passloop doctor --repair")
    if not tasks:
        return ok("nothing is under way")
    ids = ids_text(task["id"] for task in tasks)
    return warn(f"{counted(len(tasks), 'task')} under way and no engine to watch: {ids}", "passloop up")


STORE_CHECKS = (
    Check("sqlite", _sqlite),
    Check("store", _whole),
    Check("unwatched work", _unwatched),
)
