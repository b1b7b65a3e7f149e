"""A small HTTP/1.1 client over the engine's Unix socket. JSON in and out, one connection per request.

It knows no verb and prints nothing; whatever goes wrong becomes a `CliError` with its exit code. A patient client goes
on with the next engine when the one it asks goes away. It imports as little as it can, because every command pays.
"""

from __future__ import annotations

import json
import math
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any, TypeVar, cast

from passloop.cli.exits import CliError, Exit

__all__ = [
    "PATIENCE",
    "Client",
    "EngineLost",
    "EngineStopping",
    "EngineStream",
    "EngineUnanswered",
    "keep_to_one_engine",
    "no_engine",
    "quoted",
]

PATIENCE = 15.0
"""Seconds that a follower waits for the next engine: as long as one may take to come up."""
_TAKEN = 1.0
"""Seconds after which a question was taken: to lose its engine then is another loss, with patience of its own."""
_PAUSE = 0.01
"""Seconds before an engine that lost a question and is still there is asked again; twice as many each time."""
_REFUSALS = 3
"""So often an engine says that it is going away, and is still there, until that is taken for its answer."""
_CHUNK = 65_536
_NAME = "socket"
_one_engine = False
Result = TypeVar("Result")
Query = Sequence[tuple[str, str | int | None]]


def keep_to_one_engine() -> None:
    """Let no client of this process be patient: what an engine starts beside itself ends with it, and the next engine
    starts it again.
    """
    global _one_engine
    _one_engine = True


class EngineLost(CliError):
    """There is no engine, or it is going away: it did nothing of what it was asked, and the next one may be asked."""

    def __init__(self, message: str, *, hint: str = "passloop up") -> None:
        super().__init__(message, hint=hint, exit_code=Exit.ENGINE_UNREACHABLE)


class EngineUnanswered(EngineLost):
    """The engine went away after it was asked and before it answered: it may have done it."""


class EngineStopping(EngineLost):
    """The engine said that it is going away, instead of doing what it was asked."""


def no_engine(home: str) -> CliError:
    """The error of a command that cannot do without an engine."""
    return EngineLost(f"no engine is running for {home}")


