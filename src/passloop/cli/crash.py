"""What happens to an exception that is our mistake: its traceback goes to a file, the user gets one line."""

from __future__ import annotations

import os
import platform
import tempfile
import time
import traceback

from passloop.cli.exits import CliError, Exit
from passloop.cli.version import version

__all__ = ["write_crash", "write_words"]


def write_crash(error: BaseException, words: list[str]) -> CliError:
    """Write the traceback to a private file and return the error that tells where it is."""
    path = write_words("".join(traceback.format_exception(error)), words[0] if words else "")
    kind = type(error).__name__
    return CliError(
        f"passloop itself failed ({kind}: {str(error)[:200]}); the details are in {path}",
        hint="passloop doctor, and report the file if that finds nothing",
        exit_code=Exit.BUG,
    )


def write_words(text: str, verb: str) -> str:
    """Write `text` to a private file and return its path."""
    head = f"passloop {version()}, Python {platform.python_version()}, {platform.platform()}"
    name = time.strftime("passloop-crash-%Y%m%d-%H%M%S-")
    handle, path = tempfile.mkstemp(prefix=name, suffix=".txt")
    with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
        file.write(f"{head}\nverb: {verb}\n\n{text}")
    return path
