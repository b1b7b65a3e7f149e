"""P17: whatever a spec, the words of a command or a request hold, the answer is a result or an error that says what is
wrong, where, and how to fix it, within a second. Never a traceback, and nothing in it that plays tricks on a terminal.

Specs are generated, or good ones are spoiled byte by byte; words and requests likewise. Each law is one function of
one drawn value, so that the small and the large figure differ in nothing but the number of cases.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from passloop.apps.errors import SpecError
from passloop.apps.queue.convert import to_submitted
from passloop.apps.queue.options import Place, SubmitOptions, document_of
from passloop.apps.queue.plan import plan_of
from passloop.apps.queue.sweep import sweep_of
from passloop.apps.queue.wire import decode_submission, submission_from
from passloop.apps.spec_file import parse_spec
from passloop.cli.catalogue import VERBS
from passloop.cli.main import main
from passloop.cli.said import SUBMIT_OPTIONS
from tests.support.nasty import NASTY, VALUES, good_specs, specs
from tests.support.promises import record

HERE = Place(cwd="/", environment={"PATH": "/bin"}, snapshot=lambda directory: "/snapshots/0")
SPECS = tuple(good_specs())
WHERE = re.compile(r"s\.yaml:[1-9][0-9]*:[1-9][0-9]*")
TRICKS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
SECONDS = 1.0
REFUSING = "PASSLOOP_TEST_REFUSING_HOME"
CODES = {0, 2, 3, 5, 6}
STARTING = {"run", "submit", "up", "ui", "serve", "doctor", "completion", "config"}
ODD = (
    *("12", "0", "-1", "12-40", "40-12", "1-", "last", "@", "@run", "state:", "state:failed", "stat:failed", "key:["),
    *("99999999999999999999", "1-99999999999999999999", "\udcff", "\u202eabc", "x" * 700, "", ",", "1,,2", "class:"),
    *("--json", "--failed", "--limit", "--group", "--timeout", "-n", "-f", "--attempt", "--out", "--format", "--nope"),
    *("9" * 5_000, "@" + "9" * 5_000, "٣", "²"),
)
BODY = {"tasks": [{"command": ["true"]}], "cwd": "/", "name": "x", "environment": {"A": "b"}, "spec": {}, "after": []}
REFUSAL = b'{"error": {"code": "stopped", "message": "no", "hint": "", "exit": 5}}'

no_nul = st.text(st.characters(exclude_characters="\0"), max_size=8)
words = st.lists(st.sampled_from(ODD) | no_nul, max_size=4)
odd_texts = st.sampled_from([word for word in NASTY if "\0" not in word]) | st.sampled_from(ODD) | no_nul
option_words = st.lists(
    st.tuples(st.sampled_from([flag for one in SUBMIT_OPTIONS for flag in one.flags]), odd_texts).map(list), max_size=4
).map(lambda pairs: [word for pair in pairs for word in pair])
option_values = st.fixed_dictionaries(
    {},
    optional={name: odd_texts for name in SubmitOptions._fields if name not in ("priority", "cwd", "each_line")}
    | {"priority": st.integers(-(10**30), 10**30)},
)


@st.composite
def spoiled(draw: st.DrawFn) -> bytes:
    """A good spec with a few pieces of it replaced by what should not be there."""
    text = bytearray(draw(st.sampled_from(SPECS)))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(text)))
        length = draw(st.sampled_from([0, 0, 1, 2, 5, 30]))
        word = st.sampled_from(NASTY).map(lambda word: word.encode("utf-8", "surrogatepass"))
        piece = draw(word | st.binary(max_size=4))
        text[place : place + length] = piece * draw(st.sampled_from([1, 1, 1, 2, 100]))
    return bytes(text)


@st.composite
def spliced(draw: st.DrawFn) -> bytes:
    """Lines of good specs in any order."""
    lines = [line for good in SPECS for line in good.splitlines(keepends=True)]
    picked = draw(st.lists(st.sampled_from(lines), min_size=1, max_size=25))
    return b"run: x\ncommand: [a]\n" * draw(st.booleans()) + b"".join(picked)


generated = specs.map(lambda spec: json.dumps(spec, ensure_ascii=False).encode("utf-8", "surrogatepass"))
any_bytes = st.binary(max_size=300) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass"))
any_matrix = any_bytes.map(lambda data: b"run: x\ncommand: [a]\nmatrix: " + data)
bodies = st.dictionaries(st.sampled_from([*BODY, "group", "priority", "held", "nope"]), VALUES, max_size=3)


def is_a_spec_answered(data: bytes) -> None:
    """Read, expand, plan and convert `data`, and check the answer."""
    try:
        sweep = sweep_of(parse_spec(data, name="s.yaml", folder=Path("/")), HERE)
        if sweep.points <= 5_000:
            to_submitted(sweep.submission(HERE))
            plan_of(sweep).as_text()
    except SpecError as error:
        check_words_of(error, WHERE)


def check_words_of(error: SpecError, where: re.Pattern[str] = re.compile(".+")) -> None:
    """Each problem says what, where and how to fix it, in a few lines that any terminal can show."""
    assert error.problems
    for problem in error.problems:
        assert problem.what
        assert where.fullmatch(problem.where), problem
        assert problem.fix
    text = str(error)
    assert not TRICKS.search(text), text
    assert len(text) < 20_000


def are_options_answered(values: dict[str, Any]) -> None:
    """Options of submit, read one by one."""
    many = {name: (text,) for name, text in values.items() if name in ("need", "or_variants", "env", "after")}
    flags = {name: True for name in values if name in ("balance", "snapshot", "wait_for_capacity", "held")}
    values = values | many | flags
    if "after_any" in values:
        values["after_any"] = (values["after_any"],)
    try:
        to_submitted(submission_from(document_of(SubmitOptions(**values), ["true"], HERE)))
    except SpecError as error:
        check_words_of(error)


def is_a_request_answered(fields: dict[str, Any]) -> None:
    """The body of POST /submit, as another program might send it."""
    try:
        to_submitted(decode_submission(json.dumps(BODY | fields).encode("utf-8", "surrogatepass")))
    except SpecError as error:
        check_words_of(error)


def are_words_answered(verb: str, said: list[str], codes: set[int]) -> None:
    """A whole command line."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([verb, *said])
    assert code in codes, err.getvalue()
    assert "Traceback" not in err.getvalue()
    if code:
        assert err.getvalue().startswith("error: ")
        assert not TRICKS.search(err.getvalue()), err.getvalue()
        assert len(err.getvalue()) < 3_000


