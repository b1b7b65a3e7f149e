"""What one attempt leaves beside answers: its log, one JSON line an event, and its error if it failed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from passloop.clock import Clock, iso_utc

from .adapters.base import Scalar
from .benchmarks.base import Question, StoredAnswer
from .durable import read_json, write_json
from .errors import Reason
from .samples import SampleLog

__all__ = ["ERROR", "AttemptLog", "CellRecorder", "earlier_errors", "errors_of", "latest_error"]

ERROR = "error.json"
LOG = "log.jsonl"


class AttemptLog:
    """The log of one attempt; `facts` stand in each of its lines."""

    def __init__(self, folder: Path, clock: Clock, facts: Mapping[str, Any]) -> None:
        self.folder = folder
        self._clock = clock
        self._facts = dict(facts)
        self._file = os.open(folder / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)

    def say(self, event: str, **facts: Any) -> None:
        """Append one event."""
        line = {"at": iso_utc(self._clock.wall()), "event": event, **self._facts, **facts}
        os.write(self._file, (json.dumps(line, ensure_ascii=True, default=str) + "\n").encode())

    def fail(self, reason: Reason, *, final: bool, trace: str, facts: Mapping[str, Any]) -> None:
        """Keep why the attempt failed."""
        self.say("failed", **{"class": reason.error_class, "phase": reason.phase, "message": reason.message})
        document = {
            "class": str(reason.error_class),
            "phase": str(reason.phase),
            "message": reason.message,
            "device": reason.device,
            "exit_code": reason.exit_code,
            "final": final,
            "at": iso_utc(self._clock.wall()),
            **facts,
            "traceback": trace,
        }
        write_json(self.folder / ERROR, document)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


class CellRecorder:
    """The `Recorder` that an adapter is given."""

    def __init__(self, answers: SampleLog, log: AttemptLog) -> None:
        self._answers = answers
        self._log = log

    def answer(self, question: Question, text: str, *, score: float | None = None, **extra: Scalar) -> None:
        """Keep an answer; the first to a question counts."""
        self._answers.add(
            StoredAnswer(sample=question.id, answer=text, reference=question.reference, score=score, extra=extra)
        )

    def note(self, event: str, **facts: Scalar) -> None:
        """One line of the log."""
        self._log.say(event, **facts)


def errors_of(cell: Path) -> Iterator[Mapping[str, Any]]:
    """The errors of all attempts at the cell in folder `cell`."""
    for path in sorted((cell / "attempts").glob(f"*/{ERROR}")):
        error = read_json(path)
        if isinstance(error, dict):
            yield error


def earlier_errors(cell: Path, *, task: int) -> list[Mapping[str, Any]]:
    """Those of earlier attempts of this task."""
    return [each for each in errors_of(cell) if each.get("task") == task]


def latest_error(cell: Path) -> Mapping[str, Any] | None:
    """The error of the latest attempt, if that attempt failed."""
    try:
        numbers = [int(each.name) for each in (cell / "attempts").iterdir() if each.name.isdecimal()]
    except OSError:
        return None
    found = read_json(cell / "attempts" / str(max(numbers)) / ERROR) if numbers else None
    return found if isinstance(found, dict) else None
