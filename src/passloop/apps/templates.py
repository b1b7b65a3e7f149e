"""Templates in commands. Only the names given are replaced, in one pass; every other brace stays as it is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

__all__ = ["INDEX", "LINE", "PYTHON", "Template", "scalar_text"]

INDEX = "index"
LINE = "line"
PYTHON = "python"

BRACES = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


class Template:
    """A command whose braces `names` are replaced. Values are never looked into for further braces."""

    __slots__ = ("_names", "_parts", "words")

    def __init__(self, words: Iterable[str], names: Iterable[str]) -> None:
        self.words = tuple(words)
        self._names = frozenset(names)
        self._parts = tuple(self._split(word) for word in self.words)

    @property
    def used(self) -> frozenset[str]:
        """The names that occur."""
        return frozenset(name for parts in self._parts for name in parts[1::2])

    @property
    def unknown(self) -> tuple[str, ...]:
        """Words in braces that are no name of ours and stay as they are."""
        found = (match.group(1) for word in self.words for match in BRACES.finditer(word))
        return tuple(dict.fromkeys(name for name in found if name not in self._names))

    def fill(self, values: Mapping[str, str]) -> tuple[str, ...]:
        """The words with every name replaced by its text in `values`."""
        return tuple([parts[0] if len(parts) == 1 else _joined(parts, values) for parts in self._parts])

    def _split(self, word: str) -> tuple[str, ...]:
        """The word as text, name, text, name, ..., text."""
        parts: list[str] = [""]
        end = 0
        for match in BRACES.finditer(word):
            if match.group(1) in self._names:
                parts[-1] += word[end : match.start()]
                parts += [match.group(1), ""]
                end = match.end()
        parts[-1] += word[end:]
        return tuple(parts)


def scalar_text(value: object) -> str:
    """A parameter as it stands in a command: `true`, `false` and `null` as in YAML, numbers exactly."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "null" if value is None else str(value)


def _joined(parts: tuple[str, ...], values: Mapping[str, str]) -> str:
    return "".join([values[part] if place % 2 else part for place, part in enumerate(parts)])
