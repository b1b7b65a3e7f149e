"""Who needs the home for itself while another engine owns it: what comes up is used, what goes down is waited for."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from passloop.cli import next_engine
from passloop.cli.next_engine import once_free, wait_for_engine, wait_until_ended
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


def test_the_end_of_an_owner_is_its_process_or_its_lock(home: Home) -> None:
    wait_until_ended(str(home.path), os.getpid())  # it owns nothing
    child = os.fork()
    if child == 0:
        HomeLock(home).acquire()
        os.kill(os.getpid(), signal.SIGKILL)
    wait_until_ended(str(home.path), child)
    os.waitpid(child, 0)
    wait_until_ended(str(home.path), child)
