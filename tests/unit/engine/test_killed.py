"""An acknowledged submission survives `kill -9` of the engine, wherever it hits."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from passloop.crashpoints import VARIABLE
from passloop.kernel.ids import TaskId
from passloop.store.database import Store
from passloop.store.home import Home

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
SCRIPT = HERE / "serve_until_killed.py"
EDGES = [
    "before_commit", "after_commit", "before_launch", "after_launch", "before_answers", "before_stop", "after_stop",
    "before_reattach", "after_reattach",
]  # fmt: skip


def start(home: Path, count: int, **environ: str) -> subprocess.Popen[str]:
    """An engine in a process of its own that submits to itself."""
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), str(home), str(count)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **environ, "PYTHONPATH": str(ROOT)},
    )


def acknowledged(lines: list[str]) -> dict[str, list[int]]:
    """The runs whose submission was answered, with their tasks; a line cut off by the kill was not read by anybody."""
    whole = [line.split() for line in lines if line.endswith("\n")]
    return {words[0]: [int(word) for word in words[1:]] for words in whole if len(words) == 4}


def assert_all_stored(home: Path, runs: dict[str, list[int]]) -> None:
    store = Store.open(Home(home))
    try:
        tasks = [TaskId(task) for ids in runs.values() for task in ids]
        assert set(store.states_of(tasks)) == set(tasks)
        keys = store.find_keys([f"{name}-{i}" for name in runs for i in range(3)])
        assert {key: task for key, (task, _) in keys.items()} == {
            f"{name}-{i}": task for name, ids in runs.items() for i, task in enumerate(ids)
        }
    finally:
        store.close()


@pytest.mark.parametrize("lines", [1, 7, 60])
def test_an_acknowledged_submit_survives_kill_9(tmp_path: Path, lines: int) -> None:
    home = Home(tmp_path / "home")
    home.prepare()
    process = start(home.path, 10_000)
    assert process.stdout is not None
    try:
        read = [process.stdout.readline() for _ in range(lines + 1)]
    finally:
        process.kill()
    rest = process.stdout.readlines()
    assert process.wait(20) == -signal.SIGKILL
    process.stdout.close()
    runs = acknowledged([*read, *rest])
    assert len(runs) >= lines
    assert_all_stored(home.path, runs)


@pytest.mark.parametrize("edge", EDGES)
def test_an_engine_that_dies_at_an_edge_keeps_what_it_acknowledged(tmp_path: Path, edge: str) -> None:
    home = Home(tmp_path / "home")
    home.prepare()
    process = start(home.path, 80, **{VARIABLE: edge})
    out, _ = process.communicate(timeout=40)
    assert process.returncode == -signal.SIGKILL
    assert_all_stored(home.path, acknowledged(out.splitlines(keepends=True)))
    again = start(home.path, 80)
    assert again.stdout is not None
    try:
        lines = iter(again.stdout.readline, "")
        finished = list(iter(lambda: next(lines), "done\n"))
    finally:
        again.kill()
        again.wait(20)
        again.stdout.close()
    assert len(acknowledged(finished)) == 80
    assert_all_stored(home.path, acknowledged(finished))
