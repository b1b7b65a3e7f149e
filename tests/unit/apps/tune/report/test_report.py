"""What a study answers: the document, the table, the files and the page, of trials of every end."""

from __future__ import annotations

import csv
import html
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import msgspec
import optuna
import pyarrow.parquet as pq
import pytest

from passloop.apps.tune.candidates import Box
from passloop.apps.tune.records import Document, Slo
from passloop.apps.tune.report.document import study_document
from passloop.apps.tune.report.files import write_records
from passloop.apps.tune.report.lines import closing_lines, headings, trial_cells, why_not
from passloop.apps.tune.report.optuna_file import write_optuna
from passloop.apps.tune.report.page import report_html
from passloop.apps.tune.report.plots import importance
from passloop.apps.tune.report.standing import Standing
from passloop.apps.tune.report.units import figure_text, gain_text, slo_text
from passloop.apps.tune.search.expander import aims_of
from passloop.apps.tune.study import Study
from passloop.apps.tune.study_view import Trial
from passloop.kernel.tasks import TaskState
from tests.support.study_trials import failed, measured, pruned, running, trial_of
from tests.unit.apps.tune.studies import study

SLO = [{"metric": "ttft", "stat": "p95", "max": "800ms", "at": {"concurrency": 4}}]
MADE = study(slo=SLO, search={"baseline": {"batch": 64, "slots": 1}})


def standing(made: Study = MADE, *more: Trial) -> Standing:
    """A baseline, a better one, one that is best but for its SLO, and one of each other end."""
    trials = [
        measured(made, 0, {"batch": 64, "slots": 1}, 100.0, ttft_p95=700.0),
        measured(made, 1, {"batch": 128, "slots": 2}, 120.0, ttft_p95=500.0, gpus=("GPU-virtual-0",)),
        measured(made, 2, {"batch": 256, "slots": 4}, 200.0, ttft_p95=900.0),
        failed(made, 3, {"batch": 64, "slots": 2}, kind="bad_flag", message="unknown <flag> --x"),
        pruned(made, 4, {"batch": 64, "slots": 4}, "cannot beat 120"),
        running(made, 5, {"batch": 128, "slots": 1}),
        trial_of(made, 6, {"batch": 128, "slots": 4}, TaskState.READY, started_at=None, ended_at=None),
        *more,
    ]
    return Standing(made, aims_of(made), trials)


def replace_argv(document: Document, before: str, after: str) -> Document:
    """The document of a trial whose words were others."""
    return msgspec.structs.replace(document, argv=tuple(word.replace(before, after) for word in document.argv))


def test_the_launch_command_has_the_variables_that_were_given_but_no_secret() -> None:
    env = {"THREADS": "{slots}", "HF_TOKEN": "env:HF_TOKEN"}
    engine = {"argv": ["server", "{port}", "{batch}", "{slots}"], "env": env}
    words = standing(study(engine=engine)).command(standing(study(engine=engine)).trials[1])
    assert words[:3] == ("env", "THREADS=2", "HF_TOKEN=***")


@pytest.mark.parametrize("flag", ["--port", "-p"])
def test_ports_of_two_starts_are_no_difference(flag: str) -> None:
    made = study(engine={"argv": ["server", flag, "{port}", "--port={port}", "{batch}", "{slots}"]}, slo=SLO)
    given = standing(made)
    document = given.trials[1].document
    assert document is not None
    moved = replace(given.trials[1], document=replace_argv(document, "8000", "8417"))
    assert "8417" in given.command(moved)
    assert given.comparable(moved) == given.comparable(given.trials[1])
    assert given.comparable(moved) == ("server", flag, "{port}", "--port={port}", "128", "2")


def test_the_document_is_as_it_was_agreed() -> None:
    document = study_document(standing(), {"id": 7, "name": "small", "group": "default"})
    assert list(document) == ["schema_version", "run", "best", "trials"]
    assert document["run"] == {"id": 7, "name": "small"}
    assert list(document["best"]) == ["trial", "params", "metrics", "command"]
    assert document["best"]["trial"] == 1
    assert document["best"]["command"] == ["server", "--port", "8000", "--batch", "128", "--slots", "2"]
    assert document["best"]["metrics"]["concurrency=4"]["ttft"] == {"p95": 500.0}
    assert list(document["trials"][3]) == [
        "trial",
        "params",
        "state",
        "metrics",
        "gpus",
        "started_at",
        "ended_at",
        "failure",
    ]
    words = ["complete", "complete", "infeasible", "failed", "pruned", "running", "queued"]
    assert [trial["state"] for trial in document["trials"]] == words
    assert document["trials"][1]["started_at"] == "1970-01-01T00:00:01.500Z"
    assert document["trials"][3]["failure"]["class"] == "bad_flag"
    assert json.loads(json.dumps(document)) == document


