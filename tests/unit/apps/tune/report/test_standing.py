"""How a study stands at its end: whether anything is left to do, and which trial is nearest where none is feasible."""

from __future__ import annotations

import re
from dataclasses import replace

import msgspec
import pytest

from passloop.apps.tune.records import Params
from passloop.apps.tune.report.document import study_document
from passloop.apps.tune.report.lines import closing_lines, trial_cells
from passloop.apps.tune.report.page import report_html
from passloop.apps.tune.report.standing import Standing
from passloop.apps.tune.report.timeline import timeline
from passloop.apps.tune.search.expander import aims_of
from passloop.apps.tune.study_view import Trial
from passloop.kernel.tasks import OutcomeKind, TaskState
from tests.support.study_trials import failed, measured, pruned, trial_of
from tests.support.trial_documents import point
from tests.unit.apps.tune.studies import study

SLO = [{"metric": "ttft", "stat": "p95", "max": "800ms"}]
MADE = study(slo=SLO, search={"baseline": {"batch": 64, "slots": 1}})
OTHER: Params = {"batch": 128, "slots": 2}


def standing(*trials: Trial) -> Standing:
    return Standing(MADE, aims_of(MADE), trials)


def loaded(number: int, params: Params, ttft_p95: float) -> Trial:
    """A trial whose first token took 100 ms at one request in flight, and so long at four."""
    points = (point("concurrency=1", ttft_p95=100.0), point(output_tokens_per_second=100.0, ttft_p95=ttft_p95))
    trial = measured(MADE, number, params, 100.0)
    assert trial.document is not None
    return replace(trial, document=msgspec.structs.replace(trial.document, points=points))


BASE: Params = {"batch": 64, "slots": 1}
GOOD = loaded(0, BASE, 500.0)


@pytest.mark.parametrize(
    ("other", "code"),
    [
        (loaded(1, OTHER, 900.0), 0),
        (pruned(MADE, 1, OTHER), 0),
        (pruned(study(), 1, OTHER), 1),
        (failed(MADE, 1, OTHER, kind="out_of_memory", outcome=OutcomeKind.OUT_OF_MEMORY), 0),
        (failed(MADE, 1, OTHER, kind="bad_flag"), 1),
        (trial_of(MADE, 1, OTHER, TaskState.REJECTED), 1),
        (trial_of(MADE, 1, OTHER, TaskState.CANCELLED), 1),
        (trial_of(MADE, 1, OTHER, TaskState.READY), 1),
    ],
)
def test_the_exit_code_is_1_while_the_same_command_would_measure_something(other: Trial, code: int) -> None:
    assert standing(GOOD, other).exit_code == code


def test_what_is_left_to_do_is_said_with_its_trials() -> None:
    lines = list(closing_lines(standing(GOOD, failed(MADE, 1, OTHER))))
    assert lines[1].startswith("not measured: trial 1; the same command tries it again")
    assert not any("not measured" in line for line in closing_lines(standing(GOOD)))


def versioned(trial: Trial, version: str) -> Trial:
    """The same trial, measured with this version of the server."""
    assert trial.document is not None
    return replace(trial, document=msgspec.structs.replace(trial.document, provenance={"engine_version": version}))


def test_trials_of_another_version_are_told_and_no_gain_is_told_between_them() -> None:
    new = [versioned(loaded(number, {**OTHER, "slots": number}, 400.0), "server 2") for number in (1, 2)]
    told = standing(versioned(GOOD, "server 1"), *new)
    objective = told.aims.objectives[0]
    assert [told.gain(trial, objective) for trial in new] == [None, None]
    assert dict(told.unlike) == {0: "engine server 1, not server 2"}
    assert [trial_cells(told, trial)[-1].text for trial in told.trials] == ["engine server 1, not server 2", "", ""]
    said = [line for line in closing_lines(told) if line.startswith("measured otherwise: trial 0 (engine server 1")]
    assert len(said) == 1
    assert f"`passloop rm {GOOD.task}`" in said[0]
    assert "measured otherwise" in report_html(told, made_at=0)


def test_trials_that_are_alike_or_of_which_nothing_is_known_have_gains() -> None:
    for told in (
        standing(GOOD, loaded(1, OTHER, 400.0)),
        standing(GOOD, versioned(loaded(1, OTHER, 400.0), "server 2")),
    ):
        assert told.gain(told.trials[1], told.aims.objectives[0]) is not None
        assert not any("otherwise" in line for line in closing_lines(told))


def test_the_nearest_may_be_a_trial_that_was_given_up() -> None:
    measured_part = (point("concurrency=1", output_tokens_per_second=50.0, ttft_p95=880.0),)
    near = pruned(MADE, 1, OTHER, "misses its SLO", points=measured_part)
    told = standing(loaded(0, BASE, 1_600.0), near)
    assert told.nearest is near
    assert list(closing_lines(told))[-1] == "nearest: trial 1 (misses its SLO)"


def test_a_trial_that_missed_nothing_as_far_as_it_went_is_not_the_nearest() -> None:
    unknown = pruned(MADE, 1, OTHER, "cannot win", points=(point("concurrency=1", ttft_p95=10.0),))
    late = loaded(0, BASE, 1_600.0)
    assert standing(late, unknown).nearest is late


def test_a_missed_limit_is_told_as_the_class_slo_and_fails_nothing() -> None:
    told = standing(GOOD, loaded(1, OTHER, 900.0), failed(MADE, 2, {"batch": 64, "slots": 2}))
    trials = study_document(told, None)["trials"]
    assert [trial["failure"] and trial["failure"]["class"] for trial in trials] == [None, "slo", "crash"]
    assert trials[1]["failure"]["message"] == "ttft p95 at concurrency=4 is 900, at most 800 allowed"
    assert (told.trials[1].failure, trials[1]["state"]) == (None, "infeasible")


def test_the_time_line_has_each_run_of_a_study() -> None:
    told = standing(
        GOOD, replace(loaded(1, OTHER, 900.0), run=4), replace(loaded(2, {"batch": 64, "slots": 2}, 9.0), run=4)
    )
    drawn = str(timeline(told))
    assert re.findall(r"Run \d+: \d trials?", drawn) == ["Run 1: 1 trial", "Run 4: 2 trials"]
    assert drawn.count('class="bar') == 3


def test_the_time_line_says_how_long_a_run_took_and_how_many_trials_it_had_at_once() -> None:
    begin = 1_000_000
    trials = [
        replace(loaded(1, OTHER, 9.0), started_at=begin, ended_at=begin + 4_000),
        replace(loaded(2, {"batch": 64, "slots": 2}, 9.0), started_at=begin + 2_000, ended_at=begin + 4_000),
    ]
    assert "2 trials in 4.0 s; 1.50 at once." in str(timeline(standing(*trials)))


def test_gpu_hours_count_trials_that_left_nothing() -> None:
    hour = 3_600_000
    lost = replace(failed(MADE, 2, {"batch": 64, "slots": 2}), document=None, gpu_ms=hour // 2)
    page = report_html(standing(replace(GOOD, gpu_ms=hour), lost), made_at=0)
    assert "<dt>GPU-hours</dt><dd>1.50</dd>" in page


def test_the_page_has_why_a_trial_is_no_candidate_where_it_can_wrap() -> None:
    page = report_html(standing(GOOD, loaded(1, OTHER, 900.0)), made_at=0)
    assert '<td class="reason">ttft p95 900 ms at concurrency=4</td>' in page
