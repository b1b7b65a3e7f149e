"""Code of python columns that is edited: whose cells may be of older code is known, and no identity changes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from passloop.apps.generate.cells import cells_of, task_spec
from passloop.apps.generate.changed_code import changed_columns
from passloop.apps.generate.dataset import Dataset, dataset_of_text
from passloop.apps.generate.declaring import runs_of_dataset
from passloop.apps.generate.expander import declared_of
from passloop.apps.generate.own_code import runs_of_other_code
from passloop.store.reader import Reader
from tests.support.generating import dataset_from, generating

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


def others(dataset: Dataset, *abouts: dict[str, Any]) -> dict[str, list[int]]:
    """The runs of other code by column, of runs that tell this, numbered from 1."""
    return runs_of_other_code(dataset, enumerate(abouts, 1))


@pytest.mark.parametrize("module", ["owncols.py", "owncols/__init__.py"])
def test_an_edited_function_is_noticed_and_changes_no_cell(tmp_path: Path, module: str) -> None:
    before = written(tmp_path, CODE, module)
    told, cells = told_of(before), cells_of(before, 0)
    assert others(written(tmp_path, f"# better\n{CODE}\n", module), told) == {}
    after = written(tmp_path, CODE.replace("1", "2"), module)
    assert (others(after, told), others(after, told_of(after), told)) == ({"one": [1]}, {"one": [2]})
    assert others(after, told_of(after), {}) == {}
    assert cells_of(after, 0).cells == cells.cells


def test_another_version_makes_its_cells_and_those_after_them_anew_and_nothing_is_noticed(tmp_path: Path) -> None:
    before = written(tmp_path, CODE)
    after = written(tmp_path, CODE.replace("1", "2"), version=2)
    assert others(after, told_of(before)) == {}
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
    assert others(written(tmp_path, "def one(:\n"), told) == {"one": [1]}
    del older["codes"]
    assert "codes" not in told_of(dataset_of_text(json.dumps(older)))


async def test_code_that_is_put_back_is_no_change_unless_cells_were_made_by_the_other(tmp_path: Path) -> None:
    async with generating(tmp_path) as stand:

        def dataset(returns: int, **spec: Any) -> Dataset:
            (tmp_path / "owncols.py").write_text(f"def one(row):\n    return {returns}\n")
            return stand.dataset(
                columns=[{"name": "one", "kind": "python", "call": "owncols:one", "needs": []}], **spec
            )

        async def changed(dataset: Dataset) -> list[str]:
            def read(reader: Reader) -> list[str]:
                runs = runs_of_dataset(reader, dataset.root)
                return changed_columns(reader, dataset, ((view.row.id, about) for view, about in runs))

            return await stand.host.engine.read(read)

        assert (await stand.make(dataset(1, rows=2))).exit_code == 0
        assert (await stand.make(dataset(2, rows=2, keep="{{ one == 1 }}"))).counts["kept"] == 2  # run 2 makes no cell
        assert await changed(dataset(2, rows=2)) == ["one"]
        assert await changed(dataset(1, rows=2)) == []
        assert (await stand.make(dataset(2, rows=4))).exit_code == 0
        assert await changed(dataset(1, rows=4)) == ["one"]
        assert await changed(dataset(1, rows=2)) == []
