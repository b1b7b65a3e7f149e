"""`passloop doctor`: looks at everything passloop relies on; `--repair` puts a whole store in a damaged one's
place, and `--backup` copies one, also while an engine writes to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from passloop.cli import streams
from passloop.cli.exits import CliError, Exit
from passloop.cli.homes import home_of
from passloop.cli.options import json_option

if TYPE_CHECKING:
    from passloop.cli.checks.finding import Check, Finding, Place

__all__ = ["command"]

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


@click.command("doctor")
@click.option("--repair", is_flag=True, help="Repair a damaged store; the damaged files are kept.")
@click.option("--backup", metavar="FILE", help="Copy the store to FILE, also while an engine runs.")
@json_option
@click.pass_context
def command(ctx: click.Context, *, repair: bool, backup: str | None, as_json: bool) -> int:
    """Check everything: exit 0 if all is well or only limited, 4 for a damaged store, 1 for anything else."""
    home = home_of(ctx)
    if repair and backup is not None:
        raise CliError("--repair and --backup are two things", hint="passloop doctor --repair")
    if backup is not None:
        return _back_up(home, Path(backup), as_json=as_json)
    if repair:
        return _repair(home, as_json=as_json)
    from passloop.cli.checks.finding import Place
    from passloop.cli.launching import engine_environment

    place = Place(home, engine_environment())
    results = []
    for name, finding in _findings(place):
        results.append((name, finding))
        if not as_json:
            _show(name, finding)
    if as_json:
        _emit(home, results)
    return _verdict(results)


def _findings(place: Place) -> Iterator[tuple[str, Finding]]:
    from passloop.cli.checks.devices import DEVICE_CHECKS
    from passloop.cli.checks.home import HOME_CHECKS
    from passloop.cli.checks.runtime import RUNTIME_CHECKS
    from passloop.cli.checks.store import STORE_CHECKS
    from passloop.cli.checks.system import SYSTEM_CHECKS

    for check in (*SYSTEM_CHECKS, *HOME_CHECKS, *STORE_CHECKS, *DEVICE_CHECKS, *RUNTIME_CHECKS):
        yield check.name, _looked(check, place)


def _looked(check: Check, place: Place) -> Finding:
    """A check that cannot be made is a finding too: the others are still wanted."""
    from passloop.cli.checks.finding import fail

    try:
        return check.look(place)
    except (OSError, CliError) as error:
        return fail(f"could not be checked: {error}", getattr(error, "hint", ""))


def _show(name: str, finding: Finding) -> None:
    verdict = streams.paint(finding.verdict.ljust(4), _COLOURS[finding.verdict])
    streams.emit(f"{verdict}  {name:<15} {streams.clean(finding.text)}")
    if finding.hint:
        streams.emit(f"{'':<22}-> {streams.clean(finding.hint)}")


def _emit(home: str, results: list[tuple[str, Finding]]) -> None:
    checks = [
        {"name": name, "verdict": str(found.verdict), "text": found.text, "hint": found.hint} for name, found in results
    ]
    streams.emit_json({"schema_version": 1, "home": home, "checks": checks})


def _verdict(results: list[tuple[str, Finding]]) -> int:
    if any(finding.is_damage for _, finding in results):
        return int(Exit.STORE_DAMAGED)
    return int(Exit.WORK_FAILED if any(finding.verdict == "fail" for _, finding in results) else Exit.OK)


def _repair(home: str, *, as_json: bool) -> int:
    """The home's lock is taken first: an engine must not write while its store is replaced."""
    from passloop.engine.witnesses import id_by_attempts, newest_attempt
    from passloop.store.home import Home, HomeLock
    from passloop.store.repair import repair

    place = Home(Path(home))
    if not place.path.exists():
        raise CliError(f"there is no home at {home}", hint="passloop up", exit_code=Exit.NOT_FOUND)
    place.check()
    with HomeLock(place):
        report = repair(place, id_by_attempts=id_by_attempts, newest_attempt=newest_attempt)
    if as_json:
        streams.emit_json({"schema_version": 1, "whole": report.whole, "sentences": list(report.sentences())})
        return int(Exit.OK)
    for sentence in report.sentences():
        streams.emit(sentence)
    return int(Exit.OK)


def _check_target(target: Path) -> None:
    """A copy replaces an older copy and nothing else. Raises `CliError`."""
    from passloop.store.backup import is_database, is_empty
    from passloop.store.home import Home

    file = target.resolve()
    if file.is_dir() or not file.parent.is_dir():
        raise CliError(f"--backup: {target} is no place for a file", hint="name a file in a folder that exists")
    folder = Home(file.parent)
    if folder.lock.exists() and file != folder.backup:
        what = f"--backup: {target} lies in a home, among its own files"
        raise CliError(what, hint="name a file elsewhere, which outlives the home, too")
    if file.exists() and not (is_database(file) or is_empty(file)):
        raise CliError(f"--backup: {target} is there and is no copy of a store", hint="name a file that is not there")


def _back_up(home: str, target: Path, *, as_json: bool) -> int:
    """By SQLite's online backup: a plain copy of a store in use may be half of a transaction, and what other programs
    write of it lacks our page checksums.
    """
    from passloop.store.backup import copy_store
    from passloop.store.home import Home
    from passloop.store.integrity import open_checked

    place = Home(Path(home))
    open_checked(place).close()
    _check_target(target)
    copy_store(place.database, target.resolve())
    if as_json:
        streams.emit_json({"schema_version": 1, "written": str(target.absolute())})
    else:
        streams.say(f"written: {target}")
    return int(Exit.OK)
