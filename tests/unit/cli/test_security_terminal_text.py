"""What a terminal is never shown of a program's output, however the output is cut into pieces."""

from __future__ import annotations

import contextlib
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passloop.cli import streams
from passloop.cli.terminal_text import LONGEST_WAIT, TerminalText

TRICKS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
COLOUR = re.compile("\x1b\\[(?:0|[1-3]|3[1-6])m")
PARTS = ["\x1b", "[", "]", "0;t", "\x07", "\\", "31", "m", "\x9b", "P", "\u202e", "a", "ü", "\n", "(", "B", "\x00", " "]
texts = st.lists(st.sampled_from(PARTS), max_size=25).map("".join).map(str.encode)
odd_bytes = st.lists(st.sampled_from([b"\xc2", b"\x07", b"\x9b", b"\x1b", b"[", b"2J", b"\xe2\x80", b"\xae"])).map(
    b"".join
)


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"\x1b[31mred\x1b[0m", b"red"),
        (b"\x1b]0;title\x07text", b"text"),
        (b"\x1b]52;c;c2VjcmV0\x1b\\text", b"text"),
        (b"a\x08b\x00c\x07", b"abc"),
        (b"10%\r20%\ttab\n", b"10%\r20%\ttab\n"),
        ("\u009b31mü".encode(), "31mü".encode()),
        (b"\x1bPstring\x1b\\\x1b(Bend", b"end"),
        ("abc\u202edef\u2066".encode(), b"abcdef"),
    ],
)
def test_controls_are_taken_out_and_text_is_kept(raw: bytes, shown: bytes) -> None:
    assert TerminalText().feed(raw) == shown


def test_halves_do_not_become_a_code_when_what_stood_between_them_is_taken_out() -> None:
    assert "\x9b" not in TerminalText().feed(b"\xc2\x07\x9b2J").decode()


def test_a_code_cut_in_two_is_one_code() -> None:
    text = TerminalText()
    assert [text.feed(piece) for piece in (b"a\x1b]0;ti", b"tle", b"\x07b\xc2", b"\x9bc")] == [b"a", b"", b"b", b"c"]


def test_what_never_ends_is_no_code() -> None:
    text = TerminalText()
    text.feed(b"\x1b]")
    assert not TRICKS.search(text.feed(b"x" * 2 * LONGEST_WAIT).decode())
    assert text.feed(b"said\n") == b"said\n"


@given(st.lists(texts | odd_bytes | st.binary(max_size=20), max_size=6))
def test_no_code_reaches_a_terminal(pieces: list[bytes]) -> None:
    text = TerminalText()
    shown = b"".join(text.feed(piece) for piece in pieces)
    assert not TRICKS.search(shown.decode())


@given(st.lists(texts | odd_bytes, max_size=6))
def test_how_output_is_cut_makes_no_difference(pieces: list[bytes]) -> None:
    text = TerminalText()
    assert b"".join(text.feed(piece) for piece in pieces) == TerminalText().feed(b"".join(pieces))


@given(texts)
def test_no_code_gets_past_the_streams_but_our_own_colours(raw: bytes) -> None:
    text = raw.decode()
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        streams.emit(f"\x1b[31mred\x1b[0m {text}")
        streams.say(text)
    red, space, rest = out.getvalue().partition(" ")
    assert (red, space) == ("\x1b[31mred\x1b[0m", " ")
    assert rest == err.getvalue()
    assert not TRICKS.search(COLOUR.sub("", rest)), "a colour alone gets through"


def test_text_of_several_lines_and_tabs_is_said_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    streams.emit("a\n\tü 漢\n")
    streams.emit_data("\x1b[2J\u202e")
    assert capsys.readouterr().out == "a\n\tü 漢\n\n\x1b[2J\u202e\n"
