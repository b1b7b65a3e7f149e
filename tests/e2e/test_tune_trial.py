"""The trial process with real servers that go wrong: what it says, what it leaves, and that nothing of it is left.

The trials of this file run beside each other; each test looks at its own.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from passloop.apps.tune.records import Limits, LoadOrder, Order, Point, Slo
from tests.support import clash_once
from tests.support.command_line import Box
from tests.support.trials import SERVER, RunningTrial, order_of, start_trial

OUT_OF_MEMORY = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 GiB"
OWN_WORD = json.dumps({"outcome": "out_of_memory", "message": "no room for the cache"})
PATIENCE = 50
SECRET = "hf_abcdefghijklmnop"
QUICK = Limits(start=1_500, stop=300)
ONE_REQUEST = LoadOrder(points=(Point(concurrency=1, requests=1, warmup=0),), max_tokens=4)
SHORT_STOP = Limits(start=30_000, warmup=30_000, point=30_000, stop=300)
WATCHED = Limits(start=30_000, warmup=30_000, point=30_000, stop=10_000, health=4_000)


def orders(folder: Path, port: int) -> dict[str, Order]:
    """Every trial of this file by its name. `port` is one on which somebody listens."""
    again = (sys.executable, clash_once.__file__ or "", str(folder / "clashed"))
    return {
        "sick": order_of("--sick-after", "1", "--tpot", "10000", limits=WATCHED, load=ONE_REQUEST),
        "hangs": order_of("--hang-after", "1", limits=WATCHED, load=ONE_REQUEST),
        "good": order_of(engine={"reset": "/reset"}),
        "slo": order_of(slo=(Slo(metric="ttft", stat="p95", most=0.001),)),
        "beaten": order_of(best=1e9),
        "never-ready": order_of("--never-ready", limits=QUICK),
        "never-listens": order_of("--never-listen", limits=QUICK),
        "exits": order_of("--exit-at-start", "3", "--say", "no luck today"),
        "500": order_of("--status", "500"),
        "dies": order_of("--die-after", "4"),
        "ignores-term": order_of("--ignore-term", limits=SHORT_STOP),
        "leaves-child": order_of("--leave-child", limits=SHORT_STOP),
        "unknown-flag": order_of("--no-such-flag"),
        "oom": order_of("--exit-at-start", "1", "--say", OUT_OF_MEMORY),
        "own-word": order_of("--exit-at-start", "1", "--own-word", OWN_WORD),
        "no-program": order_of(argv=("/no/such/program",)),
        "port-taken": order_of(argv=(*SERVER[:4], str(port))),
        "port-taken-once": order_of(argv=(*again, *SERVER)),
        "secrets": order_of("--exit-at-start", "1", "--say", f"token={SECRET}", engine={"env": {"HF_TOKEN": SECRET}}),
        "download-fails": order_of(engine={"download": (sys.executable, "-c", "import no_such_hub")}),
    }


@pytest.fixture(scope="module")
def trials(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, RunningTrial]]:
    folder = tmp_path_factory.mktemp("trials")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        asked = orders(folder, taken.getsockname()[1])
        started = {name: start_trial(folder / name, order) for name, order in asked.items()}
        try:
            yield started
        finally:
            for trial in started.values():
                trial.end()
    marks = {trial.mark for trial in started.values()}
    assert not {pid: mark for pid, mark in marked().items() if mark in marks}


def marked() -> dict[int, str]:
    """The attempts of the processes that carry one in their environment."""
    found = {}
    for name in os.listdir("/proc"):
        try:
            words = Path(f"/proc/{name}/environ").read_bytes().split(b"\0") if name.isdecimal() else []
        except OSError:
            continue
        for word in words:
            if word.startswith(b"PASSLOOP_ATTEMPT_ID="):
                found[int(name)] = word.decode().partition("=")[2]
    return found


def test_a_good_trial_measures_low_load_first_on_one_server(trials: dict[str, RunningTrial]) -> None:
    trial = trials["good"]
    assert trial.code == 0, trial.said
    document = trial.document
    assert document.state == "complete"
    assert [result.point.name for result in document.points] == ["concurrency=1", "concurrency=2"]
    assert all(result.errors == 0 for result in document.points)
    assert (document.trial, document.params, document.hash) == (3, {"x": 1}, "fedcba9876543210")


def test_a_trial_leaves_all_that_it_was_made_of(trials: dict[str, RunningTrial]) -> None:
    trial = trials["good"]
    document = trial.document
    assert trial.json("argv.json") == list(document.argv)
    assert trial.json("environment.json")["PASSLOOP_ATTEMPT_ID"] == trial.mark
    assert len(trial.text("requests.jsonl").splitlines()) == 6
    assert "measuring" in trial.text("load.log")
    assert trial.json("phase.json")["phase"] == "ended"
    assert document.provenance["engine_version"] == "scripted-1"
    assert {"passloop", "seed", "cpu", "load_average", "engine"} <= set(document.provenance)
    assert set(document.spans) >= {"starting", "warm-up", "measuring", "stopping", "verifying"}


def test_a_missed_limit_at_low_load_spares_the_rest(trials: dict[str, RunningTrial]) -> None:
    trial = trials["slo"]
    assert trial.code == 0
    assert (trial.document.state, len(trial.document.points)) == ("pruned", 1)
    assert (trial.document.pruned or "").startswith("misses its SLO: ttft p95 at concurrency=1 is ")


def test_a_candidate_that_cannot_win_is_given_up(trials: dict[str, RunningTrial]) -> None:
    document = trials["beaten"].document
    assert (document.state, len(document.points)) == ("pruned", 1)
    assert "cannot beat the best: output_tokens_per_second mean at most " in (document.pruned or "")


@pytest.mark.parametrize(
    ("name", "kind", "phase", "words"),
    [
        ("never-ready", "time_limit", "starting", "the server was not ready within 1.5 s: "),
        ("never-listens", "time_limit", "starting", "not ready within 1.5 s: nobody listened on its port"),
        ("exits", "crash", "starting", "the server ended by itself with exit code 3"),
        ("500", "crash", "measuring", "all 2 requests at concurrency=1 failed: http_500 x2"),
        ("sick", "crash", "measuring", "the server was not healthy for 4 s: GET /health"),
        ("hangs", "time_limit", "measuring", "the server was not healthy for 4 s: GET /health: no answer within"),
        ("dies", "crash", "measuring", "the server ended by itself with signal 9 (SIGKILL)"),
        ("unknown-flag", "bad_flag", "starting", "the server refuses --no-such-flag: it ended by itself with exit"),
        ("oom", "out_of_memory", "starting", "the server ended by itself with exit code 1"),
        ("own-word", "out_of_memory", "starting", "exit code 1: no room for the cache"),
        ("no-program", "bad_flag", "starting", "there is no program /no/such/program"),
        ("port-taken", "port", "starting", "was taken when the server started"),
        ("download-fails", "download", "downloading", "the download ended with exit code 1"),
    ],
)
def test_what_goes_wrong_is_told_with_its_class(
    trials: dict[str, RunningTrial], name: str, kind: str, phase: str, words: str
) -> None:
    trial = trials[name]
    assert trial.code == 1
    document = trial.document
    assert document.state == "failed"
    assert document.failure is not None
    assert (document.failure.kind, document.failure.phase) == (kind, phase)
    assert words in document.failure.message
    assert f"({kind}, {phase})" in trial.said


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("exits", "no luck today"),
        ("unknown-flag", "unrecognized arguments: --no-such-flag"),
        ("oom", OUT_OF_MEMORY),
        ("port-taken", "address already in use"),
        ("download-fails", "ModuleNotFoundError: No module named 'no_such_hub'"),
    ],
)
def test_the_lines_that_show_it_are_kept(trials: dict[str, RunningTrial], name: str, line: str) -> None:
    failure = trials[name].document.failure
    assert failure is not None
    assert any(line in shown for shown in failure.lines)
    assert line in trials[name].said


def test_points_that_were_measured_before_a_death_are_kept(trials: dict[str, RunningTrial]) -> None:
    assert [result.point.name for result in trials["dies"].document.points] == ["concurrency=1"]


@pytest.mark.parametrize("name", ["ignores-term", "leaves-child"])
def test_what_will_not_end_is_killed_and_the_figures_stand(trials: dict[str, RunningTrial], name: str) -> None:
    trial = trials[name]
    assert trial.code == 0, trial.said
    assert trial.document.state == "complete"
    assert any(note.startswith("did not end when asked and was killed: ") for note in trial.document.notes)


def test_a_port_that_was_taken_once_is_tried_again_elsewhere(trials: dict[str, RunningTrial]) -> None:
    trial = trials["port-taken-once"]
    assert trial.code == 0, trial.said
    assert trial.document.state == "complete"
    assert any(note.endswith("tried again in another block of ports") for note in trial.document.notes)


def test_no_outcome_follows_from_a_log(trials: dict[str, RunningTrial]) -> None:
    assert trials["oom"].json("outcome.json")["outcome"] == "failure"
    assert trials["oom"].json("outcome.json")["final"] is False


def test_a_server_s_own_word_stands(trials: dict[str, RunningTrial]) -> None:
    trial = trials["own-word"]
    assert trial.document.failure is not None
    assert trial.json("outcome.json") == json.loads(OWN_WORD)


def test_no_retry_is_asked_for_what_cannot_get_better(trials: dict[str, RunningTrial]) -> None:
    assert trials["no-program"].json("outcome.json")["final"] is True


def test_a_secret_is_in_nothing_that_is_left(trials: dict[str, RunningTrial]) -> None:
    trial = trials["secrets"]
    assert trial.code == 1
    assert "token=***" in trial.text("server.log")
    for path in trial.folder.iterdir():
        assert SECRET not in path.read_text(), path.name


def test_a_trial_that_is_told_to_end_takes_its_server_along(tmp_path: Path) -> None:
    events = tmp_path / "events"
    os.mkfifo(events)
    trial = start_trial(tmp_path / "told-to-end", order_of("--ttft", "60000", "--log", str(events)))
    with os.fdopen(os.open(events, os.O_RDWR)) as told:
        assert next(event for line in told if (event := json.loads(line))["event"] == "completion")
        trial.process.terminate()
        assert trial.code == 143
    assert not (trial.folder / "metrics.json").exists()
    assert trial.json("phase.json")["phase"] == "verifying"
    assert trial.mark not in marked().values()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "PASSLOOP_TRIAL holds no order of a trial"),
        ('{"study": 1}', "PASSLOOP_TRIAL holds no order of a trial"),
    ],
)
def test_an_order_that_cannot_be_read_is_final(tmp_path: Path, text: str, words: str) -> None:
    trial = start_trial(tmp_path / "bad", text)
    assert trial.code == 1
    assert words in trial.said
    assert trial.json("outcome.json")["final"] is True


def test_a_killed_load_client_takes_its_server_along_and_gives_the_gpu_back(box: Box) -> None:
    """The built-in client is the trial process itself; the shim over it ends what it leaves."""
    events = box.folder / "events"
    os.mkfifo(events)
    spec = {
        "tune": "killed",
        "engine": {"argv": [*SERVER[:5], "--ttft", "{ttft}", "--log", str(events)], "ready": {"timeout": "30s"}},
        "space": {"ttft": [60_000]},
        "resources": {"gpus": 1, "cpus": 1},
        "load": {"points": [{"concurrency": 1}], "requests": 2, "warmup": 0},
        "objectives": [{"metric": "ttft", "at": {"concurrency": 1}, "direction": "minimize"}],
        "search": {"sampler": "grid", "baseline": False},
    }
    (box.folder / "spec.yaml").write_text(json.dumps(spec))
    assert box.run("up").code == 0
    with os.fdopen(os.open(events, os.O_RDWR)) as told, box.started("tune", "spec.yaml", "--json") as study:
        event = next(event for line in told if (event := json.loads(line))["event"] == "completion")
        server = psutil.Process(event["pid"])
        trial = server.parent()
        assert trial is not None
        trial.send_signal(signal.SIGKILL)
        document = json.loads(study.communicate(timeout=PATIENCE)[0])
    assert [each["state"] for each in document["trials"]] == ["failed"]
    assert not server.is_running()
    assert [gpu["holders"] for gpu in box.json("gpus")["gpus"]] == [[], []]
