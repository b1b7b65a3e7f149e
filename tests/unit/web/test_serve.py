"""The socket: for the same user only, with paths of any length, without a tick, and nothing over TCP."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest
import uvicorn

from passloop.store.home import socket_address
from passloop.web import auth
from passloop.web.auth import peer_uid
from passloop.web.serve import _listen, listen_on_loopback
from tests.support.forked_child import forked_child, open_files
from tests.support.paged import paged
from tests.support.served import served
from tests.support.wants import none_left


class Failures:
    """What the running loop hears from now on, and goes on to tell."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._tell = self._loop.get_exception_handler() or type(self._loop).default_exception_handler
        self._count = 0
        self.in_one_go = 0
        self.many = asyncio.Event()
        self._loop.set_exception_handler(self._hear)

    def _hear(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self._tell(loop, context)
        self._count += 1
        if self._count == 1:
            loop.call_soon(self._note)
        elif self._count > 500:
            self.many.set()

    def _note(self) -> None:
        self.in_one_go = self._count


def sockets(pid: int) -> set[str]:
    """The sockets that a process has open."""
    return {str(path) for path in open_files(pid) if path.name.startswith("socket:")}


async def test_the_socket_is_for_its_owner_alone_and_goes_with_the_engine(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        path = one.rig.home.socket
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not path.exists()


async def test_a_socket_left_by_a_dead_engine_is_replaced(tmp_path: Path) -> None:
    left = tmp_path / "home"
    left.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as old:
        old.bind(str(left / "socket"))
    async with served(tmp_path) as one:
        assert (await one.get("/status")).status == 200


@pytest.mark.parametrize("family", [socket.AF_UNIX, socket.AF_INET])
def test_what_the_engines_process_has_forked_listens_to_nobody(tmp_path: Path, family: int) -> None:
    """Who asks after that process was killed is refused at once, and does not wait for an answer of its child."""
    listener = _listen(tmp_path / "socket") if family == socket.AF_UNIX else listen_on_loopback(0)
    address = listener.getsockname()
    with forked_child(), socket.socket(family) as client:
        listener.close()
        with pytest.raises(ConnectionRefusedError):
            client.connect(address)


@pytest.mark.parametrize("serve", [served, paged])
async def test_what_the_engines_process_has_forked_keeps_no_client_waiting(tmp_path: Path, serve: Any) -> None:
    async with serve(tmp_path) as one:
        await one.get("/status")
        before = sockets(os.getpid())
        _, writer = await one.connect()
        await one.get("/status")
        clients = os.readlink(f"/proc/self/fd/{writer.get_extra_info('socket').fileno()}")
        both_ends = sockets(os.getpid()) - before
        with forked_child() as child:
            assert both_ends & sockets(child) == {clients} < both_ends
        writer.close()
        await writer.wait_closed()


async def test_a_home_with_a_path_over_108_bytes_is_served(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    async with served(deep) as one:
        assert len(str(one.rig.home.socket)) > 150
        assert (await one.get("/status")).status == 200


async def test_another_user_is_refused_whatever_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with served(tmp_path) as one:
        monkeypatch.setattr(auth, "peer_uid", lambda _socket: os.geteuid() + 1)
        for method, path in (("GET", "/status"), ("POST", "/submit"), ("GET", "/nowhere")):
            reply = await one.ask(method, path)
            assert (reply.status, reply.json()["error"]["exit"]) == (403, 6)


def test_the_system_tells_who_is_at_the_other_end() -> None:
    here, there = socket.socketpair(socket.AF_UNIX)
    with here, there:
        assert peer_uid(here) == os.geteuid()


def test_a_tcp_connection_is_nobodys() -> None:
    with socket.socket(socket.AF_INET) as tcp:
        assert peer_uid(tcp) is None
    assert peer_uid(None) is None


async def test_nothing_listens_over_tcp(tmp_path: Path) -> None:
    async with served(tmp_path):
        listening = [link for link in psutil.Process().net_connections("inet") if link.status == "LISTEN"]
        assert listening == []


async def test_the_server_sets_no_timer_while_it_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def tick(*_: object) -> None:
        raise AssertionError("uvicorn ticked")

    monkeypatch.setattr(uvicorn.Server, "on_tick", tick)
    async with served(tmp_path) as one:
        await one.get("/status")
        loop = asyncio.get_running_loop()
        timers = [timer for timer in loop._scheduled if not timer.cancelled()]  # type: ignore[attr-defined]
        assert timers == []


async def test_two_requests_share_a_connection(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        reader, writer = await one.connect()
        for _ in range(2):
            writer.write(b"GET /api/v1/status HTTP/1.1\r\nHost: passloop\r\n\r\n")
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            size = int(head.split("content-length:")[1].split()[0])
            assert b"schema_version" in await reader.readexactly(size)
        writer.close()
        await writer.wait_closed()


async def test_the_page_sends_what_it_has_at_once(tmp_path: Path) -> None:
    """Else the body of each answer waits some 40 ms until the browser has acknowledged its head."""
    async with paged(tmp_path) as page:
        _, writer = await page.connect()
        await page.get("/status")
        accepted = [link for link in psutil.Process().net_connections("inet") if link.laddr[1:] == (page.port,)]
        (number,) = (link.fd for link in accepted if link.status == "ESTABLISHED")
        with socket.socket(fileno=os.dup(number)) as ours:
            assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        writer.close()
        await writer.wait_closed()


async def test_that_no_connection_can_be_taken_is_said_once_a_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """asyncio says it with a traceback, each second so often as it takes connections at once."""
    monkeypatch.setattr(asyncio.constants, "ACCEPT_RETRY_DELAY", 0)
    async with served(tmp_path) as one:
        failures = Failures()
        with socket.socket(socket.AF_UNIX) as client, socket_address(one.rig.home.socket) as address:
            client.setblocking(False)
            with none_left():
                client.connect(address)
                await failures.many.wait()
            assert failures.in_one_go <= 64
            _, writer = await asyncio.open_unix_connection(sock=client)
            assert (await one.get("/status")).status == 200
            writer.close()
            await writer.wait_closed()
    (said,) = capfd.readouterr().err.splitlines()
    assert said.startswith("passloop: no connection can be taken (Too many open files)")


async def test_connections_wait_until_they_are_taken(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        with ExitStack() as stack, socket_address(one.rig.home.socket) as address:
            for _ in range(100):
                client = stack.enter_context(socket.socket(socket.AF_UNIX))
                client.setblocking(False)
                client.connect(address)  # raises BlockingIOError where there is no room
        assert (await one.get("/status")).status == 200
