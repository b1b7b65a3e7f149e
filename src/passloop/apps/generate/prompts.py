"""What a model is asked for a cell, and what its answer is worth. Pure: rendered from a row, judged against the column.

A refused answer is shown to the model again with what was wrong with it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from .dataset import Dataset
from .schemas import NoJson, json_in, violation
from .spec import Column
from .templates import render

__all__ = ["BadAnswer", "messages_for", "tokens_estimate", "value_of"]

CHARS_PER_TOKEN = 4
TOKENS_UNSAID = 256
_SCORE = re.compile(r"(?<!\d)-?\d{1,18}(?!\d)")


class BadAnswer(Exception):
    """An answer that will not do: one sentence, for the model and for people."""


def messages_for(
    dataset: Dataset, column: Column, values: Mapping[str, Any], *, refused: str = "", feedback: str = ""
) -> list[dict[str, str]]:
    """The messages of a call. Raises `TemplateFailed`."""
    found = []
    if column.system is not None:
        found.append({"role": "system", "content": render(column.system, values)})
    asked = render(column.prompt or "", values)
    found.append({"role": "user", "content": asked + _form(dataset, column)})
    if feedback:
        found.append({"role": "assistant", "content": refused})
        found.append({"role": "user", "content": f"That will not do: {feedback}. Answer again."})
    return found


def value_of(dataset: Dataset, column: Column, text: str) -> Any:
    """The cell's value in what the model said. Raises `BadAnswer`."""
    if not text.strip():
        raise BadAnswer("the answer is empty")
    if column.kind == "llm_text":
        return text.strip().encode(errors="replace").decode()  # half of a character can be stored nowhere
    if column.kind == "llm_judge":
        return _score(column, text)
    try:
        value = json_in(text)
    except NoJson as none:
        raise BadAnswer(str(none)) from None
    wrong = violation(value, dataset.schema(column))
    if wrong is not None:
        raise BadAnswer(wrong)
    return value


def tokens_estimate(dataset: Dataset, column: Column) -> tuple[int, int]:
    """Tokens of a cell of this column, (input, output), as they are thought to be before anything is known."""
    entry = dataset.spec.models[str(column.model)]
    said = (column.prompt or "") + (column.system or "") + _form(dataset, column)
    most = entry.params.get("max_tokens", entry.params.get("max_completion_tokens"))
    return -(-len(said) // CHARS_PER_TOKEN), most if isinstance(most, int) else TOKENS_UNSAID


def _form(dataset: Dataset, column: Column) -> str:
    """How the answer must look."""
    if column.kind == "llm_structured":
        schema = json.dumps(dataset.schema(column), separators=(",", ":"))
        return f"\n\nAnswer with JSON only, valid against this JSON Schema:\n{schema}"
    if column.rubric is not None:
        scores = "\n".join(f"{score}: {meaning}" for score, meaning in column.rubric.scores.items())
        return f'\n\n{column.rubric.question}\nScores:\n{scores}\nAnswer with JSON only: {{"score": NUMBER}}'
    return ""


def _score(column: Column, text: str) -> int:
    """The score in a judge's answer: in its JSON, else the first whole number that the rubric knows."""
    scores = {int(score) for score in column.rubric.scores} if column.rubric is not None else set()
    try:
        said = json_in(text)
    except NoJson:
        said = None
    score = said.get("score") if isinstance(said, dict) else said
    if isinstance(score, int | float) and not isinstance(score, bool) and int(score) == score and int(score) in scores:
        return int(score)
    for found in _SCORE.findall(text) if not isinstance(said, dict) else ():
        if int(found) in scores:
            return int(found)
    raise BadAnswer(f"the answer holds no score of {', '.join(map(str, sorted(scores)))}")