class Client:
    """Talks to the engine that owns the home at `home`, if there is one.

    When that one goes away it waits for the next for `patience` seconds after the home has no owner, and no longer than
    the monotonic `until` (None: without end), and asks again what can be asked twice.
    """

    def __init__(self, home: str, *, patience: float = 0.0, until: float | None = None) -> None:
        self.home = home
        self.patience = patience
        self._until = math.inf if until is None else until

    def patient(self, most: float | None = None) -> Client:
        """One that goes on with the next engine, if that comes within `most` seconds from now."""
        until = None if most is None else time.monotonic() + most
        return Client(self.home, patience=0.0 if _one_engine else PATIENCE, until=until)

    def alive(self) -> bool:
        """Whether an engine answers on the socket."""
        try:
            _connect(self.home).close()
        except OSError:
            return False
        return True

    def get(self, path: str, query: Query = (), *, timeout: float | None = None) -> dict[str, Any]:
        """GET `/api/v1{path}`; `timeout` in seconds bounds each wait on the socket."""
        return self._call("GET", path + _query_text(query), None, timeout)

    def post(self, path: str, body: Mapping[str, Any] | None = None, *, timeout: float | None = None) -> dict[str, Any]:
        """POST a JSON document to `/api/v1{path}`."""
        return self.post_bytes(path, json.dumps(body or {}).encode(), timeout=timeout)

    def post_bytes(self, path: str, body: bytes, *, timeout: float | None = None) -> dict[str, Any]:
        """POST a document that is JSON already."""
        return self._call("POST", path, body, timeout)

    @contextmanager
    def events(self, after: int | None = None, *, form: str = "tasks") -> Iterator[EngineStream]:
        """The engine's server-sent events, from the journal number after `after` on (None: from now on). In the form
        `marks` they only say that there is something new, a few times a second at most.

        Of a patient client they go on with the next engine: `{"anew": true}` says that some may have been missed.
        """
        stream = EngineStream(self, form, after)
        try:
            yield stream
        finally:
            stream.close()

    def until_answered(self, ask: Callable[[], Result], *, twice: bool = True) -> Result:
        """What `ask` gives, of the next engine if this one goes away. What may not be done `twice` is asked again only
        if nothing was done of it.
        """
        since, again = 0.0, 0
        while True:
            asked = time.monotonic()
            try:
                return ask()
            except EngineLost as lost:
                if not self.patience or (isinstance(lost, EngineUnanswered) and not twice):
                    raise
                now = time.monotonic()
                if not again or now - asked > _TAKEN:
                    since, again = now, 0
                again += 1
                self._find_next(lost, since, again)

    def _find_next(self, lost: EngineLost, since: float, again: int) -> None:
        """Wait for the engine to ask after this one was lost, the last `again` times in a row. Raises `EngineLost`
        where there is none in time, and what it said where the one that refuses stays.
        """
        from passloop.cli.next_engine import lets_go, wait_for_engine

        until = min(since + self.patience, self._until)
        gone = lets_go(self.home, seconds=min(_PAUSE * 2 ** (again - 1), until - time.monotonic()))
        if not gone and again >= _REFUSALS and isinstance(lost, EngineStopping):
            raise lost
        left = until - time.monotonic()
        if left <= 0 or not wait_for_engine(self.home, seconds=left, until=self._until):
            waited = time.monotonic() - since
            what = f"the engine of {self.home} went away, and no other came in {waited:.0f} s"
            raise EngineLost(f"{what}; running work is not harmed") from lost

    @contextmanager
    def told(self, *, acts: bool = False) -> Iterator[None]:
        """Around what is read from a connection and written to it, and nothing else: what breaks there is the engine's
        end. Who asks it only is told of its end; who `acts` that it may have done it.
        """
        try:
            yield
        except TimeoutError as late:
            raise CliError(
                f"the engine of {self.home} does not answer",
                hint="passloop doctor",
                exit_code=Exit.ENGINE_UNREACHABLE,
            ) from late
        except ConnectionError as broken:
            what = f"the engine of {self.home} went away before it answered"
            if acts:
                said = f"{what}; it may have done what was asked"
                raise EngineUnanswered(said, hint="look with passloop ls; passloop up starts the next") from broken
            raise EngineUnanswered(f"{what}; running work is not harmed") from broken

    def connected(self) -> socket.socket:
        """A connection to the engine. Raises `EngineLost`, or `CliError` where it belongs to another user."""
        try:
            return _connect(self.home)
        except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError) as lacking:
            raise no_engine(self.home) from lacking
        except PermissionError as refused:
            raise CliError(
                f"not allowed to talk to the engine of {self.home}: it belongs to another user",
                hint="passloop --home DIRECTORY status",
                exit_code=Exit.NOT_ALLOWED,
            ) from refused

    def _call(self, method: str, path: str, body: bytes | None, timeout: float | None) -> dict[str, Any]:
        return self.until_answered(lambda: self._call_once(method, path, body, timeout), twice=method == "GET")

    def _call_once(self, method: str, path: str, body: bytes | None, timeout: float | None) -> dict[str, Any]:
        link = self.connected()
        with closing(link), self.told(acts=method != "GET"):
            link.settimeout(timeout)
            link.sendall(_request(method, path, body, {"Accept": "application/json"}))
            reply = _Reply(link)
            _raise_for(reply, self.home)
            return cast(dict[str, Any], json.loads(reply.body()))


