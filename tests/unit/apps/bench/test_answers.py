"""What is told of results: verify, rescore, summaries, reports, flat records; and what the tree alone gives back."""

from __future__ import annotations

import importlib.util
import json
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import passloop.apps.bench.plugins as plugins
from passloop.apps.bench.adapters.base import CellReport, MethodAsk, ModelAsk, ResolvedMethod, ResolvedModel
from passloop.apps.bench.benchmarks.base import (
    BenchmarkAsk,
    Context,
    DataAsk,
    Question,
    ResolvedBenchmark,
    ResolvedSubset,
    Scores,
    StoredAnswer,
    Tokenizer,
)
from passloop.apps.bench.frame import records_of, to_pandas
from passloop.apps.bench.planned import Planned, planned_of_tasks, read_planned, write_planned
from passloop.apps.bench.plots import Axis, Point, front_of, scatter
from passloop.apps.bench.report_html import report_html
from passloop.apps.bench.rescore import of_other_scorer, rescore
from passloop.apps.bench.results import CellResult, counts_of, results_of_tasks, results_of_tree
from passloop.apps.bench.session import Session
from passloop.apps.bench.summary import summary_of
from passloop.apps.bench.verify import verify
from passloop.apps.errors import BadValue
from passloop.cli.main import main
from passloop.clock import FakeClock
from tests.unit.apps.bench.places import FAKE, matrix_of_text, order_of, run_one

SPEC = FAKE + "options: {rules: [{where: {model: b, benchmark: words}, fault: bug, times: 0}]}\n"


@pytest.fixture
def ran(tmp_path: Path) -> tuple[Planned, Path]:
    """A matrix of 12 cells of which 2 failed; its plan and root."""
    matrix = matrix_of_text(SPEC, tmp_path)
    for place, cell in enumerate(matrix.cells(), 1):
        run_one(order_of(matrix, cell), tmp_path / "out", task=place)
    session = Session(matrix, clock=FakeClock())
    planned = session.planned(session.look())
    write_planned(session.root, planned)
    return planned, session.root


def test_a_plan_reads_back_and_what_leads_outside_is_passed_over(ran: tuple[Planned, Path]) -> None:
    planned, root = ran
    assert read_planned(root) == planned
    document = json.loads((root / "matrix.json").read_text())
    document["cells"][0][6] = "../../etc"
    document["cells"][1] = "no row"
    (root / "matrix.json").write_text(json.dumps(document))
    found = read_planned(root)
    assert found is not None
    assert found.cells == planned.cells[2:]
    (root / "matrix.json").write_text("{}")
    assert read_planned(root) is None


def test_every_cell_has_one_status_and_failures_their_reason(ran: tuple[Planned, Path]) -> None:
    planned, root = ran
    results = results_of_tree(planned, root)
    assert counts_of(results) == {"done": 10, "failed": 2, "skipped": 0, "running": 0, "pending": 0, "total": 12}
    summary = summary_of(planned, results)
    assert summary["errors"] == {"bug": 2}
    assert [each["message"] for each in summary["failures"]] == ["scripted bug"] * 2
    assert json.loads(json.dumps(summary)) == summary


def test_tasks_tell_what_the_tree_would(ran: tuple[Planned, Path]) -> None:
    planned = ran[0]
    tasks = [
        {"id": place, "state": state, "outcome": outcome, "message": message, "params": cell._asdict(), "results": {}}
        for place, (cell, (state, outcome, message)) in enumerate(
            zip(
                planned.cells,
                [
                    ("failed", "failure", "run_oom (run): no room"),
                    ("failed", "timeout", "time limit of 1 s"),
                    ("failed", "lost", "its worker died"),
                    ("cancelled", None, "cancelled by user"),
                    ("cancelled", None, "skipped: the model a is taken out"),
                    ("rejected", None, "it can never fit"),
                    ("running", None, ""),
                    ("backoff", "failure", "network (run): x"),
                    ("failed", "failure", "exit code 1"),
                ],
                strict=False,
            )
        )
    ]
    found = results_of_tasks(planned, tasks)
    assert [(each.status, each.error_class) for each in found[:9]] == [
        ("failed", "run_oom"),
        ("failed", "time_limit"),
        ("failed", "worker_lost"),
        ("failed", "cancelled"),
        ("skipped", "skipped"),
        ("failed", "config"),
        ("running", ""),
        ("pending", ""),
        ("failed", "bug"),
    ]
    assert found[0].message == "no room"
    assert planned_of_tasks("small", tasks).cells[0].label == planned.cells[0].label


