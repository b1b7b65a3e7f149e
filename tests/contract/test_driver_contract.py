"""What every driver promises the engine, played on each driver and the fake alike."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from passloop.kernel.events import Exited, Started
from passloop.kernel.ids import AttemptId
from passloop.kernel.tasks import OutcomeKind
from tests.support.attempts import live_of, order_for

from .stages import GRACE, LIMIT, CallStage, ContractStage, FakeStage, LeaseStage, ProcessStage, WorkerStage

STAGES: dict[str, Callable[[Path], ContractStage]] = {
    "processes": ProcessStage,
    "fake": FakeStage,
    "leases": LeaseStage,
    "workers": WorkerStage,
    "calls": CallStage,
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each test for every driver, or for those that have the play it is about."""
    if "stage" in metafunc.fixturenames:
        plays = {str(mark.args[0]) for mark in metafunc.definition.iter_markers("play")}
        names = [name for name, kind in STAGES.items() if plays <= kind.offers]
        assert names, f"no driver has such a play: {plays}"
        metafunc.parametrize("stage", names, indirect=True)


@pytest.fixture
async def stage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ContractStage]:
    stage = STAGES[request.param](tmp_path)
    await stage.open()
    yield stage
    await stage.close()


def halt(stage: ContractStage, attempt: int = 1, *, reason: str = "cancelled", grace: int = GRACE) -> None:
    stage.driver.halt(AttemptId(attempt), 1, grace=grace, reason=reason)


async def test_an_attempt_that_succeeds_is_started_and_then_exited_with_success(stage: ContractStage) -> None:
    stage.launch("succeeds")
    exited = await stage.until(Exited)
    assert exited.outcome.kind is OutcomeKind.SUCCESS
    assert stage.heard.of(1) == ["Started", "Exited"]


async def test_reports_carry_the_epoch_of_the_launch(stage: ContractStage) -> None:
    stage.launch("succeeds")
    await stage.until(Exited)
    assert {event.epoch for event in stage.heard.events if isinstance(event, Started | Exited)} == {1}


@pytest.mark.play("fails")
async def test_an_attempt_that_fails_tells_its_exit_code(stage: ContractStage) -> None:
    stage.launch("fails")
    outcome = (await stage.until(Exited)).outcome
    assert (outcome.kind, outcome.exit_code) == (OutcomeKind.FAILURE, 3)


@pytest.mark.parametrize(
    ("reason", "kind", "costs_nothing"),
    [
        ("cancelled", OutcomeKind.CANCELLED, False),
        ("timeout", OutcomeKind.TIMEOUT, False),
        ("down", OutcomeKind.LOST, True),
    ],
)
async def test_a_halt_ends_the_attempt_with_the_outcome_of_its_reason(
    stage: ContractStage, reason: str, kind: OutcomeKind, costs_nothing: bool
) -> None:
    stage.launch("waits")
    await stage.ready()
    halt(stage, reason=reason)
    exited = await stage.until(Exited)
    assert (exited.outcome.kind, exited.outcome.engine_lost, exited.stray) == (kind, costs_nothing, False)


@pytest.mark.play("stubborn")
async def test_a_stubborn_attempt_is_ended_after_its_grace(stage: ContractStage) -> None:
    stage.launch("stubborn")
    await stage.ready()
    halt(stage)
    assert (await stage.until(Exited)).outcome.kind is OutcomeKind.CANCELLED


@pytest.mark.parametrize(
    ("reason", "kind", "costs_nothing"),
    [
        ("cancelled", OutcomeKind.CANCELLED, False),
        ("down", OutcomeKind.LOST, True),
        ("recall", OutcomeKind.LOST, True),
    ],
)
async def test_a_halt_before_the_launch_forbids_it_for_ever(
    stage: ContractStage, reason: str, kind: OutcomeKind, costs_nothing: bool
) -> None:
    halt(stage, reason=reason)
    stage.launch("waits")
    exited = await stage.until(Exited)
    assert (exited.outcome.kind, exited.outcome.engine_lost) == (kind, costs_nothing)
    assert stage.heard.of(1) == ["Exited"]


