"""Tells a whole store from a damaged one. It only looks; `repair.py` acts."""

from __future__ import annotations

import contextlib
import os
from contextlib import closing
from pathlib import Path

import apsw

from .connection import PAGE_BYTES, REPAIR_HINT, has_log, open_reading, translated
from .copies import refuse_copy
from .errors import StoreDamaged, StoreMissing, StoreTooOld
from .home import Home
from .identity import check_id
from .journal import JournalRow, count_after, last_row
from .mark import Mark
from .migrate import latest_version, stored_version, too_new
from .reader import Reader
from .sql import statement

__all__ = ["check_beginning", "check_home", "check_journal", "check_pages", "check_store", "open_checked"]

LOG_HEAD_BYTES, FRAME_HEAD_BYTES = 32, 24
JOURNAL_CHECKED = 20_000
"""How many of the newest journal rows are checked at start; `doctor` checks all."""


def check_beginning(home: Home, marked: int) -> None:
    """Refuse a database that is gone or empty although the home was used: it would look like a new one."""
    logged = has_log(home.database)  # before the size: an engine that makes the store now makes its log last
    size = home.database.stat().st_size if home.database.exists() else 0
    if size == 0 and (logged or marked > 0 or home.repaired.exists() or _has_entries(home)):
        what = "is empty" if home.database.exists() else "is gone"
        raise StoreDamaged(f"{home.database} {what}, but this home was in use", hint=REPAIR_HINT)


def _has_entries(home: Home) -> bool:
    return home.runs.is_dir() and any(home.runs.iterdir())


def open_checked(home: Home) -> Reader:
    """Read the store of a home that may have no engine, but none that is gone or ends too early: who asked would take
    what is left for all there is. Raises `StoreMissing` where nothing was ever stored, `StoreDamaged`, `StoreTooOld`,
    `StoreTooNew`.
    """
    marked = Mark(home.mark).read()
    check_beginning(home, marked)
    if not home.database.exists() or home.database.stat().st_size == 0:
        raise StoreMissing(f"there is no store in {home.path}", hint="Submit something first.")
    _require_readable(home, marked)
    return Reader.open(home)


def _require_readable(home: Home, marked: int) -> None:
    with translated(home.database), closing(open_reading(home.database)) as connection:
        found = stored_version(connection)
        _require_end(_last_seq(connection), marked)
        _require_uncut(connection)
    if found > latest_version():
        raise too_new(found)
    if found < latest_version():
        raise StoreTooOld(
            f"the store in {home.path} has schema {found}, this passloop reads {latest_version()}",
            hint="Let an engine bring it to this version: passloop up",
        )


def check_home(home: Home) -> None:
    """Check all of a home's store without changing it; whether an engine has it open or not.

    Raises `StoreDamaged`. A home without a store is whole.
    """
    marked = Mark(home.mark).read()
    check_beginning(home, marked)
    if not home.database.exists() or home.database.stat().st_size == 0:
        return
    with translated(home.database):
        connection = open_reading(home.database)
        try:
            if stored_version(connection) < latest_version():
                _check_older(connection, marked)
                return
            check_store(connection, marked)
            check_journal(connection)
        finally:
            connection.close()


def check_store(connection: apsw.Connection, marked: int) -> JournalRow | None:
    """Check pages, schema, id and the newest part of the journal; returns its last row. Raises `StoreDamaged`."""
    check_pages(connection)
    check_id(connection)
    last = last_row(connection)
    found = 0 if last is None else last.seq
    _require_end(found, marked)
    refuse_copy(connection, found, marked)
    check_journal(connection, after=max(0, found - JOURNAL_CHECKED))
    return last


def check_pages(connection: apsw.Connection) -> None:
    """Read every page with its checksum, and the schema's version. Raises `StoreDamaged`, `StoreTooNew`."""
    _check_how_pages_hang_together(connection)
    found_version = stored_version(connection)
    if found_version > latest_version():
        raise too_new(found_version)
    if found_version != latest_version():
        raise StoreDamaged("the store's schema number was altered", hint=REPAIR_HINT)


def _check_older(connection: apsw.Connection, marked: int) -> None:
    """Check what can be checked of a store that the next engine brings to this version's schema."""
    _check_how_pages_hang_together(connection)
    found = _last_seq(connection)
    _require_end(found, marked)
    if found:
        refuse_copy(connection, found, marked)


def _last_seq(connection: apsw.Connection) -> int:
    """How far a store of any schema goes."""
    return int(connection.execute(statement("select_last_seq")).get) if stored_version(connection) else 0


def _require_end(found: int, marked: int) -> None:
    if found < marked:
        raise StoreDamaged(
            f"the store ends at batch {found}, but {marked} were committed: its log was cut or damaged",
            hint=REPAIR_HINT,
        )


def _check_how_pages_hang_together(connection: apsw.Connection) -> None:
    problems = [str(row[0]) for row in connection.execute("PRAGMA quick_check(10)")]
    if problems != ["ok"]:
        raise StoreDamaged(f"the store is damaged: {problems[0]}", hint=REPAIR_HINT)
    _require_uncut(connection)


def _require_uncut(connection: apsw.Connection) -> None:
    """Refuse a file that ends before its last page does: SQLite takes what is not there for zeros and checks none of
    them, so that the end of a long row would be gone without a word.

    In this order, because an engine may write its log back meanwhile: what was in neither is in none.
    """
    pages = int(connection.pragma("page_count"))
    logged = _pages_in_log(Path(connection.filename_wal))
    whole = Path(connection.filename).stat().st_size // PAGE_BYTES
    if lacking := set(range(whole + 1, pages + 1)) - logged:
        used = connection.execute("SELECT pageno FROM dbstat WHERE pageno > ?", (whole,))
        if lacking.intersection(page for (page,) in used):
            raise StoreDamaged(f"{connection.filename} was cut: it lacks the end of its rows", hint=REPAIR_HINT)


def _pages_in_log(path: Path) -> set[int]:
    """The pages that a log has, by the heads of its frames; what is left of an earlier log has other salts."""
    found: set[int] = set()
    with contextlib.suppress(FileNotFoundError), path.open("rb") as log:
        salts = log.read(LOG_HEAD_BYTES)[16:24]
        while (head := log.read(FRAME_HEAD_BYTES))[8:16] == salts and len(head) == FRAME_HEAD_BYTES:
            found.add(int.from_bytes(head[:4]))
            log.seek(PAGE_BYTES, os.SEEK_CUR)
    return found


def check_journal(connection: apsw.Connection, *, after: int = 0) -> int:
    """Check every journal row after `after` and return how many there are. Raises `StoreDamaged`."""
    return count_after(connection, after)
