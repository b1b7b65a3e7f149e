"""Waiting for files to be written: one inotify instance for all who wait, each woken by what it waits for."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from passloop.engine.file_changes import FileChanges
from passloop.store.inotify import CREATED, MODIFIED, FileEvent, Watcher
from tests.support.engines import rig

MASK = MODIFIED | CREATED


@pytest.fixture
async def files() -> AsyncIterator[FileChanges]:
    files = FileChanges()
    yield files
    files.close()


def instances() -> int:
    """How many inotify instances this process has."""
    links = [f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd")]
    return sum(os.readlink(link) == "anon_inode:inotify" for link in links if os.path.lexists(link))


def described(files: FileChanges) -> str:
    """What the system says of the instance."""
    return Path(f"/proc/self/fdinfo/{files.open().fileno()}").read_text()


async def woken(changed: asyncio.Event) -> None:
    await asyncio.wait_for(changed.wait(), 10)


async def test_hundreds_wait_on_one_instance_and_each_is_woken_by_its_own_folder(
    files: FileChanges, tmp_path: Path
) -> None:
    folders = [tmp_path / str(number) for number in range(300)]
    before = instances()
    with ExitStack() as stack:
        changes = []
        for folder in folders:
            folder.mkdir()
            changes.append(stack.enter_context(files.of(str(folder), MASK)))
        assert instances() == before + 1
        (folders[7] / "log").write_text("x")
        await woken(changes[7])
        assert [number for number, changed in enumerate(changes) if changed.is_set()] == [7]


async def test_who_waits_for_the_same_file_hears_it_though_another_has_gone(files: FileChanges, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.touch()
    with files.of(str(log), MODIFIED) as one:
        with files.of(str(log), MODIFIED) as other:
            log.write_text("x")
            await woken(other)
            assert "inotify wd:" in described(files)
        one.clear()
        log.write_text("y")
        await woken(one)
    assert "inotify wd:" not in described(files)


async def test_all_look_again_where_the_system_has_forgotten_what_happened(
    files: FileChanges, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drain = Watcher.drain
    monkeypatch.setattr(Watcher, "drain", lambda watcher: [FileEvent(-1 if drain(watcher) else 0, "")])
    (tmp_path / "other").mkdir()
    with files.of(str(tmp_path), MASK), files.of(str(tmp_path / "other"), MASK) as changed:
        (tmp_path / "log").write_text("x")
        await woken(changed)


async def test_who_waits_is_woken_when_the_engine_closes(files: FileChanges, tmp_path: Path) -> None:
    before = instances()
    with files.of(str(tmp_path), MASK) as changed:
        files.close()
        await woken(changed)
    assert instances() == before


async def test_a_folder_that_is_not_there_is_told_and_nothing_is_left(files: FileChanges, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), files.of(str(tmp_path / "none"), MASK):
        pass
    assert files._waiters == {}


async def test_an_engine_that_stops_leaves_no_instance(tmp_path: Path) -> None:
    before = instances()
    async with rig(tmp_path) as one:
        one.engine.files.open()
        assert instances() == before + 1
    assert instances() == before
