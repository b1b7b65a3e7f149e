"""Copies of the store: at most one a day, only when something was committed, and never a reason to stop."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from passloop.engine.backups import DAY, FIRST_AFTER, HOUR
from passloop.engine.drain import DownMode
from passloop.engine.settings import EngineSettings
from passloop.store.errors import StoreFull
from passloop.store.mark import Mark
from passloop.store.reader import Reader
from passloop.web.host import open_host
from tests.support.engines import Rig, commands, rig


async def commit_after(one: Rig, millis: int) -> None:
    """Let time pass, commit something, and wait for a copy if one was begun."""
    one.alarm.advance(millis)
    await one.engine.submit(commands(1, held=True))
    await one.engine.backups.stop()


async def test_a_new_home_is_copied_after_ten_minutes_of_use(tmp_path: Path) -> None:
    async with rig(tmp_path) as one:
        await commit_after(one, FIRST_AFTER - 1)
        assert not one.home.backup.exists()
        await commit_after(one, 1)
        with Reader(one.home.backup) as copy:
            assert copy.count() == 2


async def test_a_day_passes_between_two_copies(tmp_path: Path) -> None:
    async with rig(tmp_path) as one:
        await commit_after(one, FIRST_AFTER)
        first = one.home.backup.stat().st_ino
        await commit_after(one, DAY - 1)
        assert one.home.backup.stat().st_ino == first
        await commit_after(one, 1)
        assert one.home.backup.stat().st_ino != first


async def test_an_engine_at_rest_copies_nothing(tmp_path: Path) -> None:
    async with rig(tmp_path) as one:
        one.alarm.advance(30 * DAY)
        await one.engine.read(lambda reader: reader.counts())
        await one.engine.backups.stop()
        assert not one.home.backup.exists()


async def test_the_age_of_the_last_copy_counts_over_a_restart(tmp_path: Path) -> None:
    made = Rig(tmp_path)
    await made.open().start()
    await commit_after(made, FIRST_AFTER)
    await made.close()
    old = (made.clock.wall() - DAY + HOUR) / 1_000
    os.utime(made.home.backup, (old, old))
    before = made.home.backup.stat().st_ino
    await made.open().start()
    await commit_after(made, HOUR - 1)
    assert made.home.backup.stat().st_ino == before
    await commit_after(made, 1)
    assert made.home.backup.stat().st_ino != before
    await made.close()


async def test_a_copy_that_cannot_be_made_is_said_and_tried_again_in_an_hour(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with rig(tmp_path) as one:
        backup = one.store.backup

        def full(path: Path | None = None) -> Path:
            raise StoreFull("no space for a copy", hint="free space")

        one.store.backup = full  # type: ignore[method-assign]
        await commit_after(one, FIRST_AFTER)
        assert "no space for a copy" in capsys.readouterr().err
        one.store.backup = backup  # type: ignore[method-assign]
        await commit_after(one, HOUR)
        assert one.home.backup.exists()


async def test_a_copy_never_takes_the_room_the_store_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async with rig(tmp_path) as one:
        usage = shutil.disk_usage(one.home.path)._replace(free=1 << 20)
        monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage)
        await one.engine.backups.take()
        assert "of the 1 MiB that are left" in capsys.readouterr().err
        assert not one.home.backup.exists()


BOX = {"PASSLOOP_VIRTUAL_GPUS": "1x1GiB", "PASSLOOP_CPUS": "1"}


@pytest.mark.parametrize("mode", list(DownMode))
async def test_a_clean_down_leaves_a_copy_of_the_last_state(tmp_path: Path, mode: DownMode) -> None:
    async with open_host(tmp_path / "home", EngineSettings(environ=BOX)) as host:
        await host.engine.submit(commands(1, held=True))
        host.go_down(mode)
        await host.wait_down()
    with Reader(tmp_path / "home" / "backup.sqlite") as copy, Reader(tmp_path / "home" / "store.sqlite") as store:
        assert copy.count() == 1
        assert copy.last_seq() == store.last_seq() == Mark(tmp_path / "home" / "mark").read()


async def test_an_engine_that_was_not_told_to_go_down_leaves_no_copy(tmp_path: Path) -> None:
    async with open_host(tmp_path / "home", EngineSettings(environ=BOX)):
        pass
    assert not (tmp_path / "home" / "backup.sqlite").exists()