def test_the_highest_load_is_told_beside_the_points() -> None:
    found = standing().trials[0]
    assert found.document is not None
    searched = replace(found, document=msgspec.structs.replace(found.document, max_load={"value": 24.0, "of": "rate"}))
    told = study_document(Standing(MADE, aims_of(MADE), [searched]), None)
    assert told["trials"][0]["metrics"]["max_load"] == {"max_load": {"mean": 24.0}}


def test_without_a_feasible_trial_there_is_no_best_and_the_limits_are_named() -> None:
    late = Standing(MADE, aims_of(MADE), [measured(MADE, 0, {"batch": 64, "slots": 1}, 100.0, ttft_p95=900.0)])
    assert study_document(late, None)["best"] is None
    assert late.exit_code == 1
    assert list(closing_lines(late))[-2:] == [
        "no trial is feasible: none keeps ttft p95 <= 800 ms at concurrency=4",
        "nearest: trial 0 (ttft p95 900 ms at concurrency=4)",
    ]
    assert "Nearest: <b>trial 0</b>" in report_html(late, made_at=0)


def test_what_can_never_run_here_is_told_with_its_reason() -> None:
    made = study(resources={"gpus": "slots"}).on(Box(gpus=2, largest_mib=1_000))
    lines = list(closing_lines(Standing(made, aims_of(made), [])))
    assert lines[:2] == ["no trial", "4 of the space cannot run here: it needs 4 GPUs and there are 2"]


def test_a_trial_given_up_under_other_limits_says_so() -> None:
    trial = standing().trials[4]
    stricter = study(slo=[{"metric": "ttft", "stat": "p95", "max": "1ms"}])
    assert why_not(Standing(stricter, aims_of(stricter), [trial]), trial) == "under other limits: cannot beat 120"


def test_a_failed_trial_is_told_with_the_last_line_of_its_log() -> None:
    made = standing()
    told = failed(MADE, 6, {"batch": 256, "slots": 1}, kind="crash", message="it ended", lines=("first", "no weights"))
    assert why_not(made, told) == "crash: it ended: no weights"
    said = failed(MADE, 7, {"batch": 256, "slots": 2}, kind="crash", message="it refuses --x", lines=("refuses --x",))
    assert why_not(made, said) == "crash: it refuses --x"


def test_a_baseline_without_parameters_is_named() -> None:
    told = Standing(MADE, aims_of(MADE), [measured(MADE, 0, {}, 100.0, ttft_p95=500.0)])
    assert "best: trial 0 (all as the engine has it)" in list(closing_lines(told))


def test_the_gain_is_against_the_baseline_and_its_own_is_said() -> None:
    told = standing()
    column = [each.text for each in headings(told)].index("gain")
    cells = [trial_cells(told, trial)[column].text for trial in told.trials[:3]]
    assert cells == ["baseline", "+20.0 %", "+100.0 %"]
    lines = list(closing_lines(told))
    assert "  output_tokens_per_second at concurrency=4: 120 tok/s, +20.0 % against the baseline" in lines
    assert lines[-1] == "  server --port 8000 --batch 128 --slots 2"


def test_why_a_trial_is_not_the_best_stands_in_its_row() -> None:
    told = standing()
    said = [trial_cells(told, trial)[-1].text for trial in told.trials]
    assert said[2] == "ttft p95 900 ms at concurrency=4"
    assert said[3] == "bad_flag: unknown <flag> --x: a line of the log"
    assert said[4] == "cannot beat 120"
    assert trial_cells(told, told.trials[5], note="measuring, point 1 of 2")[-1].text == "measuring, point 1 of 2"


def test_records_are_flat_and_have_the_same_fields_in_every_form() -> None:
    told = standing()
    rows = list(csv.DictReader(io.StringIO(write_records(told, "csv").decode())))
    lines = [json.loads(line) for line in write_records(told, "jsonl").decode().splitlines()]
    table = pq.read_table(io.BytesIO(write_records(told, "parquet"))).to_pylist()
    assert [list(each) for each in (rows[0], lines[0], table[0])] == [list(rows[0])] * 3
    assert [row["trial"] for row in table] == list(range(7))
    assert (lines[1]["params.batch"], lines[1]["concurrency=4.ttft.p95"], lines[1]["best"]) == (128, 500.0, True)
    assert rows[3]["failure"] == "bad_flag: unknown <flag> --x"


