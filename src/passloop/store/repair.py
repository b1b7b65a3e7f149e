"""Puts a whole store in the place of a damaged one, from what can still be read and from the last backup.

Nothing starts by itself that may have run already: tasks whose last state is not certain are
held. The damaged files are kept. Nothing readable at all is an error, never an empty store. A repair that was
interrupted is done again from the same files. Whoever calls holds the `HomeLock`.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from passloop.crashpoints import crashpoint

from .copies import is_copy
from .errors import StoreDamaged, StoreError, StoreTooNew, StoreUnreadable, unwritten
from .home import Home, sync_directory
from .identity import new_id
from .integrity import check_home
from .mark import Mark
from .rebuild import Rebuilt, rebuild
from .salvage import TABLES, Salvaged, readable_rows

__all__ = ["RepairReport", "repair"]

_LOGS = ("-wal", "-shm", "-journal")


@dataclass(frozen=True, slots=True)
class RepairReport:
    """What a repair found and did.

    `whole` means that nothing had to be done. `kept_in` holds the damaged files. `held` are the tasks that
    wait for somebody to look at them and release them, `held_running` those that ran as far as is known: what lives of
    them goes on, and nothing of them starts again until somebody does. `held_runs` are the runs that bring no more
    tasks until somebody does, `missing` the ranges of task ids that are gone (without those that users had removed, as
    far as that can still be read). `unread` are the tables of which something could not be read, however much of it
    the backup has, `unread_backup` those of the backup. `is_foreign` says that the store was a copy of another
    home's, and is this home's own now.
    """

    whole: bool
    problem: str = ""
    kept_in: Path | None = None
    from_backup: int = 0
    lost_batches: int = 0
    held: tuple[int, ...] = ()
    held_running: tuple[int, ...] = ()
    held_runs: tuple[int, ...] = ()
    missing: tuple[tuple[int, int], ...] = ()
    unread: tuple[str, ...] = ()
    unread_backup: tuple[str, ...] = ()
    is_foreign: bool = False

    def sentences(self) -> tuple[str, ...]:
        """The report for people."""
        if self.whole:
            return ("The store is whole.",)
        lines = [f"The store was repaired: {self.problem}", f"The damaged files are kept in {self.kept_in}."]
        if self.is_foreign:
            lines = [f"The store is this home's own now: {self.problem}.", f"The copy is kept in {self.kept_in}."]
        if self.lost_batches:
            lines.append(f"Last batches that could not be read: {self.lost_batches:,}; what they removed is back.")
        if self.unread == TABLES:
            lines.append("Nothing in the damaged store could be read.")
        elif self.unread:
            names = _names(self.unread)
            lines.append(
                f"Not all could be read of: {names}. What the last backup has of it, if there is one, is back, but no "
                "results of earlier attempts."
            )
        if self.unread_backup == TABLES:
            lines.append("The backup is damaged too: nothing in it could be read.")
        elif self.unread_backup:
            lines.append(f"The backup is damaged too: not all could be read of {_names(self.unread_backup)}.")
        if self.from_backup:
            lines.append(f"Tasks that are as the last backup knew them: {self.from_backup:,}.")
        if self.missing:
            spans = ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in self.missing[:20])
            lines.append(f"Tasks with these ids are gone: {spans}.")
        if self.held:
            lines.append(f"Tasks that are held: {len(self.held):,}. Look at them: passloop ls state:held")
        if self.held_running:
            number = len(self.held_running)
            lines.append(f"Tasks that ran when this was stored: {number:,}. What lives goes on; what does not is held.")
        if self.held_runs:
            runs = " ".join(f"@{run}" for run in self.held_runs)
            number = len(self.held_runs)
            lines.append(f"Runs that bring no more tasks: {number:,}. To let them go on: passloop release {runs}")
        return tuple(lines)


def _names(tables: tuple[str, ...]) -> str:
    return ", ".join(table.replace("_", " ") for table in tables)


def _nobody_knows(_home: Home) -> str | None:
    return None


def _nothing_left(_home: Home, _run: int, _task: int) -> int:
    return 0


def repair(
    home: Home,
    *,
    id_by_attempts: Callable[[Home], str | None] = _nobody_knows,
    newest_attempt: Callable[[Home, int, int], int] = _nothing_left,
) -> RepairReport:
    """Repair the store of `home` if it is damaged. `id_by_attempts` says whose the home is if neither the store nor its
    backup does, `newest_attempt` the last attempt of a run's task that left a folder, or 0. Raises `StoreDamaged` if
    nothing could be read, and `StoreFull` or `StoreOutOfFiles` if it could not be told what can be; nothing is replaced
    then.
    """
    problem = _problem_of(home)
    if problem is None:
        home.repaired.unlink(missing_ok=True)
        return RepairReport(whole=True)
    try:
        kept = _kept_before(home) or _copy_damaged(home)
        crashpoint("before_rebuild")
        salvaged = _salvaged(home, kept / home.database.name)
        backup = _salvaged(home, home.backup) if home.backup.exists() else None
        whose = _whose(home, salvaged, backup, id_by_attempts)
        built = _rebuild(home, salvaged, backup, problem=problem, whose=whose, newest=partial(newest_attempt, home))
        crashpoint("before_repair")
        os.replace(_part_of(home), home.repaired)
        sync_directory(home.path)
        crashpoint("during_repair")
        _take_place(home, built)
    except OSError as error:
        raise _why_not(home, error) from error
    return RepairReport(
        whole=False,
        problem=problem,
        is_foreign=whose.is_foreign,
        kept_in=kept,
        from_backup=built.from_backup,
        lost_batches=built.lost_batches,
        held=built.held,
        held_running=built.held_running,
        held_runs=built.held_runs,
        missing=built.missing,
        unread=salvaged.unread,
        unread_backup=backup.unread if backup else (),
    )


def _why_not(home: Home, error: OSError) -> StoreError:
    """What keeps a repair from being made."""
    why = f"{error.strerror} ({error.filename})" if error.filename else error.strerror
    if error.errno == errno.EIO:
        return StoreUnreadable(f"what is left of the store cannot be read: {why}", home=home.path)
    room = "Free space on this disk and run `passloop doctor --repair` again."
    otherwise = f"Look: ls -l {home.path}"
    return unwritten(f"the repaired store cannot be written: {why}", error, room=room, otherwise=otherwise)


def _beside(home: Home, ending: str) -> Path:
    return home.database.with_name(f"{home.database.name}.{ending}")


def _part_of(home: Home) -> Path:
    """The new store while it is written."""
    return _beside(home, "part")


def _problem_of(home: Home) -> str | None:
    try:
        check_home(home)
    except StoreTooNew:
        raise
    except StoreDamaged as error:
        return error.message
    return None


def _kept_before(home: Home) -> Path | None:
    """The copies of a repair that died after it took the damaged store away: the logs beside may be gone, too."""
    if home.database.exists() or not home.repaired.exists():
        return None
    return home.path / f"damaged-{_newest_kept(home)}"


def _newest_kept(home: Home) -> int:
    """The highest number of copies that repairs keep here, 0 if there are none. People delete older ones for room."""
    named = (re.fullmatch(r"damaged-([0-9]+)", path.name) for path in home.path.iterdir())
    return max((int(found[1]) for found in named if found), default=0)


def _copy_damaged(home: Home) -> Path:
    folder = home.path / f"damaged-{_newest_kept(home) + 1}"
    folder.mkdir(mode=0o700)
    for name in ("", "-wal"):
        source = home.database.with_name(home.database.name + name)
        if source.exists():
            _copy_durably(source, folder / source.name)
    sync_directory(folder)
    return folder


def _copy_durably(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)
    descriptor = os.open(target, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _salvaged(home: Home, database: Path) -> Salvaged:
    """What can be read of a damaged store or of a backup, from a copy: reading fills up what was cut off."""
    working = _beside(home, "salvage")
    _remove_database(working)
    try:
        for name in ("", "-wal"):
            source = database.with_name(database.name + name)
            if source.exists():
                shutil.copyfile(source, working.with_name(working.name + name))
        return readable_rows(working)
    finally:
        _remove_database(working)


class _Whose(NamedTuple):
    """The id that the home goes on with, and whether what the store knows is the work of another home."""

    home_id: str | None
    is_foreign: bool


def _whose(
    home: Home, salvaged: Salvaged, backup: Salvaged | None, id_by_attempts: Callable[[Home], str | None]
) -> _Whose:
    """A copy is this home's own if the home is known to have come as far, and nothing in it says another id. Any other
    goes on under a new one, by which it finds nothing of what runs elsewhere.
    """
    of_backup = backup.home_id if backup else None
    if not is_copy(salvaged.rows["meta"]):
        return _Whose(salvaged.home_id or of_backup or id_by_attempts(home), is_foreign=False)
    newest = max((int(row[0]) for row in salvaged.rows["journal"]), default=1)
    others = {of_backup, id_by_attempts(home)} - {salvaged.home_id, None}
    if newest > Mark(home.mark).read() or others:
        return _Whose(new_id(), is_foreign=True)
    return _Whose(salvaged.home_id, is_foreign=False)


def _rebuild(
    home: Home,
    salvaged: Salvaged,
    backup: Salvaged | None,
    *,
    problem: str,
    whose: _Whose,
    newest: Callable[[int, int], int],
) -> Rebuilt:
    known = Salvaged({}, ()) if backup is None or _is_of_another(backup, salvaged) else backup
    if not any(salvaged.rows[table] or known.rows.get(table) for table in ("journal", "tasks")):
        hint = f"Bring back a copy of {home.database}, or move {home.path} away and start anew."
        neither = f"nor in the backup {home.backup}" if backup else "and there is no backup"
        raise StoreDamaged(f"{problem}; nothing in it could be read {neither}", hint=hint)
    part = _part_of(home)
    _remove_database(part)
    marked = Mark(home.mark).read()
    return rebuild(
        part,
        salvaged,
        known.rows,
        marked=marked,
        home_id=whose.home_id,
        is_foreign=whose.is_foreign,
        newest_attempt=newest,
    )


def _is_of_another(backup: Salvaged, salvaged: Salvaged) -> bool:
    """Whether a backup is of the store that this home had before its present one."""
    return bool(backup.home_id and salvaged.home_id and backup.home_id != salvaged.home_id)


def _take_place(home: Home, built: Rebuilt) -> None:
    """Logs of the damaged database must be gone before the new one stands there: they would be played into
    it. The damaged one goes first, for without its logs it could pass for a whole store that ends earlier.
    """
    home.database.unlink(missing_ok=True)
    sync_directory(home.path)
    crashpoint("repair_without_store")
    for name in _LOGS:
        home.database.with_name(home.database.name + name).unlink(missing_ok=True)
    sync_directory(home.path)
    crashpoint("repair_without_logs")
    os.replace(home.repaired, home.database)
    sync_directory(home.path)
    crashpoint("after_repair")
    mark = Mark(home.mark)
    mark.write(built.last_seq)
    mark.close()


def _remove_database(path: Path) -> None:
    for name in ("", *_LOGS):
        path.with_name(path.name + name).unlink(missing_ok=True)
