"""What a command's first word cannot be: a file of the current folder that is not in PATH, a folder, or a line for a
shell. It is refused before anything is stored, with the words that were meant; any other word is the task's own matter.
"""

from __future__ import annotations

import os
from typing import Any

from passloop.cli import streams
from passloop.cli.exits import CliError
from passloop.cli.wording import command_text

__all__ = ["refuse_what_is_no_program"]

_INTERPRETERS = {".py": "python", ".sh": "sh"}


def refuse_what_is_no_program(words: tuple[str, ...], said: dict[str, Any], verb: str) -> None:
    """Raise `CliError` if the first word can only be a slip. Where PATH is given by `--env`, nobody here knows."""
    word, cwd = words[0], os.path.expanduser(said.get("cwd") or ".")
    if not word:
        raise CliError("the command's first word is empty", hint=f"passloop {verb} -- PROGRAM [WORDS]")
    path = os.path.join(cwd, word)
    is_folder = os.path.isdir(path)
    _refuse_a_line_for_a_shell(words, path, verb)
    if not is_folder and ("/" in word or not os.path.isfile(path)):
        return
    if any(given.startswith("PATH=") for given in said.get("env") or ()) or _is_in_path(word):
        return
    shown = streams.clean(word)
    if is_folder:
        slash = "" if word.endswith("/") else "/"
        raise CliError(
            f"`{shown}` is a folder and no command", hint=f"name a program in it, like {shown}{slash}PROGRAM"
        )
    fix = command_text(["passloop", verb, "--", *_meant(word, path), *words[1:]])
    raise CliError(f"`{shown}` is in no folder of PATH; it is a file here", hint=streams.clean(fix))


def _refuse_a_line_for_a_shell(words: tuple[str, ...], path: str, verb: str) -> None:
    """There is no shell between a command and its task, so that one word with blanks names no program, ever."""
    line = words[0].strip()
    if len(words) > 1 or not any(map(str.isspace, line)) or "{" in line or os.path.exists(path) or _is_in_path(line):
        return
    fix = command_text(["passloop", verb, "--", "sh", "-c", words[0]])
    raise CliError(f"`{streams.clean(line)}` is one word, and no program's name", hint=streams.clean(fix))


def _meant(word: str, path: str) -> list[str]:
    if os.access(path, os.X_OK):
        return [f"./{word}"]
    return [_INTERPRETERS.get(os.path.splitext(word)[1], "sh"), word]


def _is_in_path(word: str) -> bool:
    import shutil  # here, because few words get this far

    return "/" not in word and shutil.which(word) is not None
