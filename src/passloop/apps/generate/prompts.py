"""What a model is asked for a cell, and what its answer is worth. Pure: rendered from a row, judged against the column.

A refused answer is shown to the model again with what was wrong with it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from .dataset import Dataset
from .schemas import NoJson, jsons_in, spoken, violation
from .spec import Column
from .templates import render

__all__ = ["BadAnswer", "messages_for", "tokens_estimate", "value_of"]

CHARS_PER_TOKEN = 4
TOKENS_UNSAID = 256
_NUMBER = re.compile(r"(?<![\w.])-?\d{1,18}(?:\.\d{1,18})?(?!\w)")


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
    return _fitting(text, dataset.schema(column))


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


def _fitting(text: str, schema: Mapping[str, Any]) -> Any:
    """The last JSON value in an answer that is valid."""
    wrongs = []
    for value in _jsons(text):
        wrong = violation(value, schema)
        if wrong is None:
            return value
        wrongs.append(wrong)
    raise BadAnswer(wrongs[0] if wrongs else "the answer holds no JSON")


def _score(column: Column, text: str) -> int:
    """The score in a judge's answer: of the last object that has one, else the one whole number in its words that the
    rubric knows. Where they name several, nobody can tell which is meant.
    """
    scores = {int(score) for score in column.rubric.scores} if column.rubric is not None else set()
    said = _jsons(text)
    objects = [value for value in said if isinstance(value, dict)]
    if objects:
        named = _whole(next((each["score"] for each in objects if "score" in each), None)) & scores
    elif len(said) == 1 and not isinstance(said[0], list | str):
        named = _whole(said[0]) & scores
    else:
        named = _named_in(spoken(text), scores)
    if len(named) == 1:
        return named.pop()
    told = ", ".join(map(str, sorted(scores)))
    raise BadAnswer(f"the answer holds {'more than one' if named else 'no'} score of {told}")


def _whole(score: Any) -> set[int]:
    is_whole = isinstance(score, int | float) and not isinstance(score, bool) and int(score) == score
    return {int(score)} if is_whole else set()


def _named_in(text: str, scores: set[int]) -> set[int]:
    """The scores that are named in words. The ends of the scale are no scores: "from 1 to 5", "4 out of 5"."""
    if scores:
        low, high = min(scores), max(scores)
        text = re.sub(rf"(?<![\w.-]){low}\s*(?:-|\u2013|to|and)\s*{high}(?!\.?\w)", " ", text)
        text = re.sub(rf"(?<=[\d*])\s*(?:/|out of|of)\s*{high}(?!\.?\w)", " ", text)
    return {int(number) for number in map(Decimal, _NUMBER.findall(text)) if number in scores}


def _jsons(text: str) -> list[Any]:
    try:
        return jsons_in(text)
    except NoJson:
        return []
