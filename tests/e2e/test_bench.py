"""`bench`: what is missing runs, once; whatever happens meanwhile, the table in the end is that of a calm day."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from passloop.apps.bench.matrix import matrix_of_file
from passloop.apps.bench.planned import read_planned
from passloop.apps.bench.results import results_of_tasks, results_of_tree
from passloop.apps.bench.session import Session
from passloop.apps.bench.summary import summary_of
from passloop.apps.bench.table import table_of
from passloop.apps.spec_file import load_spec
from passloop.cli.client import Client
from passloop.cli.exits import CliError
from passloop.cli.next_engine import wait_for_engine
from passloop.clock import FakeClock
from tests.support.command_line import Box
from tests.unit.apps.bench.places import order_of, run_one

SPEC = """
bench: small
adapter: command
command: ["{python}", -c, "CODE", "{model}", "{sparse_attention}", "{subset}", "{ratio}"]
models: {a: {}, bb: {}}
sparse_attention: {dense: {}, half: {ratio: 0.5}}
benchmarks: {niah: {subsets: [s1, s2]}}
"""
CODE = (
    "import json, os, sys; model, sparse, subset, ratio = sys.argv[1:];"
    " open('ran', 'a').write(f'{model} {sparse} {subset}\\\\n');"
    " sys.exit(3) if os.path.exists(f'break-{model}-{sparse}') else None;"
    " json.dump({'score': len(model) - float(ratio or 0)}, open(os.environ['PASSLOOP_OUT'] + '/metrics.json', 'w'))"
)


def written(box: Box, text: str, name: str = "m.yaml") -> str:
    (box.folder / name).write_text(text.replace("CODE", CODE))
    return name


def ran(box: Box) -> list[str]:
    """Which cells ran since the last look."""
    path = box.folder / "ran"
    lines = path.read_text().splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return sorted(lines)


def rows(said: str) -> list[list[str]]:
    return [line.split() for line in said.split("\n\n")[0].splitlines()]


def test_a_command_that_failed_is_told_with_its_last_words(box: Box) -> None:
    text = "bench: b\nadapter: command\ncommand: [sh, -c, 'echo no kernel for {model} >&2; exit 3']\nmodels: [a]\n"
    spec = written(box, text + "benchmarks: [d]\n")
    told = box.run("plan", spec).out
    assert "1 to run, 4 at once: how long a cell takes is known once one is complete" in told
    said = box.run("bench", spec)
    assert said.code == 1, said
    assert "  a / dense / d: the command ended with exit code 3: no kernel for a\n" in said.out


def test_a_matrix_runs_what_is_missing_and_only_that(box: Box) -> None:
    spec = written(box, SPEC)
    said = box.run("bench", spec)
    assert said.code == 0, said
    assert [row[:-1] for row in rows(said.out)[:3]] == [
        ["model", "sparse", "attention", "niah/s1", "niah/s2", "mean", "kept"],
        ["a", "dense", "1", "1", "1", "1"],
        ["a", "half", "0.5", "(-0.5)", "0.5", "(-0.5)", "0.5", "-"],
    ]
    assert "8 cells: 8 done" in said.out
    assert len(ran(box)) == 8
    again = box.run("bench", spec)
    assert (again.code, again.out, ran(box)) == (0, said.out, [])

    (metrics,) = (box.folder / "results/small/bb/half/niah/s1").glob("*/metrics.json")
    metrics.write_text("{}")
    more = written(box, SPEC.replace("bb: {}", "bb: {}, ccc: {}"))
    assert "bb / half / niah / s1: metrics.json is truncated" in box.run("plan", more).out
    assert box.run("bench", more).code == 0
    assert ran(box) == ["bb half s1", "ccc dense s1", "ccc dense s2", "ccc half s1", "ccc half s2"]
    assert box.run("bench", "verify", "small").code == 0


def test_cells_of_code_that_was_edited_are_told_and_made_anew_by_another_value_in_env(box: Box) -> None:
    program = "import json, os\njson.dump({'score': SCORE}, open(os.environ['PASSLOOP_OUT'] + '/metrics.json', 'w'))\n"

    def said(score: str, more: str = "") -> str:
        (box.folder / "own.py").write_text(program.replace("SCORE", score))
        text = 'bench: own\nadapter: command\ncommand: ["{python}", own.py]\nmodels: {a: {}}\nbenchmarks: {b: {}}\n'
        told = box.run("bench", written(box, text + more))
        assert told.code == 0, told
        assert "changed since" not in told.out
        return told.err

    assert "changed since" not in said("1")
    assert "changed since" not in said("( 1 )")
    assert "1 cell complete by code that was changed since, and kept" in said("2")
    assert "changed since" not in said("2", 'env: {VERSION: "2"}\n')
    (metrics,) = {
        path.read_text() for path in box.folder.glob("results/own/**/metrics.json") if "2" in path.read_text()
    }
    assert json.loads(metrics) == {"score": 2}


def test_what_fails_is_exit_1_and_is_told_and_comes_again(box: Box) -> None:
    (box.folder / "break-bb-half").touch()
    spec = written(box, SPEC)
    said = box.run("bench", spec, "--json")
    assert said.code == 1
    document = said.json()
    assert document["counts"] == {"done": 6, "failed": 2, "skipped": 0, "running": 0, "pending": 0, "total": 8}
    assert {(each["model"], each["class"], each["message"]) for each in document["failures"]} == {
        ("bb", "bug", "the command ended with exit code 3")
    }
    assert document["run"]["name"] == "small"
    out = Path(document["out"])
    table = box.run("report", "small")
    assert "- bug" in table.out
    page = (out / "report.html").read_text()
    assert "missing: bug" in page
    assert "<script" not in page
    ran(box)
    assert box.run("up").code == 0
    assert box.run("retry", "--failed", "--class", "run_oom", "@small").code == 3
    (box.folder / "break-bb-half").unlink()
    assert box.run("retry", "--failed", "--class", "bug", "@small").code == 0
    assert box.run("wait", "@small").code == 0
    assert len(ran(box)) == 2
    assert box.run("report", str(out)).out.count("-0.5") == 4
    summary = json.loads((out / "execution_summary.json").read_text())
    assert summary["complete"]


def test_the_summary_is_the_same_from_the_tree_and_from_the_store(box: Box) -> None:
    (box.folder / "break-a-half").touch()
    spec = written(box, SPEC + "time_limit: 20s\n")
    box.run("bench", spec)
    matrix = matrix_of_file(load_spec(box.folder / spec), cwd=str(box.folder))
    session = Session(matrix, clock=FakeClock())
    planned = session.planned(session.look())
    tree = summary_of(planned, results_of_tree(planned, session.root))
    store = summary_of(planned, results_of_tasks(planned, box.json("ls", "@small")["tasks"]))
    live = json.loads((session.root / "execution_summary.json").read_text())
    assert live == json.loads(json.dumps(tree))
    assert {**tree, "times": {}} == {**store, "times": {}}
    assert tree["counts"]["failed"] == 2


def test_results_that_were_removed_are_made_again(box: Box) -> None:
    spec = written(box, SPEC + "include: [{model: a, subset: s1}]\n")
    assert box.run("up").code == 0
    for _ in range(3):
        assert box.run("bench", spec, "--json").code == 0
        assert len(ran(box)) == 2
        subprocess.run(["rm", "-r", str(box.folder / "results")], check=True)


def test_the_first_failure_can_end_all(box: Box) -> None:
    (box.folder / "break-a-dense").touch()
    spec = written(box, SPEC + "first: dense\n")
    said = box.run("bench", spec, "--json", "--fail-fast", PASSLOOP_CPUS="1")
    counts = said.json()["counts"]
    assert said.code == 1
    assert (counts["failed"], counts["done"], counts["skipped"]) == (1, 0, 7)


def test_every_mistake_of_a_spec_is_told_and_nothing_runs(box: Box) -> None:
    spec = written(box, SPEC + "exclude: [{model: z}]\nfirst: soon\n")
    for verb in ("bench", "plan"):
        said = box.run(verb, spec)
        assert said.code == 2
        assert "m.yaml:9:8" in said.err
    said = box.run("bench", written(box, SPEC + "exclude: [{model: z}, {subset: s9}]\n"))
    assert "`z` is no model" in said.err
    assert "`s9` is no subset" in said.err
    assert not (box.folder / "results").exists()
    assert "bench spec, not a sweep" in box.run("submit", spec).err


@pytest.mark.parametrize("verb", ["plan", "bench"])
@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (SPEC.replace('"{python}"', "no-such-program"), "m.yaml:4:11: there is no program `no-such-program`"),
        (SPEC.replace('"{python}"', "./no-such"), "m.yaml:4:11: there is no program `./no-such`"),
        (
            "bench: small\nadapter: python\npython: no_such:Cell\nmodels: {a: {}}\n"
            "sparse_attention: {dense: {}}\nbenchmarks: {b: {}}",
            "m.yaml:3:9: there is no module `no_such`",
        ),
    ],
)
def test_code_that_is_not_there_is_a_mistake_before_anything_runs(box: Box, verb: str, spec: str, said: str) -> None:
    told = box.run(verb, written(box, spec))
    assert (told.code, said in told.err) == (2, True), told
    assert not (box.folder / "results").exists()


def test_results_that_cannot_be_written_are_a_mistake_of_the_spec(box: Box) -> None:
    told = box.run("bench", written(box, SPEC + "\nout: /proc/none"))
    assert (told.code, "nothing can be written into /proc/none" in told.err) == (2, True), told


def test_words_that_can_be_no_path_are_no_run(box: Box) -> None:
    box.run("bench", written(box, SPEC))
    for verb in (("report",), ("bench", "verify"), ("bench", "rescore")):
        said = box.run(*verb, "x" * 300)
        assert said.code == 3, said


def test_the_newest_matrix_is_named_to_who_names_none(box: Box) -> None:
    box.run("bench", written(box, SPEC))
    box.run("run", "--", "true")
    said = box.run("bench", "verify")
    assert (said.code, "passloop bench verify small\n" in said.err) == (2, True), said
    said = box.run("bench", "rescore", "last")
    assert (said.code, "the newest matrix is small\n" in said.err) == (3, True), said


def test_a_file_that_is_no_spec_is_told_how_a_matrix_begins(box: Box) -> None:
    assert "begin with `run: NAME`, or with bench" in box.run("bench", written(box, "")).err
    assert "begin with `bench: NAME`" in box.run("bench", written(box, "[]")).err
    assert "passloop schema bench" in box.run("bench", "none.yaml").err


def test_plan_tells_a_device_that_is_not_there_with_the_mistakes_of_the_spec(box: Box) -> None:
    said = box.run("plan", written(box, SPEC + "exclude: [{model: z}]\n"), PASSLOOP_GPUS_ALLOW="99")
    assert said.code == 2
    assert "m.yaml:8:19: `z` is no model" in said.err
    assert "PASSLOOP_GPUS_ALLOW names the GPU '99', which this machine does not have" in said.err
    alone = box.run("plan", written(box, SPEC), PASSLOOP_GPUS_ALLOW="99")
    assert (alone.code, "names the GPU '99'" in alone.err) == (2, True)


def test_plan_tells_what_would_run_and_what_never_fits(box: Box) -> None:
    spec = written(box, SPEC + "resources: {gpus: share, vram: 60GiB}\n")
    plan = box.json("plan", spec)
    assert (plan["cells"], plan["to_run"], plan["estimate"]["at_once"]) == (8, 8, 2)
    assert plan["first"][0]["name"] == "a / dense / niah / s1"
    said = box.run("plan", written(box, SPEC + "resources: {gpus: 3}\n"))
    assert said.code == 7
    assert "never fits here: " in said.out
    assert "3 whole GPUs" in said.out


HUNGRY = """
bench: hungry
adapter: fake
options: {seconds: 0.1, rules: [{where: {sparse_attention: dense}, fault: run_oom, times: 1}]}
models: {a: {}}
sparse_attention: {dense: {}, s1: {ratio: 0.5}, s2: {ratio: 0.2}, s3: {ratio: 0.1}}
benchmarks: {niah: {subsets: [u0], samples: 1}}
resources: {gpus: share, vram: 60GiB, cpus: 1}
first: dense
"""


def test_cells_that_wait_begin_alone_once_one_of_their_kind_ran_out_of_memory(box: Box) -> None:
    assert box.run("bench", written(box, HUNGRY), PASSLOOP_VIRTUAL_GPUS="1x80GiB").code == 0
    tasks = sorted(box.json("ls")["tasks"], key=lambda task: int(task["index"]))
    attempts = [box.json("show", str(task["id"]))["task"]["attempts"] for task in tasks]
    assert [[each["variant"] for each in some] for some in attempts] == [[0, 1], [1], [1], [1]]


FAULTY = """
bench: faulty
adapter: fake
options:
  seconds: 0.02
  rules:
    - {where: {model: a, subset: u1}, fault: run_oom, times: 1}
    - {where: {model: b, subset: u0}, fault: exit, times: 1, after_samples: 2}
    - {where: {model: b, sparse_attention: s1}, fault: network, times: 1, after_samples: 1}
    - {where: {sparse_attention: s2, subset: u2}, fault: bug, times: 0}
