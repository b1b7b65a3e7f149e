"""Whatever a tune spec or an ancestor's task holds, the answer is a study or an error that says what is wrong, where,
and how to fix it, within a second.
"""

from __future__ import annotations

import copy
import itertools
import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from passloop.apps.errors import SpecError
from passloop.apps.spec_file import parse_spec
from passloop.apps.tune.importing import imported
from passloop.apps.tune.plan import plan_of
from passloop.apps.tune.study import study_of_file, study_of_text
from tests.support.nasty import NASTY, VALUES

GOOD: dict[str, Any] = {
    "tune": "x",
    "model": {"source": "m", "weights": "2GiB", "heads": 8, "layers": 4, "kv_heads": 2, "head_dim": 64},
    "engine": {
        "argv": ["s", "--port", "{port}", "{model}", "--a", "{a}", "{b}", "--c={c}", "--d", "{d}", "{weights}"],
        "env": {"A": "{a}"},
        "ready": {"path": "/health", "timeout": "60s"},
        "ports": 4,
    },
    "space": {
        "a": {"type": "int", "low": 1, "high": 4, "step": 1},
        "b": {"type": "bool", "flag": "--b", "off": "--no-b"},
        "c": {"type": "float", "low": 0.5, "high": 1.5, "step": 0.5},
        "d": {"type": "choice", "values": ["x", 2, 1.5], "when": "a >= 2 and b", "default": "z"},
        "p": {"type": "preset", "values": ["one", "two"]},
    },
    "fixed": {"tp": 2},
    "presets": {"one": {"weights": "fp8"}, "two": {"use": ["one"], "weights": "auto"}},
    "constraints": ["a * 2 <= 8 or c > 1"],
    "resources": {"gpus": "tp * max(a, 1)", "vram": "auto", "cpus": 2, "mem": "1GiB", "exclusive": True},
    "load": {
        "points": [{"concurrency": 1}, {"rate": 2.5, "requests": 3}],
        "max_tokens": 8,
        "timeout": "5s",
        "max_load": {"of": "rate", "low": 1, "high": 9},
    },
    "objectives": ["maximize_load", {"metric": "ttft", "stat": "p95", "at": {"rate": 2.5}}],
    "slo": [{"metric": "ttft", "stat": "p95", "max": "800ms", "at": {"concurrency": 1}}],
    "scorer": "penalty",
    "search": {"sampler": "tpe", "max_trials": 8, "baseline": {"a": 1, "b": True}, "patience": 3},
    "limits": {"stop": "5s"},
    "out": "results/x",
}
ENGINES: tuple[dict[str, Any], ...] = (
    {},
    {"engine": {"family": "vllm", "args": ["--x", "1"]}},
    {"engine": {"family": "sglang", "kind": "docker", "image": "i", "options": {"volumes": {}}}},
)
TASK: dict[str, Any] = {
    "task_name": "x",
    "model": {"id_or_path": "m"},
    "base_runtime": "vllm",
    "parameters": {"a": [1, 2], "b": {"type": "integer", "low": 1, "high": 3}, "tp-size": [True]},
    "optimization": {"strategy": "bayesian", "objective": "minimize_ttft", "max_iterations": 3, "seed": 1},
    "benchmark": {"traffic_scenarios": ["N(10,1)/(5,1)"], "num_concurrency": [1, 4], "max_time_per_iteration": 1},
    "slo": {"latency": {"p90": {"threshold": 1.0}}, "ttft": {"threshold": 0.5, "weight": 2.0}, "steepness": 0.1},
    "quant_config": {"presets": ["dynamic-fp8"], "moe_dtype": ["auto"]},
    "parallel_config": {"tp": [1, 2], "dp": 2},
}
WHERE = re.compile(r"s\.yaml:[1-9][0-9]*:[1-9][0-9]*")
TRICKS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
EXAMPLES = settings(max_examples=40, suppress_health_check=list(HealthCheck), deadline=None)
SECONDS = 1.0
MANY = [
    {"type": "int", "low": 0, "high": 10**15},
    {"type": "float", "low": -1e15, "high": 1e15},
    {"type": "choice", "values": list(range(500))},
    {"type": "preset", "values": ["one", "default", "balanced"]},
    {"type": "choice", "values": [1], "when": "d == 'x'", "default": 3},
]


