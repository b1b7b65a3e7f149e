"""Rows of local JSONL files as contexts: one form for the shapes in which data sets are passed on.

A row has a `context` (or only an `input`), a `question` or `input`, and `answers`, `outputs` or `answer`. Rows that
follow each other with one context are one context with several questions.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from passloop.apps.bench.errors import DatasetError

__all__ = ["Row", "rows_by_context", "rows_of"]

ANSWERS = ("answers", "outputs", "answer", "output")
LONGEST_LINE = 64 * 2**20


class Row(NamedTuple):
    """One question with its context and the answers that count as right; `new_tokens` 0 where the row does not say."""

    number: int
    context: str
    question: str
    prefix: str
    answers: tuple[str, ...]
    new_tokens: int


def rows_of(path: Path) -> Iterator[Row]:
    """The rows of a file (`.gz` too). Raises `DatasetError` with the line."""
    try:
        with (
            gzip.open(path, "rt", encoding="utf-8-sig")
            if path.suffix == ".gz"
            else path.open(encoding="utf-8-sig") as file
        ):
            yield from (_row(number, line, path) for number, line in enumerate(file) if line.strip())
    except (OSError, UnicodeDecodeError, EOFError) as wrong:
        raise DatasetError(f"{path} cannot be read: {wrong}") from wrong


def rows_by_context(rows: Iterator[Row]) -> Iterator[list[Row]]:
    """Rows that share their context, together."""
    for _, shared in groupby(rows, key=lambda row: row.context):
        yield list(shared)


def _row(number: int, line: str, path: Path) -> Row:
    try:
        said = json.loads(line) if len(line) <= LONGEST_LINE else None
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, Mapping):
        raise DatasetError(f"{path}:{number + 1} is no JSON object")
    whole = "context" not in said
    context, question = said.get("context", said.get("input")), said.get("question", "" if whole else said.get("input"))
    answers = next((said[name] for name in ANSWERS if name in said), None)
    if not isinstance(context, str) or not isinstance(question, str) or answers is None:
        raise DatasetError(f"{path}:{number + 1} has no context, question and answers as text")
    return Row(
        number=number,
        context=context,
        question=question,
        prefix=str(said.get("answer_prefix") or ""),
        answers=tuple(map(str, answers)) if isinstance(answers, list) else (str(answers),),
        new_tokens=_count(said.get("max_new_tokens")),
    )


def _count(value: Any) -> int:
    return value if type(value) is int and value > 0 else 0