models: [MODELS]
sparse_attention: {dense: {}, s1: {ratio: 0.5}, s2: {ratio: 0.2}, s3: {ratio: 0.1}}
benchmarks: {niah: {subsets: [u0, u1, u2], samples: 4}}
retries: {network: 2, worker_lost: 20}
resources: {cpus: 1, mem: 200MiB}
"""


def calm(folder: Path, text: str) -> Any:
    """The table of an uninterrupted run: each cell again and again until it is final, in this process."""
    (folder / "calm.yaml").write_text(text.replace("exit", "network"))
    matrix = matrix_of_file(load_spec(folder / "calm.yaml"), cwd=str(folder / "calm"))
    session = Session(matrix, clock=FakeClock())
    for cell in matrix.cells():
        order = order_of(matrix, cell)
        for _ in range(4):
            end = run_one(order, folder / "calm-out")
            if end.metrics is not None or end.final:
                break
    planned = session.planned(session.look())
    return table_of(planned, results_of_tree(planned, session.root))


class Follower:
    """The events of a home's engine, as a client sees them."""

    def __init__(self, box: Box) -> None:
        assert wait_for_engine(str(box.home))
        self.client = Client(str(box.home))

    def until(self, state: str, count: int) -> int | None:
        """Wait until `count` tasks came to this state; the id of the last. None if the engine went first."""
        try:
            with self.client.events() as events:
                seen = (task for event in events for task in event.get("tasks", ()) if task["state"] == state)
                return int(next(itertools.islice(seen, count - 1, None))["id"])
        except CliError:
            return None


