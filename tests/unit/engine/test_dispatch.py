"""The instructions of one attempt are carried out in their order, also when a start waits for a look at devices."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from passloop.drivers.descriptors import WANTED_AGAIN_MS
from passloop.engine.dispatch import Dispatch
from passloop.engine.writer import Loaded
from passloop.kernel.events import Event, Exited, WorkerGone
from passloop.kernel.ids import AttemptId, RunId, TaskId
from passloop.kernel.instructions import Evict, Start, Stop, WatchDevices
from passloop.kernel.resources import CPU, MEMORY, Allocation
from passloop.kernel.tasks import OutcomeKind
from tests.support.scripted import Outside, ScriptedDriver

START = Start(
    attempt=AttemptId(1),
    epoch=1,
    run=RunId(1),
    task=TaskId(1),
    driver="processes",
    allocation=Allocation(variant=0, amounts=((CPU, 1_000), (MEMORY, 512))),
    time_limit=None,
    grace=100,
)
STOP = Stop(attempt=AttemptId(1), epoch=1, driver="processes", grace=100, reason="cancelled")


class OpenableGate:
    """A look at devices that takes as long as the test says."""

    def __init__(self) -> None:
        self.go: Callable[[], None] = lambda: None
        self.refused: Callable[[], None] = lambda: None
        self.watched: tuple[str, ...] = ()

    def guards(self, order: Start) -> bool:
        return True

    def pass_or_refuse(self, order: Start, go: Callable[[], None], refused: Callable[[], None]) -> None:
        self.go, self.refused = go, refused

    def watch(self, uuids: tuple[str, ...]) -> None:
        self.watched = uuids


class Bench:
    """A dispatch, its driver, and what was reported."""

    def __init__(self, gate: OpenableGate | None = None) -> None:
        self.reported: list[Event] = []
        self.driver = ScriptedDriver(Outside(), slow=True)
        self.dispatch = Dispatch(
            {"processes": self.driver},
            gate=gate,
            report=self.reported.append,
            place=lambda order: (Path("/runs/1/1/1"), f"home-{order.attempt}"),
        )

    def carry_out(self, *instructions: object, loaded: Loaded | None = None) -> list[tuple[str, int]]:
        self.dispatch.carry_out(instructions, loaded or Loaded(1))
        return self.driver.calls


def test_a_start_without_devices_goes_straight_to_its_driver() -> None:
    assert Bench().carry_out(START, STOP) == [("launch", 1), ("halt cancelled", 1)]


def test_a_worker_of_a_driver_that_keeps_none_is_gone() -> None:
    bench = Bench()
    bench.carry_out(Evict(AttemptId(7), "processes"), Evict(AttemptId(8), "removed"))
    assert bench.reported == [WorkerGone(AttemptId(7)), WorkerGone(AttemptId(8))]


def test_a_stop_waits_behind_the_start_that_is_being_looked_at() -> None:
    gate = OpenableGate()
    bench = Bench(gate)
    assert bench.carry_out(START, STOP) == []
    gate.go()
    assert bench.driver.calls == [("launch", 1), ("halt cancelled", 1)]


def test_a_stop_behind_a_refused_start_forbids_the_attempt() -> None:
    gate = OpenableGate()
    bench = Bench(gate)
    bench.carry_out(START, STOP)
    gate.refused()
    assert bench.driver.calls == [("halt cancelled", 1)]
    assert AttemptId(1) in bench.driver.outside.tombs


def test_a_stop_after_a_passed_start_is_not_held_back() -> None:
    gate = OpenableGate()
    bench = Bench(gate)
    bench.carry_out(START)
    gate.go()
    assert bench.carry_out(STOP) == [("launch", 1), ("halt cancelled", 1)]


def test_devices_to_watch_are_handed_on() -> None:
    gate = OpenableGate()
    Bench(gate).carry_out(WatchDevices(("GPU-1",)))
    assert gate.watched == ("GPU-1",)
    Bench().carry_out(WatchDevices(("GPU-1",)))


def test_a_driver_that_is_not_there_fails_the_attempt_with_its_name() -> None:
    bench = Bench()
    unknown = Start(**{name: getattr(START, name) for name in Start.__slots__} | {"driver": "carrier pigeons"})
    stop = Stop(AttemptId(1), 1, "carrier pigeons", 0, "cancelled")
    bench.carry_out(unknown, stop)
    (event,) = bench.reported
    assert isinstance(event, Exited)
    assert (event.outcome.kind, event.outcome.final) == (OutcomeKind.FAILURE, True)
    assert "carrier pigeons" in event.outcome.message


def test_the_launch_has_the_tasks_own_variables_over_the_submitters() -> None:
    bench = Bench()
    payload = {"command": ["a"], "environment": "e", "env": {"A": "2"}}
    bench.carry_out(START, loaded=Loaded(1, {TaskId(1): payload}, {"e": {"A": "1", "B": "1"}}))
    (order,) = bench.driver.outside.live.values()
    assert dict(order.environment) == {"A": "2", "B": "1"}
    assert order.environment_id.startswith("e+")
    assert order.memory_limit == 512


def test_secrets_are_looked_up_at_the_start_and_one_that_is_gone_fails_the_attempt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    payload = {"environment": "e", "env": {"A": "1"}, "secrets": {"HF_TOKEN": "env:MY_TOKEN"}}
    loaded = Loaded(1, {TaskId(1): payload}, {"e": {}})
    monkeypatch.setenv("MY_TOKEN", "canary")
    bench = Bench()
    bench.carry_out(START, loaded=loaded)
    (order,) = bench.driver.outside.live.values()
    assert dict(order.environment) == {"A": "1", "HF_TOKEN": "canary"}
    assert "canary" not in order.environment_id
    monkeypatch.delenv("MY_TOKEN")
    assert bench.carry_out(START, loaded=loaded) == [("launch", 1)]
    (event,) = bench.reported
    assert isinstance(event, Exited)
    assert "no MY_TOKEN: set it and start the engine again, or say HF_TOKEN: file:PATH" in event.outcome.message


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM])
def test_a_secret_that_cannot_be_read_for_want_of_descriptors_gives_its_attempt_back(
    monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """What comes after it in the same turn is carried out, and the task comes again at no cost."""
    payload = {"environment": "e", "secrets": {"HF_TOKEN": "file:/run/token"}}
    monkeypatch.setattr(Path, "read_text", _raising(OSError(number, "none left")))
    bench = Bench()
    other = replace(START, attempt=AttemptId(2), task=TaskId(2))
    assert bench.carry_out(START, other, loaded=Loaded(1, {TaskId(1): payload}, {"e": {}})) == [("launch", 2)]
    (event,) = bench.reported
    assert isinstance(event, Exited)
    outcome = event.outcome
    assert (event.attempt, outcome.kind, outcome.engine_lost) == (1, OutcomeKind.LOST, True)
    assert outcome.retry_after == WANTED_AGAIN_MS
    assert "cannot be looked up now" in outcome.message


def _raising(error: OSError) -> Callable[..., str]:
    def read_text(*_: object, **__: object) -> str:
        raise error

    return read_text
