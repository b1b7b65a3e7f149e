"""Who needs the home for itself while another engine owns it: what comes up is used, what goes down is waited for."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from passloop.cli import next_engine
from passloop.cli.client import Client
from passloop.cli.next_engine import once_free, wait_for_engine, wait_until_ended
from passloop.cli.verbs.down import _engine as engine_to_end
from passloop.store.errors import HomeBusy
from passloop.store.home import Home, HomeLock

SECONDS = 20


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


class Becoming:
    """Takes the home's lock, as an engine that begins does; `tried` once it was refused."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self.tried = threading.Event()

    def __call__(self) -> str:
        try:
            with HomeLock(self._home):
                return "mine"
        except HomeBusy:
            self.tried.set()
            raise


@contextlib.contextmanager
def beside(becoming: Becoming) -> Iterator[list[str | None]]:
    """`once_free` in a thread that was refused once; what it gave is there after the block."""
    found: list[str | None] = []
    thread = threading.Thread(target=lambda: found.append(once_free(str(becoming._home.path), becoming)))
    thread.start()
    assert becoming.tried.wait(SECONDS)
    yield found
    thread.join(SECONDS)


def test_a_home_whose_engine_goes_down_is_waited_for(home: Home) -> None:
    owner = HomeLock(home)
    owner.acquire()
    with beside(Becoming(home)) as found:
        owner.release()
    assert found == ["mine"]


def test_an_engine_that_comes_up_is_found(home: Home) -> None:
    with HomeLock(home), socket.socket(socket.AF_UNIX) as listener:
        with beside(Becoming(home)) as found:
            listener.bind(str(home.socket))
            listener.listen()
        assert found == [None]


def test_an_owner_that_neither_comes_nor_goes_is_told(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(next_engine, "STARTS_WITHIN", 0.0)
    with HomeLock(home), pytest.raises(HomeBusy):
        once_free(str(home.path), Becoming(home))
    assert not wait_for_engine(str(home.path), seconds=0.0)


def test_a_socket_that_a_dead_engine_left_is_looked_at_no_more_until_another_comes(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(home.path / "socket"))
    looks: list[str] = []
    alive = Client.alive
    monkeypatch.setattr(Client, "alive", lambda client: looks.append(client.home) or alive(client))
    assert not wait_for_engine(str(home.path), seconds=0.3)
    assert len(looks) == 2, "before the wait, and after it"


def test_the_end_of_an_owner_is_its_process_or_its_lock(home: Home) -> None:
    wait_until_ended(str(home.path), os.getpid())  # it owns nothing
    child = os.fork()
    if child == 0:
        HomeLock(home).acquire()
        os.kill(os.getpid(), signal.SIGKILL)
    wait_until_ended(str(home.path), child)
    os.waitpid(child, 0)
    wait_until_ended(str(home.path), child)


WAITS: dict[str, tuple[Callable[[str], Any], Any]] = {
    "a follower": (lambda home: wait_for_engine(home, seconds=0.0), False),
    "down": (lambda home: engine_to_end(Client(home)), None),
    "the end of a process that is not to be seen": (lambda home: wait_until_ended(home, os.getpid()), None),
}


@pytest.mark.parametrize(("wait", "found"), WAITS.values(), ids=WAITS)
def test_who_waits_for_an_engine_that_copies_its_store_waits_for_the_lock(
    home: Home, wait: Callable[[str], Any], found: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked, seen = threading.Event(), next_engine._owner

    def looks(path: str) -> int | None:
        owner = seen(path)
        looked.set()
        return owner

    def unseen(pid: int) -> int:
        raise ProcessLookupError(pid)

    monkeypatch.setattr(next_engine, "_owner", looks)
    monkeypatch.setattr(os, "pidfd_open", unseen)
    order: list[Any] = []
    thread = threading.Thread(target=lambda: order.append(wait(str(home.path))))
    with HomeLock(home):
        thread.start()
        assert looked.wait(SECONDS)
        order.append("let go")
    thread.join(SECONDS)
    assert order == ["let go", found]


@pytest.mark.timeout(SECONDS)
@pytest.mark.parametrize(
    "wait", [lambda home: wait_until_ended(home, os.getpid()), next_engine.wait_for_owner], ids=["ended", "owner"]
)
def test_who_is_told_of_a_close_before_its_lock_is_dropped_looks_once_more(
    home: Home, monkeypatch: pytest.MonkeyPatch, wait: Callable[[str], object]
) -> None:
    looks = [os.getpid(), os.getpid()]

    def owner(_home: str) -> int | None:
        if len(looks) == 2:
            home.lock.write_bytes(b"")  # who holds the lock closes its file, once
        return looks.pop() if looks else None

    monkeypatch.setattr(next_engine, "_owner", owner)
    wait(str(home.path))
    assert not looks


def test_no_owner_is_waited_for_longer_than_was_said(home: Home) -> None:
    with HomeLock(home):
        assert not wait_for_engine(str(home.path), until=time.monotonic())


@pytest.mark.parametrize("place", ["gone", "/dev/null", "/dev/null/x"])
def test_what_is_no_home_gets_no_engine(home: Home, place: str) -> None:
    path = os.path.join(home.path, place)
    assert not wait_for_engine(path, seconds=0.0)
    assert engine_to_end(Client(path)) is None
