"""What workers leave behind: nothing, unless they had something to say or their end is still to be read."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

from tests.unit.drivers.test_workers import WarmStage


async def test_the_folder_of_an_evicted_worker_is_removed(tmp_path: Path) -> None:
    stage = WarmStage(tmp_path)
    await stage.driver.start(stage.heard)
    try:
        async with asyncio.timeout(30):
            await stage.run(1, "nothing")
            folder = tmp_path / "workers" / "1"
            assert folder.is_dir()
            stage.driver.evict(stage.orders[1].attempt)
            await stage.gone()
        assert not folder.exists()
        assert (stage.orders[1].directory / "start.json").is_file()
    finally:
        await stage.driver.stop()


async def test_the_folder_of_a_worker_that_died_in_a_cell_is_kept(tmp_path: Path) -> None:
    stage = WarmStage(tmp_path)
    await stage.driver.start(stage.heard)
    try:
        async with asyncio.timeout(30):
            await stage.run(1, "die", int(signal.SIGKILL))
            await stage.gone()
        assert (tmp_path / "workers" / "1").is_dir()
    finally:
        await stage.driver.stop()
