"""The HTTP client: every way a reply's body can come, events across pieces, and what a dead engine looks like."""

from __future__ import annotations

import gc
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from passloop.cli.client import Client, EngineLost, EngineUnanswered, quoted
from passloop.cli.exits import CliError
from passloop.cli.verbs.wait import _wait_for_some

OK = b"HTTP/1.1 200 OK\r\n"


@contextmanager
def engine(home: Path, *pieces: bytes) -> Iterator[list[bytes]]:
    """Answers one request with these pieces, each sent on its own; gives the request."""
    asked: list[bytes] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(home / "socket"))
        listener.listen()
        thread = threading.Thread(target=answer, args=(listener, pieces, asked))
        thread.start()
        yield asked
        thread.join(10)


def answer(listener: socket.socket, pieces: tuple[bytes, ...], asked: list[bytes]) -> None:
    link, _ = listener.accept()
    with link:
        asked.append(link.recv(65_536))
        for piece in pieces:
            link.sendall(piece)


BODIES = {
    "length": (OK + b"Content-Length: 9\r\n\r\n", b'{"a": ', b"12}"),
    "length in one piece": (OK + b'content-length: 9\r\n\r\n{"a": 12}',),
    "chunks": (OK + b'Transfer-Encoding: chunked\r\n\r\n4\r\n{"a"', b"\r\n5;x=y\r\n: 12}\r\n0\r\n", b"\r\n"),
    "to the end": (OK + b"\r\n", b'{"a": 12}'),
}


@pytest.mark.parametrize("pieces", BODIES.values(), ids=BODIES)
def test_body_is_read_however_it_comes(tmp_path: Path, pieces: tuple[bytes, ...]) -> None:
    with engine(tmp_path, *pieces) as asked:
        assert Client(str(tmp_path)).get("/x", [("select", "key:ü*"), ("limit", None)]) == {"a": 12}
    assert asked[0].startswith(b"GET /api/v1/x?select=key%3A%C3%BC%2A HTTP/1.1\r\n")


def test_request_has_its_body_and_length(tmp_path: Path) -> None:
    with engine(tmp_path, OK + b"Content-Length: 2\r\n\r\n{}") as asked:
        assert Client(str(tmp_path)).post("/y", {"a": 1}) == {}
    assert b"Content-Length: 8\r\n" in asked[0]
    assert asked[0].endswith(b'\r\n\r\n{"a": 1}')


def test_error_of_the_engine_keeps_its_words_and_code(tmp_path: Path) -> None:
    body = b'{"error": {"code": "never_fits", "message": "too large", "hint": "less", "exit": 7}}'
    head = b"HTTP/1.1 409 Conflict\r\nContent-Length: %d\r\n\r\n" % len(body)
    with engine(tmp_path, head + body), pytest.raises(CliError) as raised:
        Client(str(tmp_path)).get("/x")
    assert (raised.value.message, raised.value.hint, raised.value.exit_code) == ("too large", "less", 7)


def test_error_that_nobody_understands_is_named(tmp_path: Path) -> None:
    reply = b"HTTP/1.1 500 Oh\r\nContent-Length: 4\r\n\r\noops"
    with engine(tmp_path, reply), pytest.raises(CliError, match="status 500"):
        Client(str(tmp_path)).get("/x")


@pytest.mark.parametrize("pieces", [(), (OK,), (OK + b"Content-Length: 90\r\n\r\n{",)])
def test_engine_that_goes_away_is_exit_5(tmp_path: Path, pieces: tuple[bytes, ...]) -> None:
    with engine(tmp_path, *pieces), pytest.raises(CliError, match="went away") as raised:
        Client(str(tmp_path)).get("/x")
    assert raised.value.exit_code == 5


def test_an_engine_that_goes_away_may_have_done_what_was_asked(tmp_path: Path) -> None:
    with engine(tmp_path), pytest.raises(EngineUnanswered, match="may have done what was asked") as raised:
        Client(str(tmp_path)).post("/tasks/retry")
    assert "passloop ls" in raised.value.hint


def left_socket(home: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(home / "socket"))


@pytest.mark.parametrize("prepare", [lambda home: None, left_socket, lambda home: home.rmdir()])
def test_no_engine_is_exit_5(tmp_path: Path, prepare: Callable[[Path], None]) -> None:
    home = tmp_path / "home"
    home.mkdir()
    prepare(home)
    client = Client(str(home))
    assert not client.alive()
    with pytest.raises(CliError, match="no engine") as raised:
        client.get("/x")
    assert (raised.value.exit_code, raised.value.hint) == (5, "passloop up")


