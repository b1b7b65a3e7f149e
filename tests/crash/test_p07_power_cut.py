"""A power cut at any moment leaves a store that opens, is consistent and has everything that was acknowledged."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

import pytest

from passloop.store.database import Store
from passloop.store.home import Home
from passloop.store.mark import Mark
from tests.support.recorded_disk import BATCHES, Disk, batches

ROOT = Path(__file__).parents[2]
EXPECTED = [sum(type(change).__name__ == "TaskAdded" for change in batch.changes) for batch in batches()]


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Everything that happened to the disk, in order."""
    home = Home(tmp_path_factory.mktemp("recorded") / "home")
    home.prepare()
    command = [sys.executable, "-m", "tests.support.recorded_disk", str(home.path)]
    done = subprocess.run(command, cwd=ROOT, timeout=50, check=True, stdout=subprocess.PIPE, text=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_the_record_has_checkpoints_and_every_acknowledgement(record: list[dict[str, Any]]) -> None:
    assert [line["acknowledged"] for line in record if "acknowledged" in line] == list(range(1, BATCHES + 1))
    between = record[: max(n for n, line in enumerate(record) if "acknowledged" in line)]
    assert sum(line.get("file") == "store.sqlite" and line["do"] == "sync" for line in between) >= 5


def check(home: Home, disk: Disk, files: dict[str, bytes]) -> None:
    home.path.mkdir(mode=0o700)
    for name, content in files.items():
        (home.path / name).write_bytes(content)
    mark = Mark(home.mark)
    mark.write(disk.acknowledged)
    mark.close()
    store = Store.open(home)
    try:
        assert store.last_seq >= disk.acknowledged
        assert len(store.load().tasks) == sum(EXPECTED[: store.last_seq])
    finally:
        store.close()
    shutil.rmtree(home.path)


def cut(record: list[dict[str, Any]], home: Home, *, states: int, seed: int) -> None:
    choice = Random(seed)
    disk = Disk()
    moments = sorted(choice.randrange(len(record)) for _ in range(states))
    taken = 0
    for moment in moments:
        for line in record[taken:moment]:
            disk.take(line)
        taken = moment
        check(home, disk, disk.after_a_cut(choice))


@pytest.mark.parametrize("seed", range(8))
def test_a_power_cut_loses_nothing_that_was_acknowledged(
    record: list[dict[str, Any]], tmp_path: Path, seed: int
) -> None:
    cut(record, Home(tmp_path / "home"), states=250, seed=seed)


@pytest.mark.large
@pytest.mark.timeout(3_600)
def test_a_power_cut_loses_nothing_in_fifty_thousand_states(record: list[dict[str, Any]], tmp_path: Path) -> None:
    cut(record, Home(tmp_path / "home"), states=50_000, seed=-1)
