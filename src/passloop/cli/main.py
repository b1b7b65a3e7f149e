"""The entry point: runs the verb, and turns whatever goes wrong into one clear message and an exit code.

A user's mistake never shows a traceback; a mistake of ours becomes one line and a file with the traceback. It imports
next to nothing: what a verb needs comes with the verb.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from passloop.cli import streams
from passloop.cli.exits import CliError, Exit

__all__ = ["main"]

_LONGEST = 1_000
"""Characters of a line of an error."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code. Never raises for a mistake, be it the user's or ours."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    streams.fill_closed()
    streams.write_anything()
    try:
        code = _told(words)
        streams.flush()
    except BrokenPipeError:
        streams.silence()
        code = int(Exit.OK)
    except streams.OutputError as lost:
        streams.silence()
        code = _tell(lost)
    return code


def _told(words: list[str]) -> int:
    try:
        return _run(words)
    except (BrokenPipeError, streams.OutputError):
        raise
    except CliError as error:
        return _tell(error)
    except KeyboardInterrupt:
        streams.say("interrupted")
        return int(Exit.INTERRUPTED)
    except Exception as error:
        return _tell_other(error, words)


def _run(words: list[str]) -> int:
    if words[:1] == ["submit"] and "_PASSLOOP_COMPLETE" not in os.environ:
        from passloop.cli.quick import quick_submit

        code = quick_submit(words[1:])
        if code is not None:
            return code
    from passloop.cli.program import run_program

    return run_program(words)


def _tell(error: CliError) -> int:
    first, *more = map(_shown, error.message.split("\n"))
    streams.say(f"{streams.paint('error', 'red', sys.stderr)}: {first}")
    for line in more:
        streams.say(f"       {line}")
    if error.hint:
        streams.say(f"  hint: {_shown(error.hint)}")
    return error.exit_code


def _shown(line: str) -> str:
    """A line of an error. It may quote anything, of any length: codes do not reach the terminal, both ends are kept."""
    text = streams.clean(line)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]}...{text[-_LONGEST // 2 :]}"


def _tell_other(error: Exception, words: list[str]) -> int:
    """Errors of the layers below carry their own words and codes; anything else is a bug."""
    if isinstance(error, OSError) and _raised_by_click(error):
        raise streams.unwritable(error) from None
    streams.flush()
    if isinstance(error, FileNotFoundError) and not _is_somewhere():
        gone = "the current directory is no longer there"
        return _tell(CliError(gone, hint="cd to one that is", exit_code=Exit.USAGE))
    code = getattr(error, "exit_code", None)
    if isinstance(code, int):
        message = str(getattr(error, "message", "") or error)
        return _tell(CliError(message, hint=str(getattr(error, "hint", "")), exit_code=code))
    from passloop.apps.errors import BadValue
    from passloop.cli.crash import write_crash

    if isinstance(error, BadValue):  # of what is read late: a file beside the spec that is gone by then
        return _tell(CliError(error.what, hint=error.fix))
    return _tell(write_crash(error, words))


def _is_somewhere() -> bool:
    try:
        os.getcwd()
    except FileNotFoundError:
        return False
    return True


def _raised_by_click(error: OSError) -> bool:
    """Whether click failed to write, which it does by itself for the help."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    return place is not None and str(place.tb_frame.f_globals.get("__name__")).startswith("click.")
