"""What a cell leaves as the result of its task, as JSON text: written by the caller and by python cells, read for rows,
reports and costs. What a failed cell spent is there as well.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

__all__ = ["CUT_OFF", "CellAnswer", "answer_of", "answer_text"]

CUT_OFF = "length"
"""How an answer ends, by its endpoint, that was longer than it might be."""


class CellAnswer(msgspec.Struct, omit_defaults=True, frozen=True):
    """One cell's answer. `values` are by output; of a batch there is one in `rows` for each row of its group.

    `spent` is (input, output) tokens, refused answers among them; `text` is what the model said where `values` is made
    of it, `refusals` how many answers were refused before.
    """

    values: dict[str, Any] = {}
    rows: list[dict[str, Any]] | None = None
    spent: tuple[int, int] = (0, 0)
    text: str = ""
    finish: str | None = None
    refusals: int = 0
    skipped: bool = False


_decoder = msgspec.json.Decoder(CellAnswer)


def answer_text(answer: CellAnswer) -> str:
    """The answer as JSON text."""
    return msgspec.json.encode(answer).decode()


def answer_of(results: str | None) -> CellAnswer | None:
    """The answer that a task left, None if it left none. Python cells leave theirs as one text named `cell`."""
    if results is None:
        return None
    try:
        wrapped = json.loads(results)
        if isinstance(wrapped, dict) and isinstance(wrapped.get("cell"), str):
            return _decoder.decode(wrapped["cell"])
        return _decoder.decode(results)
    except (ValueError, msgspec.DecodeError):
        return None
