"""Runs that come in units: what is declared, what one unit becomes, and what is refused before anything is stored."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, cast

import pytest

from passloop.apps.errors import SpecError
from passloop.apps.queue.units import (
    KIND,
    UnitsExpander,
    WireUnits,
    declared_of,
    decode_units,
    encode_units,
    units_schema,
)
from passloop.apps.queue.wire import WireCall, WireSpec, WireSubmission, WireTask
from passloop.engine.expanding import ExpandAsk, Expansion
from passloop.kernel.events import SourceDeclared
from passloop.kernel.ids import RunId

WARM = WireSpec(warm_key="k")
SHARED = WireSubmission(tasks=(), name="many", cwd="/", environment={"A": "b"}, about={"kind": "x"})
UNITS = WireUnits(
    SHARED,
    [
        [WireTask(command=("x", "1"), key="a"), WireTask(command=("x", "2"), rank=-3)],
        [WireTask(command=("y",), spec=WARM, call=WireCall(target="m:f", args=(1,)))],
    ],
)


async def expanded(declared: SourceDeclared, unit: int) -> Expansion:
    own = dict(enumerate(declared.unit_specs)).get(unit)
    return await UnitsExpander().expand(ExpandAsk(RunId(1), unit, declared.spec, cast(Any, None), unit_spec=own))


async def test_units_become_tasks_one_unit_at_a_time() -> None:
    declared = declared_of(decode_units(encode_units(UNITS)))
    assert (declared.name, declared.kind, declared.plan.units, declared.plan.tasks) == ("many", KIND, 2, 3)
    assert json.loads(declared.about) == {"kind": "x"}
    assert len(declared.plan.template) == 1
    first, second, beyond = [await expanded(declared, unit) for unit in range(3)]
    assert [(task.key, task.rank) for task in first.tasks] == [("a", 0), (None, -3)]
    assert (first.exhausted, second.exhausted, beyond.exhausted, beyond.tasks) == (False, True, True, ())
    assert (second.tasks[0].spec.driver, second.tasks[0].spec.warm_key) == ("workers", "k")
    assert json.loads(second.tasks[0].payload)["call"] == {"target": "m:f", "args": [1]}
    assert json.loads(first.environments[0][1]) == {"A": "b"}


async def test_each_unit_is_given_apart_from_what_all_share() -> None:
    declared = declared_of(UNITS)
    assert [json.loads(own)[0]["command"] for own in declared.unit_specs] == [["x", "1"], ["y"]]
    assert "command" not in declared.spec
    lost = replace(declared, unit_specs=declared.unit_specs[:1])
    assert (await expanded(lost, 0)).tasks
    with pytest.raises(LookupError, match=r"unit 1 .* submit the run again"):
        await expanded(lost, 1)


async def test_units_that_were_declared_before_schema_5_go_on() -> None:
    """They stand in the spec of the whole."""
    declared = declared_of(UNITS)
    older = replace(declared, spec=encode_units(UNITS).decode(), unit_specs=())
    for unit in range(3):
        assert await expanded(older, unit) == await expanded(declared, unit)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{", "not readable"),
        (b'{"shared": {"tasks": []}, "units": []}', "not readable"),
        (b'{"shared": {"tasks": []}, "units": [[{"command": []}]]}', "task 1: the command is empty"),
        (b'{"shared": {"tasks": []}, "units": [[]]}', "there are no tasks"),
        (
            b'{"shared": {"tasks": []}, "units": [[{"command": ["x"], "call": {"target": "m:f"}}]]}',
            "a call and a warm key belong together",
        ),
        (b'{"shared": {"tasks": []}, "units": [[{"command": ["x"], "call": {"target": "os"}}]]}', "not readable"),
    ],
)
def test_what_cannot_be_is_refused_before_it_is_stored(body: bytes, says: str) -> None:
    with pytest.raises(SpecError, match=says):
        declared_of(decode_units(body))


def test_the_schema_names_both_parts() -> None:
    assert {"shared", "units"} <= set(json.dumps(units_schema()).replace('"', " ").split())
