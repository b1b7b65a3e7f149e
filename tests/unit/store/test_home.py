"""A home is used only where it is safe, and by one engine."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from passloop.forking import close_own
from passloop.store.errors import HomeBusy, HomeRefused, StoreFull
from passloop.store.home import Home, HomeLock, filesystem_magic, owner_of, socket_address
from tests.support.forked_child import forked_child, open_files

HOLD_THE_LOCK = """
import sys
from pathlib import Path
from passloop.store.home import Home, HomeLock
lock = HomeLock(Home(Path(sys.argv[1])))
lock.acquire()
print("locked", flush=True)
sys.stdin.read()
"""


def test_a_new_home_is_private(tmp_path: Path) -> None:
    home = Home(tmp_path / "a" / "home")
    home.prepare()
    assert home.path.stat().st_mode & 0o777 == 0o700
    home.prepare()


def test_a_new_home_outlives_a_power_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The names of all the directories that were made for it are synced."""
    synced = set[str]()
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.add(os.readlink(f"/proc/self/fd/{descriptor}")))
    Home(tmp_path / "some" / "home").prepare()
    assert synced == {str(tmp_path), str(tmp_path / "some")}


@pytest.mark.parametrize("mode", [0o720, 0o702, 0o777])
def test_a_home_that_others_can_change_is_refused(home: Home, mode: int) -> None:
    home.path.chmod(mode)
    with pytest.raises(HomeRefused, match="chmod 700"):
        home.prepare()
    assert HomeRefused.exit_code == 6


def test_a_home_that_others_can_read_is_taken(home: Home) -> None:
    home.path.chmod(0o755)
    home.prepare()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to somebody else")
def test_a_home_of_somebody_else_is_refused(home: Home) -> None:
    os.chown(home.path, 12_345, -1)
    with pytest.raises(HomeRefused, match="belongs to user 12345"):
        home.prepare()


@pytest.mark.parametrize(("magic", "name"), [(0x6969, "NFS"), (0xFF534D42, "CIFS")])
def test_a_home_on_a_network_is_refused(home: Home, magic: int, name: str) -> None:
    with pytest.raises(HomeRefused, match=name):
        home.prepare(magic=lambda _: magic)


def test_the_system_tells_the_file_system() -> None:
    assert filesystem_magic(Path("/proc")) == 0x9FA0
    with pytest.raises(HomeRefused):
        filesystem_magic(Path("/nowhere/at/all"))


def test_a_home_that_is_a_file_or_below_one_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    for path in (file, file / "home"):
        with pytest.raises(HomeRefused):
            Home(path).prepare()
    with pytest.raises(HomeRefused):
        Home(tmp_path / "gone").check()
    with pytest.raises(HomeRefused, match="not a directory"):
        Home(file).check()


def test_a_second_process_is_told_who_owns_the_home(home: Home) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", HOLD_THE_LOCK, str(home.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert owner.stdout is not None
    assert owner.stdout.readline() == "locked\n"
    with pytest.raises(HomeBusy, match=f"pid {owner.pid}") as refused:
        HomeLock(home).acquire()
    assert refused.value.pid == owner.pid
    owner.kill()
    owner.communicate(timeout=10)
    with HomeLock(home):
        assert int(home.lock.read_text()) == os.getpid()


def test_a_released_lock_can_be_taken_again(home: Home) -> None:
    for _ in range(2):
        lock = HomeLock(home)
        lock.acquire()
        with pytest.raises(HomeBusy):
            HomeLock(home).acquire()
        lock.release()
        lock.release()
    assert home.lock.stat().st_mode & 0o777 == 0o600


def test_a_lock_that_is_a_link_is_refused(home: Home, tmp_path: Path) -> None:
    home.lock.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(HomeRefused):
        HomeLock(home).acquire()
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("length", [20, 200])
def test_a_socket_is_reached_however_long_its_path_is(tmp_path: Path, length: int) -> None:
    home = Home(tmp_path / ("x" * length))
    home.prepare()
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        with socket_address(home.socket) as address:
            server.bind(address)
            server.listen()
        assert home.socket.is_socket()
        with socket_address(home.socket) as address:
            client.connect(address)
        server.accept()[0].close()


def test_every_path_lies_in_the_home(home: Home) -> None:
    names = ("database", "backup", "mark", "runs", "socket", "token", "lock", "ballast")
    assert {getattr(home, name).parent for name in names} == {home.path}


def test_the_owner_is_the_process_that_has_the_lock_and_nobody_afterwards(home: Home) -> None:
    assert owner_of(home) is None
    with HomeLock(home):
        assert owner_of(home) == os.getpid()
    assert home.lock.exists()
    assert owner_of(home) is None
    with HomeLock(home):
        assert owner_of(home) == os.getpid(), "a look does not keep the lock"


def test_what_the_owner_has_forked_keeps_no_home(home: Home) -> None:
    lock = HomeLock(home)
    lock.acquire()
    with forked_child():
        assert owner_of(home) == os.getpid(), "the child's copy is closed, ours is not"
        close_own(lock._descriptor)  # as a kill of the owner would
        assert owner_of(home) is None
        with HomeLock(home), forked_child():
            assert owner_of(home) == os.getpid()


@pytest.mark.parametrize(("before", "after"), [(None, 0o700), (0o777, 0o700), (0o770, 0o700), (0o755, 0o755)])
def test_nobody_else_may_write_among_runs_though_an_earlier_engine_let_them(
    home: Home, before: int | None, after: int
) -> None:
    if before is not None:
        home.runs.mkdir()
        home.runs.chmod(before)
    home.make_runs()
    assert home.runs.stat().st_mode & 0o777 == after


def test_runs_that_are_a_link_are_left_as_they_are(home: Home, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    elsewhere.chmod(0o777)
    home.runs.symlink_to(elsewhere)
    home.make_runs()
    assert elsewhere.stat().st_mode & 0o777 == 0o777


def test_a_lock_that_a_full_disk_refused_takes_nothing_from_what_is_forked_later(home: Home, tmp_path: Path) -> None:
    """Its number was still taken for the lock's, so the program's next file, which had it, was closed in children."""
    size, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, most))
    try:
        with pytest.raises(StoreFull):
            HomeLock(home).acquire()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, most))
    theirs = tmp_path / "theirs"
    with theirs.open("w"), forked_child() as child:
        assert theirs in open_files(child)


def test_a_home_that_is_given_back_is_free_for_all_who_have_its_lock_open(home: Home) -> None:
    lock = HomeLock(home)
    lock.acquire()
    inherited = os.dup(lock._descriptor)
    lock.release()
    assert owner_of(home) is None
    os.close(inherited)
