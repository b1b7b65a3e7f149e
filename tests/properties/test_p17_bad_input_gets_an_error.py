"""P17: whatever a spec, the words of a command or a request hold, the answer is a result or an error that says what is
wrong, where, and how to fix it, within a second of CPU time (in the large figure by the clock too). Never a traceback,
and nothing in it that plays tricks on a terminal.

Specs are generated, or good ones are spoiled byte by byte; words and requests likewise. Each law is one function of
one drawn value, so that the small and the large figure differ in nothing but the number of cases.

Verbs and their options are those that the command line itself knows, all of them: their home is one where nothing can
be started, because it has an owner, and where an engine refuses everything. Specs of bench, generate and tune have
files of their own, beside this one.
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
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import click
import pytest
from hypothesis import strategies as st

from passloop.apps.errors import SpecError
from passloop.apps.queue.convert import to_submitted
from passloop.apps.queue.options import Place, SubmitOptions, document_of
from passloop.apps.queue.plan import plan_of
from passloop.apps.queue.sweep import sweep_of
from passloop.apps.queue.wire import decode_submission, submission_from
from passloop.apps.spec_file import parse_spec
from passloop.cli import streams
from passloop.cli.catalogue import VERBS
from passloop.cli.exits import Exit
from passloop.cli.main import main
from passloop.cli.program import program
from passloop.cli.said import SUBMIT_OPTIONS
from passloop.store.home import Home, HomeLock
from tests.support.fuzzing import FIGURE, Seconds, hold
from tests.support.nasty import NASTY, VALUES, good_specs, specs
from tests.support.promises import FILE, record

HERE = Place(cwd="/", environment={"PATH": "/bin"}, snapshot=lambda directory: "/snapshots/0")
SPECS = tuple(good_specs())
WHERE = re.compile(r"s\.yaml:[1-9][0-9]*:[1-9][0-9]*")
TRICKS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
REFUSING = "PASSLOOP_TEST_REFUSING_HOME"
CODES = {int(code) for code in Exit} - {Exit.BUG, Exit.TIME_LIMIT, Exit.INTERRUPTED}
TOLD = {0, Exit.WORK_FAILED, Exit.STORE_DAMAGED, Exit.NEVER_FITS}
"""Codes that an answer may have too: `doctor` tells what it found, `plan` what can never fit."""
STARTING = {"run", "submit", "up", "ui", "serve"}
"""Verbs that start an engine where there is none, whatever is said."""
FILES = {
    "good.yaml": b"run: x\ncommand: [true]\n",
    "bench.yaml": b"bench: x\nadapter: fake\nmodels: {a: {}}\nsparse_attention: {dense: {}}\nbenchmarks: {n: {}}\n",
    "utf16.yaml": "run: x\ncommand: [true]\n".encode("utf-16"),
    "binary.yaml": bytes(range(256)),
    "empty.yaml": b"",
    "results.csv": b"a,b\n",
}
HOMES = ("/dev/null", "/dev/null/x", "/proc", "/proc/1/x", "")
"""What no home can be."""
ODD = (
    *("12", "0", "-1", "12-40", "40-12", "1-", "last", "@", "@run", "state:", "state:failed", "stat:failed", "key:["),
    *("99999999999999999999", "1-99999999999999999999", "\udcff", "\u202eabc", "x" * 700, "", ",", "1,,2", "class:"),
    *("--json", "--failed", "--limit", "--group", "--timeout", "-n", "-f", "--attempt", "--out", "--format", "--nope"),
    *("9" * 5_000, "@" + "9" * 5_000, "٣", "²"),
)
BODY = {"tasks": [{"command": ["true"]}], "cwd": "/", "name": "x", "environment": {"A": "b"}, "spec": {}, "after": []}
REFUSAL = b'{"error": {"code": "stopped", "message": "no", "hint": "passloop up", "exit": 5}}'

no_nul = st.text(st.characters(exclude_characters="\0"), max_size=8)
words = st.lists(st.sampled_from(ODD) | no_nul, max_size=4)
odd_texts = (
    st.sampled_from([word for word in NASTY if "\0" not in word and word != "\ud800"]) | st.sampled_from(ODD) | no_nul
)
"""What a command can be given: no NUL, and of lone surrogates those that stand for a byte."""
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


def flags_of(verb: str) -> list[str]:
    """All options of a verb, by any of their names, but `--home`."""
    command = program.get_command(click.Context(program), verb)
    assert command is not None
    options = [param for param in command.params if isinstance(param, click.Option) and param.name != "home"]
    return [flag for option in options for flag in (*option.opts, *option.secondary_opts)]


def lines_of(verb: str) -> st.SearchStrategy[list[str]]:
    """A verb with some of its options and with words that it knows or does not."""
    flags = st.sampled_from([*flags_of(verb), "--nope"])
    pairs = st.tuples(flags, odd_texts)
    word = st.sampled_from([*FILES, "folder", "-", "--", "show"]) | odd_texts
    piece = (
        word.map(lambda one: [one])
        | flags.map(lambda flag: [flag])
        | pairs.map(list)
        | pairs.map(lambda pair: ["=".join(pair)])
        | st.sampled_from(HOMES).map(lambda home: ["--home", home])
    )
    return st.lists(piece, max_size=4).map(lambda pieces: [verb, *(one for each in pieces for one in each)])


def answer_to(words: list[str], stdin: bytes = b"") -> tuple[int, str, str]:
    """What a whole command line ends with and says on stdout and on stderr."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="surrogateescape") for _ in range(2))
    streams.set_colour("")
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        patch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8"))
        code = main(words)
        out.flush()
        err.flush()
    return code, *(file.buffer.getvalue().decode("utf-8", "surrogateescape") for file in (out, err))  # type: ignore[attr-defined]


