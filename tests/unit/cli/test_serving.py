"""What a process does before it is an engine, in the foreground and as a daemon alike."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from passloop.cli import foreground, serving
from passloop.engine.settings import EngineSettings
from tests.support.wants import no_thread_begins


class Seen(Exception):
    """The engine would be opened now."""


@asynccontextmanager
async def opened(*_about: object) -> AsyncIterator[object]:
    """In the place of an engine: finds a thread though none can begin."""
    with no_thread_begins():
        assert await asyncio.to_thread(int, "3") == 3
    raise Seen
    yield


def as_daemon() -> Awaitable[object]:
    return serving._serve("home", EngineSettings(), lambda: None, None)


def in_the_foreground() -> Awaitable[object]:
    return foreground.Foreground("home", {}, lambda _client, _own: 0, detach=False)._serve(EngineSettings())


@pytest.mark.parametrize("engine", [as_daemon, in_the_foreground])
async def test_the_threads_beside_an_engines_loop_begin_before_it_does(
    engine: Callable[[], Awaitable[object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (foreground, serving):
        monkeypatch.setattr(module, "open_host", opened)
    monkeypatch.setattr("gc.freeze", lambda: None)
    monkeypatch.setattr("gc.set_threshold", lambda *_numbers: None)
    with pytest.raises(Seen):
        await engine()
