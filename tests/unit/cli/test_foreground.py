"""A command that is the engine itself: what it leaves at its end goes to a daemon, however late it was handed in."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from passloop.cli import foreground
from passloop.cli.client import Client, EngineLost
from passloop.cli.exits import CliError, Exit
from passloop.cli.foreground import Foreground, Own
from passloop.kernel.events import Submitted
from passloop.kernel.tasks import NewTask
from passloop.web.host import EngineHost, open_host
from tests.support.builders import ask, spec_of

LATE = Submitted(name="late", tasks=(NewTask(spec=spec_of(ask(cpus=1)), payload="{}", held=True),))


def refused_on_a_full_disk(_client: Client, _own: Own) -> int:
    """Work that is refused as `Unwritable` is."""
    raise CliError("the engine is paused and can store nothing", hint="", exit_code=Exit.ENGINE_UNREACHABLE)


def left_by_the_engine(_client: Client, _own: Own) -> int:
    """Work that meets the end of its engine."""
    raise EngineLost("the engine went away")


@asynccontextmanager
async def closing_late(*about: Any) -> AsyncIterator[EngineHost]:
    """An engine that is handed something when its own work is over and it begins to close."""
    async with open_host(*about) as host:
        yield host
        await host.engine.submit(LATE)


@pytest.mark.parametrize(("opened", "daemons"), [(open_host, 0), (closing_late, 1)], ids=["nothing", "late"])
def test_what_is_handed_in_while_a_foreground_engine_closes_goes_to_a_daemon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: Any, daemons: int
) -> None:
    started: list[str] = []
    monkeypatch.setattr(foreground, "open_host", opened)
    monkeypatch.setattr(foreground, "start_daemon", lambda home, _environment: started.append(home))
    monkeypatch.setattr("gc.freeze", lambda: None)
    monkeypatch.setattr("gc.set_threshold", lambda *_numbers: None)
    home, environment = str(tmp_path / "home"), {**os.environ, "PASSLOOP_VIRTUAL_GPUS": "1x80GiB"}
    assert Foreground(home, environment, lambda _client, _own: 7, detach=False).run() == 7
    assert started == [home] * daemons


@pytest.mark.parametrize(("work", "code"), [(refused_on_a_full_disk, 5), (left_by_the_engine, 130)])
def test_only_the_end_of_the_engine_is_an_interrupt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, work: Any, code: int
) -> None:
    monkeypatch.setattr("gc.freeze", lambda: None)
    monkeypatch.setattr("gc.set_threshold", lambda *_numbers: None)
    home, environment = str(tmp_path / "home"), {**os.environ, "PASSLOOP_VIRTUAL_GPUS": "1x80GiB"}
    with pytest.raises(CliError) as raised:
        Foreground(home, environment, work, detach=False).run()
    assert raised.value.exit_code == code