class EngineStream:
    """Server-sent events as they come. `fileno` lets a caller wait for several things at once."""

    def __init__(self, client: Client, form: str, after: int | None) -> None:
        self._client = client
        self._form = form
        self._link: socket.socket | None = None
        try:
            client.until_answered(lambda: self._begin(after))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Hear no more."""
        if self._link is not None:
            self._link.close()

    def _begin(self, after: int | None) -> None:
        self.close()
        headers = {"Accept": "text/event-stream"} | ({} if after is None else {"Last-Event-ID": str(after)})
        self._link = self._client.connected()
        self._text = b""
        with self._client.told():
            self._link.sendall(_request("GET", f"/events?form={self._form}", None, headers))
            self._reply = _Reply(self._link)
            _raise_for(self._reply, self._client.home)

    def fileno(self) -> int:
        """The socket, for `select`."""
        return self._reply.fileno()

    def ready(self) -> list[dict[str, Any]]:
        """The events that can be read with one wait, oldest first. After the last of an engine a patient client begins
        anew with the next one, and says so; any other raises `EngineUnanswered`.
        """
        try:
            with self._client.told():
                return self._read()
        except EngineUnanswered:
            if not self._client.patience:
                raise
        self._client.until_answered(lambda: self._begin(None))
        return [{"anew": True}]

    def _read(self) -> list[dict[str, Any]]:
        while True:
            piece = self._reply.piece()
            self._text = (self._text + piece).replace(b"\r\n", b"\n")
            if not piece or not self.pending:
                break
        *whole, self._text = self._text.split(b"\n\n")
        found = [event for event in map(_event_data, whole) if event is not None]
        if not piece and not found:
            raise ConnectionResetError("the engine closed its stream of events")
        return found

    @property
    def pending(self) -> bool:
        """Whether something was read from the socket that `ready` has not given yet."""
        return self._reply.buffered

    def __iter__(self) -> Iterator[dict[str, Any]]:
        while True:
            yield from self.ready()


def _event_data(block: bytes) -> dict[str, Any] | None:
    lines = [line[5:].lstrip() for line in block.split(b"\n") if line.startswith(b"data:")]
    return cast(dict[str, Any], json.loads(b"\n".join(lines))) if lines else None


class _Reply:
    """One HTTP reply: its status, and its body by length, by chunks, or to the end of the connection."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self._buffer = b""
        self._ended = False
        head = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        self.status = int(head[0].split(" ", 2)[1])
        fields = dict(line.lower().split(":", 1) for line in head[1:] if ":" in line)
        self._chunked = "chunked" in fields.get("transfer-encoding", "")
        self._left: int | None = int(fields["content-length"]) if "content-length" in fields else None

    def fileno(self) -> int:
        return self._link.fileno()

    @property
    def buffered(self) -> bool:
        """Whether bytes of the body lie here that nobody took yet."""
        return bool(self._buffer)

    def body(self) -> bytes:
        """The whole body."""
        return b"".join(iter(self.piece, b""))

    def piece(self) -> bytes:
        """Some more of the body; empty at its end."""
        if self._chunked:
            return self._chunk()
        if self._left is None:
            return self._take(_CHUNK, partial=True)
        if self._left == 0:
            return b""
        part = self._take(min(self._left, _CHUNK), partial=True)
        if not part:
            raise ConnectionResetError("the reply was cut off")
        self._left -= len(part)
        return part

    def _chunk(self) -> bytes:
        if self._ended:
            return b""
        size = int(self._until(b"\r\n").split(b";")[0], 16)
        data = self._take(size) if size else b""
        self._until(b"\r\n")
        self._ended = size == 0
        return data

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._buffer:
            self._fill()
        line, self._buffer = self._buffer.split(mark, 1)
        return line

    def _take(self, size: int, *, partial: bool = False) -> bytes:
        while len(self._buffer) < (1 if partial else size):
            try:
                self._fill()
            except ConnectionResetError:
                if partial:
                    return b""
                raise
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data

    def _fill(self) -> None:
        got = self._link.recv(_CHUNK)
        if not got:
            raise ConnectionResetError("the connection ended inside a reply")
        self._buffer += got


def _raise_for(reply: _Reply, home: str) -> None:
    if reply.status < 400:
        return
    raw = reply.body()
    try:
        error = json.loads(raw)["error"]
        if error["code"] == "stopped":
            raise EngineStopping(error["message"])
        raise CliError(error["message"], hint=error.get("hint", ""), exit_code=error.get("exit", Exit.USAGE))
    except (ValueError, KeyError, TypeError) as unknown:
        raise CliError(
            f"the engine of {home} answered with HTTP status {reply.status}",
            hint="passloop doctor",
            exit_code=Exit.BUG,
        ) from unknown


def _request(method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> bytes:
    fields = {"Host": "passloop", "Connection": "close", **headers}
    if body is not None:
        fields |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"{method} /api/v1{path} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + (body or b"")


def _query_text(query: Query) -> str:
    pairs = [f"{name}={quoted(str(value))}" for name, value in query if value is not None]
    return "?" + "&".join(pairs) if pairs else ""


def quoted(text: str) -> str:
    """`text` as one part of a path or query."""
    plain = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
    return "".join(chr(byte) if byte in plain else f"%{byte:02X}" for byte in text.encode(errors="surrogateescape"))


def _connect(home: str) -> socket.socket:
    """A connection to the home's socket by way of the folder's descriptor: paths over 108 bytes work too."""
    folder = os.open(home, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        link.connect(f"/proc/self/fd/{folder}/{_NAME}")
    except OSError:
        link.close()
        raise
    finally:
        os.close(folder)
    return link
