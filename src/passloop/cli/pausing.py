"""Says why an answer takes long: an engine whose disk is full keeps a submission until there is room, and one that is
stopped says nothing at all.

It only tells; it neither ends the wait nor asks twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Timer
from typing import Any, Protocol

from passloop.cli import streams
from passloop.cli.exits import CliError

__all__ = ["ASK_AFTER", "Asks", "told_of_a_pause"]

ASK_AFTER = 3.0
"""Seconds without an answer after which the engine is asked how it is."""


class Asks(Protocol):
    """What can ask the engine."""

    def get(self, path: str, *, timeout: float | None = None) -> dict[str, Any]: ...


@contextmanager
def told_of_a_pause(engine: Asks, *, after: float = ASK_AFTER) -> Iterator[None]:
    """While the block waits for an answer: once `after` seconds are over, say whether the engine is paused and why."""
    timer = Timer(after, _tell, (engine,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _tell(engine: Asks) -> None:
    try:
        state = str(engine.get("/status", timeout=5.0)["engine"]["state"])
    except CliError as unanswered:
        if isinstance(unanswered.__cause__, TimeoutError):
            streams.say("the engine does not answer yet; what it does: passloop doctor")
        return  # the answer that is waited for, or its error, says more
    if state.startswith("paused"):
        streams.say(
            f"the engine is {streams.clean(state)}\n"
            "  this will be stored as soon as there is room; if you interrupt it now, look with: passloop ls"
        )
