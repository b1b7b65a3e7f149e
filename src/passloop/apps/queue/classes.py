"""What a task's learned run times are filed under: its class and its program."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["class_words", "program_of", "task_class_of"]

UNNAMED = "queue"
"""Before the words of a command that was given no name, so that no name of a user's is one of them."""

INTERPRETERS = frozenset({"bash", "dash", "env", "node", "perl", "pypy3", "python", "ruby", "sh", "uv"})
CODE_OPTION = {"node": "e", "perl": "e", "ruby": "e"}
"""After which short option the next word is code; elsewhere it is c."""
MOST_WORDS = 3
LONGEST = 200


def task_class_of(template: Sequence[str], *, name: str | None = None) -> str:
    """The user's name, else `UNNAMED` and the first words of the template, up to its first option or brace."""
    if name:
        return name[:LONGEST]
    words = [_base(template[0])] if template else []
    for word in template[1:MOST_WORDS]:
        if word.startswith("-") or "{" in word:
            break
        words.append(word)
    return " ".join([UNNAMED, *words])[:LONGEST]


def class_words(task_class: str) -> str:
    """A class as people know it: the name they gave, or the first words of the command."""
    return task_class.removeprefix(f"{UNNAMED} ")


def program_of(template: Sequence[str]) -> str:
    """The program: the first word's base name; for an interpreter, the script or module it is given, and the
    interpreter itself where the code stands in the command (`sh -c "..."`).
    """
    if not template:
        return ""
    first = _base(template[0])
    if first.rstrip("0123456789.") not in INTERPRETERS and first not in INTERPRETERS:
        return first[:LONGEST]
    code = CODE_OPTION.get(first.rstrip("0123456789."), "c")
    for word in template[1:]:
        if word.startswith("-") and not word.startswith("--") and word.endswith(code):
            return first[:LONGEST]
        if not word.startswith("-") and word != "run" and "=" not in word:
            return _base(word)[:LONGEST]
    return first[:LONGEST]


def _base(word: str) -> str:
    return "python" if word == "{python}" else word.rstrip("/").rpartition("/")[2] or word
