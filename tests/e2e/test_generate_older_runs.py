"""Two runs made one dataset, of two specs: its file is that of the newest, whatever becomes of the older one."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from passloop.apps.generate.dataset import Dataset
from passloop.apps.generate.declaring import file_task_key
from passloop.apps.generate.files import write_files
from passloop.cli.client import Client
from passloop.cli.generating import Generate
from passloop.kernel.events import GroupHeld
from passloop.kernel.ids import TaskId
from passloop.testing.script import Fault, ModelScript, Script
from tests.support.generating import GenerateStand, generating

pytestmark = pytest.mark.timeout(60)
OTHER = [{"name": "text", "kind": "llm_text", "model": "m", "prompt": "say something else"}]


async def followed(stand: GenerateStand, dataset: Dataset) -> int:
    """Start a spec as the command does, to its end; its exit code."""
    home = str(stand.folder / "home")
    summary = await asyncio.to_thread(Generate(dataset, home=home).work, Client(home), lambda _run: None)
    assert summary is not None
    return summary.exit_code


async def test_a_cell_of_an_older_run_that_is_retried_leaves_the_file_to_the_newest(tmp_path: Path) -> None:
    first_fails = Script(default=ModelScript(latency=0, faults=(Fault(status=400, last=1),)))
    async with generating(tmp_path, first_fails) as stand:
        engine, client = stand.host.engine, Client(str(tmp_path / "home"))
        assert await followed(stand, stand.dataset()) == 1
        assert await followed(stand, stand.dataset(columns=OTHER)) == 0
        made = pq.read_table(tmp_path / "made.parquet").to_pylist()
        [cell] = (await asyncio.to_thread(client.post, "/tasks/retry", {"select": ["state:failed"]}))["created"]
        key = file_task_key(f"1:{cell}")
        last = (await engine.read(lambda reader: reader.keyed([key])))[key].task
        await engine.wait_final((TaskId(last),))
        assert (await engine.read(lambda reader: reader.keyed([key])))[key].state == "succeeded"
        assert pq.read_table(tmp_path / "made.parquet").to_pylist() == made


async def test_a_file_task_of_an_older_run_leaves_the_file_to_a_newer_one_that_is_under_way(tmp_path: Path) -> None:
    async with generating(tmp_path, Script(default=ModelScript(latency=0))) as stand:
        assert await followed(stand, stand.dataset()) == 0
        made = (tmp_path / "made.parquet").stat()
        await stand.host.engine.send(GroupHeld("default"))
        body = {"dataset": json.loads(stand.dataset(rows=8).wire()), "files": True}
        await asyncio.to_thread(Client(str(tmp_path / "home")).post, "/generate", body)
        assert await asyncio.to_thread(write_files, tmp_path / "home", 1) is None
        assert (tmp_path / "made.parquet").stat() == made
