"""A store that is not as it was written is an error with a next step, never an empty or a wrong store."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import apsw
import pytest

from passloop.kernel.saved import Saved
from passloop.store.connection import open_writing
from passloop.store.database import Store
from passloop.store.errors import StoreDamaged, StoreMissing, StoreTooOld
from passloop.store.home import Home
from passloop.store.integrity import check_home, open_checked
from passloop.store.migrate import migrate
from passloop.store.reader import Reader
from tests.support.store_rows import a_batch, a_submission

TASKS = 120
FLIPS = 60

FILL_AND_DIE = """
import os, signal, sys
from pathlib import Path
from passloop.store.database import Store
from passloop.store.home import Home
from tests.support.store_rows import a_submission
store = Store.open(Home(Path(sys.argv[1])))
for run in range(1, 7):
    store.commit(a_submission(20, run=run, first=run * 20 - 19, payload='{"name": "some payload"}'))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """The home of an engine that was killed: everything it committed is still in the log."""
    home = Home(tmp_path_factory.mktemp("killed") / "home")
    home.prepare()
    ended = subprocess.run([sys.executable, "-c", FILL_AND_DIE, str(home.path)], timeout=60, check=False)
    assert ended.returncode == -9
    assert home.database.with_name("store.sqlite-wal").stat().st_size > 10_000
    return home


@pytest.fixture(scope="module")
def stopped(killed: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """The same after an orderly stop: everything is in the database itself."""
    home = copy_of(killed, tmp_path_factory.mktemp("stopped") / "home")
    Store.open(home).close()
    assert not home.database.with_name("store.sqlite-wal").exists()
    return home


def copy_of(home: Home, path: Path) -> Home:
    shutil.copytree(home.path, path)
    path.chmod(0o700)
    return Home(path)


def everything(home: Home) -> tuple[Saved, list[object]]:
    store = Store.open(home)
    try:
        with store.reader() as reader:
            return store.load(), [*reader.tasks(), *reader.journal(), *reader.runs()]
    finally:
        store.close()


def is_noticed(home: Home, truth: tuple[Saved, list[object]]) -> bool:
    """Whether opening says that it is damaged; what opens must be the truth."""
    try:
        assert everything(home) == truth
    except StoreDamaged as error:
        return "passloop doctor --repair" in str(error)
    return False


def test_a_whole_store_is_found_whole(stopped: Home, killed: Home, tmp_path: Path) -> None:
    for number, source in enumerate((stopped, killed)):
        home = copy_of(source, tmp_path / str(number))
        check_home(home)
        assert len(everything(home)[0].tasks) == TASKS


@pytest.mark.parametrize("name", ["store.sqlite", "store.sqlite-wal", "store.sqlite-shm", "mark"])
def test_flipped_bits_are_noticed_or_harmless(killed: Home, stopped: Home, tmp_path: Path, name: str) -> None:
    source = stopped if name == "store.sqlite" else killed
    truth = everything(copy_of(stopped, tmp_path / "truth"))
    choice = random.Random(name)
    noticed = 0
    for number in range(FLIPS):
        home = copy_of(source, tmp_path / str(number))
        path = home.path / name
        data = bytearray(path.read_bytes())
        data[choice.randrange(len(data))] ^= 1 << choice.randrange(8)
        path.write_bytes(data)
        noticed += is_noticed(home, truth)
        shutil.rmtree(home.path)
    assert noticed == 0 if name in ("mark", "store.sqlite-shm") else noticed > FLIPS * 0.9


@pytest.mark.parametrize("name", ["store.sqlite", "store.sqlite-wal"])
def test_a_file_that_was_cut_is_noticed(killed: Home, stopped: Home, tmp_path: Path, name: str) -> None:
    source = stopped if name == "store.sqlite" else killed
    size = (source.path / name).stat().st_size
    choice = random.Random(name)
    for number, length in enumerate([0, 1, 100, 512, 4_096, *(choice.randrange(size) for _ in range(15))]):
        home = copy_of(source, tmp_path / str(number))
        os.truncate(home.path / name, length)
        with pytest.raises(StoreDamaged, match="doctor --repair"):
            Store.open(home)
        with pytest.raises(StoreDamaged):
            check_home(home)


@pytest.mark.parametrize("name", ["store.sqlite", "store.sqlite-wal"])
def test_a_file_that_is_gone_is_noticed(killed: Home, tmp_path: Path, name: str) -> None:
    home = copy_of(killed, tmp_path / "home")
    (home.path / name).unlink()
    with pytest.raises(StoreDamaged):
        Store.open(home)
    assert not home.database.exists() or name == "store.sqlite-wal"


@pytest.mark.parametrize("content", [b"", b"not a database at all, but long enough to look like a header" * 20])
def test_something_else_in_its_place_is_noticed(stopped: Home, tmp_path: Path, content: bytes) -> None:
    home = copy_of(stopped, tmp_path / "home")
    home.database.write_bytes(content)
    with pytest.raises(StoreDamaged):
        Store.open(home)
    assert home.database.read_bytes() == content


@pytest.mark.parametrize("offset", [16, 18, 19, 20, 24, 28, 56, 60, 96])
def test_each_field_of_the_header_is_watched(stopped: Home, tmp_path: Path, offset: int) -> None:
    home = copy_of(stopped, tmp_path / "home")
    data = bytearray(home.database.read_bytes())
    data[offset] ^= 3
    home.database.write_bytes(data)
    with pytest.raises(StoreDamaged):
        Store.open(home)


def test_a_database_without_page_checksums_is_not_taken(home: Home) -> None:
    plain = apsw.Connection(str(home.database), vfs="unix")
    migrate(plain)
    plain.close()
    with pytest.raises(StoreDamaged, match="no page checksums"):
        Store.open(home)


def test_a_used_home_without_store_and_mark_is_noticed_by_its_runs(home: Home) -> None:
    (home.runs / "1").mkdir(parents=True)
    with pytest.raises(StoreDamaged, match="is gone"):
        Store.open(home)


def test_a_store_put_back_from_before_is_noticed(home: Home) -> None:
    store = Store.open(home)
    store.commit(a_submission())
    store.backup()
    store.commit(a_batch([]))
    store.close()
    shutil.copyfile(home.backup, home.database)
    with pytest.raises(StoreDamaged, match="ends at batch 1, but 2 were committed"):
        Store.open(home)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        ("DELETE FROM journal WHERE seq = 3", "journal row 3 is missing"),
        ("UPDATE journal SET now = now + 1 WHERE seq = 3", "journal row 3 is not as it was written"),
        ("UPDATE journal SET events = '[]' WHERE seq = 3", "journal row 3 is not as it was written"),
    ],
)
def test_a_journal_that_was_altered_in_pages_that_are_whole_is_noticed(
    stopped: Home, tmp_path: Path, spoil: str, said: str
) -> None:
    """By who starts on it, not only by the doctor: another program wrote to the store, and its pages are in order."""
    home = copy_of(stopped, tmp_path / "home")
    connection = open_writing(home.database)
    connection.execute(spoil)
    assert connection.changes() == 1
    connection.close()
    for look in (Store.open, check_home):
        with pytest.raises(StoreDamaged, match=said):
            look(home)