def disturb(box: Box, spec: str, *, engine: bool, after: int) -> None:
    """Start the matrix; once so many cells came to run, kill the engine or the process of that cell."""
    with box.started("bench", spec, "--json") as process:
        follower = Follower(box)
        task = follower.until("running", after)
        if task is not None and engine:
            os.kill(process.pid, signal.SIGKILL)
        elif task is not None:
            with contextlib.suppress(CliError, ProcessLookupError):
                os.kill(follower.client.get(f"/tasks/{task}")["task"]["attempts"][-1]["pid"], signal.SIGKILL)
        process.communicate(timeout=50)


@pytest.mark.parametrize(
    ("models", "kills"),
    [("a, b", 2), pytest.param("a, b, c, d", 10, marks=[pytest.mark.large, pytest.mark.timeout(600)])],
)
def test_kills_and_faults_leave_the_table_of_a_calm_run(box: Box, models: str, kills: int) -> None:
    text = FAULTY.replace("MODELS", models)
    spec = written(box, text)
    (box.folder / "calm").mkdir()
    wanted = calm(box.folder, text)
    box.environment["PASSLOOP_MEMORY"] = "500MiB"
    box.home.mkdir(mode=0o700)
    for number in range(kills):
        disturb(box, spec, engine=number % 2 == 0, after=2 + 3 * number)
    said = box.run("bench", spec, "--json")
    counts = said.json()["counts"]
    assert said.code == 1
    assert sum(count for status, count in counts.items() if status != "total") == counts["total"]
    assert {each["class"] for each in said.json()["failures"]} == {"bug"}
    root = box.folder / "results/faulty"
    planned = read_planned(root)
    assert planned is not None
    table = table_of(planned, results_of_tree(planned, root))
    assert [(row.model, row.sparse_attention, row.mean) for row in table.rows] == [
        (row.model, row.sparse_attention, row.mean) for row in wanted.rows
    ]
    assert [dict(row.fields) for row in table.rows] == [dict(row.fields) for row in wanted.rows]
    assert box.run("bench", "verify", "faulty").code == 1


@pytest.mark.large
@pytest.mark.timeout(300)
def test_a_matrix_of_many_cells_is_written_out_as_there_is_room(box: Box) -> None:
    axes = {"models": ["a", "b"], "benchmarks": {f"b{n}": {"subsets": [str(m) for m in range(30)]} for n in range(10)}}
    spec = written(box, json.dumps({"bench": "many", "adapter": "fake", **axes}), "many.yaml")
    with box.started("bench", spec, "--json") as process:
        box.home.mkdir(mode=0o700, exist_ok=True)
        Follower(box).until("succeeded", 40)
        process.kill()
    box.run("rm", "state:succeeded")
    said = box.run("bench", spec, "--json")
    assert said.json()["counts"]["done"] == 600
    assert said.code == 0
    assert len(box.json("ls")["tasks"]) < 1_200
