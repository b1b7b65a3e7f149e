"""New work as the page hands it in: specs of every kind are looked at and submitted as the command line would."""

from __future__ import annotations

import asyncio
import itertools
import json
import select
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from passloop.cli.client import Client
from passloop.cli.exits import CliError
from passloop.kernel.events import DrainChanged
from passloop.store.inotify import CREATED, watcher
from passloop.testing.script import ModelScript, Script
from tests.e2e.test_bench import CODE, SPEC
from tests.support.command_line import Box, Gate, ended_boxes
from tests.support.generating import generating

SWEEP = """run: digits
command: [echo, "{depth}"]
matrix: {depth: [2, 4]}
"""
MISTAKES = """run: digits
command: echo
matrx: {depth: [2, 4]}
"""


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    with ended_boxes(tmp_path_factory.mktemp("new")) as made:
        assert made.run("up").code == 0
        yield made


@pytest.fixture
def client(box: Box) -> Client:
    return Client(str(box.home))


def wait_for(client: Client, *words: str | int) -> None:
    """Until these tasks are final; all must have succeeded."""
    query: list[tuple[str, str | int | None]] = [*(("select", str(word)) for word in words), ("timeout_ms", 40_000)]
    found = client.get("/wait", query)
    assert {task["state"] for task in found["tasks"]} == {"succeeded"}


def refusal(client: Client, path: str, body: dict[str, Any]) -> CliError:
    with pytest.raises(CliError) as refused:
        client.post(path, body, timeout=60)
    return refused.value


def test_a_plan_tells_what_a_spec_would_do_and_submits_nothing(box: Box, client: Client) -> None:
    before = client.get("/runs")["runs"]
    found = client.post("/plan", {"text": SWEEP.replace("digits", "planned"), "cwd": str(box.folder)}, timeout=60)
    assert (found["valid"], found["kind"], found["plan"]["cells"]) == (True, "run", 2)
    assert found["plan"]["first"][0]["command"] == ["echo", "2"]
    assert "2 cells" in found["text"]
    assert client.get("/runs")["runs"] == before


def test_a_plan_tells_every_mistake_with_its_place(client: Client) -> None:
    found = client.post("/plan", {"text": MISTAKES}, timeout=60)
    places = {(each["line"], each["column"]) for each in found["problems"]}
    assert (found["valid"], places) == (False, {(2, 10), (3, 1)})
    assert any("matrix" in each["fix"] for each in found["problems"])


@pytest.mark.parametrize("text", ["", "run: [", "a: 1", "run: x\nrun: y", "\0", "&a [*a]", "run: " + "[" * 3_000])
def test_what_is_no_spec_is_a_problem_and_no_traceback(client: Client, text: str) -> None:
    found = client.post("/plan", {"text": text}, timeout=60)
    assert (found["valid"], bool(found["problems"])) == (False, True)
    assert "Traceback" not in str(found)


def test_what_can_never_fit_is_said_in_the_plan(client: Client) -> None:
    found = client.post("/plan", {"text": SWEEP + "resources: {gpus: 64}\n"}, timeout=60)
    assert found["valid"]
    assert found["plan"]["never_fits"]


def test_a_sweep_is_submitted_and_runs_in_the_directory_that_was_named(box: Box, client: Client) -> None:
    text = SWEEP.replace("[echo,", "[touch,").replace('"{depth}"', '"made-{depth}"')
    found = client.post("/specs", {"text": text, "cwd": str(box.folder)}, timeout=60)
    assert (found["kind"], found["run"]["name"]) == ("run", "digits")
    wait_for(client, f"@{found['run']['id']}")
    assert (box.folder / "made-4").exists()
    kept = Path(found["spec"])
    assert kept.read_text() == text
    assert kept.parent == box.home / "specs"
    assert kept.stat().st_mode & 0o777 == 0o600


def test_a_matrix_is_followed_beside_the_engine_until_its_results_are_there(box: Box, client: Client) -> None:
    text = SPEC.replace("CODE", CODE)
    found = client.post("/specs", {"text": text, "cwd": str(box.folder)}, timeout=60)
    assert (found["kind"], found["run"]["name"]) == ("bench", "small")
    wait_for(client, f"@{found['run']['id']}")
    matrix = client.get(f"/runs/{found['run']['id']}/bench")
    assert matrix["counts"]["done"] == 8
    assert matrix["out"] == str(box.folder / "results" / "small")


