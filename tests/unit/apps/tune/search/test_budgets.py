"""When a study has had enough and when it pauses: by its trials alone, in whatever order they are read."""

from __future__ import annotations

import random

import pytest
from msgspec.structs import replace

from passloop.apps.tune.search.budgets import Budgets, alike, enough, without_gain
from passloop.apps.tune.search.expander import aims_of, peaks_of
from passloop.apps.tune.study_view import Trial
from passloop.kernel.tasks import TaskState
from tests.support.study_trials import failed, measured, pruned, running, trial_of
from tests.support.trial_documents import complete
from tests.unit.apps.tune.studies import FAMILY, study

MADE = study()
AIMS = aims_of(MADE)
POINTS = list(MADE.space.grid())
LIMITED = study(slo=[{"metric": "ttft", "stat": "p95", "max": "800ms", "at": {"concurrency": 4}}])


def trials(*values: float | None) -> list[Trial]:
    """Measured trials with these values; None is one that failed."""
    return [
        failed(MADE, n, POINTS[n]) if value is None else measured(MADE, n, POINTS[n], value)
        for n, value in enumerate(values)
    ]


def test_trials_of_every_end_count_against_max_trials() -> None:
    some = [*trials(1.0, None), running(MADE, 2, POINTS[2])]
    assert enough(Budgets(max_trials=4), some, AIMS, now=0) is None
    assert enough(Budgets(max_trials=3), some, AIMS, now=0) == "max_trials: 3 trials"


def test_gpu_hours_count_what_runs_too() -> None:
    hour = 3_600_000
    ended = measured(MADE, 0, POINTS[0], 1.0, gpu_ms=hour)
    going = running(MADE, 1, POINTS[1], gpus=("a", "b"), started_at=0)
    budgets = Budgets(max_gpu_hours=2.0)
    assert enough(budgets, [ended, going], AIMS, now=hour // 2 - 1) is None
    assert enough(budgets, [ended, going], AIMS, now=hour // 2) == "max_gpu_hours: 2.00 GPU-hours of 2"


@pytest.mark.parametrize(
    ("values", "since"),
    [
        ((), 0),
        ((None, None), 0),
        ((1.0, 2.0, 3.0), 0),
        ((3.0, 2.0, 1.0), 2),
        ((3.0, None, 2.0), 2),
        ((3.0, 1.0, 4.0, 4.0), 1),
    ],
)
def test_patience_counts_trials_since_the_last_gain(values: tuple[float | None, ...], since: int) -> None:
    some = trials(*values)
    assert without_gain(some, AIMS) == since
    random.Random(since).shuffle(some)
    assert without_gain(some, AIMS) == since


def test_patience_begins_with_the_first_feasible_trial() -> None:
    late = [measured(LIMITED, n, POINTS[n], 100.0 + n, ttft_p95=900.0) for n in range(3)]
    assert without_gain(late, aims_of(LIMITED)) == 0
    fine = measured(LIMITED, 3, POINTS[3], 1.0, ttft_p95=100.0)
    after = pruned(LIMITED, 4, POINTS[4])
    assert without_gain([*late, fine, after], aims_of(LIMITED)) == 1
    assert (
        enough(Budgets(patience=1), [*late, fine, after], aims_of(LIMITED), now=0)
        == "patience: 1 trials without a gain"
    )


def test_with_several_objectives_a_place_on_the_front_is_a_gain() -> None:
    both = study(
        objectives=[
            {"metric": "output_tokens_per_second", "at": {"concurrency": 4}},
            {"metric": "ttft", "at": {"concurrency": 4}},
        ]
    )
    pairs = [(10.0, 10.0), (5.0, 5.0), (4.0, 6.0)]
    some = [measured(both, n, POINTS[n], rate, ttft=ttft) for n, (rate, ttft) in enumerate(pairs)]
    assert without_gain(some[:2], aims_of(both)) == 0
    assert without_gain(some, aims_of(both)) == 1


def test_equal_failures_in_a_row_are_seen_whatever_the_numbers_in_their_words() -> None:
    some = [failed(MADE, n, POINTS[n], message=f"port {8000 + n} is taken after {n}.5 s") for n in range(3)]
    assert [trial.number for trial in alike(some, 3)] == [0, 1, 2]
    assert alike(some, 4) == ()
    assert alike(some, 0) == ()


def test_a_success_another_failure_or_one_that_says_something_breaks_the_row() -> None:
    same = [failed(MADE, n, POINTS[n]) for n in range(2)]
    assert alike([*same, measured(MADE, 2, POINTS[2], 1.0)], 3) == ()
    assert alike([*same, failed(MADE, 2, POINTS[2], kind="bad_flag")], 3) == ()
    assert alike([failed(MADE, n, POINTS[n], kind="out_of_memory") for n in range(3)], 3) == ()


def test_what_runs_is_in_no_row() -> None:
    some = [*(failed(MADE, n, POINTS[n]) for n in range(3)), running(MADE, 3, POINTS[3])]
    assert len(alike(some, 3)) == 3


def test_memory_that_is_estimated_is_asked_by_what_trials_were_seen_to_take() -> None:
    served = study(FAMILY, resources={"vram": "auto"}, search={"baseline": False})
    guess = served.candidate({"tp": 1}).vram_mib
    document = replace(complete(0), provenance={"vram_peak_mib": {"GPU-a": 30_000, "GPU-b": 31_000}})
    seen = trial_of(served, 0, {"tp": 1}, TaskState.SUCCEEDED, document=document)
    peaks = peaks_of(served, [seen, running(served, 1, {"tp": 2})])
    assert [peak.mib for peak in peaks] == [31_000]
    assert guess != 31_000
    assert served.candidate({"tp": 1}, peaks).vram_mib == 31_000
