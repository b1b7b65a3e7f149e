"""`passloop tune` with real servers that play fixed times: trials at once, answers, faults, deaths, what is left."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.command_line import Box, ended_boxes

ARGV = [
    *("{python}", "-m", "passloop.testing.server", "--port", "{port}", "--start", "50"),
    *("--ttft", "20", "--tpot", "0", "--tokens", "{tokens}"),
]
"""How many tokens an answer has is what trials differ by: their order by rate is then safe on a busy machine."""
GOOD: dict[str, Any] = {
    "tune": "quick",
    "engine": {"argv": ARGV, "ready": {"timeout": "20s"}},
    "space": {"tokens": [4, 64, 16]},
    "load": {"max_tokens": 64, "points": [{"concurrency": 1}, {"concurrency": 4}], "requests": 4, "warmup": 0},
    "objectives": [{"metric": "output_tokens_per_second", "at": {"concurrency": 4}}],
    "search": {"sampler": "grid", "max_parallel": 2, "baseline": {"tokens": 4}, "stop_early": False},
}


def written(folder: Path, *words: str, **changes: Any) -> str:
    """A spec as a file; its servers bear the folder's name, and `words` more. `changes` replace keys."""
    path = folder / "spec.yaml"
    argv = [*ARGV, "--model", str(folder), *words]
    path.write_text(json.dumps({**GOOD, "engine": {"argv": argv, "ready": {"timeout": "20s"}}, **changes}))
    return str(path)


def servers(box: Box) -> list[int]:
    """The servers of a box that live, by the command line that started them."""
    found = psutil.process_iter(["cmdline"])
    return [each.pid for each in found if is_server(each.info["cmdline"] or [], box)]


def is_server(words: list[str], box: Box) -> bool:
    return "passloop.testing.server" in words and str(box.folder) in words


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """A home in which the study was made, by a foreground engine with two virtual GPUs."""
    with ended_boxes(tmp_path_factory.mktemp("done")) as box:
        spec = written(box.folder, resources={"gpus": 1, "cpus": 1})
        said = box.run("tune", spec)
        assert said.code == 0, said
        (box.folder / "said.txt").write_text(said.out)
        (box.folder / "talk.txt").write_text(said.err)
        yield box


def test_a_study_ends_with_a_table_the_best_and_its_command(done: Box) -> None:
    out = (done.folder / "said.txt").read_text()
    rows = [line.split() for line in out.splitlines()[1:4]]
    assert [row[1] for row in rows] == ["4", "64", "16"]
    assert "baseline" in rows[0]
    assert "best" in rows[1]
    best = re.search(r"best: trial (\d) \(tokens=(\d+)\)", out)
    assert best is not None
    assert best.groups() == ("1", "64")
    assert re.search(r"-m passloop\.testing\.server --port \d+ --start 50 --ttft 20 --tpot 0 --tokens 64 --model", out)
    talk = (done.folder / "talk.txt").read_text()
    assert "run 1 quick started: at most 3 trials, 2 at once, grid" in talk
    assert "trial 0 started: tokens=4" in talk


def test_the_document_says_what_was_agreed(done: Box) -> None:
    document = done.json("tune", str(done.folder / "spec.yaml"))
    assert list(document) == ["schema_version", "run", "best", "trials"]
    assert document["best"]["params"] == {"tokens": 64}
    assert document["best"]["command"][11:13] == ["--tokens", "64"]
    assert document["best"]["metrics"]["concurrency=4"]["ttft"]["p95"] >= 20
    assert [trial["state"] for trial in document["trials"]] == ["complete"] * 3
    assert all(trial["gpus"][0].startswith("GPU-virtual-") for trial in document["trials"])
    assert {gpu for trial in document["trials"][:2] for gpu in trial["gpus"]} == {"GPU-virtual-0", "GPU-virtual-1"}


def test_the_same_spec_again_measures_nothing(done: Box) -> None:
    before = len(done.json("ls")["tasks"])
    said = done.run("tune", str(done.folder / "spec.yaml"))
    assert said.code == 0
    assert "started: tokens" not in said.err
    assert len(done.json("ls")["tasks"]) == before


def test_report_and_export_tell_the_study(done: Box) -> None:
    said = done.run("report", "quick", "-o", "page.html")
    assert said.code == 0, said
    assert "best: trial 1" in said.out
    page = (done.folder / "page.html").read_text()
    assert "Launch command" in page
    assert "GPU-virtual-0" in page
    rows = list(csv.DictReader(io.StringIO(done.run("export", "quick").out)))
    assert [row["params.tokens"] for row in rows] == ["4", "64", "16"]
    assert done.run("export", "quick", "-o", "-").out == done.run("export", "quick").out
    assert not (done.folder / "-").exists()
    assert done.run("export", "quick", "--optuna", "study.db").code == 0
    assert (done.folder / "study.db").exists()
    again = done.run("export", "quick", "--optuna", "study.db")
    assert (again.code, "is there already" in again.err) == (2, True)