def is_submit_answered(said: list[str]) -> None:
    """A submit, where an engine refuses all that is well said."""
    are_words_answered("submit", ["--home", os.environ[REFUSING], *said], {2, 5})


class Law(NamedTuple):
    """What is drawn, how often in CI, and what must hold of it."""

    cases: int
    drawn: st.SearchStrategy[Any]
    check: Callable[[Any], None]


LAWS = {
    "a generated spec": Law(150, generated, is_a_spec_answered),
    "a spoiled spec": Law(500, spoiled(), is_a_spec_answered),
    "a spliced spec": Law(250, spliced(), is_a_spec_answered),
    "any bytes": Law(250, any_bytes, is_a_spec_answered),
    "any matrix": Law(100, any_matrix, is_a_spec_answered),
    "options": Law(200, option_values, are_options_answered),
    "a request": Law(200, bodies, is_a_request_answered),
    "words of a verb": Law(
        250,
        st.tuples(st.sampled_from(sorted(set(VERBS) - STARTING)), words),
        lambda pair: are_words_answered(*pair, CODES),
    ),
    "words of submit": Law(150, option_words, lambda said: is_submit_answered([*said, "--", "true"])),
}
LARGE = 5
"""How many times the cases of CI."""


@pytest.fixture(scope="module", autouse=True)
def refusing_engine() -> Iterator[None]:
    """An empty home for the verbs; whoever submits finds an engine there that refuses everything."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PASSLOOP_HOME", os.path.join(folder, "home"))
        patch.setattr("tempfile.tempdir", folder)
        patch.setenv(REFUSING, os.path.join(folder, "refusing"))
        patch.chdir(folder)
        with refuser(Path(folder) / "refusing"):
            yield


@contextlib.contextmanager
def refuser(home: Path) -> Iterator[None]:
    """A socket in `home` at which everything is refused."""
    home.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(home / "socket"))
        listener.listen()
        thread = threading.Thread(target=refuse_all, args=(listener,))
        thread.start()
        try:
            yield
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(10)


def refuse_all(listener: socket.socket) -> None:
    """Answer each request with a refusal, until the socket is shut down."""
    while True:
        try:
            link, _ = listener.accept()
        except OSError:
            return
        with link:
            if link.recv(1 << 20):
                head = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: %d\r\n\r\n" % len(REFUSAL)
                link.sendall(head + REFUSAL)


def within_a_second(check: Callable[[Any], None]) -> Callable[[Any], None]:
    """The check, and that it took this process at most a second; other processes do not count."""

    def timed(drawn: Any) -> None:
        started = time.process_time()
        check(drawn)
        assert time.process_time() - started < SECONDS

    return timed


def hold(name: str, cases: int) -> None:
    """Draw so many cases of a law and check them."""
    law = LAWS[name]
    fuzzing = settings(deadline=None, max_examples=cases, suppress_health_check=list(HealthCheck))
    fuzzing(given(law.drawn)(within_a_second(law.check)))()
    record("P17", "0 tracebacks, 0 over 1 s", cases=cases)


@pytest.mark.parametrize("name", LAWS)
def test_bad_input_gets_an_error(name: str) -> None:
    hold(name, LAWS[name].cases)


@pytest.mark.large
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("name", LAWS)
def test_much_bad_input_gets_an_error(name: str) -> None:
    hold(name, LARGE * LAWS[name].cases)


@pytest.mark.parametrize("said", [["--priority", "9" * 5_000], ["--priority", "٣"], ["-g", "9" * 5_000]], ids=str)
def test_numbers_that_no_program_reads_are_answered(said: list[str]) -> None:
    is_submit_answered([*said, "--", "true"])


@pytest.mark.parametrize("said", [["ls", "--limit"], ["gpus"], ["pools"], ["show"], ["wait"]], ids=" ".join)
def test_an_error_quotes_a_long_word_in_part_and_without_its_codes(said: list[str]) -> None:
    are_words_answered(said[0], [*said[1:], "9" * 5_000, "\x1b[2J\x9b\u202e"], {2, 3})


@pytest.mark.parametrize("data", [data for data in SPECS if re.search(rb"^run:", data, re.MULTILINE)])
def test_the_good_specs_are_good(data: bytes) -> None:
    assert list(sweep_of(parse_spec(data, name="s.yaml", folder=Path("/")), HERE).cells())


def test_the_small_figure_is_two_thousand() -> None:
    assert sum(law.cases for law in LAWS.values()) >= 2_000
