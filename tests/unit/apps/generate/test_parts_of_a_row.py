"""What a row is made of: draws, seeds, templates, answers, the identity of cells, types of files."""

from __future__ import annotations

import contextlib
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from passloop.apps.errors import BadValue
from passloop.apps.generate.dataset import dataset_of_text
from passloop.apps.generate.parts import PartStore, table_of, write_file
from passloop.apps.generate.prompts import BadAnswer, messages_for, value_of
from passloop.apps.generate.rows import row_of
from passloop.apps.generate.samplers import _order, sampled
from passloop.apps.generate.schemas import NoJson, jsons_in
from passloop.apps.generate.seeds import seeded
from passloop.apps.generate.spec import Column
from passloop.apps.generate.templates import TemplateFailed, evaluate, render
from tests.support.generating import dataset_from


def column(**said: Any) -> Column:
    return Column.model_validate({"name": "c", "kind": "sampler", **said})


DRAWS: list[dict[str, Any]] = [
    {"choice": {"values": [1, "b", None], "weights": [1.0, 0.0, 2.5]}},
    {"uniform": {"low": -1.0, "high": 1.0}},
    {"normal": {"mean": 3.0, "sd": 2.0}},
    {"poisson": {"mean": 4.0}},
    {"bernoulli": {"p": 0.3}},
    {"integer": {"low": 1, "high": 6}},
    {"date": {"first": "2026-01-01", "last": "2026-01-31"}},
    {"uuid": {}},
]


@pytest.mark.parametrize("said", DRAWS)
def test_a_draw_is_a_function_of_seed_column_and_row(said: dict[str, Any]) -> None:
    def drawn(seed: int) -> list[Any]:
        return [sampled(column(**said), seed=seed, row=row, known={}) for row in range(50)]

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)
    assert len(set(map(str, drawn(1)))) > 1


def test_draws_keep_to_their_distribution() -> None:
    dice = [sampled(column(**DRAWS[5]), seed=7, row=row, known={}) for row in range(3_000)]
    counts = [sampled(column(**DRAWS[3]), seed=7, row=row, known={}) for row in range(3_000)]
    heads = [sampled(column(**DRAWS[4]), seed=7, row=row, known={}) for row in range(3_000)]
    assert set(dice) == {1, 2, 3, 4, 5, 6}
    assert 3.8 < sum(counts) / len(counts) < 4.2
    assert 0.27 < sum(heads) / len(heads) < 0.33
    assert "b" not in [sampled(column(**DRAWS[0]), seed=7, row=row, known={}) for row in range(300)]


def test_a_condition_chooses_the_distribution() -> None:
    said = {"on": "t", "cases": {"true": {"choice": {"values": ["yes"]}}}, "else": {"choice": {"values": ["no"]}}}
    chosen = column(conditional=said)
    assert [sampled(chosen, seed=1, row=0, known={"t": known}) for known in (True, False)] == ["yes", "no"]


def test_seeds_come_in_their_order(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("who,age\nann,1\nbob,2\ncyd,3\n")
    (tmp_path / "s.jsonl").write_text('{"who": "ann"}\n{"who": "bob"}\n')
    pq.write_table(table_of([{"who": "ann"}, {"who": "bob"}], ["who"]), tmp_path / "s.parquet")

    def values(rows: int, **said: Any) -> list[Any]:
        one = column(kind="seed", field="who", **said)
        return [seeded(one, tmp_path, seed=3, row=row) for row in range(rows)]

    assert values(3, file="s.csv") == ["ann", "bob", "cyd"]
    assert values(4, file="s.jsonl", order="cycled") == ["ann", "bob", "ann", "bob"]
    assert values(2, file="s.parquet") == ["ann", "bob"]
    _order.cache_clear()
    shuffled = values(6, file="s.csv", order="shuffled")
    assert sorted(shuffled[:3]) == sorted(shuffled[3:]) == ["ann", "bob", "cyd"]
    assert shuffled == ["cyd", "ann", "bob", "cyd", "bob", "ann"], "as it was always"
    assert _order.cache_info().misses == 2, "once for each time that all of them come"
    with pytest.raises(BadValue, match="only 3 records"):
        values(4, file="s.csv")


def test_expressions_keep_their_type_and_know_no_undefined_name() -> None:
    assert evaluate("{{ [a, 2] | sum }}", {"a": 1}) == 3
    assert evaluate("{{ a }} and {{ a }}", {"a": 1}) == "1 and 1"
    assert evaluate("{{ a if a > 1 else none }}", {"a": 1}) is None
    with pytest.raises(TemplateFailed, match="b"):
        evaluate("{{ b }}", {})
    with pytest.raises(TemplateFailed):
        render("{{ ''.__class__.__mro__ }}", {})


def test_answers_of_models_are_never_templates() -> None:
    assert render("{{ a }}", {"a": "{{ b }}"}) == "{{ b }}"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1}', {"a": 1}),
        ('Sure!\n```json\n{"a": [1]}\n```\nok', {"a": [1]}),
        ('I say {not json} {"a": 2} end', {"a": 2}),
        ("[1, 2]", [1, 2]),
        ('Sources [1, 2] say: {"a": 3}', {"a": 3}),
        ('{"a": 4} as in [1]', {"a": 4}),
        ('Draft {"a": 0}. Final: {"a": {"b": 5}}', {"a": {"b": 5}}),
        ('<think>Say {"a": 0}?\n```json\n{"a": 1}\n```\nNo.</think>\n{"a": 6}', {"a": 6}),
        ('so {"a": 0}, or not </think>[7]', [7]),
        ('{"a": "8</think>"}', {"a": "8</think>"}),
        ("\\frac{1}{2}" * 200 + '{"a": 9}', {"a": 9}),
    ],
)
def test_json_is_found_in_what_a_model_says(text: str, value: Any) -> None:
    assert jsons_in(text)[0] == value


