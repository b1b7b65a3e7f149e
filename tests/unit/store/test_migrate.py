"""A database comes to this schema whole, step by step, or stays where it was."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import apsw
import pytest

from passloop.crashpoints import VARIABLE
from passloop.store.connection import check_version, open_writing
from passloop.store.database import Store
from passloop.store.errors import StoreTooNew
from passloop.store.home import Home
from passloop.store.migrate import latest_version, migrate, migration_files, stored_version


def steps(folder: Path, *texts: str) -> Path:
    folder.mkdir(exist_ok=True)
    for number, text in enumerate(texts, start=1):
        (folder / f"{number:04}_step.sql").write_text(text)
    return folder


def test_the_steps_are_numbered_without_gaps() -> None:
    numbers = [int(path.name[:4]) for path in migration_files()]
    assert numbers == list(range(1, latest_version() + 1))


def test_each_missing_step_is_taken_once(tmp_path: Path) -> None:
    connection = open_writing(tmp_path / "db")
    assert migrate(connection, steps(tmp_path / "m", "CREATE TABLE a (x)")) == 0
    assert migrate(connection, steps(tmp_path / "m", "CREATE TABLE a (x)", "CREATE TABLE b (x)")) == 1
    assert migrate(connection, tmp_path / "m") == 2
    assert stored_version(connection) == 2
    connection.close()


def test_a_step_that_fails_leaves_nothing_of_itself(tmp_path: Path) -> None:
    connection = open_writing(tmp_path / "db")
    folder = steps(tmp_path / "m", "CREATE TABLE a (x)", "CREATE TABLE b (x); CREATE TABLE a (y)")
    with pytest.raises(apsw.SQLError):
        migrate(connection, folder)
    assert stored_version(connection) == 1
    assert connection.execute("SELECT name FROM sqlite_schema").fetchall() == [("a",)]
    connection.close()


def test_an_engine_killed_in_a_migration_finds_the_last_whole_step(home: Home) -> None:
    code = "from passloop.store.database import Store; from passloop.store.home import Home; "
    code += f"from pathlib import Path; Store.open(Home(Path({str(home.path)!r})))"
    ended = subprocess.run(
        [sys.executable, "-c", code], env={VARIABLE: "before_migration_commit"}, timeout=30, check=False
    )
    assert ended.returncode == -9
    store = Store.open(home)
    assert store.last_seq == 0
    store.close()


def test_a_newer_store_is_refused_and_left_alone(home: Home) -> None:
    Store.open(home).close()
    connection = open_writing(home.database)
    connection.pragma("user_version", latest_version() + 1)
    connection.close()
    before = home.database.read_bytes()
    with pytest.raises(StoreTooNew, match=f"schema {latest_version() + 1}"):
        Store.open(home)
    assert home.database.read_bytes() == before
    assert StoreTooNew.exit_code == 4


def test_no_step_is_taken_on_a_newer_database(tmp_path: Path) -> None:
    connection = open_writing(tmp_path / "db")
    migrate(connection, steps(tmp_path / "m", "CREATE TABLE a (x)", "CREATE TABLE b (x)"))
    with pytest.raises(StoreTooNew, match="schema 2, this passloop knows 1"):
        migrate(connection, steps(tmp_path / "older", "CREATE TABLE a (x)"))
    connection.close()


@pytest.mark.parametrize("version", ["3.7.0", "3.40.1", "3.44.5", "3.45.0", "3.50.6", "3.51.2"])
def test_a_sqlite_that_can_lose_commits_is_refused(version: str) -> None:
    with pytest.raises(StoreTooNew, match=version):
        check_version(version)


@pytest.mark.parametrize("version", ["3.6.23", "3.44.6", "3.50.7", "3.51.3", "3.54.1", "4.0.0"])
def test_a_sound_sqlite_is_taken(version: str) -> None:
    check_version(version)
