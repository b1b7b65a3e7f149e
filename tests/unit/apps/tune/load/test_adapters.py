"""Foreign clients are asked for what a point means, and their recorded outputs are read as they were meant.

The files in `recorded/` are true outputs of AIPerf 0.13.0, guidellm 0.8.1, vLLM 0.32.0 and genai-bench 0.0.5 before a
server that answers each third request with 500, cut to a few requests and without paths.
"""

from __future__ import annotations

import json
from pathlib import Path
from shutil import copyfile
from typing import Any

import pytest

from passloop.apps.errors import BadValue
from passloop.apps.tune.load.adapters.base import Asked, NoOutput, OutsideOptions
from passloop.apps.tune.load.adapters.table import ADAPTERS
from passloop.apps.tune.load.prompts import Prompt
from passloop.apps.tune.load.requests import RequestRecord
from passloop.apps.tune.load.results import point_result
from passloop.apps.tune.records import LoadOrder, Point

RECORDED = Path(__file__).parent / "recorded"
CLOSED = Point(concurrency=8, requests=40, warmup=2)
OPEN = Point(rate=2.5, requests=40, warmup=0, seconds=90)
PLACES = {
    "aiperf": ("aiperf-profile_export.jsonl", "aiperf/profile_export.jsonl"),
    "guidellm": ("guidellm.json", "guidellm.json"),
    "vllm": ("vllm-bench.json", "vllm-bench.json"),
    "genai-bench": ("genai-bench.json", "genai-bench/dataset_text-to-text_num_concurrency_2_time_1s.json"),
}


def asked(folder: Path, point: Point = CLOSED, **options: Any) -> Asked:
    return Asked(
        order=LoadOrder(max_tokens=16, seed=7, timeout=30_000),
        point=point,
        options=OutsideOptions(tokenizer="/tok", **options),
        model="small",
        url="http://127.0.0.1:8000",
        folder=folder,
        repeat=1,
    )


def recorded(client: str, folder: Path, point: Point) -> list[RequestRecord]:
    """What the adapter reads of the client's recorded output."""
    source, place = PLACES[client]
    (folder / place).parent.mkdir(parents=True, exist_ok=True)
    copyfile(RECORDED / source, folder / place)
    return ADAPTERS[client].records(asked(folder, point))


def told(words: list[str], flag: str) -> str:
    return words[words.index(flag) + 1]


@pytest.mark.parametrize(
    ("client", "errors", "tokens_out"), [("aiperf", 2, 8), ("guidellm", 2, 8), ("vllm", 2, 8), ("genai-bench", 2, 24)]
)
def test_a_recorded_output_has_its_requests_and_errors(
    client: str, errors: int, tokens_out: int, tmp_path: Path
) -> None:
    point = Point(concurrency=2, warmup=0) if client == "genai-bench" else Point(rate=20.0, warmup=0)
    records = recorded(client, tmp_path, point)
    result = point_result(point, [records], limits={"ttft": 10_000})
    assert (result.errors, result.error_kinds) == (errors, {"http_500": errors})
    assert result.metrics["attainment"]["mean"] == pytest.approx(1 - errors / len(records))
    answered = [record for record in records if record.error is None]
    assert {record.tokens_out for record in answered} == {tokens_out}
    for record in answered:
        assert 30 <= (record.ttft or 0) < (record.e2e or 0)
        assert 65 <= (record.e2e or 0) <= 120
        assert record.status == 200
    assert {record.repeat for record in records} == {1}
    assert [record.index for record in records] == list(range(len(records)))
    assert min(record.scheduled for record in records) == pytest.approx(0, abs=0.01)
    assert result.duration > 0


def test_latencies_of_an_open_loop_count_from_when_a_request_was_due(tmp_path: Path) -> None:
    for client in ("aiperf", "guidellm", "vllm"):
        due = recorded(client, tmp_path, Point(rate=20.0, warmup=0))
        sent = recorded(client, tmp_path, Point(concurrency=2, warmup=0))
        assert all(record.scheduled < record.sent for record in due), client
        assert all(record.scheduled == record.sent for record in sent), client


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (
            {"type": "InvalidInferenceResultError", "message": "No responses with actual content were received"},
            "no_text",
        ),
        ({"type": "TimeoutError", "message": "over time"}, "timeout"),
        ({"type": "ServerDisconnectedError", "message": "gone"}, "closed"),
    ],
)
def test_errors_of_aiperf_have_our_kinds(error: dict[str, str], kind: str, tmp_path: Path) -> None:
    file = tmp_path / "aiperf" / "profile_export.jsonl"
    file.parent.mkdir()
    lines = (RECORDED / "aiperf-profile_export.jsonl").read_text().splitlines()
    (failed,) = [line for line in map(json.loads, lines[:2]) if "error" in line]
    file.write_text(json.dumps(failed | {"error": error}) + "\n")
    (record,) = ADAPTERS["aiperf"].records(asked(tmp_path))
    assert record.error == kind