def test_what_a_model_thinks_aloud_without_an_end_is_no_answer() -> None:
    with pytest.raises(NoJson):
        jsons_in('<think>Perhaps {"a": 1}')


@given(st.text(max_size=60))
def test_any_text_holds_json_or_does_not(text: str) -> None:
    with contextlib.suppress(NoJson):
        json.dumps(jsons_in(text))


def test_a_judge_says_a_score_of_its_rubric(tmp_path: Path) -> None:
    judge = {"name": "g", "kind": "llm_judge", "model": "m", "prompt": "x", "rubric": {"scores": {"1": "a", "5": "b"}}}
    made = dataset_from(tmp_path, columns=[judge])
    assert [value_of(made, made.columns["g"], text) for text in ('{"score": 5}', "I say 1 of 5", "5.0")] == [5, 1, 5]
    for text in ("", "fine", '{"score": 3}', '{"score": true}'):
        with pytest.raises(BadAnswer):
            value_of(made, made.columns["g"], text)


def test_a_refused_answer_is_shown_again_with_what_was_wrong(tmp_path: Path) -> None:
    made = dataset_from(tmp_path)
    said = messages_for(made, made.columns["text"], {}, refused="bad", feedback="too bad")
    assert [each["role"] for each in said] == ["user", "assistant", "user"]
    assert said[1]["content"] == "bad"
    assert "too bad" in said[2]["content"]


TWO: list[dict[str, Any]] = [
    {"name": "n", "kind": "sampler", "integer": {"low": 1, "high": 1000}},
    {"name": "a", "kind": "llm_text", "model": "m", "prompt": "{{ n }}"},
    {"name": "x", "kind": "expression", "expr": "{{ a }}!"},
    {"name": "b", "kind": "llm_text", "model": "m", "prompt": "{{ x }}"},
    {"name": "c", "kind": "llm_text", "model": "m", "prompt": "alone"},
]


def test_a_cell_is_what_determines_its_answer(tmp_path: Path) -> None:
    def keys(**spec: Any) -> dict[str, str]:
        made = dataset_from(tmp_path, **{"columns": TWO, **spec})
        return {name: made.key(made.columns[name], 1, made.given(1)) for name in "abc"}

    before = keys()
    assert keys(rows=50, row_group=7, retries={"failure": 9}) == before
    reworded = keys(columns=[TWO[0], {**TWO[1], "prompt": "of {{ n }}"}, *TWO[2:]])
    assert [reworded[name] == before[name] for name in "abc"] == [False, False, True]
    reseeded = keys(seed=5)
    assert [reseeded[name] == before[name] for name in "abc"] == [False, False, True]
    hotter = keys(models={"m": {"endpoint": "here", "model": "m", "params": {"temperature": 1.0}}})
    assert not set(hotter.values()) & set(before.values())


def test_the_engine_makes_the_same_dataset_of_the_text(tmp_path: Path) -> None:
    made = dataset_from(tmp_path, columns=TWO)
    again = dataset_of_text(made.wire())
    assert (again.fingerprints, again.root, again.hash) == (made.fingerprints, made.root, made.hash)
    assert [again.given(row) for row in range(6)] == [made.given(row) for row in range(6)]


def test_expressions_wait_for_their_inputs_and_tell_what_is_wrong(tmp_path: Path) -> None:
    bad = [*TWO, {"name": "d", "kind": "expression", "expr": "{{ 1 / (n - n) }}"}]
    made = dataset_from(tmp_path, columns=bad)
    assert "x" not in row_of(made, {"n": 1}, {}).values
    row = row_of(made, {"n": 1}, {"a": "hi"})
    assert row.values["x"] == "hi!"
    assert "ZeroDivisionError" in row.wrong["d"]


def test_columns_of_any_values_fit_into_one_file(tmp_path: Path) -> None:
    parts = PartStore(tmp_path / "out.parquet")
    pieces: list[list[dict[str, Any]]] = [
        [{"a": None, "b": 1}],
        [{"a": 2, "b": "x"}],
        [{"a": 2.5, "b": {"k": [1]}}],
        [],
    ]
    tables = []
    for number, rows in enumerate(pieces):
        path = parts.path(number, "id")
        parts.write(path, rows, ["a", "b"], {"kept": len(rows)})
        assert parts.told(path) == {"kept": len(rows)}
        tables.append(pq.read_table(path).replace_schema_metadata(None))
    write_file(tmp_path / "out.parquet", tables, {})
    found = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert [row["a"] for row in found] == [None, 2.0, 2.5]
    assert [row["b"] for row in found] == ["1", "x", '{"k": [1]}']
    parts.remove()
    assert not parts.folder.exists()


def test_parts_may_be_deleted_while_another_process_writes_one(tmp_path: Path) -> None:
    parts = PartStore(tmp_path / "out.parquet")
    deleting = True

    def delete() -> None:
        while deleting:
            parts.remove()

    with ThreadPoolExecutor(1) as other:
        done = other.submit(delete)
        try:
            for unit in range(200):
                parts.write(parts.path(unit, "id"), [{"a": unit}], ["a"], {})
        finally:
            deleting = False
        done.result()
