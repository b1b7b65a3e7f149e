"""The composition: a home with its engine, drivers, devices and socket, opened and closed by one block."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from passloop.engine.drain import DownMode
from passloop.engine.errors import OutOfFiles
from passloop.engine.settings import EngineSettings
from passloop.kernel.events import Submitted
from passloop.kernel.tasks import NewTask, TaskState
from passloop.store.database import Store
from passloop.store.errors import HomeBusy
from passloop.store.home import Home
from passloop.web.host import open_host
from tests.support.builders import ask, spec_of

SETTINGS = EngineSettings(environ={**os.environ, "PASSLOOP_CPUS": "2", "PASSLOOP_VIRTUAL_GPUS": "2x80GiB"})


@contextmanager
def few_more(count: int) -> Iterator[None]:
    """Inside, this process can open so many files more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.open("/dev/null", os.O_RDONLY)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + count, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def shell(script: str, *, gpus: int = 0) -> Submitted:
    """One task that runs a shell script."""
    payload = f'{{"command": ["sh", "-c", "{script}"], "cwd": "/", "environment": "e"}}'
    return Submitted(name="shell", tasks=(NewTask(spec=spec_of(ask(gpus=gpus, cpus=1), grace=500), payload=payload),))


ENVIRONMENT = (("e", '{"PATH": "/usr/bin:/bin"}'),)


async def test_what_attempts_write_is_private_in_a_home_that_others_can_read(tmp_path: Path) -> None:
    home = Home(tmp_path)
    os.chmod(tmp_path, 0o755)
    before = os.umask(0)
    try:
        async with open_host(tmp_path, SETTINGS) as host:
            answer = await host.engine.submit(shell("echo > $PASSLOOP_OUT/file"), environments=ENVIRONMENT)
            assert await host.engine.wait_final(answer.tasks, timeout_ms=30_000)
    finally:
        os.umask(before)
    assert home.runs.stat().st_mode & 0o777 == 0o700
    assert (home.runs / "1" / "1" / "1" / "out" / "file").exists()


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


@pytest.mark.parametrize("count", [2, 8, 11])
async def test_an_engine_that_can_open_too_few_files_says_what_to_do_and_starts_later(
    tmp_path: Path, count: int
) -> None:
    home = tmp_path / "home"
    async with open_host(home, SETTINGS):
        pass
    with few_more(count), pytest.raises(OutOfFiles, match=r"can open no more files .*Too many open files") as told:
        async with open_host(home, SETTINGS):
            pass
    assert told.value.hint.startswith("passloop doctor")
    async with open_host(home, SETTINGS) as host:
        assert host.engine.status().state == "running"