def are_words_answered(words: list[str], codes: set[int]) -> None:
    """A command line of which no work comes. What is wrong is told with how to go on."""
    code, out, err = answer_to(words)
    assert code in codes, err
    assert "Traceback" not in err
    said = err.replace("\x1b[31merror\x1b[0m", "error")
    assert not TRICKS.search(said), said
    assert len(said) < 3_000
    if code not in TOLD or not out:
        assert code == 0 or re.search("^error: .", said, re.MULTILINE), said
    if "error: " in said:
        assert re.search("^  hint: .", said, re.MULTILINE), said


def is_a_line_answered(words: list[str]) -> None:
    """A command line, where nothing can be started and an engine refuses all that is well said."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PASSLOOP_HOME", os.environ[REFUSING])
        are_words_answered(words, CODES)


def is_submit_answered(said: list[str]) -> None:
    """A submit, where an engine refuses all that is well said."""
    are_words_answered(["submit", "--home", os.environ[REFUSING], *said], {2, 5})


class Law(NamedTuple):
    """Of what kind of input it is; what is drawn, how often in CI, and what must hold of it."""

    kind: str
    cases: int
    drawn: st.SearchStrategy[Any]
    check: Callable[[Any], None]


LAWS = {
    "a generated spec": Law("spec", 150, generated, is_a_spec_answered),
    "a spoiled spec": Law("spec", 500, spoiled(), is_a_spec_answered),
    "a spliced spec": Law("spec", 250, spliced(), is_a_spec_answered),
    "any bytes": Law("spec", 250, any_bytes, is_a_spec_answered),
    "any matrix": Law("spec", 100, any_matrix, is_a_spec_answered),
    "options": Law("submission", 200, option_values, are_options_answered),
    "a request": Law("submission", 200, bodies, is_a_request_answered),
    "words of a verb without an engine": Law(
        "line",
        150,
        st.tuples(st.sampled_from(sorted(set(VERBS) - STARTING)), words),
        lambda pair: are_words_answered([pair[0], *pair[1]], CODES),
    ),
    "words of every verb": Law("line", 300, st.sampled_from(list(VERBS)).flatmap(lines_of), is_a_line_answered),
    "words of no verb": Law("line", 50, words.filter(bool), is_a_line_answered),
    "words of submit": Law("line", 150, option_words, lambda said: is_submit_answered([*said, "--", "true"])),
}
LARGE = 5
"""How many times the cases of CI."""


@pytest.fixture(scope="module", autouse=True)
def refusing_engine() -> Iterator[None]:
    """An empty home for the verbs; whoever submits finds an engine there that refuses everything."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("PASSLOOP_", "XDG_", "DISPLAY", "WAYLAND"))]:
            if name != FILE:
                patch.delenv(name)
        patch.setenv("PASSLOOP_HOME", os.path.join(folder, "home"))
        patch.setenv("HOME", folder)
        patch.setattr("tempfile.tempdir", folder)
        patch.setenv(REFUSING, os.path.join(folder, "refusing"))
        patch.chdir(folder)
        os.mkdir("folder")
        for name, data in FILES.items():
            Path(name).write_bytes(data)
        with refuser(Path(folder) / "refusing"), HomeLock(Home(Path(folder) / "refusing")):
            load_all_verbs()
            yield


