"""What an answer is judged by leads somewhere, and whatever a model says is refused or can be stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from passloop.apps.errors import SpecError
from passloop.apps.generate.answers import CellAnswer, answer_of, answer_text
from passloop.apps.generate.dataset import Dataset
from passloop.apps.generate.prompts import BadAnswer, value_of
from passloop.apps.generate.rows import named
from passloop.apps.generate.templates import TemplateFailed, render
from tests.support.generating import dataset_from


def asking(folder: Path, **column: Any) -> Dataset:
    return dataset_from(folder, columns=[{"name": "c", "model": "m", "prompt": "p", **column}])


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"properties": {"a": {"$ref": "#/$defs/no"}}}, "nothing at `#/$defs/no`"),
        ({"anyOf": [{"$ref": "#no"}]}, "nothing at `#no`"),
        ({"$ref": "http://127.0.0.1:9/schema.json"}, "nothing is fetched"),
        ({"$ref": "beside.json"}, "nothing is fetched"),
        ({"$defs": {"n": {"type": "integer"}}, "items": {"$ref": "#/$defs/n"}}, ""),
        ({"$id": "http://a/b", "$defs": {"n": {"$anchor": "n"}}, "items": {"$ref": "#n"}}, ""),
        ({"enum": [{"$ref": "#/of/data"}]}, ""),
        ({"properties": {"schema": {"$ref": "http://json-schema.org/draft-07/schema#"}}}, ""),
    ],
)
def test_a_reference_of_a_schema_leads_somewhere(tmp_path: Path, schema: dict[str, Any], said: str) -> None:
    told = ""
    try:
        asking(tmp_path, kind="llm_structured", schema=schema)
    except SpecError as error:
        told = str(error)
    assert said in told
    assert bool(said) == bool(told)


@pytest.mark.parametrize(
    "text",
    [
        '{"n": NaN}',
        '{"n": -Infinity}',
        '{"n": 1e999}',
        '{"n": "\\ud83d"}',
        '{"\\ud83d": 1}',
        '{"n": ' * 300 + "1" + "}" * 300,
    ],
)
def test_a_structured_answer_that_cannot_be_stored_is_refused(tmp_path: Path, text: str) -> None:
    made = asking(tmp_path, kind="llm_structured", schema={"properties": {"n": {"$ref": "#"}}})
    with pytest.raises(BadAnswer):
        value_of(made, made.columns["c"], text)


@pytest.mark.parametrize("text", ['{"score": NaN}', '{"score": Infinity}', "NaN", "1" * 5_000])
def test_a_score_that_is_no_number_is_refused(tmp_path: Path, text: str) -> None:
    made = asking(tmp_path, kind="llm_judge", rubric={"scores": {"1": "bad", "5": "good"}})
    with pytest.raises(BadAnswer):
        value_of(made, made.columns["c"], text)


SCALE = {"1": "bad", "2": "", "3": "", "4": "", "5": "good"}


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("On a scale of 1 to 5, I give this a 4.", 4),
        ("Score (1-5): 4", 4),
        ("**4**/5", 4),
        ("5 out of 5", 5),
        ("Between 1 and 5 it is a 2.", 2),
        ('<think>maybe {"score": 1}? no</think>{"score": 5}', 5),
        ("<think>1? 2?</think>3", 3),
        ('First {"score": 1}, then {"score": 2}.', 2),
        ('As [1] says: {"why": "polite", "score": 4}', 4),
    ],
)
def test_a_judge_is_taken_by_its_last_word(tmp_path: Path, text: str, score: int) -> None:
    made = asking(tmp_path, kind="llm_judge", rubric={"scores": SCALE})
    assert value_of(made, made.columns["c"], text) == score


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("2 or 3", "more than one"),
        ("Politeness 3, tone 5.", "more than one"),
        ("from 1 to 5", "no score"),
        ("4.5", "no score"),
        ("I give 4.5", "no score"),
        ("GPT4 and a 10", "no score"),
        ('<think>{"score": 4}', "no score"),
        ('{"grade": 4}', "no score"),
        ('{"score": 4}, no: {"score": 9}', "no score"),
    ],
)
def test_a_judge_whose_score_can_only_be_guessed_is_asked_again(tmp_path: Path, text: str, why: str) -> None:
    made = asking(tmp_path, kind="llm_judge", rubric={"scores": SCALE})
    with pytest.raises(BadAnswer, match=why):
        value_of(made, made.columns["c"], text)


def test_the_last_valid_json_is_the_answer_and_the_last_of_all_is_told_if_none_is(tmp_path: Path) -> None:
    made = asking(tmp_path, kind="llm_structured", schema={"type": "array", "items": {"type": "integer"}})
    assert value_of(made, made.columns["c"], '[1] was a draft; [2] {"not": "asked"}') == [2]
    with pytest.raises(BadAnswer, match="'b' is not of type"):
        value_of(made, made.columns["c"], '["a"], better ["b"]')


def test_half_of_a_character_in_a_text_is_stored_as_a_question_mark(tmp_path: Path) -> None:
    made = asking(tmp_path, kind="llm_text")
    value = value_of(made, made.columns["c"], "cut \ud83d off")
    found = answer_of(answer_text(CellAnswer(named(made.columns["c"], value))))
    assert found is not None
    assert found.values == {"c": "cut ? off"}


def test_a_template_that_calls_itself_for_ever_is_an_error_of_its_row() -> None:
    with pytest.raises(TemplateFailed):
        render("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", {})