def test_rescore_judges_by_another_limit_and_starts_no_server(done: Box) -> None:
    spec = json.loads((done.folder / "spec.yaml").read_text())
    other = done.folder / "other.yaml"
    other.write_text(json.dumps({**spec, "slo": [{"metric": "ttft", "stat": "p95", "max": "1ms"}]}))
    before = len(done.json("ls")["tasks"])
    said = done.run("tune", "rescore", "quick", "--slo", str(other))
    assert said.code == 1
    assert "no trial is feasible: none keeps ttft p95 <= 1.00 ms" in said.out
    assert done.run("tune", "rescore", "quick").code == 0
    assert len(done.json("ls")["tasks"]) == before
    other.write_text(json.dumps({**spec, "load": {**GOOD["load"], "max_tokens": 5}}))
    said = done.run("tune", "rescore", "quick", "--slo", str(other))
    assert (said.code, "does not measure what this run measured" in said.err) == (2, True)


def test_no_server_is_left_and_no_gpu_is_held(done: Box) -> None:
    assert servers(done) == []
    assert done.run("up").code == 0
    assert [gpu["holders"] for gpu in done.json("gpus")["gpus"]] == [[], []]
    assert done.run("down").code == 0


def test_a_killed_engine_repeats_no_trial_and_moves_no_score(box: Box) -> None:
    log = box.folder / "server.log"
    spec = written(box.folder, "--log", str(log), load={**GOOD["load"], "requests": 40})
    assert box.run("up").code == 0
    with box.started("tune", spec) as follower:
        assert follower.stderr is not None
        while "trial 1 started" not in follower.stderr.readline():
            continue
        box.kill_engine()
        assert box.run("up").code == 0
        follower.kill()
    document = box.json("tune", spec)
    assert [trial["state"] for trial in document["trials"]] == ["complete"] * 3
    for trial in document["trials"]:
        measured = trial["metrics"]["concurrency=1"]
        rates = [measured[name]["mean"] for name in ("output_tokens_per_second", "requests_per_second")]
        assert rates[0] / rates[1] == pytest.approx(trial["params"]["tokens"])
    assert sum("listening" in json.loads(line).values() for line in log.read_text().splitlines()) == 3
    assert all(task["attempt"] == 1 for task in box.json("ls")["tasks"])


def test_cancel_ends_the_servers_and_gives_the_gpus_back(box: Box) -> None:
    spec = written(box.folder, resources={"gpus": 1, "cpus": 1}, load={**GOOD["load"], "requests": 5_000})
    assert box.run("up").code == 0
    with box.on_terminal("tune", spec, COLUMNS="140") as screen:
        screen.until("measuring")
        assert servers(box)
        assert box.run("cancel", "@quick").code == 0
        shown = screen.rest()
    assert screen.process.returncode == 1
    assert "2 trials: 2 cancelled; cancelled" in shown
    assert servers(box) == []
    assert [gpu["holders"] for gpu in box.json("gpus")["gpus"]] == [[], []]


def test_a_point_that_takes_too_long_ends_its_server_and_gives_its_gpu_back(box: Box) -> None:
    spec = written(
        box.folder,
        "--hang-after",
        "2",
        resources={"gpus": 1, "cpus": 1},
        limits={"point": "500ms"},
        search={**GOOD["search"], "same_failures": 0},
    )
    document = box.run("tune", spec, "--json").json()
    assert document["best"] is None
    assert {trial["failure"]["class"] for trial in document["trials"]} <= {"time_limit", "crash"}
    assert servers(box) == []
    assert box.run("up").code == 0
    assert [gpu["holders"] for gpu in box.json("gpus")["gpus"]] == [[], []]


def test_equal_failures_pause_the_study_with_the_reason_and_the_way_on(box: Box) -> None:
    search = {**GOOD["search"], "max_parallel": 1, "same_failures": 2}
    spec = written(box.folder, "--turbo", search=search)
    said = box.run("tune", spec)
    assert said.code == 1
    assert "paused: 2 trials in a row failed the same way (bad_flag:" in said.out
    assert "go on: passloop retry @1" in said.out
    assert "2 trials: 2 failed" in said.out
    why = box.run("why", "@1")
    assert (why.code, why.out.startswith("run 1 quick is paused: 2 failed\n  paused: 2 trials")) == (0, True)
    assert box.run("up").code == 0
    assert box.json("why", "@quick")["message"] == box.json("why", "@1")["message"] != ""


def test_ctrl_c_lets_trials_end_and_the_same_command_goes_on(box: Box) -> None:
    log = box.folder / "server.log"
    spec = written(box.folder, "--log", str(log), load={**GOOD["load"], "requests": 40})
    with box.on_terminal("tune", spec, COLUMNS="140") as screen:
        screen.until("measuring")
        screen.process.send_signal(signal.SIGINT)
        shown = screen.rest()
    assert screen.process.returncode == 130
    assert "waiting for what runs" in shown
    assert "run 1 is kept: passloop up goes on with it, or the same command" in shown
    assert [trial["state"] for trial in box.json("tune", spec)["trials"]] == ["complete"] * 3
    assert sum("listening" in json.loads(line).values() for line in log.read_text().splitlines()) == 3