def test_what_ended_from_outside_is_written_beside_the_cell(tmp_path: Path) -> None:
    matrix = matrix_of_text(FAKE, tmp_path)
    session = Session(matrix, clock=FakeClock())
    looked = session.look()
    cells = looked.cells
    task = {
        "id": 7,
        "state": "failed",
        "outcome": "timeout",
        "message": "time limit",
        "params": {"cell": cells[0].hash},
    }
    order = order_of(matrix, cells[1])
    run_one(order, tmp_path / "out")
    done = {**task, "id": 8, "params": {"cell": cells[1].hash}}
    results = session.settle(looked, [task, done, {**task, "params": None}])
    assert [each.status for each in results[:3]] == ["failed", "done", "pending"]
    assert (results[0].error_class, results[0].message) == ("time_limit", "time limit")
    again = session.settle(looked, [task])
    assert len(list((session.root / cells[0].path / "attempts").iterdir())) == 1
    assert again[0] == results[0]


def test_verify_finds_holes_and_what_is_no_longer_in_the_matrix(ran: tuple[Planned, Path]) -> None:
    planned, root = ran
    assert [(each.sort, each.file) for each in verify(root, planned)] == [("missing", "DONE.json")] * 2
    (root / planned.cells[0].path / "metrics.json").write_text("")
    found = list(verify(root, planned))
    assert (found[0].sort, found[0].label) == ("empty", "a / dense / niah / s1")
    fewer = planned._replace(cells=planned.cells[1:2])
    assert [each.label for each in verify(root, fewer)] == ["no longer in the matrix"]
    assert len(list(verify(root, None))) == 1


def test_a_report_is_one_file_in_which_nothing_is_taken_for_markup(ran: tuple[Planned, Path]) -> None:
    planned, root = ran
    results = results_of_tree(planned, root)
    nasty = [CellResult(each.cell, "failed", error_class="<b>", message="<script>x</script>") for each in results[:1]]
    page = report_html(planned._replace(bench="<i>"), [*nasty, *results[1:]], made_at=0)
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "missing: &lt;b&gt;" in page
    whole = [CellResult(each.cell, "done", {"score": 0.5}, done=results[0].done) for each in results]
    assert "kept cache (%)" in report_html(planned, whole, made_at=0)
    assert "default-src &#x27;none&#x27;" in page


def test_records_are_flat_and_pandas_is_optional(ran: tuple[Planned, Path]) -> None:
    planned, root = ran
    records = list(records_of(results_of_tree(planned, root)))
    assert records[0]["metric.score"] > 0
    assert (records[0]["samples"], records[0]["usage.kept"], records[3]["usage.kept"]) == (3, 1.0, 0.5)
    assert records[-1]["class"] == "bug"
    if importlib.util.find_spec("pandas") is None:
        with pytest.raises(BadValue, match="pip install"):
            to_pandas(results_of_tree(planned, root))
    else:
        assert len(to_pandas(results_of_tree(planned, root))) == 12


def test_the_front_holds_what_no_other_beats() -> None:
    points = [Point(x, y, f"{x}{y}", "m") for x, y in ((1, 1), (2, 2), (2, 1), (3, 2), (1, 1))]
    found = front_of(points, Axis("cost", more_is_better=False), Axis("score", more_is_better=True))
    assert [(point.x, point.y) for point in found] == [(1, 1), (1, 1), (2, 2)]
    same = scatter([Point(1, 1, "a", "m")] * 2, Axis("x", more_is_better=True), Axis("y", more_is_better=True))
    assert same.count("<circle") == 3


