"""What is wrong with a tune spec is told at once, each at its place, with a fix."""

from __future__ import annotations

import json

import pytest

from passloop.apps.errors import SpecError
from tests.unit.apps.tune.studies import mistakes, read, refused, text_of

HEAD = """\
tune: x
engine: {argv: [server, --port, "{port}", "{a}"]}
load: {points: [{concurrency: 1}]}
objectives: [minimize_ttft]
"""


def test_a_spec_as_it_is_written_is_read() -> None:
    assert read(HEAD + "space: {a: [1, 2]}\n").space.points == 2


def test_all_mistakes_come_together_in_the_order_of_the_file() -> None:
    found = refused(
        """\
tune: x
engine:
  argv: [server, "{a}"]
load: {points: [{concurrency: 1}], prompts: none.txt}
objectives:
  - {metric: ttft, stat: p98}
slo:
  - {metric: ttft, max: 800}
space:
  a: {type: int, low: 3, high: 1}
constraints:
  - a < b
search: {sampler: best}
prioritty: 3
"""
    )
    assert [line.split(" ")[0] for line in found] == [
        "s.yaml:3:9",
        "s.yaml:4:45",
        "s.yaml:6:26",
        "s.yaml:8:25",
        "s.yaml:10:23",
        "s.yaml:12:5",
        "s.yaml:13:19",
        "s.yaml:14:1",
    ]


def test_a_hint_at_the_schema_names_the_schema_of_a_study() -> None:
    assert "see `passloop schema tune`" in mistakes(search={"seed": -1})


def test_a_mistake_in_the_space_is_told_with_those_of_its_presets_and_use() -> None:
    found = refused(HEAD + "space: {a: [1, 2], b: [3], c: {type: preset, values: [none]}}\n")
    assert [line.split(" ", 1)[1] for line in found] == [
        "`b` is nowhere in the argv, so it changes nothing",
        "there is no preset `none`",
    ]


def test_nothing_is_said_about_what_stands_on_a_part_that_cannot_be_read() -> None:
    found = refused(
        HEAD + "space: {a: {type: int, low: x, high: 2}}\nconstraints: [a < 3]\nsearch: {baseline: {a: 1}}\n"
    )
    assert len({line.split(" ")[0] for line in found}) == 1
    assert "space.a.low" in found[0]


@pytest.mark.parametrize(
    ("entry", "place"),
    [
        ("a: [1, 2, 1]", "s.yaml:5:19"),
        ("a: {type: choice, values: [1, [2]]}", "s.yaml:5:39"),
        ("a: {type: choice, values: [1], when: 'zz == 1'}", "s.yaml:5:46"),
        ("a: {type: choice, values: [1], wehn: 'zz == 1'}", "s.yaml:5:40"),
        ("port: [1]", "s.yaml:5:15"),
    ],
)
def test_a_mistake_of_a_parameter_is_told_at_its_place(entry: str, place: str) -> None:
    assert refused(HEAD + f"space: {{{entry}}}\n")[0].split(" ")[0] == place


def test_unknown_keys_are_told_with_what_was_meant() -> None:
    assert "unknown key `objectivs`; did you mean `objectives`?" in mistakes(objectivs=[])
    assert "unknown key `max_trial`; did you mean `max_trials`?" in mistakes(search={"max_trial": 3})
    assert "unknown key `warm_up`" in mistakes(load={"points": [{"concurrency": 1}], "warm_up": 3})


def test_another_kind_of_spec_is_told() -> None:
    assert refused("run: x\ncommand: [a]\n") == ["s.yaml:1:6 this is a run spec, not a study"]


def test_a_hundred_mistakes_are_told_in_a_few_lines() -> None:
    space = {f"p{number}": [1] for number in range(100)}
    with pytest.raises(SpecError) as caught:
        read(json.dumps(json.loads(text_of(space=space))))
    assert len(caught.value.problems) == 100
    assert "... and 80 more problems" in str(caught.value)


@pytest.mark.parametrize(
    ("rest", "said"),
    [
        ("space: {a: {type: int, low: x, high: 2}}", "`space.a.low` must be a number, not text (`x`)"),
        ("space: {a: [1]}\nslo: [{metric: ttft, max: [1]}]", "`slo.0.max` must be text or a number, not a list"),
        (
            "space: {a: [1]}\nsearch: {baseline: 3}",
            "`search.baseline` must be true or false, not a number (`3`); or write a mapping of names",
        ),
        ("space: {a: [1]}\nload: {points: [7]}", "`load.points.0` must be a mapping, not a number (`7`); write for ex"),
        ("space: {a: 3}", "`space.a` must be a mapping, not a number (`3`); write for example `space: {tp: [1, 2]"),
    ],
)
def test_a_value_with_several_forms_is_told_once_and_without_their_names(rest: str, said: str) -> None:
    head = HEAD.replace("load: {points: [{concurrency: 1}]}\n", "") if "load:" in rest else HEAD
    with pytest.raises(SpecError) as caught:
        read(head + rest + "\n")
    (problem,) = caught.value.problems
    assert f"{problem.what}; {problem.fix}".startswith(said)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"load": {"points": []}}, "`load.points` needs at least 1; write for example `points: ["),
        ({"search": {"max_parallel": 0}}, "`search.max_parallel` must be at least 1, not `0`"),
        ({"search": {"max_gpu_hours": 0}}, "`search.max_gpu_hours` must be more than 0, not `0`"),
        (
            {"search": {"sampler": "best"}},
            "`search.sampler` must be 'tpe', 'random', 'grid', 'bruteforce', 'nsga2' or 'gp'",
        ),
        (
            {"engine": {"argv": ["s", "{port}", "{batch}", "{slots}"], "ready": {"path": "x"}}},
            "`engine.ready.path` cannot be text",
        ),
    ],
)
def test_bounds_are_told_in_words(changes: dict[str, object], said: str) -> None:
    assert mistakes(**changes).startswith(said)
