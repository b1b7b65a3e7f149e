"""Laws of sweeps: how many cells there are, that distinct cells have distinct keys, that a spec again is the same."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from passloop.apps.queue.options import Place
from passloop.apps.queue.sweep import Sweep, sweep_of
from passloop.apps.spec_file import parse_spec

NAMES = ["a", "b", "c", "d"]
HERE = Place(cwd="/", environment={})

scalars = (
    st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.booleans()
    | st.none()
    | st.text(alphabet="xyz{}1 \"'\n:#é", max_size=5)
)
small = st.integers(0, 3)


def swept(spec: dict[str, Any]) -> Sweep:
    """The sweep of a spec, which JSON writes as YAML 1.2 too."""
    text = json.dumps({"run": "law", "command": ["x", *[f"{{{name}}}" for name in NAMES]], **spec})
    return sweep_of(parse_spec(text.encode(), name="s.yaml", folder=Path("/")), HERE)


@st.composite
def grids(draw: st.DrawFn) -> dict[str, list[int]]:
    names = draw(st.lists(st.sampled_from(NAMES), unique=True, min_size=1))
    return {name: draw(st.lists(small, unique=True, min_size=1)) for name in names}


@given(grids(), st.data(), st.integers(1, 3), st.integers(0, 2))
def test_there_are_as_many_cells_as_the_product_less_what_is_excluded(
    matrix: dict[str, list[int]], data: st.DataObject, replicas: int, seeds: int
) -> None:
    rows = data.draw(
        st.lists(st.dictionaries(st.sampled_from(sorted(matrix)), small, min_size=1), max_size=3), label="exclude"
    )
    spec: dict[str, Any] = {"matrix": matrix, "exclude": rows, "replicas": replicas}
    if seeds:
        spec["seeds"] = seeds
    points = [dict(zip(matrix, values, strict=True)) for values in itertools.product(*matrix.values())]
    kept = [point for point in points if not any(row.items() <= point.items() for row in rows)]
    sweep = swept(spec)
    assert sweep.points == math.prod(map(len, matrix.values())) * replicas * max(1, seeds)
    assert len(list(sweep.cells())) == len(kept) * replicas * max(1, seeds)


@given(grids(), small)
def test_a_condition_keeps_exactly_the_cells_for_which_it_holds(matrix: dict[str, list[int]], limit: int) -> None:
    name = sorted(matrix)[0]
    cells = list(swept({"matrix": matrix, "when": f"{name} < {limit}"}).cells())
    assert len(cells) == sum(value < limit for value in matrix[name]) * math.prod(
        len(values) for other, values in matrix.items() if other != name
    )


@given(st.dictionaries(st.sampled_from(NAMES), st.lists(scalars, min_size=1, max_size=3, unique_by=repr), min_size=1))
def test_distinct_cells_have_distinct_keys_and_the_same_spec_the_same(matrix: dict[str, list[Any]]) -> None:
    cells = list(swept({"matrix": matrix}).cells())
    assert len({cell.key for cell in cells}) == len(cells) == math.prod(map(len, matrix.values()))
    turned = {name: list(reversed(matrix[name])) for name in reversed(matrix)}
    assert {cell.key for cell in swept({"matrix": turned}).cells()} == {cell.key for cell in cells}


@given(st.dictionaries(st.sampled_from(NAMES), st.lists(scalars, min_size=1, max_size=2, unique_by=repr), min_size=1))
def test_parameters_are_those_of_the_file_and_commands_hold_their_text(matrix: dict[str, list[Any]]) -> None:
    for cell in swept({"matrix": matrix}).cells():
        assert all(any(repr(value) == repr(each) for each in matrix[name]) for name, value in cell.params.items())
        for place, name in enumerate(NAMES, start=1):
            value = cell.params.get(name, f"{{{name}}}")
            text = json.dumps(value) if isinstance(value, bool) or value is None else str(value)
            assert cell.command[place] == text


@given(st.lists(scalars, min_size=1, max_size=4, unique_by=repr))
def test_zipped_axes_give_one_cell_for_each_row(values: list[Any]) -> None:
    cells = list(swept({"zip": {"a": values, "b": list(range(len(values)))}}).cells())
    assert [cell.params["b"] for cell in cells] == list(range(len(values)))
