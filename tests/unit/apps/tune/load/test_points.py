"""The load client before real servers: what it sends, what it measures, and when it gives up."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from passloop.apps.errors import BadValue
from passloop.apps.tune.load.client import Progress
from passloop.apps.tune.load.errors import NoModel
from passloop.apps.tune.load.points import load, records_in
from passloop.apps.tune.records import LoadOrder, Point, PointResult, Slo
from passloop.testing.endpoint import FaultyEndpoint
from passloop.testing.script import Fault, ModelScript, Script
from passloop.testing.server import ScriptedServer
from passloop.testing.server_script import ServerScript

CLOSED = Point(concurrency=2, requests=6, warmup=0)


@asynccontextmanager
async def serving(**script: Any) -> AsyncIterator[str]:
    """A model server with fixed times; its URL."""
    server = ScriptedServer(ServerScript(**{"ttft": 10, "tpot": 1, **script}))
    before = asyncio.all_tasks()
    await server.start()
    try:
        yield server.url
    finally:
        server.stop()
        await asyncio.gather(*(asyncio.all_tasks() - before))  # its connections, which the client has closed
        await asyncio.sleep(0)


@asynccontextmanager
async def failing(*faults: Fault, **script: Any) -> AsyncIterator[FaultyEndpoint]:
    """A faulty endpoint."""
    models = {"small": ModelScript(latency=4, faults=faults)}
    endpoint = FaultyEndpoint(Script(models=models, default=None, **script))
    await endpoint.start()
    try:
        yield endpoint
    finally:
        await endpoint.stop()


def order(**options: Any) -> LoadOrder:
    return LoadOrder(max_tokens=4, options=options)


async def loaded(url: str, point: Point = CLOSED, **options: Any) -> PointResult:
    return await load(order(**options), point, url)


async def test_a_closed_loop_keeps_so_many_requests_in_flight_and_no_more() -> None:
    async with serving(ttft=20, tpot=4) as url:
        result = await loaded(url, Point(concurrency=2, requests=6, warmup=0))
    assert (result.requests, result.errors, result.stopped) == (6, 0, None)
    assert result.metrics["ttft"]["p50"] >= 20
    assert result.metrics["e2e"]["p50"] >= 31  # the server never writes a token before its time
    assert result.duration >= 3 * 31


@pytest.mark.parametrize(("api", "tokens_in"), [("completions", 32), ("chat", 35)])
async def test_usage_of_the_server_counts_the_tokens(api: str, tokens_in: int, tmp_path: Path) -> None:
    async with serving() as url:
        await load(order(api=api), CLOSED, url + "/v1/", folder=tmp_path)
    records = sorted(records_in(tmp_path / "requests.jsonl"), key=lambda record: record.index)
    assert {(one.tokens_in, one.tokens_out, one.chunks, one.status) for one in records} == {(tokens_in, 4, 4, 200)}
    assert [record.index for record in records] == [0, 1, 2, 3, 4, 5]
    assert all(record.scheduled <= record.sent < (record.first or 0) < (record.last or 0) for record in records)


async def test_latency_counts_from_the_scheduled_time() -> None:
    """vllm #54101: with one request at a time allowed, those that are due wait, and their wait is the load's latency.

    Each takes 23 ms and one is due every ms, so the last of 12 is answered 12 x 23 ms after the first was due.
    """
    point = Point(rate=1000.0, arrivals="constant", requests=12, warmup=0)
    async with serving(ttft=20, tokens=4) as url:
        result = await loaded(url, point, in_flight=1, stop_saturated=False)
    assert result.metrics["e2e"]["p99"] >= 0.9 * (12 * 23 - 11)
    assert result.metrics["ttft"]["p50"] >= 4 * 23
    assert result.metrics["tpot"]["p50"] < result.metrics["ttft"]["p50"] / 4


async def test_an_open_loop_sends_whether_or_not_the_server_answers(tmp_path: Path) -> None:
    point = Point(rate=500.0, arrivals="constant", requests=20, warmup=0)
    async with failing(Fault(kind="hang")) as endpoint:
        asked = LoadOrder(timeout=100, options={"most_errors": None})
        result = await load(asked, point, endpoint.url, folder=tmp_path)
        assert endpoint.count("received") == 20
    assert result.error_kinds == {"timeout": 20}
    assert result.duration < 20 * 100
    records = records_in(tmp_path / "requests.jsonl")
    assert max(record.scheduled for record in records) == pytest.approx(38, abs=1)


async def test_the_warm_up_is_not_measured(tmp_path: Path) -> None:
    point = Point(concurrency=1, requests=3, warmup=2, repeats=2)
    async with failing() as endpoint:
        result = await load(order(), point, endpoint.url, folder=tmp_path)
        assert endpoint.count("answered") == 10
    assert result.requests == len(records_in(tmp_path / "requests.jsonl")) == 6
    assert set(result.half_width["ttft"]) == {"mean", "p50", "p90", "p95", "p99"}


async def test_no_prompt_is_sent_twice_not_even_after_the_warm_up(tmp_path: Path) -> None:
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("\n".join("word " * count for count in range(1, 11)), encoding="utf-8")
    async with serving() as url:
        asked = LoadOrder(max_tokens=1, prompts=str(prompts))
        await load(asked, Point(concurrency=2, requests=4, repeats=2), url, folder=tmp_path)
    assert len({record.tokens_in for record in records_in(tmp_path / "requests.jsonl")}) == 8


async def test_the_model_is_the_servers_first_unless_it_is_named() -> None:
    async with failing() as endpoint:
        assert (await loaded(endpoint.url)).errors == 0
        wrong = await load(LoadOrder(model="large"), CLOSED, endpoint.url)
        assert wrong.error_kinds == {"http_404": 6}
        assert endpoint.count("answered", "small") == 6


async def test_a_server_that_names_no_model_is_said_so() -> None:
    endpoint = FaultyEndpoint(Script())
    url = await endpoint.start()
    with pytest.raises(NoModel, match=r"load\.model"):
        await loaded(url)
    await endpoint.stop()
    with pytest.raises(NoModel, match="no connection"):
        await loaded(url)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault(status=503), "http_503"),
        (Fault(kind="close"), "closed"),
        (Fault(kind="cut"), "closed"),
    ],
)
async def test_each_error_has_its_kind_and_is_counted(fault: Fault, kind: str) -> None:
    async with failing(fault) as endpoint:
        result = await loaded(endpoint.url)
    assert result.error_kinds == {kind: 6}
    assert result.stopped == "error_rate"


async def test_an_answer_that_does_not_end_is_a_timeout() -> None:
    async with failing(Fault(kind="hang", first=2, last=4)) as endpoint:
        result = await load(LoadOrder(timeout=1_000), CLOSED, endpoint.url)
    assert result.error_kinds == {"timeout": 2}
    assert result.stopped is None


async def test_an_answer_without_text_is_an_error() -> None:
    async with failing() as endpoint:
        result = await load(order(body={"stream": False}), CLOSED, endpoint.url)
    assert result.error_kinds == {"no_text": 6}


async def test_a_connection_that_the_server_closed_while_idle_costs_no_request() -> None:
    """llama.cpp does so after a while."""
    async with failing(drops_reused=True) as endpoint:
        result = await loaded(endpoint.url, Point(concurrency=2, requests=12))
        assert result.errors == 0
        assert endpoint.count("answered") == 13


async def test_a_point_is_given_up_when_too_many_requests_fail() -> None:
    async with failing(Fault(status=500, first=4)) as endpoint:
        result = await loaded(endpoint.url, Point(concurrency=2, requests=500, warmup=0))
    assert result.stopped == "error_rate"
    assert result.requests < 20
    assert result.error_kinds["http_500"] > 4


async def test_a_point_that_was_given_up_is_not_repeated() -> None:
    async with failing(Fault(status=500)) as endpoint:
        result = await loaded(endpoint.url, Point(concurrency=2, requests=6, warmup=0, repeats=3))
        assert endpoint.count("received") == result.requests == 6


async def test_a_warm_up_that_fails_altogether_ends_the_point() -> None:
    async with failing(Fault(status=500)) as endpoint:
        result = await loaded(endpoint.url, Point(concurrency=2, requests=90, warmup=30))
        assert endpoint.count("received") < 30
    assert result.stopped == "error_rate"


async def test_errors_may_be_allowed() -> None:
    async with failing(Fault(status=500, share=0.7)) as endpoint:
        result = await loaded(endpoint.url, Point(concurrency=2, requests=30, warmup=0), most_errors=None)
    assert (result.requests, result.stopped) == (30, None)


async def test_a_point_is_given_up_when_the_server_over_saturates() -> None:
    point = Point(rate=800.0, arrivals="constant", requests=2000, warmup=0)
    async with serving(ttft=3, parallel=1, tokens=1) as url:
        result = await loaded(url, point)
    assert result.stopped == "saturated"
    assert result.saturated
    assert result.requests < 1000


async def test_a_repeat_ends_when_its_time_is_up() -> None:
    async with serving(ttft=5, tokens=1) as url:
        closed = await loaded(url, Point(concurrency=2, requests=100_000, warmup=0, seconds=0.1))
        opened = await loaded(url, Point(rate=100.0, arrivals="constant", requests=999, warmup=0, seconds=0.1))
    assert 2 <= closed.requests <= 42
    assert opened.requests == 10


async def test_slos_decide_which_requests_are_good() -> None:
    slo = [Slo(metric="ttft", stat="p95", most=5)]
    async with serving(ttft=10) as url:
        result = await load(order(), CLOSED, url, slo=slo, gpus=2)
    assert result.metrics["attainment"]["mean"] == 0
    assert result.metrics["goodput_per_gpu"]["mean"] == 0
    assert result.metrics["requests_per_second_per_gpu"]["mean"] > 0


async def test_progress_tells_each_phase_from_its_first_to_its_last_request() -> None:
    told: list[Progress] = []
    async with serving() as url:
        await load(order(), Point(concurrency=2, requests=6, warmup=3, repeats=2), url, progress=told.append)
    ends = [(one.phase, one.repeat, one.done, one.requests) for one in told if one.done in (0, one.requests)]
    assert ends == [
        (phase, repeat, done, requests)
        for repeat in (0, 1)
        for phase, requests in (("warmup", 3), ("measuring", 6))
        for done in (0, requests)
    ]
    assert all(one.repeats == 2 and one.point == "concurrency=2" for one in told)


async def test_a_cancelled_load_leaves_nothing_behind(tmp_path: Path) -> None:
    started = asyncio.Event()
    point = Point(concurrency=4, requests=100, warmup=0)

    def on_progress(told: Progress) -> None:
        if told.done:
            started.set()

    async with serving(ttft=5, tokens=200) as url:
        before = asyncio.all_tasks()
        loading = asyncio.create_task(load(LoadOrder(max_tokens=20), point, url, folder=tmp_path, progress=on_progress))
        await started.wait()
        loading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await loading
        left = {task for task in asyncio.all_tasks() - before if "load" in repr(task.get_coro())}
    assert not left
    assert records_in(tmp_path / "requests.jsonl")
    gc.collect()  # an open file or socket would warn, and a warning is an error


async def test_a_line_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    async with serving() as url:
        await load(order(), CLOSED, url, folder=tmp_path)
    file = tmp_path / "requests.jsonl"
    whole = file.read_bytes()
    file.write_bytes(whole[:-20])
    assert len(records_in(file)) == 5
    assert json.loads(whole.splitlines()[0])["point"] == "concurrency=2"


async def test_a_key_is_a_reference_and_opens_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOAD_KEY", "opens-sesame")
    async with failing(api_keys=("opens-sesame",)) as endpoint:
        assert (await loaded(endpoint.url, api_key="env:LOAD_KEY")).errors == 0
        assert (await loaded(endpoint.url)).error_kinds == {"http_401": 6}
    with pytest.raises(BadValue, match="NO_SUCH_KEY"):
        await loaded(endpoint.url, api_key="env:NO_SUCH_KEY")


@pytest.mark.parametrize("url", ["ftp://x", "127.0.0.1:80", "http://"])
async def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(BadValue, match="no URL"):
        await loaded(url)