def is_answered(data: bytes) -> None:
    """Read `data`, plan it, make some candidates and orders, and check the answer."""
    started = time.process_time()
    try:
        study = study_of_file(parse_spec(data, name="s.yaml", folder=Path("/")), cwd=Path("/"))
    except SpecError as error:
        check_words_of(error)
        assert time.process_time() - started < SECONDS
        return
    assert time.process_time() - started < SECONDS
    if (study.space.points or 0) <= 300:
        assert not TRICKS.search(plan_of(study).as_text().replace("\n", ""))
    again = study_of_text(study.wire())
    assert again.id == study.id
    points = study.space.grid() if study.space.points is not None else iter([{}])
    for params in itertools.islice(points, 20):
        candidate = study.candidate(params)
        assert again.candidate(params) == candidate
        if candidate.invalid is None:
            assert study.order(candidate, trial=1).hash == candidate.hash != ""


def check_words_of(error: SpecError) -> None:
    """Each problem says what, where and how to fix it, in words that any terminal can show."""
    assert error.problems
    for problem in error.problems:
        assert problem.what
        assert problem.fix
        assert WHERE.fullmatch(problem.where), problem
    assert not TRICKS.search(str(error)), str(error)
    assert len(str(error)) < 20_000


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a document."""
    found = [path] if path else []
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return found + [place for key, child in children for place in places(child, (*path, key))]


def with_odd_values(draw: st.DrawFn, document: dict[str, Any], values: st.SearchStrategy[Any]) -> bytes:
    """The document with a few values, at any depth, that should not be there."""
    told: dict[str, Any] = json.loads(json.dumps(document))
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(places(told)))
        inner: Any = told
        for part in path[:-1]:
            inner = inner[part]
        inner[path[-1]] = copy.deepcopy(draw(values))
    return json.dumps(told, ensure_ascii=False).encode("utf-8", "surrogatepass")


@st.composite
def odd_documents(draw: st.DrawFn) -> bytes:
    """A good spec in which a few values are what they should not be."""
    base = {**GOOD, **draw(st.sampled_from(ENGINES))}
    return with_odd_values(draw, base, VALUES | st.sampled_from(MANY) | st.sampled_from(["a + b", "tp * 1.5", "port"]))


@st.composite
def odd_tasks(draw: st.DrawFn) -> bytes:
    """An ancestor's task in which a few values are what they should not be."""
    return with_odd_values(draw, TASK, VALUES)


@st.composite
def spoiled_texts(draw: st.DrawFn) -> bytes:
    """The text of a good spec with a few pieces replaced."""
    text = bytearray(json.dumps(GOOD).encode())
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(text)))
        piece = draw(st.sampled_from(NASTY)).encode("utf-8", "surrogatepass")
        text[place : place + draw(st.sampled_from([0, 1, 5]))] = piece
    return bytes(text)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_good_specs_are_good(engine: dict[str, Any]) -> None:
    file = parse_spec(json.dumps({**GOOD, **engine}).encode(), name="s.yaml", folder=Path("/"))
    study = study_of_file(file, cwd=Path("/"))
    assert any(study.candidate(params).invalid is None for params in study.space.grid())


def test_the_good_task_is_good() -> None:
    assert imported(json.dumps(TASK).encode()).wrong == ()


@given(odd_documents())
@EXAMPLES
def test_odd_values_are_answered(data: bytes) -> None:
    is_answered(data)


@given(spoiled_texts())
@EXAMPLES
def test_spoiled_texts_are_answered(data: bytes) -> None:
    is_answered(data)


@given(odd_tasks())
@EXAMPLES
def test_odd_tasks_are_answered(data: bytes) -> None:
    try:
        found = imported(data)
    except SpecError as error:
        said = str(error)
        assert not TRICKS.search(said)
        return
    assert not TRICKS.search("".join(found.dropped + found.wrong))
    parse_spec(found.spec.encode("utf-8", "surrogatepass"), name="s.yaml", folder=Path("/"))
