"""What happens to an exception that is our mistake: its traceback goes to a file, the user gets one line. Where no file
can be written it goes to stderr, for it may be the only sign of what went wrong.
"""

from __future__ import annotations

import os
import platform
import tempfile
import time
import traceback

from passloop.cli import streams
from passloop.cli.exits import CliError, Exit
from passloop.cli.version import version

__all__ = ["write_crash", "write_words"]


def write_crash(error: BaseException, words: list[str]) -> CliError:
    """Keep the traceback and return the error that tells where it is."""
    where = write_words("".join(traceback.format_exception(error)), words[0] if words else "")
    kind = type(error).__name__
    return CliError(
        f"passloop itself failed ({kind}: {str(error)[:200]}); {where}",
        hint="passloop doctor, and report the details if that finds nothing",
        exit_code=Exit.BUG,
    )


def write_words(text: str, verb: str) -> str:
    """Write `text` to a private file, or to stderr if there is no room for one, and say where it is."""
    head = f"passloop {version()}, Python {platform.python_version()}, {platform.platform()}"
    name = time.strftime("passloop-crash-%Y%m%d-%H%M%S-")
    words = f"{head}\nverb: {verb}\n\n{text}"
    try:
        handle, path = tempfile.mkstemp(prefix=name, suffix=".txt")
        _fill(handle, path, words)
    except OSError as error:
        streams.say(words)
        return f"the details went to stderr: no file could be written for them ({error.strerror or error})"
    return f"the details are in {path}"


def _fill(handle: int, path: str, words: str) -> None:
    """All of it or no file."""
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
            file.write(words)
    except OSError:
        os.unlink(path)
        raise