class Sums:
    """A benchmark of two contexts with two questions each, for tests; `factor` stands for a scorer's version."""

    name = "sums"
    version = "1"
    adapter = None
    factor = 1.0
    said = ""

    @property
    def scorer_version(self) -> str:
        return self.said or str(self.factor)

    def resolve(self, ask: BenchmarkAsk) -> ResolvedBenchmark:
        if ask.options:
            raise BadValue("sums takes no options", "leave them out")
        return ResolvedBenchmark(subsets=(ResolvedSubset(data="d1", context_tokens=8, samples=4),), metric="exact")

    def contexts(self, ask: DataAsk, tokenizer: Tokenizer | None) -> Iterator[Context]:
        for number in range(2):
            questions = tuple(Question(id=f"{number}.{each}", text="1+1", reference="2") for each in range(2))
            yield Context(id=str(number), text="...", questions=questions)

    def score(self, subset: str, answers: Sequence[StoredAnswer]) -> Scores:
        scores = tuple(self.factor * (each.answer == each.reference) for each in answers)
        return Scores(metrics={"exact": sum(scores) / len(scores)}, samples=scores)


class Guesser:
    """An adapter that looks names up, and answers 2, or 3 under a method."""

    name = family = "guesser"
    free_names = False
    warm = True
    contexts_seen = 0
    stops_after = 99

    def resolve_model(self, ask: ModelAsk) -> ResolvedModel:
        return ResolvedModel(weights="w1")

    def resolve_method(self, ask: MethodAsk, model: ResolvedModel) -> ResolvedMethod:
        if ask.method not in (None, "off"):
            raise BadValue(f"there is no method `{ask.method}`", "use off", path=("method",))
        return ResolvedMethod(method=ask.method)

    def check_generation(self, arguments: Any) -> None:
        """Any will do."""

    def resolve_options(self, options: Any, folder: Path) -> Any:
        return dict(options)

    def create(self, options: Any) -> Any:
        return self

    def load(self, needs: Any, granted: Any) -> None: ...

    def reset(self) -> None: ...

    def unload(self) -> None: ...

    def fingerprint(self) -> str:
        return ""

    def run_cell(self, cell: Any, record: Any) -> CellReport:
        for context in cell.contexts(None):
            self.contexts_seen += 1
            if self.contexts_seen > self.stops_after:
                raise ConnectionResetError
            for question in context.questions:
                record.answer(question, "2" if cell.method.method is None else "3")
        return CellReport()


LOOKED_UP = """bench: l
adapter: guesser
models: [m]
sparse_attention: {dense: {}, off: {method: METHOD}}
benchmarks: {sums: {}}
"""


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Guesser, Sums]]:
    """The two plugins above, known by name."""
    guesser, sums = Guesser(), Sums()
    import sys

    monkeypatch.setattr(sys.modules[__name__], "GUESSER", guesser, raising=False)
    monkeypatch.setattr(sys.modules[__name__], "SUMS", sums, raising=False)
    monkeypatch.setitem(plugins.ADAPTERS, "guesser", f"{__name__}:GUESSER")
    monkeypatch.setitem(plugins.BENCHMARKS, "sums", f"{__name__}:SUMS")
    yield guesser, sums
    plugins.adapter_kind.cache_clear()
    plugins.benchmark_kind.cache_clear()


def test_looked_up_cells_are_scored_by_their_benchmark_and_again_without_a_model(
    known: tuple[Guesser, Sums], tmp_path: Path
) -> None:
    guesser, sums = known
    matrix = matrix_of_text(LOOKED_UP.replace("METHOD", "off"), tmp_path)
    for cell in matrix.cells():
        assert run_one(order_of(matrix, cell), tmp_path / "out").metrics is not None
    session = Session(matrix, clock=FakeClock())
    planned = session.planned(session.look())
    before = [(dict(each.metrics), each.scores) for each in results_of_tree(planned, session.root)]
    assert before == [({"exact": 1.0}, (1.0,) * 4), ({"exact": 0.0}, (0.0,) * 4)]
    assert [each.sort for each in rescore(session.root, planned)] == ["unchanged", "unchanged"]
    sums.factor = 0.5
    seen = guesser.contexts_seen
    assert [each.sort for each in rescore(session.root, planned)] == ["scored", "scored"]
    after = results_of_tree(planned, session.root)
    assert (after[0].status, dict(after[0].metrics), after[0].scores) == ("done", {"exact": 0.5}, (0.5,) * 4)
    assert after[0].done["scorer"] == {"name": "sums", "version": "0.5"}
    assert guesser.contexts_seen == seen
    assert not list(verify(session.root, planned))
    sums.said, sums.factor = "0.5", 0.25
    assert [each.sort for each in rescore(session.root, planned)] == ["scored", "unchanged"]


