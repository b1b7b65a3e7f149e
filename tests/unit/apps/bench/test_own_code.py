"""The user's own code that cells run: what of it is known, and which complete cells are of other code."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from passloop.apps.bench.durable import read_json
from passloop.apps.bench.invocation import Invocation
from passloop.apps.bench.learned import Learned
from passloop.apps.bench.own_code import CodeOfProcess, code_of, of_other_code
from passloop.apps.bench.standing import Standing
from passloop.apps.bench.tasks import Box, TaskMaker
from passloop.apps.bench.warm import Warm
from passloop.apps.source_digest import LARGEST
from tests.unit.apps.bench.places import matrix_of_text, order_of, run_one

SPEC = "bench: c\nmodels: [a]\nbenchmarks: [b]\n"


def test_what_a_command_names_beside_its_cells_is_its_code(tmp_path: Path) -> None:
    command = {"command": ["{python}", "own.py", "conf.json", "{model}", "x" * 300, "\0"]}
    assert code_of(command, tmp_path) is None
    (tmp_path / "own.py").write_text("a = 1\n")
    first = code_of(command, tmp_path)
    (tmp_path / "own.py").write_text("# said better\na   =  1\n")
    assert code_of(command, tmp_path) == first
    (tmp_path / "conf.json").write_text("{}")
    assert code_of(command, tmp_path) not in (first, None)


def test_a_class_is_known_by_its_module_and_what_is_large_is_data(tmp_path: Path) -> None:
    assert code_of({"python": "own.deep:Class"}, tmp_path) is None
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "deep.py").write_text("class Class: ...\n")
    assert code_of({"python": "own.deep:Class"}, tmp_path) is not None
    (tmp_path / "weights").write_bytes(bytes(LARGEST + 1))
    assert code_of({"command": ["weights"]}, tmp_path) is None


def test_only_complete_cells_that_say_their_code_are_of_other_code(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("a = 1\n")
    command = {"command": ["own.py"]}
    now = code_of(command, tmp_path)
    cell = next(iter(matrix_of_text(f"{SPEC}adapter: command\ncommand: [x]\n", tmp_path).cells()))
    told = [
        Standing(cell, "done", {"code": now}),
        Standing(cell, "done", {"code": "other"}),
        Standing(cell, "done"),
        Standing(cell, "failed", {"code": "other"}),
    ]
    assert of_other_code(told, command, tmp_path) == 1
    assert of_other_code(told, {"command": ["gone.py"]}, tmp_path) == 0


def test_a_class_that_was_edited_wants_another_worker_and_is_the_same_cell(tmp_path: Path) -> None:
    def made(code: str) -> tuple[str, str | None]:
        (tmp_path / "own.py").write_text(code)
        matrix = matrix_of_text(f"{SPEC}adapter: python\npython: own:Class\n", tmp_path)
        maker = TaskMaker(matrix, box=Box(), learned=Learned(), invocation=Invocation())
        task = maker.tasks(list(matrix.cells()))[0]
        return task.cell.hash, task.warm_key

    first, again, other = made("class Class: a = 1\n"), made("class Class: a = 1  # so\n"), made("class Class: a = 2\n")
    assert first == again
    assert first[0] == other[0]
    assert first[1] != other[1]


CLASS = "class Class:\n    def run_cell(self, cell, record):\n        return {'a': VALUE}\n"


@pytest.mark.parametrize("warm", [True, False])
def test_a_cell_notes_the_code_that_its_process_imported(tmp_path: Path, *, warm: bool) -> None:
    """A worker goes on with the class that it imported; a mistake in the file is no class, and is read again."""
    name = f"edited_{warm}".lower()
    file = tmp_path / f"{name}.py"
    text = f"bench: c\nmodels: [a, b, c]\nbenchmarks: [b]\nadapter: python\npython: {name}:Class\n"
    matrix = matrix_of_text(text, tmp_path)
    kept, noted = Warm(), []
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(tmp_path))
        patch.chdir(tmp_path)
        patch.setattr(sys, "dont_write_bytecode", True)  # its age is told in seconds
        file.write_text("class Class(:\n")
        cells = list(matrix.cells())
        assert run_one(order_of(matrix, cells[0]), tmp_path / "out", warm=kept).metrics is None
        for number, cell in enumerate(cells):
            file.write_text(CLASS.replace("VALUE", f"10 ** {number}"))
            now = code_of({"python": f"{name}:Class"}, tmp_path)
            if not warm:
                kept = Warm()
                patch.delitem(sys.modules, name, raising=False)
            run_one(order_of(matrix, cell), tmp_path / "out", warm=kept)
            folder = Path(matrix.out) / cell.path
            noted.append((read_json(folder / "metrics.json")["a"], read_json(folder / "DONE.json")["code"] == now))
        patch.delitem(sys.modules, name)
    assert noted == ([(1, True), (1, False), (1, False)] if warm else [(1, True), (10, True), (100, True)])


def test_of_a_module_that_was_there_before_nothing_is_said(tmp_path: Path) -> None:
    (tmp_path / "pathlib.py").write_text("class Class: ...\n")
    assert code_of({"python": "pathlib:Class"}, tmp_path) is not None
    assert CodeOfProcess().of({"python": "pathlib:Class"}, tmp_path) is None
