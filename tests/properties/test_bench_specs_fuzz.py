"""Whatever a bench spec holds, the answer is a matrix or an error that says what is wrong, where, and how to fix it,
within a second.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from passloop.apps.bench.invocation import Invocation
from passloop.apps.bench.learned import Learned
from passloop.apps.bench.matrix import matrix_of_file
from passloop.apps.bench.memory import Device
from passloop.apps.bench.tasks import Box, TaskMaker
from passloop.apps.errors import SpecError
from passloop.apps.spec_file import parse_spec
from tests.support.fuzzing import FIGURE, hold
from tests.support.nasty import VALUES
from tests.support.promises import record
from tests.support.spoiled import NAME, check_words_of, spoiled_text, with_odd_values

GOOD: dict[str, Any] = {
    "bench": "x",
    "adapter": "fake",
    "models": {"a": {"source": "s", "samples": 2}, "b": {}},
    "sparse_attention": {"dense": {}, "half": {"method": "knorm", "ratio": 0.5}},
    "benchmarks": {"niah": {"subsets": ["u1", 2], "length": 5}, "words": {}},
    "defaults": {"generation": {"max_new_tokens": 4}, "seed": 1},
    "seeds": [1, 2],
    "include": [{"model": ["a", "b"]}],
    "exclude": [{"model": "b", "subset": "u1"}],
    "overrides": [{"where": {"model": "a"}, "set": {"time_limit": "5m", "resources": {"cpus": 2}}}],
    "resources": {"gpus": "share", "vram": "2GiB", "mem": "1GiB"},
    "options": {"seconds": 0.1, "rules": [{"where": {"model": "a"}, "fault": "run_oom", "times": 1}]},
    "env": {"A": "b"},
    "retries": {"network": 1},
    "breaker": {"model_cells": 2},
    "first": "dense",
    "time_limit": "1h",
    "out": "results/x",
    "metric": "score",
}
ADAPTERS: tuple[dict[str, Any], ...] = (
    {},
    {"adapter": "command", "command": ["x", "{model}", "{ratio}", "{nope}"], "options": {}},
    {"adapter": "python", "python": "m:C", "options": {"a": 1}},
)
BOX = Box(devices=(Device(80_000, virtual=True),), mem_mib=1_000)
CASES = 150
MANY = 2_500


def is_answered(data: bytes) -> None:
    """Read and expand `data`, make all tasks, and check the answer."""
    try:
        matrix = matrix_of_file(parse_spec(data, name=NAME, folder=Path("/")), cwd="/")
        cells = list(matrix.cells())
        maker = TaskMaker(matrix, box=BOX, learned=Learned(), invocation=Invocation())
        assert len(maker.tasks(cells)) == len(cells) > 0
    except SpecError as error:
        check_words_of(error)


@st.composite
def odd_documents(draw: st.DrawFn) -> bytes:
    """A good spec in which a few values are what they should not be."""
    return with_odd_values(draw, {**GOOD, **draw(st.sampled_from(ADAPTERS))}, VALUES)


@st.composite
def spoiled_texts(draw: st.DrawFn) -> bytes:
    """The text of a good spec with a few pieces replaced."""
    return spoiled_text(draw, GOOD)


def test_the_good_specs_are_good() -> None:
    for adapter in ADAPTERS:
        file = parse_spec(json.dumps({**GOOD, **adapter}).encode(), name=NAME, folder=Path("/"))
        assert len(list(matrix_of_file(file, cwd="/").cells())) == 20


DRAWN = {"values": odd_documents(), "texts": spoiled_texts()}


@pytest.mark.parametrize("drawn", DRAWN.values(), ids=DRAWN)
def test_whatever_it_holds_it_is_answered(drawn: st.SearchStrategy[bytes]) -> None:
    held = hold(drawn, is_answered, cases=CASES)
    record("P17", FIGURE, cases=held.cases, bench_specs=held.cases, longest_s=held.longest_s)


@pytest.mark.large
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("drawn", DRAWN.values(), ids=DRAWN)
def test_much_is_answered(drawn: st.SearchStrategy[bytes]) -> None:
    held = hold(drawn, is_answered, cases=MANY, wall=True)
    record("P17", FIGURE, cases=held.cases, bench_specs=held.cases, longest_s=held.longest_s)
