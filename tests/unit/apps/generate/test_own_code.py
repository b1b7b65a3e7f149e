"""Code of python columns that is edited: whose cells may be of older code is known, and no identity changes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from passloop.apps.generate.cells import cells_of, task_spec
from passloop.apps.generate.dataset import Dataset, dataset_of_text
from passloop.apps.generate.expander import declared_of
from passloop.apps.generate.own_code import changed_columns
from tests.support.generating import dataset_from

CODE = "def one(row):\n    return 1\n"


def written(folder: Path, code: str, module: str = "owncols.py", **column: Any) -> Dataset:
    """A dataset of one python column and one after it, whose module says this."""
    place = folder / module
    place.parent.mkdir(exist_ok=True)
    place.write_text(code)
    first = {"name": "one", "kind": "python", "call": "owncols:one", "needs": [], **column}
    after = {"name": "text", "kind": "llm_text", "model": "m", "prompt": "{{ one }}"}
    return dataset_from(folder, columns=[first, after])


def told_of(dataset: Dataset) -> dict[str, Any]:
    """What a run of the dataset tells about itself."""
    about: dict[str, Any] = json.loads(declared_of(dataset, environment={}).about)
    return about


@pytest.mark.parametrize("module", ["owncols.py", "owncols/__init__.py"])
def test_an_edited_function_is_noticed_and_changes_no_cell(tmp_path: Path, module: str) -> None:
    before = written(tmp_path, CODE, module)
    told, cells = told_of(before), cells_of(before, 0)
    assert changed_columns(written(tmp_path, f"# better\n{CODE}\n", module), [told]) == []
    after = written(tmp_path, CODE.replace("1", "2"), module)
    assert changed_columns(after, [told]) == changed_columns(after, [told_of(after), told]) == ["one"]
    assert changed_columns(after, [told_of(after), {}]) == []
    assert cells_of(after, 0).cells == cells.cells


def test_another_version_makes_its_cells_and_those_after_them_anew_and_nothing_is_noticed(tmp_path: Path) -> None:
    before = written(tmp_path, CODE)
    after = written(tmp_path, CODE.replace("1", "2"), version=2)
    assert changed_columns(after, [told_of(before)]) == []
    assert not {cell.key for cell in cells_of(after, 0).cells} & {cell.key for cell in cells_of(before, 0).cells}


def test_other_code_wants_another_worker(tmp_path: Path) -> None:
    def warm(dataset: Dataset) -> str | None:
        return task_spec(dataset, dataset.columns["one"]).warm_key

    before = warm(dataset_of_text(written(tmp_path, CODE).wire()))
    assert warm(written(tmp_path, CODE)) == before
    assert warm(written(tmp_path, CODE.replace("1", "2"))) != before


def test_code_that_lies_elsewhere_or_cannot_be_read_by_python_is_no_mistake(tmp_path: Path) -> None:
    made = written(tmp_path, CODE)
    told, older = told_of(made), json.loads(made.wire())
    assert dataset_of_text(dataset_from(tmp_path).wire()).codes == {}
    assert changed_columns(written(tmp_path, "def one(:\n"), [told]) == ["one"]
    del older["codes"]
    assert "codes" not in told_of(dataset_of_text(json.dumps(older)))
