"""Trials as they are shown: their state in one word, and why one failed, whoever said so."""

from __future__ import annotations

import pytest

from passloop.kernel.tasks import OutcomeKind, TaskState
from tests.support.study_trials import failed, measured, pruned, running, trial_of
from tests.unit.apps.tune.studies import study

MADE = study()
POINT = {"batch": 64, "slots": 1}


@pytest.mark.parametrize(
    ("state", "word"),
    [
        (TaskState.READY, "queued"),
        (TaskState.HELD, "queued"),
        (TaskState.ADMITTED, "running"),
        (TaskState.STOPPING, "running"),
        (TaskState.CANCELLED, "cancelled"),
        (TaskState.ABORTED, "cancelled"),
        (TaskState.REJECTED, "rejected"),
        (TaskState.FAILED, "failed"),
        (TaskState.SUCCEEDED, "failed"),  # it left nothing
    ],
)
def test_a_trial_has_one_word_for_each_state_of_its_task(state: TaskState, word: str) -> None:
    assert trial_of(MADE, 0, POINT, state).state == word


def test_what_a_trial_says_of_itself_is_its_state() -> None:
    trials = measured(MADE, 0, POINT, 1.0), pruned(MADE, 0, POINT), failed(MADE, 0, POINT), running(MADE, 0, POINT)
    assert [trial.state for trial in trials] == ["complete", "pruned", "failed", "running"]


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [
        (OutcomeKind.TIMEOUT, "time_limit"),
        (OutcomeKind.OUT_OF_MEMORY, "out_of_memory"),
        (OutcomeKind.DEVICE_FAULT, "device"),
        (OutcomeKind.LOST, "crash"),
        (OutcomeKind.FAILURE, "crash"),
    ],
)
def test_a_trial_that_said_nothing_failed_as_its_task_did(outcome: OutcomeKind, kind: str) -> None:
    trial = trial_of(MADE, 0, POINT, TaskState.FAILED, outcome=outcome, message="it ended so")
    assert trial.failure is not None
    assert (trial.failure.kind, trial.failure.message) == (kind, "it ended so")


def test_the_trials_own_word_goes_before_that_of_its_task() -> None:
    trial = failed(MADE, 0, POINT, kind="bad_flag", message="unknown flag", outcome=OutcomeKind.TIMEOUT)
    assert trial.failure is not None
    assert trial.failure.kind == "bad_flag"


def test_what_can_never_fit_says_why() -> None:
    trial = trial_of(MADE, 0, POINT, TaskState.REJECTED, message="8 GPUs are asked for and there are 2")
    assert trial.failure is not None
    assert trial.failure.message == "8 GPUs are asked for and there are 2"
    assert measured(MADE, 0, POINT, 1.0).failure is None