def test_an_answer_without_a_token_is_no_answer_to_guidellm_either(tmp_path: Path) -> None:
    report = json.loads((RECORDED / "guidellm.json").read_text())
    for one in report["benchmarks"][0]["requests"]["successful"]:
        one["info"]["timings"]["first_token_iteration"] = None
    (tmp_path / "guidellm.json").write_text(json.dumps(report))
    records = ADAPTERS["guidellm"].records(asked(tmp_path, Point(concurrency=2, warmup=0)))
    assert sorted(str(record.error) for record in records) == ["http_500"] * 2 + ["no_text"] * 3


def test_the_warm_up_is_not_among_the_records(tmp_path: Path) -> None:
    assert len((RECORDED / "aiperf-profile_export.jsonl").read_text().splitlines()) == 6
    assert len(recorded("aiperf", tmp_path, CLOSED)) == 5
    assert len(recorded("guidellm", tmp_path, CLOSED)) == 5 - CLOSED.warmup


def test_aiperf_is_told_the_point(tmp_path: Path) -> None:
    words = ADAPTERS["aiperf"].words(asked(tmp_path, reuse=False, args=("--verbose",)))
    assert words[0] == "profile"
    assert (told(words, "--concurrency"), told(words, "--request-count")) == ("8", "40")
    assert (told(words, "--warmup-request-count"), told(words, "--random-seed")) == ("2", "7")
    assert told(words, "--connection-reuse-strategy") == "never"
    assert words[-1] == "--verbose"
    opened = ADAPTERS["aiperf"].words(asked(tmp_path, OPEN))
    assert (told(opened, "--request-rate"), told(opened, "--arrival-pattern")) == ("2.5", "poisson")
    assert told(opened, "--benchmark-duration") == "90"
    assert "--concurrency" not in opened
    assert "--warmup-request-count" not in opened


def test_aiperf_gets_its_tokenizer_though_the_machine_is_offline() -> None:
    environ = {"HF_HUB_OFFLINE": "1", "PATH": "/bin"}
    assert ADAPTERS["aiperf"].env(environ) == {"PATH": "/bin"}
    assert ADAPTERS["genai-bench"].env({"PATH": "/bin"}) == environ
    assert ADAPTERS["vllm"].env(environ) == ADAPTERS["guidellm"].env(environ) == environ


def test_guidellm_is_told_the_point_and_its_warm_up_as_requests(tmp_path: Path) -> None:
    words = ADAPTERS["guidellm"].words(asked(tmp_path))
    assert told(words, "--profile") == "kind=concurrent,streams=8"
    assert told(words, "--constraint") == "kind=max_requests,count=42"
    opened = ADAPTERS["guidellm"].words(asked(tmp_path, OPEN))
    assert told(opened, "--profile") == "kind=poisson,rate=2.5"
    assert "kind=max_duration,seconds=90" in opened


def test_vllm_is_told_the_point(tmp_path: Path) -> None:
    words = ADAPTERS["vllm"].words(asked(tmp_path))
    assert words[:4] == ["bench", "serve", "--backend", "openai-chat"]
    assert (told(words, "--max-concurrency"), told(words, "--num-prompts"), told(words, "--num-warmups")) == (
        "8",
        "40",
        "2",
    )
    plain = ADAPTERS["vllm"].words(asked(tmp_path, Point(rate=3.0, arrivals="constant"), api="completions"))
    assert told(plain, "--endpoint") == "/v1/completions"
    assert (told(plain, "--request-rate"), told(plain, "--burstiness")) == ("3", "1000000")
    assert "--save-detailed" in plain


def test_genai_bench_is_told_the_point_and_refuses_rates(tmp_path: Path) -> None:
    words = ADAPTERS["genai-bench"].words(asked(tmp_path, Point(concurrency=8, requests=38, warmup=2, seconds=61)))
    assert (told(words, "--num-concurrency"), told(words, "--max-time-per-run")) == ("8", "2")
    assert told(words, "--warmup-ratio") == "0.050"
    assert json.loads(told(words, "--additional-request-params")) == {"max_tokens": 16, "temperature": 0}
    with pytest.raises(BadValue, match="keeps no rate"):
        ADAPTERS["genai-bench"].words(asked(tmp_path, OPEN))


@pytest.mark.parametrize("client", ADAPTERS)
def test_each_client_gets_the_prompts_of_the_built_in_one(client: str, tmp_path: Path) -> None:
    prompts = [Prompt("one two"), Prompt("", ({"role": "user", "content": "three"},), max_tokens=3)]
    adapter = ADAPTERS[client]
    adapter.write_prompts(asked(tmp_path), prompts)
    (file,) = tmp_path.iterdir()
    lines = file.read_text().splitlines()
    assert len(lines) == 2
    assert "one two" in lines[0]
    assert "three" in lines[1]
    assert any(str(file) in word for word in adapter.words(asked(tmp_path)))


@pytest.mark.parametrize("client", ADAPTERS)
@pytest.mark.parametrize("text", [None, "", "{}", "[]", '{"benchmarks": []}'])
def test_an_output_that_is_none_is_said_so(client: str, text: str | None, tmp_path: Path) -> None:
    place = tmp_path / PLACES[client][1]
    place.parent.mkdir(parents=True, exist_ok=True)
    if text is not None:
        place.write_text(text)
    assert nothing_in(client, asked(tmp_path))


def nothing_in(client: str, repeat: Asked) -> bool:
    try:
        return not ADAPTERS[client].records(repeat)
    except NoOutput:
        return True