def load_all_verbs() -> None:
    """What a verb imports when it is first used is no part of what an input costs."""
    for verb in VERBS:
        answer_to([verb, "--home", os.environ[REFUSING]])
        answer_to([verb, "--home", os.environ[REFUSING], "bench.yaml"])


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


def write_down(kind: str, held: Seconds) -> None:
    """What held, as a figure of its kind, so that no kind can vanish among the others."""
    match kind:
        case "spec":
            record("P17", FIGURE, cases=held.cases, run_specs=held.cases, longest_s=held.longest_s)
        case "submission":
            record("P17", FIGURE, cases=held.cases, submissions=held.cases, longest_s=held.longest_s)
        case "line":
            record("P17", FIGURE, cases=held.cases, lines=held.cases, longest_s=held.longest_s)


@pytest.mark.parametrize("name", LAWS)
def test_bad_input_gets_an_error(name: str) -> None:
    write_down(LAWS[name].kind, hold(LAWS[name].drawn, LAWS[name].check, cases=LAWS[name].cases))


@pytest.mark.large
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("name", LAWS)
def test_much_bad_input_gets_an_error(name: str) -> None:
    law = LAWS[name]
    write_down(law.kind, hold(law.drawn, law.check, cases=LARGE * law.cases, wall=True))


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_with_nothing_or_all_of_its_options_is_answered(verb: str) -> None:
    seconds = Seconds()
    said = [[], *([flag, *rest] for flag in flags_of(verb) for rest in ([], ["\u202e\x1b[2J", "good.yaml"]))]
    for words in said:
        with seconds.of_one():
            is_a_line_answered([verb, *words])
    record("P17", FIGURE, cases=seconds.cases, verbs=1, longest_s=seconds.longest_s)


@pytest.mark.parametrize("said", [["--priority", "9" * 5_000], ["--priority", "٣"], ["-g", "9" * 5_000]], ids=str)
def test_numbers_that_no_program_reads_are_answered(said: list[str]) -> None:
    is_submit_answered([*said, "--", "true"])


@pytest.mark.parametrize("said", [["ls", "--limit"], ["gpus"], ["pools"], ["show"], ["wait"]], ids=" ".join)
def test_an_error_quotes_a_long_word_in_part_and_without_its_codes(said: list[str]) -> None:
    are_words_answered([*said, "9" * 5_000, "\x1b[2J\x9b\u202e"], {2, 3})


@pytest.mark.parametrize("data", [data for data in SPECS if re.search(rb"^run:", data, re.MULTILINE)])
def test_the_good_specs_are_good(data: bytes) -> None:
    assert list(sweep_of(parse_spec(data, name="s.yaml", folder=Path("/")), HERE).cells())


def test_the_small_figure_is_two_thousand() -> None:
    assert sum(law.cases for law in LAWS.values()) >= 2_000
