"""Whatever a generate spec holds, the answer is a dataset, whose rows and tasks can be made and told again, or an error
that says what is wrong, where, and how to fix it, within a second.
"""

from __future__ import annotations

import copy
import json
import math
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from passloop.apps.errors import SpecError
from passloop.apps.generate.cells import cells_of
from passloop.apps.generate.dataset import Dataset, dataset_of_file, dataset_of_text
from passloop.apps.generate.declaring import decode_request
from passloop.apps.generate.expander import declared_of
from passloop.apps.generate.plan import plan_of
from passloop.apps.spec_file import parse_spec
from passloop.drivers.calls.endpoints import declarations
from tests.support.fuzzing import FIGURE, hold
from tests.support.nasty import VALUES
from tests.support.promises import record
from tests.support.spoiled import NAME, TRICKS, check_words_of, spoiled_text, with_odd_values

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
GOOD: dict[str, Any] = {
    "generate": "x",
    "rows": 5,
    "seed": 1,
    "row_group": 2,
    "out": "x.parquet",
    "endpoints": {
        "e": {"base_url": "http://127.0.0.1:9/v1", "headers": {"A": "b"}, "requests_per_minute": 5, "timeout": "9s"}
    },
    "models": {
        "m": {"endpoint": "e", "model": "a", "params": {"max_tokens": 5}, "price": {"input": 0.5, "output": 1.5}}
    },
    "columns": [
        {"name": "topic", "kind": "sampler", "choice": {"values": ["a", 2], "weights": [2, 1.5]}},
        {"name": "size", "kind": "sampler", "normal": {"mean": 1, "sd": 0.5}},
        {"name": "many", "kind": "sampler", "integer": {"low": 1, "high": 6}},
        {"name": "day", "kind": "sampler", "date": {"first": "2026-01-01", "last": "2026-12-31"}},
        {
            "name": "sub",
            "kind": "sampler",
            "conditional": {"on": "topic", "cases": {"a": {"poisson": {"mean": 3}}}, "else": {"uniform": {"low": 0}}},
        },
        {"name": "text", "kind": "llm_text", "model": "m", "prompt": "on {{ topic }}, {{ size + 1 }}", "system": "s"},
        {"name": "made", "kind": "llm_structured", "model": "m", "prompt": "{{ text }}", "schema": SCHEMA},
        {
            "name": "grade",
            "kind": "llm_judge",
            "model": "m",
            "prompt": "{{ made.a }}",
            "rubric": {"question": "q", "scores": {"1": "bad", "5": "good"}},
            "skip": {"when": "{{ topic == 'a' }}", "value": None},
        },
        {"name": "long", "kind": "expression", "expr": "{{ text | length }}"},
        {"name": "py", "kind": "python", "call": "json:f", "needs": ["text"], "outputs": ["p", "q"], "batch": True},
    ],
    "keep": "{{ grade >= 3 }}",
    "target": 3,
    "limits": {"max_cost": 5.0, "resident_mb": 9},
    "retries": {"failure": 1},
}
ODD = st.sampled_from(
    [
        *("{{ topic", "{{ 1 / 0 }}", "{{ a.b.c }}", "{% for x in y %}", "{{ ''.__class__ }}", "{{ range(10**9) }}"),
        *(1e308, -1e308, 10**30, 2**63, 5e-324, "2026-13-01", "0001-01-01", "9999-12-31", "env:", "file:/nowhere"),
        *("text", "topic", "m", "e", "http://[", "http://a b", "seed", "python", "a:b:c", [], {}),
    ]
)
CASES = 80
MANY = 2_500
FEW = 1_000


def read(data: bytes) -> Dataset:
    file = parse_spec(data, name=NAME, folder=Path("/"))
    return dataset_of_file(file, cwd=Path("/"), environ={}, looks_for_code=True)


def is_answered(data: bytes) -> None:
    """Read `data`; make of it what an engine would, and check that."""
    try:
        dataset = read(data)
    except SpecError as error:
        check_words_of(error)
        return
    again = dataset_of_text(dataset.wire())
    assert (again.hash, again.root) == (dataset.hash, dataset.root)
    declared_of(dataset, environment={})
    list(declarations(dataset.models.values()))
    if dataset.spec.row_group <= FEW:
        check_unit(dataset)
    if dataset.spec.rows <= FEW:
        assert not TRICKS.search(plan_of(dataset).as_text().replace("\n", ""))


def check_unit(dataset: Dataset) -> None:
    """The first row group: each cell once, nothing in a row that is no JSON."""
    unit = cells_of(dataset, 0)
    assert len({cell.key for cell in unit.cells}) == len(unit.cells)
    for given_ in unit.givens.values():
        json.dumps(given_, allow_nan=False)
        assert all(math.isfinite(value) for value in given_.values() if isinstance(value, float))


@st.composite
def odd_documents(draw: st.DrawFn) -> bytes:
    """A good spec in which a few values are what they should not be."""
    return with_odd_values(draw, GOOD, VALUES | ODD)


@st.composite
def spoiled_texts(draw: st.DrawFn) -> bytes:
    """The text of a good spec with a few pieces replaced."""
    return spoiled_text(draw, GOOD)


@st.composite
def odd_requests(draw: st.DrawFn) -> bytes:
    """A good request in which a few values are what they should not be."""
    return with_odd_values(draw, good_request(), VALUES | ODD)


@cache
def good_request() -> dict[str, Any]:
    return {"dataset": json.loads(read(json.dumps(GOOD).encode()).wire()), "environment": {"A": "b"}}


def test_the_good_spec_is_good() -> None:
    assert read(json.dumps(GOOD).encode()).units == 3


DRAWN = {"values": odd_documents(), "texts": spoiled_texts()}


@pytest.mark.parametrize("drawn", DRAWN.values(), ids=DRAWN)
def test_whatever_it_holds_it_is_answered(drawn: st.SearchStrategy[bytes]) -> None:
    held = hold(drawn, is_answered, cases=CASES)
    record("P17", FIGURE, cases=held.cases, generate_specs=held.cases, longest_s=held.longest_s)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("columns", 1, "name"), "topic"),
        (("models", "m", "endpoint"), "nobody"),
        (("endpoints", "e", "base_url"), "nowhere"),
    ],
)
def test_a_request_of_which_no_run_can_be_declared_is_refused(place: tuple[Any, ...], value: str) -> None:
    told = copy.deepcopy(good_request())
    inner: Any = told["dataset"]["spec"]
    for part in place[:-1]:
        inner = inner[part]
    inner[place[-1]] = value
    with pytest.raises(SpecError, match="the dataset is not readable"):
        decode_request(json.dumps(told).encode()).read()


def test_odd_requests_are_answered() -> None:
    held = hold(odd_requests(), is_request_answered, cases=CASES)
    record("P17", FIGURE, cases=held.cases, generate_requests=held.cases, longest_s=held.longest_s)


def is_request_answered(data: bytes) -> None:
    """A dataset as another program might send it, which no spec was read for."""
    try:
        dataset = decode_request(data).read()
    except SpecError:
        return
    declared_of(dataset, environment={})
    list(declarations(dataset.models.values()))


@pytest.mark.large
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("drawn", DRAWN.values(), ids=DRAWN)
def test_much_is_answered(drawn: st.SearchStrategy[bytes]) -> None:
    held = hold(drawn, is_answered, cases=MANY, wall=True)
    record("P17", FIGURE, cases=held.cases, generate_specs=held.cases, longest_s=held.longest_s)