def test_cells_that_another_scorer_scored_are_told_with_the_command_that_ends_it(
    known: tuple[Guesser, Sums], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "a b"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PASSLOOP_HOME", str(tmp_path / "home"))
    (folder / "m.yaml").write_text(LOOKED_UP.replace("METHOD", "off"))
    matrix = matrix_of_text(LOOKED_UP.replace("METHOD", "off"), folder)
    for cell, known[1].factor in zip(matrix.cells(), (1.0, 0.5), strict=True):
        run_one(order_of(matrix, cell), tmp_path / "out")

    def said(*words: str) -> str:
        assert main(words) == 0
        return capsys.readouterr().out

    command = ["passloop", "bench", "rescore", matrix.out]
    told = f"1 cell was scored by another version of the scorer; to score all by that of now: {shlex.join(command)}\n"
    assert told in said("bench", "m.yaml")
    assert told in said("report", "results/l")
    assert told in (folder / "results/l/report.md").read_text()
    assert "another version of the scorer" in (folder / "results/l/report.html").read_text()
    assert json.loads((folder / "results/l/execution_summary.json").read_text())["of_other_scorer"] == 1
    said(*command[1:])
    assert json.loads((folder / "results/l/execution_summary.json").read_text())["of_other_scorer"] == 0
    assert json.loads(said("bench", "m.yaml", "--json"))["of_other_scorer"] == 0
    assert "another version" not in said("bench", "m.yaml") + said("report", "results/l")


def test_what_cannot_be_scored_again_is_of_no_other_scorer(ran: tuple[Planned, Path]) -> None:
    results = results_of_tree(*ran)
    assert of_other_scorer(results) == 0
    gone = CellResult(results[0].cell._replace(benchmark="gone"), "done", done={"scorer": {"name": "gone"}})
    here = CellResult(results[0].cell, "done", done={"scorer": {"name": "niah", "version": "0"}})
    assert of_other_scorer([gone, here, here]) == 2


def test_results_of_a_benchmark_whose_import_fails_are_told_of_all_the_same(
    ran: tuple[Planned, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wants_a_gpu.py").write_text("raise OSError('libcuda.so.1: cannot open shared object file')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(plugins.BENCHMARKS, "gpu_only", "wants_a_gpu:KIND")
    cell = results_of_tree(*ran)[0].cell._replace(benchmark="gpu_only")
    assert of_other_scorer([CellResult(cell, "done", done={"scorer": {"name": "gpu_only", "version": "0"}})]) == 0


def test_a_context_is_given_once_for_its_questions_and_not_again_if_it_was_answered(
    known: tuple[Guesser, Sums], tmp_path: Path
) -> None:
    guesser, _ = known
    matrix = matrix_of_text(LOOKED_UP.replace("METHOD", "off"), tmp_path)
    cell = next(matrix.cells())
    guesser.stops_after = 1
    end = run_one(order_of(matrix, cell), tmp_path / "out")
    assert end.reason is not None
    assert end.reason.error_class == "network"
    guesser.contexts_seen, guesser.stops_after = 0, 99
    assert run_one(order_of(matrix, cell), tmp_path / "out").metrics == {"exact": 1.0}
    assert guesser.contexts_seen == 1


def test_a_method_that_is_not_known_is_told_at_its_place_and_names_are_not_part_of_identity(
    known: tuple[Guesser, Sums], tmp_path: Path
) -> None:
    from passloop.apps.errors import SpecError

    with pytest.raises(SpecError, match=r"m.yaml:4:45: there is no method `of`"):
        matrix_of_text(LOOKED_UP.replace("METHOD", "of"), tmp_path)
    first = matrix_of_text(LOOKED_UP.replace("METHOD", "off"), tmp_path)
    other = matrix_of_text(LOOKED_UP.replace("METHOD", "off").replace("off: {", "another: {"), tmp_path)
    assert [cell.hash for cell in first.cells()] == [cell.hash for cell in other.cells()]
    twice = matrix_of_text(LOOKED_UP.replace("METHOD", "off").replace("dense: {}", "dense: {}, same: {}"), tmp_path)
    assert (twice.places(), len(list(twice.cells()))) == (3, 2)
