"""Facts about which matrix a word means where its results are gone and the store alone tells of it."""

from __future__ import annotations

import json
from pathlib import Path

from passloop.cli.bench_reports import find_bench
from passloop.kernel.changes import TaskAdded
from passloop.kernel.tasks import TaskState
from passloop.store.database import Store
from passloop.store.home import Home
from tests.support.store_rows import SPEC, a_batch, a_run, a_task


def test_a_matrix_is_told_from_its_own_runs_and_not_from_another_of_its_name(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.prepare()
    store = Store.open(home)
    for run, out in enumerate(("/gone/p1", "/gone/p2", "/gone/p1"), 1):
        about = json.dumps({"kind": "bench", "out": out, "axes": ["model"]})
        params = {"model": "m", "sparse_attention": "dense", "benchmark": "b", "subset": "s", "seed": run, "cell": run}
        payload = json.dumps({"params": params})
        added = TaskAdded(a_task(run, run=run, state=TaskState.SUCCEEDED, key=f"{run}"), SPEC, payload, ())
        store.commit(a_batch([a_run(run, name="both", about=about), added]))
    store.close()
    seeds = {
        word: [cell.seed for cell in find_bench(str(tmp_path), word).planned.cells] for word in ("1", "2", "@both")
    }
    assert seeds == {"1": [1, 3], "2": [2], "@both": [1, 3]}