def test_a_spreadsheet_runs_nothing_of_an_export() -> None:
    bad = failed(MADE, 7, {"batch": 192, "slots": 1}, kind="=HYPERLINK", message="x")
    text = write_records(standing(MADE, bad), "csv").decode()
    assert "'=HYPERLINK: x" in text


def test_optuna_opens_the_exported_study_with_true_values(tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    assert write_optuna(standing(), path) == 7
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = optuna.storages.RDBStorage(f"sqlite:///{path}")
    loaded = optuna.load_study(study_name="small", storage=storage)
    assert loaded.best_trial.params == {"batch": 128, "slots": 2}
    assert [trial.state.name for trial in loaded.trials][3:6] == ["FAIL", "PRUNED", "RUNNING"]
    assert loaded.trials[2].constraints["ttft p95 at concurrency=4"] == pytest.approx(0.125)
    storage.remove_session()
    storage.engine.dispose()


def test_an_optuna_file_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    (tmp_path / ".study.db.new").write_text("what a killed command left")
    broken = measured(MADE, 7, {"batch": 64, "slots": 9}, 1.0)  # no point of the space
    with pytest.raises(ValueError, match="9"):
        write_optuna(standing(MADE, broken), path)
    assert list(tmp_path.iterdir()) == []
    assert write_optuna(standing(), path) == 7
    assert list(tmp_path.iterdir()) == [path]


def test_the_page_has_everything_and_takes_nothing_for_markup() -> None:
    page = report_html(standing(), made_at=0)
    text = html.unescape(re.sub(r"<[^>]+>", " ", page))
    for word in (
        "Trial 1",
        "server --port 8000 --batch 128 --slots 2",
        "+20.0 %",
        "What failed, and why",
        "Under load",
        "ttft p95 <= 800 ms",
        "Where and when",
        "Every trial",
        "a line of the log",
    ):
        assert word in text
    assert "<flag>" not in page
    assert "<script" not in page
    assert 'class="less"' in page
    assert 'class="more"' in page


def test_a_study_without_any_result_has_a_page() -> None:
    empty = Standing(MADE, aims_of(MADE), [])
    assert "No trial is feasible" in report_html(empty, made_at=0)
    only = Standing(MADE, aims_of(MADE), [failed(MADE, 0, {"batch": 64, "slots": 1})])
    assert "it broke" in report_html(only, made_at=0)


def test_with_several_objectives_the_front_is_told() -> None:
    both = study(
        objectives=[
            {"metric": "output_tokens_per_second", "at": {"concurrency": 4}},
            {"metric": "ttft", "stat": "p95", "at": {"concurrency": 4}},
        ]
    )
    points = [
        ({"batch": 64, "slots": 1}, 100.0, 100.0),
        ({"batch": 64, "slots": 2}, 200.0, 300.0),
        ({"batch": 64, "slots": 4}, 90.0, 200.0),
    ]
    trials = [measured(both, n, params, value, ttft_p95=ttft) for n, (params, value, ttft) in enumerate(points)]
    told = Standing(both, aims_of(both), trials)
    assert [trial.number for trial in told.front] == [1, 0]
    assert "front: trials 1, 0" in list(closing_lines(told))
    assert "<svg" in report_html(told, made_at=0)


def test_what_matters_is_what_explains_the_objective() -> None:
    points = list(MADE.space.grid())
    trials = [measured(MADE, n, params, float(params["slots"]) * 10) for n, params in enumerate(points)]
    weights = dict(importance(Standing(MADE, aims_of(MADE), trials)))
    assert weights["slots"] > 0.95
    assert weights["batch"] < 0.05
    assert importance(Standing(MADE, aims_of(MADE), trials[:3])) == []


def test_figures_have_units() -> None:
    assert figure_text("ttft", 12_345.0) == "12.3 s"
    assert figure_text("ttft", 12.345) == "12.3 ms"
    assert figure_text("attainment", 0.5) == "50.0 %"
    assert figure_text("requests_per_second", 1.234) == "1.23 req/s"
    assert figure_text("ttft", None) == ""
    assert gain_text(0.2, 0.1, 0.3) == "+20.0 % [+10.0, +30.0]"
    assert slo_text(Slo(metric="goodput", least=3.0, at="rate=2")) == "goodput >= 3.00 req/s at rate=2"