def test_engine_that_does_not_answer_is_exit_5(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        listener.listen()
        with pytest.raises(CliError, match="does not answer") as raised:
            Client(str(tmp_path)).get("/x", timeout=0.01)
    assert raised.value.exit_code == 5


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def test_events_are_whole_however_they_are_cut(tmp_path: Path) -> None:
    text = b': hello\n\nid: 1\ndata: {"seq": 1}\n\nid: 2\r\ndata: {"seq": 2}\r\n\r\ndata: {"seq": 3}\n\n'
    cut = [chunk(text[:20]), chunk(text[20:41]), chunk(text[41:]) + b"0\r\n\r\n"]
    with engine(tmp_path, OK + b"Transfer-Encoding: chunked\r\n\r\n", *cut) as asked:
        found: list[int] = []
        with pytest.raises(CliError, match="went away"), Client(str(tmp_path)).events(after=7) as events:
            found.extend(event["seq"] for event in events)
        assert found == [1, 2, 3]
    assert b"Last-Event-ID: 7\r\n" in asked[0]


def event(seq: int) -> bytes:
    return chunk(b'data: {"seq": %d}\n\n' % seq)


def test_events_of_a_patient_client_go_on_with_the_next_engine(tmp_path: Path) -> None:
    head = OK + b"Transfer-Encoding: chunked\r\n\r\n"
    with engine(tmp_path, head, event(1), b"0\r\n\r\n"), Client(str(tmp_path)).patient().events() as events:
        found = events.ready()
        (tmp_path / "socket").unlink()
        with engine(tmp_path, head, event(7)):
            found += [*events.ready(), *events.ready()]
    assert found == [{"seq": 1}, {"anew": True}, {"seq": 7}]


def test_events_of_an_engine_that_dies_before_it_answers_leave_no_connection(tmp_path: Path) -> None:
    with engine(tmp_path) as asked, pytest.raises(EngineUnanswered), Client(str(tmp_path)).events():
        raise AssertionError("there is nothing to hear")
    assert asked
    gc.collect()  # a socket that nobody closed is a warning, and so a failure, here


STOPPED = b'{"error": {"code": "stopped", "message": "the engine stopped", "hint": "", "exit": 5}}'
REFUSED = b"HTTP/1.1 503 No\r\nContent-Length: %d\r\n\r\n%b" % (len(STOPPED), STOPPED)


@pytest.mark.parametrize(("pieces", "again"), [((REFUSED,), True), ((), False)], ids=["refused", "unanswered"])
def test_what_may_have_been_done_is_not_asked_of_the_next_engine(
    tmp_path: Path, pieces: tuple[bytes, ...], again: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[str] = []
    monkeypatch.setattr("passloop.cli.next_engine.wait_for_engine", lambda home, **_: waited.append(home))
    with engine(tmp_path, *pieces), pytest.raises(EngineLost, match="no other came" if again else "went away before"):
        Client(str(tmp_path)).patient().post("/submit")
    assert waited == [str(tmp_path)] * again


@pytest.mark.parametrize(
    ("reply", "patience", "asked", "said"), [(REFUSED, 10.0, 3, "the engine stopped"), (b"", 0.3, 9, "no other came")]
)
def test_an_engine_that_loses_questions_and_stays_is_asked_a_few_times(
    tmp_path: Path, reply: bytes, patience: float, asked: int, said: str
) -> None:
    questions: list[bytes] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        listener.listen()
        thread = threading.Thread(target=lose_all, args=(listener, reply, questions))
        thread.start()
        with pytest.raises(EngineLost, match=said):
            Client(str(tmp_path), patience=patience).get("/x")
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)
    assert len(questions) <= asked


def lose_all(listener: socket.socket, reply: bytes, questions: list[bytes]) -> None:
    """Answer each request with `reply` and nothing else, until the socket is shut down."""
    while True:
        try:
            link, _ = listener.accept()
        except OSError:
            return
        with link:
            if question := link.recv(65_536):
                questions.append(question)
                link.sendall(reply)


class Clock:
    """Stands still but when it is told to go on."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        return self.now

    def lose(self, *held: float) -> Callable[[], str]:
        """Asks engines each of which goes away after so many seconds; the one after them answers."""
        left = list(held)

        def ask() -> str:
            if not left:
                return "answered"
            self.now += left.pop(0)
            raise EngineUnanswered("gone")

        return ask


@pytest.mark.parametrize(
    ("held", "most", "lost"),
    [((20, 20, 20), None, False), ((0.5,) * 40, None, True), ((20, 20, 20), 50.0, True)],
    ids=["each had taken it", "none had taken it", "no longer than was said"],
)
def test_patience_begins_anew_with_each_engine_that_had_taken_the_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: tuple[float, ...], most: float | None, lost: bool
) -> None:
    clock = Clock()
    monkeypatch.setattr("passloop.cli.client.time", clock)
    monkeypatch.setattr("passloop.cli.next_engine.lets_go", lambda home, **_: True)
    monkeypatch.setattr("passloop.cli.next_engine.wait_for_engine", lambda home, **_: True)
    client = Client(str(tmp_path)).patient(most)
    with pytest.raises(EngineLost, match="no other came") if lost else nullcontext():
        assert client.until_answered(clock.lose(*held)) == "answered"


def test_the_next_engine_is_told_how_much_of_a_timeout_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, asked = Clock(), list[object]()

    def answer_late(_client: Client, _path: str, query: list[tuple[str, object]]) -> dict[str, object]:
        asked.append(dict(query)["timeout_ms"])
        clock.now += 290
        if len(asked) == 1:
            raise EngineUnanswered("gone")
        return {"final": False}

    monkeypatch.setattr("passloop.cli.client.time", clock)
    monkeypatch.setattr("passloop.cli.verbs.wait.time", clock)
    monkeypatch.setattr("passloop.cli.next_engine.lets_go", lambda home, **_: True)
    monkeypatch.setattr("passloop.cli.next_engine.wait_for_engine", lambda home, **_: True)
    monkeypatch.setattr(Client, "get", answer_late)
    assert not _wait_for_some(Client(str(tmp_path)).patient(300), ["1"], clock.now + 300)["final"]
    assert asked == [300_000, 10_000]


def test_a_patient_client_does_not_wait_for_ever(tmp_path: Path) -> None:
    with pytest.raises(EngineLost, match=r"no other came in 0 s; running work is not harmed") as raised:
        Client(str(tmp_path), patience=0.01).get("/x")
    assert (raised.value.exit_code, raised.value.hint) == (5, "passloop up")


def test_socket_of_a_long_home_is_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / ("long" * 40)
    home.mkdir()
    monkeypatch.chdir(home)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        listener.listen()
        assert Client(str(home)).alive()


def test_quoted_leaves_nothing_that_could_end_a_part() -> None:
    assert quoted("a/b?c#d e&f=g") == "a%2Fb%3Fc%23d%20e%26f%3Dg"
