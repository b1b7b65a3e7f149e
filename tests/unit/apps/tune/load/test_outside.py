"""A foreign client is a process of its own: run once a repeat, read, and ended with all that it started."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import psutil
import pytest

from passloop.apps.errors import BadValue
from passloop.apps.tune.load.client import Progress
from passloop.apps.tune.load.errors import ClientFailed
from passloop.apps.tune.load.points import load, records_in
from passloop.apps.tune.records import LoadOrder, Point

RECORDED = Path(__file__).parent / "recorded" / "vllm-bench.json"
URL = "http://127.0.0.1:9"
POINT = Point(concurrency=2, requests=6, warmup=0, repeats=2)
MEASURES = f"""
import shutil, sys
print("loading", flush=True)
shutil.copyfile({str(RECORDED)!r}, sys.argv[sys.argv.index("--result-dir") + 1] + "/vllm-bench.json")
"""
HANGS = """
import os, signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    open("child", "w").write(str(os.getpid()))
    open("pipe").read()
os.wait()
"""


def client(folder: Path, text: str) -> str:
    """A program that plays a load client."""
    path = folder / "client"
    path.write_text(f"#!{sys.executable}\n{text}", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def order(program: str, *, client: str = "vllm") -> LoadOrder:
    return LoadOrder(client=client, model="small", options={"program": program})


async def test_each_repeat_is_a_run_of_the_client(tmp_path: Path) -> None:
    told: list[Progress] = []
    asked = order(client(tmp_path, MEASURES))
    result = await load(asked, POINT, URL, folder=tmp_path, gpus=2, progress=told.append)
    assert (result.requests, result.errors, result.stopped) == (12, 4, None)
    assert result.half_width["ttft"]["mean"] == 0
    assert "goodput_per_gpu" in result.metrics
    assert [(one.repeat, one.done) for one in told] == [(0, 0), (0, 6), (1, 0), (1, 6)]
    assert [record.repeat for record in records_in(tmp_path / "requests.jsonl")] == [0] * 6 + [1] * 6
    assert (tmp_path / "vllm-concurrency=2-0" / "said.log").read_text() == "loading\n"


async def test_a_client_that_measured_counts_whatever_its_exit_code(tmp_path: Path) -> None:
    result = await load(order(client(tmp_path, MEASURES + "sys.exit(1)")), POINT, URL)
    assert result.requests == 12


async def test_too_many_failed_requests_end_the_point(tmp_path: Path) -> None:
    asked = LoadOrder(client="vllm", model="small", options={"program": client(tmp_path, MEASURES), "most_errors": 0.2})
    result = await load(asked, POINT, URL, folder=tmp_path)
    assert (result.requests, result.stopped) == (6, "error_rate")


async def test_a_client_without_a_result_is_quoted(tmp_path: Path) -> None:
    program = client(tmp_path, "print('no such flag: --backend'); raise SystemExit(2)")
    with pytest.raises(ClientFailed, match=r"code 2; .*\n.*no such flag: --backend"):
        await load(order(program), POINT, URL, folder=tmp_path)


async def test_a_cancelled_client_is_ended_with_all_that_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("passloop.apps.tune.load.outside.GRACE_SECONDS", 0.1)
    own = tmp_path / "vllm-concurrency=2-0"
    own.mkdir()
    os.mkfifo(own / "pipe")
    loading = asyncio.create_task(load(order(client(tmp_path, HANGS)), POINT, URL, folder=tmp_path))
    pipe = await asyncio.to_thread(os.open, own / "pipe", os.O_WRONLY)  # opens when the child does
    child = psutil.Process(int((own / "child").read_text()))
    loading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await loading
    os.close(pipe)
    await asyncio.to_thread(psutil.wait_procs, [child], 5)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (LoadOrder(client="wrk", model="small"), "no load client 'wrk'"),
        (LoadOrder(client="vllm", model="small", options={"program": "/no/such"}), "no program"),
        (LoadOrder(client="aiperf", model="small", options={"program": sys.executable}), "wants a tokenizer"),
        (LoadOrder(client="aiperf", model="small", options={"programme": "x"}), "cannot be read"),
        (
            LoadOrder(client="genai-bench", model="small", options={"program": sys.executable, "tokenizer": "x"}),
            "keeps no rate",
        ),
    ],
)
async def test_an_order_that_cannot_be_is_refused_before_anything_starts(asked: LoadOrder, said: str) -> None:
    with pytest.raises(BadValue, match=said):
        await load(asked, Point(rate=2.0), URL)
