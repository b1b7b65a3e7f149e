"""Who waits for an answer of an engine that is paused is told so."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from passloop.cli.exits import CliError
from passloop.cli.pausing import told_of_a_pause

BOUND = 10.0


class Engine:
    """Answers once how it is."""

    def __init__(self, state: str | None, cause: Exception | None = None) -> None:
        self._state = state
        self._cause = cause
        self.asked = threading.Event()

    def get(self, path: str, *, timeout: float | None = None) -> dict[str, Any]:
        try:
            if self._state is None:
                raise CliError("no engine is running", hint="passloop up") from self._cause
            return {"engine": {"state": self._state}}
        finally:
            self.asked.set()


def said_of(state: str | None, capsys: pytest.CaptureFixture[str], cause: Exception | None = None) -> str:
    """What is said while an answer takes long."""
    engine = Engine(state, cause)
    with told_of_a_pause(engine, after=0):
        assert engine.asked.wait(BOUND)
        for thread in threading.enumerate():
            if isinstance(thread, threading.Timer):
                thread.join(BOUND)
    return capsys.readouterr().err


def test_a_pause_is_told_with_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    said = said_of("paused: disk full: no space left", capsys)
    assert "paused: disk full: no space left" in said
    assert "as soon as there is room" in said


@pytest.mark.parametrize("state", ["running", None])
def test_nothing_is_said_of_an_engine_that_is_not_paused(state: str | None, capsys: pytest.CaptureFixture[str]) -> None:
    assert said_of(state, capsys) == ""


def test_an_engine_that_says_nothing_at_all_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert "does not answer yet; what it does: passloop doctor" in said_of(None, capsys, TimeoutError())


def test_nobody_is_asked_who_answers_in_time() -> None:
    engine = Engine("paused: disk full")
    with told_of_a_pause(engine, after=BOUND):
        pass
    assert not engine.asked.is_set()