async def test_a_halt_right_after_the_launch_ends_the_attempt(stage: ContractStage) -> None:
    stage.launch("waits")
    halt(stage)
    assert (await stage.until(Exited)).outcome.kind is OutcomeKind.CANCELLED


@pytest.mark.play("stubborn")
async def test_a_second_halt_changes_nothing_but_may_shorten_the_grace(stage: ContractStage) -> None:
    stage.launch("stubborn")
    await stage.ready()
    halt(stage, grace=3_600_000)
    halt(stage, grace=0)
    assert (await stage.until(Exited)).outcome.kind is OutcomeKind.CANCELLED


async def test_a_halt_after_the_end_reports_nothing_more(stage: ContractStage) -> None:
    stage.launch("succeeds")
    await stage.until(Exited)
    halt(stage)
    stage.launch("succeeds", 2)
    await stage.until(Exited, 2)
    assert stage.heard.of(1) == ["Started", "Exited"]


@pytest.mark.play("time_limit")
async def test_the_time_limit_is_kept_without_the_engine_asking(stage: ContractStage) -> None:
    stage.launch("waits", time_limit=LIMIT)
    assert (await stage.until(Exited)).outcome.kind is OutcomeKind.TIMEOUT


@pytest.mark.play("lost")
async def test_an_attempt_whose_keeper_is_killed_is_lost(stage: ContractStage) -> None:
    stage.launch("waits")
    await stage.ready()
    stage.kill()
    exited = await stage.until(Exited)
    assert (exited.outcome.kind, exited.outcome.engine_lost) == (OutcomeKind.LOST, False)


@pytest.mark.play("holders")
async def test_a_lease_ends_when_its_holder_dies(stage: ContractStage) -> None:
    stage.launch("waits")
    stage.kill()
    assert (await stage.until(Exited)).outcome.kind is OutcomeKind.SUCCESS


@pytest.mark.play("outlives")
async def test_a_running_attempt_is_watched_again_by_the_next_engine(stage: ContractStage) -> None:
    stage.launch("waits")
    await stage.until(Started)
    await stage.ready()
    await stage.renew(1)
    assert stage.heard.of(1) == []
    halt(stage)
    assert (await stage.until(Exited)).outcome.kind is OutcomeKind.CANCELLED


@pytest.mark.play("lost_with_engine")
async def test_an_attempt_that_ends_with_its_engine_is_reported_lost_by_the_next(stage: ContractStage) -> None:
    stage.launch("waits")
    await stage.ready()
    await stage.renew(1)
    outcome = (await stage.until(Exited)).outcome
    assert (outcome.kind, outcome.engine_lost) == (OutcomeKind.LOST, True)
    assert "unknown" in outcome.message
    assert stage.driver.statistics()["unknown"] == 1


async def test_an_attempt_without_a_start_is_lost_at_no_cost_to_its_task(stage: ContractStage, tmp_path: Path) -> None:
    await stage.driver.reattach([live_of(order_for(tmp_path, 7, ["true"]), state="admitted")])
    exited = await stage.until(Exited, 7)
    assert (exited.outcome.kind, exited.outcome.engine_lost) == (OutcomeKind.LOST, True)


async def test_an_attempt_that_ended_while_no_engine_ran_is_reported_by_the_next(stage: ContractStage) -> None:
    stage.launch("waits")
    await stage.until(Started)
    await stage.ready()
    await stage.driver.stop()
    stage.kill()
    await stage.renew(1)
    await stage.until(Exited)
    assert stage.heard.of(1) == ["Exited"]


async def test_two_attempts_go_their_own_ways(stage: ContractStage) -> None:
    stage.launch("waits", 1)
    stage.launch("waits", 2)
    await stage.ready(1)
    await stage.ready(2)
    halt(stage, 2)
    await stage.until(Exited, 2)
    assert stage.heard.of(1) == ["Started"]
    halt(stage, 1)
    await stage.until(Exited, 1)


async def test_statistics_count_what_is_watched(stage: ContractStage) -> None:
    stage.launch("waits")
    assert stage.driver.statistics()["watched"] == 1
    halt(stage)
    await stage.until(Exited)
    assert stage.driver.statistics()["watched"] == 0
