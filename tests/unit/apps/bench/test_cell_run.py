"""One cell in a worker: what is kept of an interrupted one, how faults are classed, when what is loaded is trusted."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import pytest

from passloop.apps.bench.attempt_log import latest_error
from passloop.apps.bench.cell_folder import state_of
from passloop.apps.bench.durable import read_json
from passloop.apps.bench.errors import (
    DatasetError,
    DeviceFault,
    ErrorClass,
    NetworkError,
    OutOfMemory,
    Phase,
    classed,
)
from passloop.apps.bench.invocation import Invocation
from passloop.apps.bench.matrix import Cell
from passloop.apps.bench.samples import answers_of
from passloop.apps.bench.warm import Warm
from tests.unit.apps.bench.places import matrix_of_text, order_of, run_one

ONE = """
bench: one
adapter: fake
options: {OPTIONS}
models: {MODELS}
sparse_attention: {SPARSE}
benchmarks: {niah: {samples: 4}}
"""


def spec(options: dict[str, Any] | None = None, models: str = "[a]", sparse: str = "[dense]") -> str:
    text = ONE.replace("{OPTIONS}", json.dumps(options or {}))
    return text.replace("{MODELS}", models).replace("{SPARSE}", sparse)


def rule(**script: Any) -> dict[str, Any]:
    return {"rules": [{"where": {"benchmark": "niah"}, **script}]}


class Lab:
    """A matrix whose cells are run one by one in one process."""

    def __init__(self, folder: Path, text: str, invocation: Invocation | None = None) -> None:
        self.folder = folder
        self.matrix = matrix_of_text(text, folder)
        self.cells = list(self.matrix.cells())
        self.warm = Warm()
        self.invocation = invocation

    def run(self, cell: Cell | None = None, *, task: int = 1, **granted: Any) -> Any:
        order = order_of(self.matrix, cell or self.cells[0], self.invocation)
        return run_one(order, self.folder / "out", warm=self.warm, task=task, **granted)

    def place(self, cell: Cell | None = None) -> Path:
        return Path(self.matrix.out) / (cell or self.cells[0]).path


def test_answers_of_an_interrupted_cell_are_kept(tmp_path: Path) -> None:
    lab = Lab(tmp_path, spec(rule(fault="network", times=1, after_samples=3)))
    (tmp_path / "other").mkdir()
    whole = Lab(tmp_path / "other", spec(rule(times=1, after_samples=3, fault="mutate"))).run().metrics
    end = lab.run()
    assert end.reason.error_class is ErrorClass.NETWORK
    assert not end.final
    kept = answers_of(lab.place() / "answers.jsonl")
    assert [each.sample for each in kept] == ["s0", "s1", "s2"]
    text = (lab.place() / "answers.jsonl").read_text()
    (lab.place() / "answers.jsonl").write_text(text.replace('"yes"', '"from before"') + '{"sample": "s3", "torn')
    assert lab.run().metrics == whole
    done = answers_of(lab.place() / "samples.jsonl")
    assert [each.answer for each in done] == ["from before"] * 3 + ["yes"]
    assert state_of(lab.place()).done["samples"] == {"expected": None, "answered": 4, "kept": 3}
    assert not (lab.place() / "answers.jsonl").exists()


@pytest.mark.parametrize(
    ("fault", "phase", "final"),
    [
        ("run_oom", Phase.RUN, False),
        ("load_oom", Phase.LOAD, False),
        ("model_missing", Phase.LOAD, True),
        ("device_fault", Phase.RUN, False),
        ("network", Phase.RUN, False),
        ("dataset", Phase.RUN, True),
        ("config", Phase.RUN, True),
        ("dependency", Phase.RUN, True),
        ("bug", Phase.RUN, True),
    ],
)
def test_a_fault_has_its_class_and_its_tries(tmp_path: Path, fault: str, phase: Phase, final: bool) -> None:
    lab = Lab(tmp_path, spec(rule(fault=fault, times=0)))
    end = lab.run(gpus=("GPU-1",))
    assert (end.reason.error_class, end.reason.phase, end.final) == (fault, phase, final)
    error = latest_error(lab.place())
    assert error is not None
    assert (error["class"], error["phase"], error["task"], error["final"]) == (fault, phase, 1, final)
    assert "Traceback" in error["traceback"]
    assert end.bad_device == ("GPU-1" if fault == "device_fault" else None)


def test_tries_are_counted_by_class_and_by_task(tmp_path: Path) -> None:
    text = spec(rule(fault="network", times=0)) + "retries: {network: 2}\n"
    lab = Lab(tmp_path, text)
    assert [lab.run(task=1).final for _ in range(3)] == [False, False, True]
    assert [lab.run(task=2).final for _ in range(3)] == [False, False, True]


def test_metrics_that_json_cannot_say_are_kept_as_words(tmp_path: Path) -> None:
    (tmp_path / "oddly.py").write_text(
        "class Odd:\n    def run_cell(self, cell, record):\n"
        "        return {'a': float('nan'), 'b': 1.5, 'c': [1, float('inf')], 'd': {'e': None}, 'f': True}\n"
    )
    text = "bench: odd\nadapter: python\npython: oddly:Odd\nmodels: [a]\nbenchmarks: [b]\n"
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(tmp_path))
        lab = Lab(tmp_path, text)
        assert lab.run().metrics == {"a": "nan", "b": 1.5, "c": [1, "inf"], "d": {"e": None}, "f": True}
    assert read_json(lab.place() / "metrics.json")["a"] == "nan"


def test_a_loaded_model_serves_the_next_cell_that_needs_the_same(tmp_path: Path) -> None:
    lab = Lab(tmp_path, spec(models="[a, b]", sparse="[dense, x]"))
    for cell in lab.cells:
        lab.run(cell)
    logs = [(lab.place(cell) / "attempts/1/log.jsonl").read_text() for cell in lab.cells]
    assert ['"loaded"' in log for log in logs] == [True, False, True, False]
    assert ['"warm"' in log for log in logs] == [False, True, False, True]


def test_what_is_loaded_is_trusted_after_a_failure_only_if_it_is_unchanged(tmp_path: Path) -> None:
    """Cells: fails and leaves the model as it was; is run on it; changes it unseen; fails; needs it loaded anew."""
    rules = [
        {"where": {"sparse_attention": ["fails", "fails2"]}, "fault": "bug", "times": 0},
        {"where": {"sparse_attention": "changes"}, "fault": "mutate", "times": 0},
    ]
    lab = Lab(tmp_path, spec({"rules": rules}, sparse="[fails, dense, changes, fails2, last]"))
    assert [lab.run(cell).dirty for cell in lab.cells] == [False, False, False, True, False]
    logs = [(lab.place(cell) / "attempts/1/log.jsonl").read_text() for cell in lab.cells]
    assert ['"loaded"' in log for log in logs] == [True, False, False, False, True]


def test_a_method_that_mutates_the_model_is_looked_at_after_each_cell(tmp_path: Path) -> None:
    from msgspec.structs import replace

    lab = Lab(tmp_path, spec(rule(fault="mutate", times=0), sparse="[dense, x]"))
    order = order_of(lab.matrix, lab.cells[0])
    marked = replace(order, sparse_attention=replace(order.sparse_attention, mutates_model=True))
    end = run_one(marked, tmp_path / "out", warm=lab.warm)
    assert end.metrics is not None
    assert end.dirty


def breaker(folder: Path, **said: Any) -> Invocation:
    return Invocation(log=str(folder / "b.jsonl"), **said)


def test_a_model_that_fails_different_cells_in_a_row_is_taken_out(tmp_path: Path) -> None:
    options = {"rules": [{"where": {"model": "a"}, "fault": "bug", "times": 0}]}
    lab = Lab(tmp_path, spec(options, models="[a, b]", sparse="[c, d, e, f]"), breaker(tmp_path, model_cells=3))
    ends = [lab.run(cell, task=place) for place, cell in enumerate(lab.cells, 1)]
    assert [bool(end.skipped) for end in ends] == [False, False, False, True, *[False] * 4]
    assert ends[3].skipped == "the model a is taken out: 3 different cells of it failed"
    error = latest_error(lab.place(lab.cells[3]))
    assert error is not None
    assert error["class"] == "skipped"
    again = [lab.run(cell, task=place) for place, cell in enumerate(lab.cells[:4], 11)]
    assert [bool(end.skipped) for end in again] == [False, False, False, True]


def test_a_success_speaks_for_the_model_and_one_configuration_alone_speaks_not_against_it(tmp_path: Path) -> None:
    options = {"rules": [{"where": {"sparse_attention": "x*"}, "fault": "bug", "times": 0}]}
    text = spec(options, sparse="[x, y, x2]").replace("{samples: 4}", "{subsets: [a, b, c]}")
    lab = Lab(tmp_path, text, breaker(tmp_path, model_cells=3, spread=2))
    assert not any(lab.run(cell, task=place).skipped for place, cell in enumerate(lab.cells, 1))


def test_a_device_that_fails_cells_of_several_models_is_taken_out(tmp_path: Path) -> None:
    options = {"rules": [{"where": {}, "fault": "bug", "times": 0}]}
    lab = Lab(tmp_path, spec(options, models="[a, b, c]"), breaker(tmp_path, device_models=3))
    found = [lab.run(cell, task=place, gpus=("GPU-7",)).bad_device for place, cell in enumerate(lab.cells, 1)]
    assert found == [None, None, "GPU-7"]


def test_a_nonzero_exit_speaks_against_the_model_and_not_against_the_device(tmp_path: Path) -> None:
    text = "bench: e\nadapter: command\ncommand: [sh, -c, 'exit 3']\nmodels: [a, b, c]\nbenchmarks: [d]\n"
    lab = Lab(tmp_path, text, breaker(tmp_path, device_models=2))
    ends = [lab.run(cell, task=place, gpus=("GPU-7",)) for place, cell in enumerate(lab.cells, 1)]
    assert [(end.bad_device, end.reason.exit_code) for end in ends] == [(None, 3)] * 3


def test_the_first_failure_ends_all_where_that_was_asked(tmp_path: Path) -> None:
    options = {"rules": [{"where": {"model": "a"}, "fault": "bug", "times": 0}]}
    lab = Lab(tmp_path, spec(options, models="[a, b]"), breaker(tmp_path, fail_fast=True))
    ends = [lab.run(cell, task=place) for place, cell in enumerate(lab.cells, 1)]
    assert ends[0].reason is not None
    assert "--fail-fast" in ends[1].skipped


@pytest.mark.parametrize(
    ("error", "phase", "wanted"),
    [
        (OutOfMemory("x"), Phase.LOAD, "load_oom"),
        (OutOfMemory("x"), Phase.RUN, "run_oom"),
        (MemoryError(), Phase.RUN, "host_oom"),
        (FileNotFoundError(errno.ENOENT, "zoom failed"), Phase.LOAD, "model_missing"),
        (FileNotFoundError(errno.ENOENT, "x"), Phase.DATA, "dataset"),
        (FileNotFoundError(errno.ENOENT, "x"), Phase.RUN, "bug"),
        (OSError(errno.ENOSPC, "x"), Phase.RUN, "disk"),
        (PermissionError(errno.EACCES, "x"), Phase.STORE, "disk"),
        (ConnectionResetError(), Phase.LOAD, "network"),
        (TimeoutError(), Phase.DATA, "network"),
        (NetworkError("x"), Phase.DATA, "network"),
        (ModuleNotFoundError("no torch"), Phase.LOAD, "dependency"),
        (DatasetError("HTTP timeout"), Phase.DATA, "dataset"),
        (DeviceFault("Xid 79"), Phase.RUN, "device_fault"),
        (KeyError("room not found in model registry: oom"), Phase.RUN, "bug"),
        (RuntimeError("CUDA out of memory"), Phase.RUN, "bug"),
    ],
)
def test_errors_are_classed_by_type_and_phase_never_by_words(error: Exception, phase: Phase, wanted: str) -> None:
    assert classed(error, phase).error_class == wanted
