"""Takes secrets out of what a trial leaves behind: values of variables and options whose names are those of secrets."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from passloop.apps.secrecy import looks_secret

__all__ = ["HIDDEN", "redacted_argv", "redacted_environment", "secrets_in"]

HIDDEN = "***"
NUMBER = re.compile(r"-?[0-9]{1,10}(\.[0-9]{1,10})?")


def redacted_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables, in order of their names, without the values of secrets."""
    return {name: HIDDEN if looks_secret(name) else environment[name] for name in sorted(environment)}


def redacted_argv(argv: Sequence[str]) -> tuple[str, ...]:
    """The words, without those that follow, or are joined by `=` to, an option named like a secret.

    A number is none: `--max-tokens 32` speaks of other tokens.
    """
    found: list[str] = []
    for place, word in enumerate(argv):
        name, joined, value = word.partition("=")
        if place > 0 and _is_secret_option(argv[place - 1]) and not word.startswith("-") and not NUMBER.fullmatch(word):
            found.append(HIDDEN)
        elif joined and not NUMBER.fullmatch(value) and (_is_secret_option(name) or looks_secret(name)):
            found.append(f"{name}={HIDDEN}")
        else:
            found.append(word)
    return tuple(found)


def secrets_in(environment: Mapping[str, str], argv: Sequence[str]) -> set[str]:
    """The values that were taken out, so that they can be taken out of a log, too."""
    found = {value for name, value in environment.items() if looks_secret(name)}
    for word, shown in zip(argv, redacted_argv(argv), strict=True):
        if word != shown:
            found.add(word.partition("=")[2] if shown != HIDDEN else word)
    return found - {""}


def _is_secret_option(word: str) -> bool:
    return word.startswith("-") and "=" not in word and looks_secret(word.lstrip("-").replace("-", "_"))
