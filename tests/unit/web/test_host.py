"""The composition: a home with its engine, drivers, devices and socket, opened and closed by one block."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from passloop.engine.drain import DownMode
from passloop.engine.settings import EngineSettings
from passloop.kernel.events import Submitted
from passloop.kernel.tasks import NewTask, TaskState
from passloop.store.database import Store
from passloop.store.errors import HomeBusy
from passloop.store.home import Home
from passloop.web.host import open_host
from tests.support.builders import ask, spec_of

SETTINGS = EngineSettings(environ={**os.environ, "PASSLOOP_CPUS": "2", "PASSLOOP_VIRTUAL_GPUS": "2x80GiB"})


def shell(script: str, *, gpus: int = 0) -> Submitted:
    """One task that runs a shell script."""
    payload = f'{{"command": ["sh", "-c", "{script}"], "cwd": "/", "environment": "e"}}'
    return Submitted(name="shell", tasks=(NewTask(spec=spec_of(ask(gpus=gpus, cpus=1), grace=500), payload=payload),))


ENVIRONMENT = (("e", '{"PATH": "/usr/bin:/bin"}'),)


async def test_a_real_process_sees_its_gpus_and_leaves_results(tmp_path: Path) -> None:
    script = r"""echo \"{\\\"gpus\\\": \\\"$CUDA_VISIBLE_DEVICES\\\"}\" > $PASSLOOP_OUT/metrics.json"""
    async with open_host(tmp_path / "home", SETTINGS) as host:
        answer = await host.engine.submit(shell(script, gpus=2), environments=ENVIRONMENT)
        assert await host.engine.wait_final(answer.tasks, timeout_ms=30_000)
        view = await host.engine.read(lambda reader: reader.task(1))
        assert view is not None
        assert view.row.state is TaskState.SUCCEEDED
        assert view.results == '{"gpus": "GPU-virtual-0,GPU-virtual-1"}'


async def test_a_home_has_one_engine(tmp_path: Path) -> None:
    async with open_host(tmp_path / "home", SETTINGS):
        with pytest.raises(HomeBusy) as busy:
            async with open_host(tmp_path / "home", SETTINGS):
                pass
        assert busy.value.pid == os.getpid()


async def test_left_work_goes_on_and_the_next_engine_finds_it(tmp_path: Path) -> None:
    async with open_host(tmp_path / "home", SETTINGS) as host:
        answer = await host.engine.submit(shell("read line < gate || sleep 60"), environments=ENVIRONMENT)
        assert await host.engine.wait_started(answer.tasks[0], timeout_ms=20_000)
        host.go_down(DownMode.LEAVE)
        await host.wait_down()
    async with open_host(tmp_path / "home", SETTINGS) as host:
        view = await host.engine.read(lambda reader: reader.task(1))
        assert view is not None
        assert (view.row.state, view.row.attempts) == (TaskState.RUNNING, 1)
        host.go_down(DownMode.NOW)
        await asyncio.wait_for(host.wait_down(), 20)
    store = Store.open(Home(tmp_path / "home"))
    assert store.states_of([1]) == {1: TaskState.READY}
    store.close()


async def test_a_process_killed_from_outside_ends_by_its_signal(tmp_path: Path) -> None:
    async with open_host(tmp_path / "home", SETTINGS) as host:
        answer = await host.engine.submit(shell("kill -9 $$"), environments=ENVIRONMENT)
        assert await host.engine.wait_final(answer.tasks, timeout_ms=30_000)
        (attempt,) = await host.engine.read(lambda reader: reader.attempts(1))
        assert attempt.outcome is not None
        assert attempt.outcome.signal == signal.SIGKILL
