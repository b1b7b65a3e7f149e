"""Answers of one cell, one JSON line each, appended as they come; a torn last line is dropped, whoever wrote it.

Lines are known by the sample's id; of two for one id the first counts. It scores nothing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from .benchmarks.base import StoredAnswer
from .durable import write_whole

__all__ = ["SampleLog", "answers_of", "lines_of"]

OWN = frozenset({"sample", "answer", "reference", "score"})


class SampleLog:
    """An open log of answers. Each line is handed to the system at once, so that it survives the process."""

    def __init__(self, path: Path) -> None:
        data = _read(path)
        kept = _answers_in(data)
        self.answers: dict[str, StoredAnswer] = {each.sample: each for each in kept}
        _mend(path, data, lines_of(kept))
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)

    def add(self, answer: StoredAnswer) -> None:
        """Append one answer, unless its sample has one."""
        if answer.sample not in self.answers:
            self._write(lines_of([answer]))
            self.answers[answer.sample] = answer

    def replace(self, answers: Iterable[StoredAnswer]) -> None:
        """Let these be the answers; they are written when the cell is finished, and not kept for another attempt."""
        self.answers = {each.sample: each for each in answers}

    def rescore(self, sample: str, score: float) -> None:
        """Give a kept answer its score; it is written with all others when the cell is finished."""
        self.answers[sample] = replace(self.answers[sample], score=score)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._descriptor, view) :]


def answers_of(path: Path) -> list[StoredAnswer]:
    """Every whole line of a log, the first of each sample; none if there is no log or it cannot be read. The last one
    may lack its newline: other programs write such logs.
    """
    try:
        return _answers_in(_read(path))
    except OSError:
        return []


def _read(path: Path) -> bytes:
    """The bytes of a log; none if it is not there. One that cannot be read is not an empty one: raises `OSError`."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _answers_in(data: bytes) -> list[StoredAnswer]:
    found: dict[str, StoredAnswer] = {}
    for line in data.split(b"\n"):
        answer = _answer(line)
        if answer is not None:
            found.setdefault(answer.sample, answer)
    return list(found.values())


def _mend(path: Path, data: bytes, lines: bytes) -> None:
    """Let a log that holds `data` hold these lines of it alone; whoever dies meanwhile leaves all of them there.

    A torn end is cut off, which needs no room. What is wrong before it asks for a new file. Raises `OSError`.
    """
    if data == lines:
        return
    if not data.startswith(lines):
        write_whole(path, lines)
        return
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.ftruncate(descriptor, len(lines))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def lines_of(answers: Iterable[StoredAnswer]) -> bytes:
    """The answers as JSON lines."""
    return "".join(_line(each) for each in answers).encode("utf-8", "replace")


def _line(answer: StoredAnswer) -> str:
    line: dict[str, Any] = {"sample": answer.sample, "answer": answer.answer, "reference": answer.reference}
    if answer.score is not None:
        line["score"] = answer.score
    return json.dumps({**line, **answer.extra}, ensure_ascii=False) + "\n"


def _answer(line: bytes) -> StoredAnswer | None:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, Mapping) or not isinstance(found.get("sample"), str):
        return None
    score = found.get("score")
    return StoredAnswer(
        sample=found["sample"],
        answer=str(found.get("answer", "")),
        reference=found.get("reference"),
        score=float(score) if isinstance(score, int | float) and not isinstance(score, bool) else None,
        extra={name: value for name, value in found.items() if name not in OWN},
    )