def test_a_matrix_is_followed_on_by_the_next_engine_and_runs_nothing_twice(tmp_path: Path) -> None:
    with ended_boxes(tmp_path) as lone:
        assert lone.run("up").code == 0
        gate = Gate(tmp_path)
        score = gate.command("""echo x >> ran; echo '{"score": 1}' > "$PASSLOOP_OUT/metrics.json\"""")
        axes = {"models": {"a": {}}, "sparse_attention": {"dense": {}}, "benchmarks": {"niah": {"subsets": ["s"]}}}
        text = json.dumps({"bench": "one", "adapter": "command", "command": score, **axes})
        lone_client = Client(str(lone.home))
        run = lone_client.post("/specs", {"text": text, "cwd": str(tmp_path)}, timeout=60)["run"]["id"]
        gate.wait_started()
        lone.kill_engine()
        assert lone.run("up").code == 0
        gate.open()
        wait_for(lone_client, f"@{run}")
        wait_for_file(tmp_path / "results" / "one" / "execution_summary.json")
        assert len(lone_client.get("/runs")["runs"]) == 1
        assert (tmp_path / "ran").read_text() == "x\n"


def test_a_wrong_spec_is_refused_with_its_problems_and_nothing_is_kept(box: Box, client: Client) -> None:
    before = sorted((box.home / "specs").glob("*.yaml"))
    refused = refusal(client, "/specs", {"text": MISTAKES})
    assert refused.exit_code == 2
    assert "3:1" in refused.message
    assert sorted((box.home / "specs").glob("*.yaml")) == before


def test_a_directory_that_is_not_there_is_refused(client: Client) -> None:
    for cwd in ("/nowhere", "relative", "/etc/passwd", "\0"):
        for path, body in (("/plan", {"text": SWEEP}), ("/commands", {"words": ["true"]})):
            assert refusal(client, path, {**body, "cwd": cwd}).exit_code == 2


def test_a_command_is_submitted_with_the_options_of_submit(box: Box, client: Client) -> None:
    options = {"gpus": "1", "vram": "20GiB", "name": "train", "array": "1-2", "time_limit": "10m", "env": ["A=b"]}
    body = {"words": ["sh", "-c", "echo $A-{index}"], "options": options, "cwd": str(box.folder)}
    looked = client.post("/commands", {**body, "dry": True})
    assert (looked["tasks"], looked["never_fits"], looked["request"][0]["vram_mib"]) == (2, None, 20_480)
    assert looked["first"][1] == ["sh", "-c", "echo $A-2"]
    tasks = client.post("/commands", body)["tasks"]
    wait_for(client, *tasks)
    assert box.run("logs", str(tasks[1])).out == "b-2\n"


def test_how_many_fit_at_once_is_told_with_what_ends_it(client: Client) -> None:
    found = client.post("/commands", {"words": ["true"], "options": {"gpus": "1", "cpus": "1"}, "dry": True})
    assert found["fits"] == {"most": 2, "now": 2, "sentence": "needs 1 GPU, 0 free"}
    found = client.post("/commands", {"words": ["true"], "options": {"gpus": "0.5"}, "dry": True})
    assert found["fits"]["most"] == 4
    found = client.post("/commands", {"words": ["true"], "options": {"gpus": "64"}, "dry": True})
    assert found["fits"]["most"] == 0


def test_no_more_run_at_once_than_was_said(box: Box, client: Client) -> None:
    options = {"name": "few", "array": "1-4", "max_parallel": "1", "cpus": "0.1"}
    tasks = client.post("/commands", {"words": ["true"], "options": options, "cwd": str(box.folder)})["tasks"]
    wait_for(client, *tasks)
    attempts = [client.get(f"/tasks/{task}")["task"]["attempts"][-1] for task in tasks]
    assert all(attempt["need"] == {"parallel/few": 1} for attempt in attempts)
    times = sorted((attempt["admitted_at"], attempt["ended_at"]) for attempt in attempts)
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(times))
    for wrong in ("0", "many", "-1"):
        body = {"words": ["true"], "options": {"max_parallel": wrong}}
        assert refusal(client, "/commands", body).exit_code == 2


def test_a_command_that_can_never_fit_is_told_before_it_is_refused(client: Client) -> None:
    body = {"words": ["true"], "options": {"gpus": "64"}}
    assert client.post("/commands", {**body, "dry": True})["never_fits"]
    assert refusal(client, "/commands", body).exit_code == 7


@pytest.mark.parametrize(
    "options",
    [
        {"gpus": 2},
        {"gpu": "2"},
        {"env": "A=b"},
        {"env": ["no equals sign"]},
        {"balance": "yes"},
        {"priority": True},
        {"time_limit": "soon"},
        {"each_line": "/etc/passwd"},
        {"snapshot": True},
    ],
)
def test_wrong_options_are_refused_by_name(client: Client, options: dict[str, Any]) -> None:
    refused = refusal(client, "/commands", {"words": ["true"], "options": options, "dry": True})
    assert refused.exit_code == 2


@pytest.mark.parametrize("kind", ["generate", "wire"])
def test_the_schema_of_each_kind_is_that_of_the_command_line(client: Client, kind: str) -> None:
    assert "json-schema.org" in client.get(f"/schema/{kind}", timeout=60)["$schema"]