def test_who_looks_without_an_engine_is_told_of_a_log_that_was_cut(killed: Home, tmp_path: Path) -> None:
    home = copy_of(killed, tmp_path / "home")
    with open_checked(home) as reader:
        assert reader.count() == TASKS
    os.truncate(home.path / "store.sqlite-wal", 0)
    with pytest.raises(StoreDamaged, match="doctor --repair"):
        open_checked(home)


@pytest.mark.parametrize("length", [0, 1, 99])
def test_nobody_takes_the_log_of_a_store_that_was_cut_to_nothing(killed: Home, tmp_path: Path, length: int) -> None:
    """SQLite takes a file of a byte for empty, and deletes or overwrites the log beside it: the only copy left."""
    home = copy_of(killed, tmp_path / "home")
    log = home.path / "store.sqlite-wal"
    before = log.read_bytes()
    os.truncate(home.database, length)
    for look in (check_home, open_checked, Reader.open, Store.open):
        with pytest.raises(StoreDamaged, match="doctor --repair"):
            look(home)
        assert log.read_bytes() == before


def test_a_log_without_a_store_is_no_new_home(killed: Home, tmp_path: Path) -> None:
    home = copy_of(killed, tmp_path / "home")
    home.database.unlink()
    home.mark.unlink()
    for look in (check_home, open_checked, Store.open):
        with pytest.raises(StoreDamaged, match="is gone"):
            look(home)


def test_who_looks_is_told_of_a_store_that_is_gone_but_not_where_none_was(stopped: Home, tmp_path: Path) -> None:
    used, fresh = copy_of(stopped, tmp_path / "used"), Home(tmp_path / "fresh")
    fresh.prepare()
    for home, said in ((used, StoreDamaged), (fresh, StoreMissing)):
        home.database.unlink(missing_ok=True)
        with pytest.raises(said):
            open_checked(home)
        home.database.touch()
        with pytest.raises(said):
            open_checked(home)


def test_a_store_that_was_not_brought_to_this_schema_yet_is_whole_and_said_to_be_old(home: Home) -> None:
    connection = open_writing(home.database)
    connection.execute("CREATE TABLE journal (seq INTEGER PRIMARY KEY)")
    connection.pragma("user_version", 1)
    connection.close()
    check_home(home)
    with pytest.raises(StoreTooOld, match="schema 1, this passloop reads"):
        open_checked(home)


def test_a_crash_while_the_store_was_made_is_no_damage(home: Home) -> None:
    home.database.touch()
    Store.open(home).close()
    check_home(home)


def test_a_mark_that_is_behind_or_gone_is_no_damage(home: Home) -> None:
    store = Store.open(home)
    store.commit(a_submission())
    early = home.mark.read_bytes()
    store.commit(a_batch([]))
    store.close()
    for content in (early, b"", b"garbage", bytes(20)):
        home.mark.write_bytes(content)
        check_home(home)
    home.mark.unlink()
    store = Store.open(home)
    assert store.last_seq == 2
    store.close()


def test_a_mark_that_cannot_be_written_fails_no_commit(home: Home) -> None:
    home.mark.mkdir()
    home.mark.joinpath("x").touch()
    shutil.rmtree(home.mark)
    store = Store.open(home)
    home.mark.mkdir()
    assert store.commit(a_submission()) == 1
    store.close()


def test_damage_that_shows_up_later_is_an_error_too(home: Home) -> None:
    store = Store.open(home)
    store.commit(a_submission(400, payload='{"name": "' + "x" * 300 + '"}'))
    store.close()
    store = Store.open(home)
    data = bytearray(home.database.read_bytes())
    for offset in range(8_192 + 100, len(data), 4_096):
        data[offset] ^= 1
    home.database.write_bytes(data)
    with pytest.raises(StoreDamaged), store.reader() as reader:
        reader.tasks()
    with pytest.raises(StoreDamaged):
        store.payloads_of(range(400))
    store.close()
