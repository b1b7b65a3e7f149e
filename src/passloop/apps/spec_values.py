"""Checks of single values that more than one kind of spec has, in the words of the person who wrote them.

Each raises `BadValue`. What only one kind of spec knows is checked in that app.
"""

from __future__ import annotations

import shlex

from .errors import BadValue
from .text import UNSAFE, check_words, shown

__all__ = ["check_command", "check_variables", "in_a_list", "sort_of"]


def check_command(value: object) -> object:
    """A list of words; a string is an error that shows the list."""
    if isinstance(value, str):
        fix = f"write it as a list: command: {_as_list(value)}"
        raise BadValue("the command is one string; commands are lists of words", fix)
    if not isinstance(value, list):
        raise BadValue(f"the command is {sort_of(value)}", "write a list of words: command: [python, train.py]")
    for place, word in enumerate(value):
        if not isinstance(word, str):
            fix = "write text, in quotes where needed"
            raise BadValue(f"a word of the command is {sort_of(word)}", fix, path=(place,))
    return list(check_words(value))


def check_variables(value: object) -> object:
    """Environment variables: names to text."""
    if not isinstance(value, dict):
        raise BadValue(f"env is {sort_of(value)}", 'write a mapping: env: {OMP_NUM_THREADS: "1"}')
    for name, text in value.items():
        if not name or "=" in name or "\0" in name:
            raise BadValue(f"the variable {shown(name)} is not a name", "use letters, digits and _", path=(name,))
        if not isinstance(text, str) or "\0" in text:
            raise BadValue(f"the variable {shown(name)} is {sort_of(text)}", "write text, in quotes", path=(name,))
    return value


def in_a_list(value: object) -> object:
    """A single value as a list of one."""
    return value if isinstance(value, list) else [value]


def sort_of(value: object) -> str:
    """What a value is, for an error: a list, a mapping, or itself."""
    if value is None:
        return "empty"
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "a mapping"
    return shown(UNSAFE.sub("?", str(value))) if isinstance(value, str) else shown(value)


def _as_list(text: str) -> str:
    try:
        words = shlex.split(text[:200])
    except ValueError:
        words = text[:200].split()
    return "[" + ", ".join(shown(word, longest=40)[1:-1] for word in words[:8]) + "]"
