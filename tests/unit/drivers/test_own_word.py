"""An application can say itself why it failed; nothing else it writes is read for that."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from passloop.drivers.processes.own_word import explained
from passloop.drivers.processes.reattach import outcome_of
from passloop.kernel.tasks import Outcome, OutcomeKind
from tests.support.attempts import Stage

FAILED = Outcome(OutcomeKind.FAILURE, exit_code=1, message="exit 1")
PASSED_OVER = Outcome(
    OutcomeKind.FAILURE,
    exit_code=1,
    message="exit 1 (its outcome.json names none of out_of_memory, device_fault, failure, and is passed over)",
)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with Stage(tmp_path) as stage:
        yield stage


def said(folder: Path, text: str) -> Path:
    (folder / "out").mkdir()
    (folder / "out" / "outcome.json").write_text(text)
    return folder


async def test_an_application_says_that_it_ran_out_of_memory(stage: Stage) -> None:
    word = '{"outcome": "out_of_memory", "message": "the batch is too large"}'
    exited = await stage.run(["sh", "-c", f"echo '{word}' > $PASSLOOP_OUT/outcome.json; exit 1"])
    assert exited.outcome.kind is OutcomeKind.OUT_OF_MEMORY
    assert exited.outcome.message == "the batch is too large"
    assert exited.outcome.exit_code == 1


async def test_a_success_stays_one_whatever_was_written_before(stage: Stage) -> None:
    exited = await stage.run(["sh", "-c", 'echo \'{"outcome": "failure"}\' > $PASSLOOP_OUT/outcome.json'])
    assert exited.outcome.kind is OutcomeKind.SUCCESS


def test_a_device_is_blamed_by_its_uuid(tmp_path: Path) -> None:
    outcome = explained(FAILED, said(tmp_path, '{"outcome": "device_fault", "device": "GPU-1"}'))
    assert (outcome.kind, outcome.device, outcome.message) == (OutcomeKind.DEVICE_FAULT, "GPU-1", "exit 1")


def test_a_failure_can_be_final(tmp_path: Path) -> None:
    assert explained(FAILED, said(tmp_path, '{"outcome": "failure", "final": true}')).final


@pytest.mark.parametrize(
    "text", ["", "nonsense", "[1]", '{"outcome": "success"}', '{"outcome": 3}', "[" * 60_000, "x" * 70_000]
)
def test_a_word_that_is_none_is_passed_over_and_the_message_says_so(tmp_path: Path, text: str) -> None:
    assert explained(FAILED, said(tmp_path, text)) == PASSED_OVER


def test_no_word_changes_nothing(tmp_path: Path) -> None:
    assert explained(FAILED, tmp_path) == FAILED


def test_what_no_store_can_keep_does_not_get_into_a_message(tmp_path: Path) -> None:
    word = said(tmp_path, '{"outcome": "device_fault", "device": "GPU-\\ud800", "message": "bad \\udfff"}')
    outcome = explained(FAILED, word)
    assert (outcome.message, outcome.device) == ("bad ?", "GPU-?")


def test_a_pipe_in_the_place_of_the_word_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    os.mkfifo(tmp_path / "out" / "outcome.json")
    assert explained(FAILED, tmp_path) == PASSED_OVER


def test_a_link_in_the_place_of_the_word_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text('{"outcome": "failure", "final": true}')
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "outcome.json").symlink_to(tmp_path / "elsewhere")
    assert explained(FAILED, tmp_path) == PASSED_OVER


def test_an_exit_record_that_was_tampered_with_holds_only_what_can_be_kept() -> None:
    outcome = outcome_of({"kind": "failure", "exit_code": 10**30, "signal": "9", "message": "\ud800"})
    assert outcome == Outcome(OutcomeKind.FAILURE, exit_code=None, signal=None, message="?")


def test_an_attempt_that_found_no_room_costs_its_task_nothing() -> None:
    outcome = outcome_of({"kind": "lost", "message": "no room", "full": True})
    assert outcome == Outcome(OutcomeKind.LOST, message="no room", engine_lost=True)
