"""Where the command line writes: data on stdout, talk on stderr, JSON documents, colours, closed pipes.

It decides once per stream whether colours are wanted, and lets no code but our colours reach a terminal; it never
reads and never decides what to say.
"""

from __future__ import annotations

import io
import json
import os
import re
import stat
import sys
from typing import Any, TextIO

from passloop.cli.defaults import chosen_colour
from passloop.cli.exits import CliError, Exit

__all__ = [
    "COLOURS",
    "OutputError",
    "clean",
    "colour_wanted",
    "emit",
    "emit_data",
    "emit_json",
    "fill_closed",
    "flush",
    "leave_terminal",
    "paint",
    "say",
    "set_colour",
    "silence",
    "unwritable",
    "width",
    "write_anything",
]

COLOURS = {
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "magenta": "35",
    "cyan": "36",
    "dim": "2",
    "bold": "1",
}
_CODE = re.compile(
    rf"(?!\x1b\[(?:0|{'|'.join(COLOURS.values())})m)"
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]"
)
"""What tells a terminal more than a character, a line or a tab, but for our own colours."""
_choice = ""


class OutputError(CliError):
    """What stdout goes to cannot be written: a full disk, say."""


def set_colour(choice: str) -> None:
    """Follow the user's `--color`: auto, always or never; empty for what the settings say."""
    global _choice
    _choice = choice


def colour_wanted(stream: TextIO | None = None) -> bool:
    """Whether `stream` (stdout when not given) gets colours."""
    choice = _choice or chosen_colour()
    if choice != "auto":
        return choice == "always"
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return os.environ.get("TERM") != "dumb" and (stream or sys.stdout).isatty()


def paint(text: str, colour: str, stream: TextIO | None = None) -> str:
    """`text` in a colour of `COLOURS`, where the stream wants colours."""
    code = COLOURS.get(colour)
    return f"\x1b[{code}m{text}\x1b[0m" if code and text and colour_wanted(stream) else text


def emit(text: str = "") -> None:
    """Write one line for people to stdout. What it quotes may be anything: codes in it become blanks."""
    _write(_CODE.sub(" ", text) + "\n")


def emit_data(text: str) -> None:
    """Write what programs read to stdout, as it is."""
    _write(text + "\n")


def emit_json(document: Any) -> None:
    """Write one JSON document to stdout."""
    emit_data(json.dumps(document, ensure_ascii=False, indent=2))


def say(text: str) -> None:
    """Write one line of talk to stderr. What it quotes may be anything: codes in it become blanks."""
    flush()
    sys.stderr.write(_CODE.sub(" ", text) + "\n")


def flush() -> None:
    """Write what is left of stdout. Raises `OutputError`, or BrokenPipeError where its reader is gone."""
    try:
        sys.stdout.flush()
    except OSError as error:
        raise unwritable(error) from None


def unwritable(error: OSError) -> Exception:
    """What to raise for a write to stdout that failed so; a reader that is gone is no mistake."""
    if isinstance(error, BrokenPipeError):
        return error
    reason = error.strerror or str(error)
    what = f"cannot write the output: {reason}"
    return OutputError(what, hint="write it to another disk", exit_code=Exit.WORK_FAILED)


def width() -> int | None:
    """Columns that a table may use; None where nobody's screen limits it."""
    if os.environ.get("COLUMNS", "").isdigit() or sys.stdout.isatty():
        import shutil

        return max(40, shutil.get_terminal_size().columns)
    return None


def clean(text: str) -> str:
    """`text` on one line, without control and direction codes that could play tricks on a terminal."""
    return "".join(char if char.isprintable() else " " for char in text)


def fill_closed() -> None:
    """Where one of the three standard streams was closed, put nothing there: else a file or a socket of ours would take
    its number, and be written to.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the least number that is free
    sys.stdin = sys.stdin or os.fdopen(0, encoding="utf-8", closefd=False)
    sys.stdout = sys.stdout or os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", encoding="utf-8", closefd=False)


def write_anything() -> None:
    """Let no character stop the output: what the terminal's encoding does not have is written as its number."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def silence() -> None:
    """After a reader closed the pipe, or its disk is full: let nothing more be written, not even at exit."""
    _drop(sys.stdout.fileno())


def leave_terminal() -> None:
    """The terminal is gone: what would be written to it is dropped. Files and pipes are written as before."""
    for number in (sys.stdout.fileno(), sys.stderr.fileno()):
        if stat.S_ISCHR(os.fstat(number).st_mode):  # nobody can ask one that hung up whether it is a terminal
            _drop(number)


def _drop(number: int) -> None:
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, number)
    os.close(quiet)


def _write(text: str) -> None:
    try:
        sys.stdout.write(text)
    except OSError as error:
        raise unwritable(error) from None
