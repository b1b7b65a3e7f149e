"""Text given by people: how it is shown in an error, and what a name, a group or a key may look like.

Control characters and those that reverse or hide text never get into a name, and never reach a terminal
unescaped.
"""

from __future__ import annotations

import re

from .errors import BadValue

__all__ = [
    "check_group",
    "check_key",
    "check_name",
    "check_run_name",
    "check_words",
    "shown",
    "visible",
    "without_unit",
]

LONGEST_NAME = 200
LONGEST_GROUP = 100
LONGEST_KEY = 512
LONGEST_SHOWN = 60

UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff"
    "\U000e0000-\U000e007f]"
)
UNIT = re.compile(r"^unit [0-9]+: ")
SURROGATE = re.compile("[\ud800-\udfff]")


def shown(value: object, *, longest: int = LONGEST_SHOWN) -> str:
    """`value` in quotes for an error: short, and with every unsafe character escaped."""
    text = value if isinstance(value, str) else _short_repr(value)
    cut = text if len(text) <= longest else text[:longest] + "..."
    return "`" + visible(cut) + "`"


def visible(text: str) -> str:
    """The text with every unsafe character escaped: of a path, which may have them."""
    return UNSAFE.sub(_escaped, text)


def without_unit(message: str) -> str:
    """What a source says of itself, without the number of the unit that the kernel puts before it: people know tasks,
    rows and trials.
    """
    return UNIT.sub("", message)


def check_name(text: str) -> str:
    """A run's or task's name: 1 to 200 visible characters. Raises `BadValue`."""
    return _checked(text, what="name", longest=LONGEST_NAME)


def check_run_name(text: str) -> str:
    """A run's name: as `check_name`, and no selector: `@12` means the run with id 12, `last` the newest."""
    name = check_name(text)
    if name == "last":
        raise BadValue("a run cannot be called `last`", "name it otherwise: `last` means the newest one")
    if name.isdecimal():
        raise BadValue(f"the run name {shown(text)} is a number", "add a letter: @12 means the run with id 12")
    return name


def check_group(text: str) -> str:
    """A group's name: 1 to 100 visible characters without spaces or commas. Raises `BadValue`."""
    name = _checked(text, what="group", longest=LONGEST_GROUP)
    if re.search(r"[\s,]", name) or name.startswith("/") or name.endswith("/") or "//" in name:
        raise BadValue(f"the group {shown(text)} is not a name", "use letters, digits, . _ - and / between levels")
    return name


def check_key(text: str) -> str:
    """A task's key: 1 to 512 visible characters. Raises `BadValue`."""
    return _checked(text, what="key", longest=LONGEST_KEY)


def check_words(words: list[str] | tuple[str, ...]) -> tuple[str, ...]:
    """A command: at least one word, the first not empty, none with a NUL or bytes that are not UTF-8."""
    if not words or not words[0]:
        raise BadValue("the command is empty", "write the program and its words, for example: -- python train.py")
    for word in words:
        if "\0" in word:
            raise BadValue(f"the word {shown(word)} has a NUL character", "no program can be given one: remove it")
        if SURROGATE.search(word):
            raise BadValue(f"the word {shown(word)} is not valid UTF-8", "rename the file or pass its name by a file")
    return tuple(words)


def _checked(text: str, *, what: str, longest: int) -> str:
    if not text or text != text.strip():
        raise BadValue(f"the {what} {shown(text)} is empty or has spaces around it", "write it without them")
    if len(text) > longest:
        raise BadValue(f"the {what} {shown(text)} has {len(text)} characters", f"use at most {longest}")
    if UNSAFE.search(text):
        raise BadValue(f"the {what} {shown(text)} has control or invisible characters", "use visible characters")
    return text


def _escaped(match: re.Match[str]) -> str:
    return f"\\u{{{ord(match.group()):x}}}"


def _short_repr(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and value.bit_length() > 256:
        return "a number of more than 77 digits"
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "a mapping"
    return "null" if value is None else repr(value)