def test_two_ctrl_c_end_the_servers_and_the_study(box: Box) -> None:
    spec = written(box.folder, load={**GOOD["load"], "requests": 5_000})
    with box.on_terminal("tune", spec, COLUMNS="140") as screen:
        screen.until("measuring")
        screen.process.send_signal(signal.SIGINT)
        screen.until("waiting for what runs")
        screen.process.send_signal(signal.SIGINT)
        screen.rest()
    assert servers(box) == []
    assert {task["state"] for task in box.json("ls")["tasks"]} == {"cancelled"}


def test_the_live_table_shows_phases_and_the_best(box: Box) -> None:
    spec = written(box.folder)
    with box.on_terminal("tune", spec, COLUMNS="140") as screen:
        screen.until("measuring")
        shown = screen.rest()
    assert "running" in shown
    assert "best: trial 1" in shown
    assert "of at most 3" in shown


def test_bad_words_are_answered_in_a_sentence(box: Box) -> None:
    for words, what in (
        (("tune", "rescore", "nothing"), "nothing is no run of a study here"),
        (("tune", "spec.yaml", "--slo", "other.yaml"), "--slo goes with rescore"),
        (("tune", "spec.yaml", "--import", "task.json"), "--import takes one file and nothing beside it"),
        (("tune", written(box.folder, search={"sampler": "gp"})), "the sampler gp wants"),
    ):
        said = box.run(*words)
        assert said.code in (2, 3), said
        assert what in said.err
        assert "Traceback" not in said.err


def test_a_server_that_is_not_there_is_told_before_anything_runs(box: Box) -> None:
    spec = box.folder / "spec.yaml"
    spec.write_text(json.dumps({**GOOD, "engine": {"argv": ["no-such-server", *ARGV[3:]]}}))
    for verb in ("plan", "tune"):
        said = box.run(verb, str(spec))
        assert (said.code, "there is no program `no-such-server` here" in said.err) == (2, True)
    assert box.run("plan", str(spec)).out.startswith("tune quick: 3 candidates")
    assert box.json("ls")["tasks"] == []


def test_a_servers_secret_is_looked_up_for_it_and_written_nowhere(box: Box) -> None:
    check = "import os, sys; len(os.environ['HF_TOKEN']) == 11 or sys.exit(3); os.execv(sys.executable, sys.argv[1:])"
    argv = ["{python}", "-c", check, *ARGV]
    engine = {"argv": argv, "env": {"HF_TOKEN": "env:HF_TOKEN"}, "ready": {"timeout": "20s"}}
    spec = box.folder / "spec.yaml"
    spec.write_text(json.dumps({**GOOD, "engine": engine, "space": {"tokens": [4]}}))
    said = box.run("tune", str(spec))
    assert (said.code, "environment has no HF_TOKEN: set it and start the engine again" in said.err) == (2, True)
    said = box.run("tune", str(spec), HF_TOKEN="canary-61c7")
    assert (said.code, "env 'HF_TOKEN=***'" in said.out) == (0, True), said
    assert "canary-61c7" not in said.out + said.err
    written = [path for path in box.home.rglob("*") if path.is_file() and not path.is_symlink()]
    assert [path for path in written if b"canary-61c7" in path.read_bytes()] == []
    spec.write_text(json.dumps({**GOOD, "engine": {**engine, "env": {"HF_TOKEN": "canary-61c7"}}}))
    said = box.run("plan", str(spec))
    assert (said.code, "write HF_TOKEN: env:HF_TOKEN, or file:PATH" in said.err) == (2, True)


def test_an_autotuners_task_becomes_a_spec(box: Box) -> None:
    task = {
        "task_name": "llama",
        "model": {"id_or_path": "some/model", "namespace": "x"},
        "base_runtime": "vllm",
        "parameters": {"tensor-parallel-size": [1, 2]},
        "optimization": {"strategy": "grid_search", "objective": "maximize_throughput", "max_iterations": 4},
        "benchmark": {"num_concurrency": [1, 4], "task": "text-to-text"},
    }
    (box.folder / "task.json").write_text(json.dumps(task))
    said = box.run("tune", "--import", "task.json")
    assert said.code == 0, said
    assert "tune: llama" in said.out
    assert "dropped: " in said.err
    (box.folder / "made.yaml").write_text(said.out)
    planned = box.run("plan", "made.yaml")
    assert "tune llama: 2 candidates" in planned.out
    here = shutil.which("vllm") is not None
    assert (planned.code, "there is no program `vllm` here" in planned.err) == ((0, False) if here else (2, True))
