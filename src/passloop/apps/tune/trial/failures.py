"""Why a trial failed: its class and the log lines that show it.

The class of a server's death is read from its log, by words that known servers use. That is for people and for the
search only: what becomes of the task (its outcome) never follows from a log. Where several classes fit, the first of
`SIGNS` counts, which goes from the special to the general.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache

from passloop.apps.tune.engines.base import End
from passloop.apps.tune.records import Failure

__all__ = ["KINDS", "TrialFailure", "classify", "refused_flag"]

KINDS = ("out_of_memory", "bad_flag", "port", "download", "auth", "device", "time_limit", "slo", "crash")
MOST_LINES = 12
LONGEST_LINE = 400
FLAG = re.compile(r"(?<![\w-])--?[A-Za-z][\w-]*")
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f-\x9f]")

SIGNS: tuple[tuple[str, str], ...] = (
    (
        "out_of_memory",
        r"out of memory|outofmemory|\bMemoryError\b|std::bad_alloc|cannot allocate memory|insufficient memory"
        r"|failed to allocate"
        r"|unable to allocate|no available memory for the cache blocks|not enough (gpu |kv cache )?memory"
        r"|(larger|more) than the (available|maximum number of tokens that can be stored in) .*cache"
        r"|free memory on device .* is less than desired|cublas_status_alloc_failed",
    ),
    ("port", r"address already in use|eaddrinuse|errno 98\b|(couldn't|failed to|cannot|could not) bind\b"),
    (
        "bad_flag",
        r"unrecogni[sz]ed arguments?|unknown (argument|option|flag)|no such option|invalid (choice|value|argument)"
        r"|error: argument |unexpected keyword argument|the following arguments are required"
        r"|validation errors? for|unexpected argument|^(python -m )?[\w./-]+: error: ",
    ),
    (
        "auth",
        r"\b401\b.*(client error|unauthori[sz]ed)|unauthori[sz]ed|gated ?repo|access to model .* is restricted"
        r"|invalid (user )?token|\b403\b.*(client error|forbidden)|authentication (failed|required)",
    ),
    (
        "download",
        r"couldn't connect to .*(huggingface|hub|https?:)|max retries exceeded|localentrynotfound"
        r"|temporary failure in name resolution|repository ?not ?found|error while downloading"
        r"|connection error.*hub"
        r"|is not a (local folder|valid model identifier)|offline mode is enabled|failed to download",
    ),
    (
        "device",
        r"cuda error|cudaerror|hip error|no cuda-capable device|cuda driver|nccl (error|failure)|ncclunhandled"
        r"|\bxid\b|uncorrectable ecc|device-side assert|failed to infer device type"
        r"|no (gpu|cuda gpus?) (is|are) available",
    ),
)
"""Regular expressions; case does not matter."""


class TrialFailure(Exception):
    """Ends a trial. `kind` is one of `KINDS`. `final` says that no retry of the same trial would help, `memory` that
    the system told us itself that it ended the server for its use of memory.
    """

    def __init__(
        self, kind: str, message: str, *, lines: Iterable[str] = (), final: bool = False, memory: bool = False
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.lines = tuple(lines)
        self.final = final
        self.memory = memory
        self.end: End | None = None
        """How the server ended, if that is what ended the trial."""

    def record(self, phase: str) -> Failure:
        """As it is stored."""
        return Failure(kind=self.kind, message=self.message, phase=phase, lines=self.lines)


def classify(lines: Iterable[str]) -> tuple[str, tuple[str, ...]]:
    """The class that the log of a dead server speaks for, with the lines that show it; `crash` with its last lines."""
    read = [clean(line) for line in lines]
    for kind, sign in _signs():
        shown = [line for line in read if sign.search(line)]
        if shown:
            return kind, tuple(shown[-MOST_LINES:])
    return "crash", tuple([line for line in read if line][-MOST_LINES:])


@cache
def _signs() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """Read when the first server has died: most trials never need them."""
    return tuple((kind, re.compile(words, re.IGNORECASE)) for kind, words in SIGNS)


def refused_flag(lines: Iterable[str], argv: Sequence[str]) -> str:
    """The flag that a server refused: the first in what it says is wrong that it was given; empty if there is none."""
    given = {word.partition("=")[0] for word in argv}
    said = (line.partition("rror: ")[2] or line for line in lines)  # before it stands the program's own name
    return next((flag for words in said for flag in FLAG.findall(words) if flag in given), "")


def clean(line: str) -> str:
    """A line as it can be shown and stored: no control codes, not too long."""
    return CONTROL.sub("", line).rstrip()[:LONGEST_LINE]