def test_a_kind_that_is_none_has_no_schema(client: Client) -> None:
    with pytest.raises(CliError) as refused:
        client.get("/schema/other")
    assert refused.value.exit_code == 3


async def post(home: Path, path: str, body: dict[str, Any]) -> Any:
    return await asyncio.to_thread(lambda: Client(str(home)).post(path, body, timeout=60))


async def test_a_dataset_is_handed_in_followed_and_written(tmp_path: Path) -> None:
    async with generating(tmp_path, Script(default=ModelScript(latency=0))) as stand:
        spec = {
            "generate": "made",
            "rows": 2,
            "out": "made.parquet",
            "endpoints": {"here": {"base_url": stand.endpoint.url}},
            "models": {"m": {"endpoint": "here", "model": "m"}},
            "columns": [{"name": "text", "kind": "llm_text", "model": "m", "prompt": "say something"}],
        }
        body = {"text": json.dumps(spec), "cwd": str(tmp_path)}
        planned = await post(tmp_path / "home", "/plan", body)
        assert (planned["valid"], planned["kind"], planned["plan"]["calls"]) == (True, "generate", {"m": 2})
        stand.host.engine.inbox.put(DrainChanged(draining=True))
        found = await post(tmp_path / "home", "/specs", body)
        assert (found["kind"], found["run"]["name"]) == ("generate", "made")
        again = await post(tmp_path / "home", "/specs", body)
        assert again["run"] == found["run"], "the same again joins the run that is under way"
        stand.host.engine.inbox.put(DrainChanged(draining=False))
        assert await stand.host.engine.wait_source(found["run"]["id"])
        await asyncio.to_thread(wait_for_file, tmp_path / "made.parquet")
        await asyncio.to_thread(wait_for, Client(str(tmp_path / "home")), f"@{found['run']['id']}")
        done = await post(tmp_path / "home", "/specs", body)
        assert done["run"] == found["run"], "and finds that it made all, once it is over"


def test_code_that_is_not_there_is_told_before_a_running_engine_asks_anybody(box: Box, client: Client) -> None:
    columns = [
        {"name": "text", "kind": "llm_text", "model": "m", "prompt": "hi"},
        {"name": "more", "kind": "python", "call": "no_such_module:f", "needs": ["text"]},
    ]
    entries = {
        "endpoints": {"e": {"base_url": "http://127.0.0.1:9/v1"}},
        "models": {"m": {"endpoint": "e", "model": "x"}},
    }
    text = json.dumps({"generate": "lacking", "rows": 1, **entries, "columns": columns})
    (box.folder / "lacking.yaml").write_text(text)
    before = client.get("/runs")["runs"]
    planned = box.run("plan", "lacking.yaml")
    assert (planned.code, "would not start yet" in planned.err) == (0, True)
    asked = box.run("generate", "lacking.yaml")
    handed_in = refusal(client, "/specs", {"text": text, "cwd": str(box.folder)})
    assert (asked.code, handed_in.exit_code) == (2, 2)
    for told in (planned.err, asked.err, str(handed_in)):
        assert "there is no module `no_such_module`" in told
    assert client.get("/runs")["runs"] == before


def wait_for_file(path: Path) -> None:
    """Until a file of this name is made."""
    with watcher() as watch:
        watch.add(str(path.parent), CREATED)
        while not path.exists():
            assert select.select([watch], [], [], 30)[0], f"{path} was not made"
            watch.drain()


def test_a_study_is_handed_in_and_ends_with_its_answers(box: Box, client: Client) -> None:
    server = ["{python}", "-m", "passloop.testing.server", "--port", "{port}", "--start", "50", "--ttft", "{ttft}"]
    spec = {
        "tune": "quick",
        "engine": {"argv": server, "ready": {"timeout": "20s"}},
        "space": {"ttft": [10, 20]},
        "resources": {"cpus": 1},
        "load": {"max_tokens": 4, "points": [{"concurrency": 1}], "requests": 2, "warmup": 0},
        "objectives": [{"metric": "output_tokens_per_second", "at": {"concurrency": 1}}],
        "search": {"sampler": "grid", "baseline": False, "stop_early": False},
    }
    body = {"text": json.dumps(spec), "cwd": str(box.folder)}
    assert client.post("/plan", body, timeout=60)["kind"] == "tune"
    run = client.post("/specs", body, timeout=60)["run"]
    assert run["name"] == "quick"
    (box.folder / "study.yaml").write_text(body["text"])
    assert box.run("tune", "study.yaml").code == 0, "the same spec on the command line joins the run and follows it"
    trials = client.get(f"/runs/{run['id']}/tune")["trials"]
    assert {trial["status"] for trial in trials} == {"complete"}
