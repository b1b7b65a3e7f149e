"""Whatever a tune spec or an ancestor's task holds, the answer is a study or an error that says what is wrong, where,
and how to fix it, within a second.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from passloop.apps.errors import SpecError
from passloop.apps.spec_file import parse_spec
from passloop.apps.tune.importing import imported
from passloop.apps.tune.plan import plan_of
from passloop.apps.tune.study import study_of_file, study_of_text
from tests.support.fuzzing import FIGURE, hold
from tests.support.nasty import VALUES
from tests.support.promises import record
from tests.support.spoiled import NAME, TRICKS, check_words_of, spoiled_text, with_odd_values

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
CASES = 40
LARGE = 2_500
MANY = [
    {"type": "int", "low": 0, "high": 10**15},
    {"type": "float", "low": -1e15, "high": 1e15},
    {"type": "choice", "values": list(range(500))},
    {"type": "preset", "values": ["one", "default", "balanced"]},
    {"type": "choice", "values": [1], "when": "d == 'x'", "default": 3},
]


def is_answered(data: bytes) -> None:
    """Read `data`, plan it, make some candidates and orders, and check the answer."""
    try:
        study = study_of_file(parse_spec(data, name=NAME, folder=Path("/")), cwd=Path("/"))
    except SpecError as error:
        check_words_of(error)
        return
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
    return spoiled_text(draw, GOOD)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_good_specs_are_good(engine: dict[str, Any]) -> None:
    file = parse_spec(json.dumps({**GOOD, **engine}).encode(), name=NAME, folder=Path("/"))
    study = study_of_file(file, cwd=Path("/"))
    assert any(study.candidate(params).invalid is None for params in study.space.grid())


def test_the_good_task_is_good() -> None:
    assert imported(json.dumps(TASK).encode()).wrong == ()


def is_task_answered(data: bytes) -> None:
    """An ancestor's task becomes a spec, or an error."""
    try:
        found = imported(data)
    except SpecError as error:
        said = str(error)
    else:
        said = "".join(found.dropped + found.wrong)
        parse_spec(found.spec.encode("utf-8", "surrogatepass"), name=NAME, folder=Path("/"))
    assert not TRICKS.search(said)


DRAWN = {"values": odd_documents(), "texts": spoiled_texts()}


@pytest.mark.parametrize("drawn", DRAWN.values(), ids=DRAWN)
def test_whatever_it_holds_it_is_answered(drawn: st.SearchStrategy[bytes]) -> None:
    held = hold(drawn, is_answered, cases=CASES)
    record("P17", FIGURE, cases=held.cases, tune_specs=held.cases, longest_s=held.longest_s)


def test_odd_tasks_are_answered() -> None:
    held = hold(odd_tasks(), is_task_answered, cases=CASES)
    record("P17", FIGURE, cases=held.cases, imported_tasks=held.cases, longest_s=held.longest_s)


@pytest.mark.large
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("drawn", DRAWN.values(), ids=DRAWN)
def test_much_is_answered(drawn: st.SearchStrategy[bytes]) -> None:
    held = hold(drawn, is_answered, cases=LARGE, wall=True)
    record("P17", FIGURE, cases=held.cases, tune_specs=held.cases, longest_s=held.longest_s)
