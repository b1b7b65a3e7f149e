"""The connection takes any cut of an HTTP answer, and stamps what came before it reads it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passloop.apps.tune.load.connection import Arrivals, Connection, ConnectionBroken, NotHttp

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n7;x=y\r\n, world\r\n0\r\nA: b\r\n\r\n"
SIZED = b"HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\nhello, world"
PATIENT = b"HTTP/1.1 100 Continue\r\n\r\n" + SIZED


class Line(asyncio.Transport):
    """The other end of a connection, held in the hand."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.hung_up = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))

    def abort(self) -> None:
        self.hung_up = True


class Call:
    """A request under way: what came of it."""

    def __init__(self, arrivals: Arrivals | None = None) -> None:
        self.line = Line()
        self.connection = Connection(arrivals)
        self.connection.connection_made(self.line)
        self.body = b""
        self.times: list[float] = []

    def take(self, piece: bytes, at: float) -> None:
        self.body += piece
        self.times.append(at)

    async def answered(self, *pieces: bytes, then_closed: bool = False) -> int:
        """Ask, hear the pieces, and give the status."""
        asking = asyncio.create_task(self.connection.ask(b"GET / HTTP/1.1\r\n\r\n", self.take))
        await asyncio.sleep(0)
        for piece in pieces:
            self.connection.data_received(piece)
        if then_closed:
            self.connection.connection_lost(None)
        return await asking


@given(st.sampled_from([CHUNKED, SIZED, PATIENT]), st.sets(st.integers(1, 200)))
def test_an_answer_is_the_same_however_it_is_cut(answer: bytes, cuts: set[int]) -> None:
    places = [0, *sorted(cut for cut in cuts if cut < len(answer)), len(answer)]
    pieces = [answer[start:end] for start, end in itertools.pairwise(places)]

    async def asked() -> None:
        call = Call()
        assert await call.answered(*pieces) == 200
        assert call.body == b"hello, world"
        assert call.connection.open
        assert call.times == sorted(call.times)

    asyncio.run(asked())


async def test_a_connection_carries_one_request_after_the_other() -> None:
    call = Call()
    await call.answered(CHUNKED)
    await call.answered(SIZED)
    assert call.body == b"hello, worldhello, world"
    assert len(call.line.written) == 2


async def test_an_empty_answer_ends_at_its_head() -> None:
    call = Call()
    assert await call.answered(b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n") == 204


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.0 200 OK\r\nserver: old\r\n\r\n"])
async def test_a_body_without_a_length_ends_when_the_server_closes(head: bytes) -> None:
    call = Call()
    assert await call.answered(head + b"hello", b", world", then_closed=True) == 200
    assert call.body == b"hello, world"
    assert not call.connection.open


async def test_a_server_that_says_close_is_not_asked_again() -> None:
    call = Call()
    await call.answered(b"HTTP/1.1 200 OK\r\nConnection: Close\r\ncontent-length: 2\r\n\r\nok")
    assert not call.connection.open
    assert call.line.hung_up
    with pytest.raises(ConnectionBroken):
        await call.connection.ask(b"x", call.take)


@pytest.mark.parametrize(("came", "answered"), [(b"", False), (b"HTT", True), (CHUNKED[:60], True)])
async def test_a_connection_that_breaks_says_whether_an_answer_had_begun(came: bytes, answered: bool) -> None:
    call = Call()
    with pytest.raises(ConnectionBroken) as caught:
        await call.answered(*([came] if came else []), then_closed=True)
    assert caught.value.answered is answered


@pytest.mark.parametrize(
    "came",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x15\x03\x01\x00\x02\x02P\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n",
        b"HTTP/1." + b"x" * 70_000,
    ],
)
async def test_what_is_no_http_is_said_so(came: bytes) -> None:
    call = Call()
    with pytest.raises(NotHttp):
        await call.answered(came)
    assert call.line.hung_up


async def test_a_cancelled_request_hangs_up() -> None:
    """What is left of its answer would be taken for the next one."""
    call = Call()
    asking = asyncio.create_task(call.connection.ask(b"x", call.take))
    await asyncio.sleep(0)
    asking.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asking
    assert call.line.hung_up
    assert not call.connection.open


async def test_bytes_that_nobody_asked_for_end_the_connection() -> None:
    call = Call()
    await call.answered(SIZED)
    call.connection.data_received(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
    assert not call.connection.open


async def test_what_the_loop_woke_up_for_has_one_time_and_what_comes_later_another() -> None:
    arrivals = Arrivals()
    one, other = Call(arrivals), Call(arrivals)
    asking = [asyncio.create_task(each.connection.ask(b"GET /\r\n\r\n", each.take)) for each in (one, other)]
    await asyncio.sleep(0)
    clock = asyncio.get_running_loop().time
    one.connection.data_received(SIZED[:-3])
    parsed = clock()
    while clock() == parsed:
        pass  # the clock ticks on while the first is parsed
    other.connection.data_received(SIZED)
    await asyncio.sleep(0)
    one.connection.data_received(SIZED[-3:])
    await asyncio.gather(*asking)
    assert one.times[0] == other.times[0] < one.times[-1]
