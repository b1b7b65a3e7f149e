"""Datasets from a real engine and a faulty endpoint: rows, faults, resumption, limits."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import signal
import subprocess
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from passloop.apps.generate.call_times import call_times
from passloop.apps.generate.export import FORMATS, export_dataset
from passloop.apps.generate.parts import PartStore, table_of, write_file
from passloop.apps.generate.report_html import report_html
from passloop.apps.generate.row_view import row_view
from passloop.apps.generate.settling import Settling
from passloop.cli.client import Client
from passloop.cli.reads import EngineReads
from passloop.cli.run_whys import run_why
from passloop.testing.endpoint import FaultyEndpoint
from passloop.testing.script import Fault, ModelScript, Script
from tests.support.command_line import Box
from tests.support.generating import dataset_from, generating, model_columns

COLUMNS: list[dict[str, Any]] = [
    {"name": "topic", "kind": "sampler", "choice": {"values": ["billing", "defect"]}},
    {"name": "ticket", "kind": "llm_text", "model": "m", "prompt": "about {{ topic }}"},
    {"name": "reply", "kind": "llm_text", "model": "m", "prompt": "reply to {{ ticket }} of {{ words }} words"},
    {"name": "words", "kind": "expression", "expr": "{{ ticket.split() | length }}"},
]


def rows_of(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return found


def script(**models: ModelScript) -> Script:
    return Script(default=ModelScript(latency=0), models=models)


async def test_rows_have_all_their_columns_and_cells_wait_for_their_inputs(tmp_path: Path) -> None:
    async with generating(tmp_path, script()) as stand:
        made = await stand.make(stand.dataset(columns=COLUMNS))
        assert (made.exit_code, made.counts["kept"]) == (0, 6)
        rows = rows_of(tmp_path / "made.parquet")
        assert all(row["words"] == len(row["ticket"].split()) and row["reply"] for row in rows)
        assert stand.endpoint.count("answered") == 12


async def test_the_same_spec_again_asks_for_nothing_and_more_rows_only_for_the_new(tmp_path: Path) -> None:
    async with generating(tmp_path, script()) as stand:
        await stand.make(stand.dataset(columns=COLUMNS))
        first = rows_of(tmp_path / "made.parquet")
        await stand.make(stand.dataset(columns=COLUMNS))
        assert stand.endpoint.count("received") == 12
        made = await stand.make(stand.dataset(columns=COLUMNS, rows=9))
        assert made.counts["kept"] == 9
        assert stand.endpoint.count("received") == 18
        assert rows_of(tmp_path / "made.parquet")[:6] == first


async def test_another_prompt_asks_again_for_its_column_and_those_after_it_alone(tmp_path: Path) -> None:
    async with generating(tmp_path, script()) as stand:
        await stand.make(stand.dataset(columns=COLUMNS))
        changed = [*COLUMNS[:2], {**COLUMNS[2], "prompt": "other words on {{ ticket }}"}, COLUMNS[3]]
        await stand.make(stand.dataset(columns=changed))
        assert stand.endpoint.count("answered") == 12 + 6


async def test_a_model_that_always_says_429_ends_the_run_as_partial_with_all_other_cells_kept(tmp_path: Path) -> None:
    faults = script(dead=ModelScript(latency=0, faults=(Fault(status=429),)))
    async with generating(tmp_path, faults) as stand:
        spec = model_columns("one", "two", "dead", dead_after="300ms")
        made = await stand.make(stand.dataset(**spec))
        assert (made.exit_code, made.counts["incomplete"]) == (1, 6)
        (failure,) = made.failures
        assert (failure.column, failure.model, failure.endpoint) == ("by_dead", "dead", stand.endpoint.url)
        lacking = rows_of(tmp_path / "made.incomplete.parquet")
        assert all(row["by_one"] and row["by_two"] and row["lacks"] == "by_dead" for row in lacking)
        assert stand.endpoint.count("answered") == 12


async def test_a_model_that_came_back_gets_only_what_it_owes(tmp_path: Path) -> None:
    faults = script(dead=ModelScript(latency=0, faults=(Fault(status=400, last=6),)))
    async with generating(tmp_path, faults) as stand:
        spec = model_columns("one", "dead")
        assert (await stand.make(stand.dataset(**spec))).exit_code == 1
        made = await stand.make(stand.dataset(**spec))
        assert (made.exit_code, made.counts["kept"]) == (0, 6)
        assert stand.endpoint.count("answered") == 12
        assert not (tmp_path / "made.incomplete.parquet").exists()


async def test_rows_of_a_dead_model_are_dropped_if_that_is_wanted(tmp_path: Path) -> None:
    faults = script(dead=ModelScript(latency=0, faults=(Fault(status=400, last=1),)))
    async with generating(tmp_path, faults) as stand:
        made = await stand.make(stand.dataset(**model_columns("one", "dead"), on_dead_endpoint="drop_rows"))
        assert (made.exit_code, made.counts["kept"]) == (0, 5)
        assert made.dropped == {"no answer for by_dead": 1}
        assert any("column by_dead (model dead" in line for line in made.lines()), "the last lines say what held it"


@pytest.mark.timeout(60)
async def test_wait_for_a_dataset_waits_for_cells_that_are_not_written_out_yet(box: Box) -> None:
    async with generating(box.folder, script(one=ModelScript(latency=100))) as stand:
        await stand.declare(stand.dataset(**model_columns("one", max_in_flight=1), rows=20, row_group=1))
        said = await asyncio.to_thread(box.run, "wait", "--quiet", "--json", "@made")
        assert (said.code, len(said.json()["tasks"])) == (0, 20), said
        short = await asyncio.to_thread(box.run, "wait", "--timeout", "1s", "@made")
        assert short.code == 0, short


async def told(process: subprocess.Popen[str], word: str) -> None:
    """Until a command has said this on stderr."""
    assert process.stderr is not None
    while word not in await asyncio.to_thread(process.stderr.readline):
        assert process.poll() is None


@pytest.mark.timeout(60)
async def test_two_ctrl_c_end_the_dataset_and_not_only_the_engine(box: Box) -> None:
    async with AsyncExitStack() as stack:
        endpoint = FaultyEndpoint(script(one=ModelScript(latency=50_000)), log=box.folder / "bills.jsonl")
        await endpoint.start()
        stack.push_async_callback(endpoint.stop)
        made = dataset_from(box.folder, endpoint.url, **model_columns("one", max_in_flight=1), rows=20, row_group=1)
        (box.folder / "spec.yaml").write_text(json.dumps(json.loads(made.wire())["spec"]))
        with box.started("generate", "spec.yaml") as process:
            for word in ("1 running", "nothing new starts"):
                await told(process, word)
                process.send_signal(signal.SIGINT)
            await asyncio.to_thread(process.wait, 30)
        assert {task["state"] for task in box.json("ls")["tasks"]} == {"cancelled"}


@pytest.mark.timeout(60)
async def test_failed_cells_can_be_retried_and_the_command_then_has_nothing_to_ask(box: Box) -> None:
    faults = script(dead=ModelScript(latency=0, faults=(Fault(status=400, last=6),)))
    async with generating(box.folder, faults) as stand:
        made = stand.dataset(**model_columns("one", "dead"))
        assert (await stand.make(made)).exit_code == 1
        said = await asyncio.to_thread(box.run, "retry", "--failed", "--json")
        assert said.code == 0, said
        waited = await asyncio.to_thread(box.run, "wait", "state:ready", "state:running", "state:admitted")
        assert waited.code in (0, 3), waited
        asked = stand.endpoint.count("received")
        assert asked == 18
        assert (await stand.make(made)).exit_code == 0
        assert stand.endpoint.count("received") == asked


async def test_a_structured_answer_is_refused_until_it_is_valid(tmp_path: Path) -> None:
    answers = ("no JSON at all", '{"n": "one"}', '{"n": 1}')
    schema = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}
    columns = [{"name": "f", "kind": "llm_structured", "model": "m", "schema": schema, "prompt": "a number"}]
    async with generating(tmp_path, script(m=ModelScript(latency=0, answers=answers))) as stand:
        made = await stand.make(stand.dataset(columns=columns, rows=1))
        assert made.exit_code == 0
        assert rows_of(tmp_path / "made.parquet") == [{"f": {"n": 1}}]
        assert made.usage["f"]["output"] == sum(int(bill["tokens"][1]) for bill in stand.bills if "tokens" in bill)


async def test_a_judge_gives_a_score_and_skipped_rows_ask_nothing(tmp_path: Path) -> None:
    rubric = {"scores": {"1": "bad", "5": "good"}}
    skip = {"when": "{{ n == 1 }}", "value": None}
    columns = [
        {"name": "n", "kind": "sampler", "integer": {"low": 1, "high": 2}},
        {"name": "g", "kind": "llm_judge", "model": "m", "prompt": "x", "rubric": rubric, "skip": skip},
    ]
    async with generating(tmp_path, script(m=ModelScript(latency=0, answers=('{"score": 5}',)))) as stand:
        await stand.make(stand.dataset(columns=columns))
        rows = rows_of(tmp_path / "made.parquet")
        assert all(row["g"] == (None if row["n"] == 1 else 5) for row in rows)
        assert stand.endpoint.count("received") == sum(row["n"] == 2 for row in rows) < 6


async def test_a_target_ends_with_exactly_so_many_kept_rows(tmp_path: Path) -> None:
    columns = [*COLUMNS[:2], {"name": "n", "kind": "sampler", "integer": {"low": 0, "high": 1}}]
    async with generating(tmp_path, script()) as stand:
        made = await stand.make(stand.dataset(columns=columns, keep="{{ n == 1 }}", target=7, rows=200))
        assert (made.exit_code, made.counts["kept"]) == (0, 7)
        assert all(row["n"] == 1 for row in rows_of(tmp_path / "made.parquet"))
        assert stand.endpoint.count("answered") < 60


async def test_the_cost_limit_ends_asking(tmp_path: Path) -> None:
    models = {"m": {"endpoint": "here", "model": "m", "max_in_flight": 1, "price": {"input": 0, "output": 1_000_000}}}
    async with generating(tmp_path, script()) as stand:
        made = await stand.make(stand.dataset(models=models, limits={"max_cost": 1.0}))
        assert (made.exit_code, made.counts["kept"]) == (1, 1)
        assert "cost limit" in made.failures[0].message


async def test_python_columns_see_what_is_committed(tmp_path: Path) -> None:
    (tmp_path / "owncols.py").write_text(
        "def one(row):\n    return {'up': row['ticket'].upper(), 'n': len(row['ticket'])}\n"
        "def all_of(rows):\n    return [sum(len(each['up']) for each in rows)] * len(rows)\n"
    )
    columns = [
        *COLUMNS[:2],
        {"name": "both", "kind": "python", "call": "owncols:one", "needs": ["ticket"], "outputs": ["up", "n"]},
        {"name": "sums", "kind": "python", "call": "owncols:all_of", "needs": ["up"], "batch": True},
    ]
    async with generating(tmp_path, script()) as stand:
        made = await stand.make(stand.dataset(columns=columns, rows=4))
        assert made.exit_code == 0, made.failures
        rows = rows_of(tmp_path / "made.parquet")
        assert all(row["up"] == row["ticket"].upper() and row["n"] == len(row["ticket"]) for row in rows)
        assert [row["sums"] for row in rows[:2]] == [rows[0]["n"] + rows[1]["n"]] * 2


@pytest.mark.timeout(60)
async def test_an_edited_python_column_is_told_and_made_anew_by_another_version(box: Box) -> None:
    async def said(returns: str, **column: Any) -> str:
        (box.folder / "owncols.py").write_text(f"def one(row):\n    return {returns}\n")
        column = {"name": "one", "kind": "python", "call": "owncols:one", "needs": [], **column}
        (box.folder / "s.yaml").write_text(json.dumps({"generate": "made", "rows": 1, "columns": [column]}))
        told = await asyncio.to_thread(box.run, "generate", "s.yaml")
        assert told.code == 0, told
        return f"{told.err}{rows_of(box.folder / 'made.parquet')[0]['one']}"

    async with generating(box.folder, script()):
        assert (await said("1")).endswith("1")
        again = await said("2")
        assert "column one: the module of owncols:one was changed" in again
        assert again.endswith("nothing is asked\n1")
        assert (await said("2", version=2)).endswith("2")


@pytest.mark.timeout(60)
async def test_the_command_makes_a_file_and_tells_what_came_of_it(box: Box) -> None:
    async with generating(box.folder, script()) as stand:
        spec = stand.dataset(columns=COLUMNS)
        (box.folder / "spec.yaml").write_text(json.dumps(json.loads(spec.wire())["spec"]))
        said = await asyncio.to_thread(box.run, "generate", "spec.yaml", "--json")
        assert said.code == 0, said
        assert said.json()["counts"] == {"rows": 6, "kept": 6, "dropped": 0, "incomplete": 0}
        assert len(rows_of(box.folder / "made.parquet")) == 6


def test_a_dataset_that_asks_nobody_is_made_without_a_run(box: Box) -> None:
    columns = [
        {"name": "size", "kind": "sampler", "integer": {"low": 1, "high": 9}},
        {"name": "twice", "kind": "expression", "expr": "{{ 2 * size }}"},
    ]
    (box.folder / "s.yaml").write_text(json.dumps({"generate": "s", "rows": 3, "out": "s.parquet", "columns": columns}))
    said = box.run("generate", "s.yaml")
    assert (said.code, said.out) == (0, f"3 rows -> {box.folder / 's.parquet'}\n"), said
    assert "no column asks anybody" in said.err
    assert [row["twice"] // 2 for row in rows_of(box.folder / "s.parquet")] == [
        row["size"] for row in rows_of(box.folder / "s.parquet")
    ]
    assert "row 1 (kept)" in box.run("generate", "s.yaml", "--preview", "2").out
    assert box.run("ls").err == "no tasks\n"


def test_a_row_for_which_keep_fails_is_not_one_that_was_to_be_dropped(box: Box) -> None:
    columns = [{"name": "size", "kind": "sampler", "integer": {"low": 1, "high": 9}}]
    made = dataset_from(box.folder, columns=columns, keep="{{ 1 / (size - size) > 0 }}")
    (box.folder / "s.yaml").write_text(json.dumps(json.loads(made.wire())["spec"]))
    for _ in range(2):
        said = box.run("generate", "s.yaml")
        assert (said.code, "6 rows that can be neither kept nor dropped: keep: ZeroDivision" in said.out) == (1, True)
        assert rows_of(box.folder / "made.parquet") == []
    assert all(row["lacks"].startswith("keep: Zero") for row in rows_of(box.folder / "made.incomplete.parquet"))
    as_before = PartStore(made.out).told(made.out) | {"incomplete": 0, "dropped": {"keep: ZeroDivisionError": 6}}
    write_file(made.out, [table_of([], ["size"])], as_before)
    assert Settling(made).written() is None, "an older version's file is no whole one"


@pytest.mark.timeout(60)
def test_a_plan_is_made_without_its_key_or_code_and_says_what_would_be_missing(box: Box) -> None:
    spec = json.loads(dataset_from(box.folder).wire())["spec"]
    spec["endpoints"]["here"]["api_key"] = "env:NO_SUCH_KEY"
    spec["columns"].append({"name": "more", "kind": "python", "call": "no_such_module:f", "needs": ["text"]})
    (box.folder / "made.yaml").write_text(json.dumps(spec))
    told = box.run("plan", "made.yaml")
    assert (told.code, "m: 6 calls" in told.out) == (0, True), told.err
    assert "would not start yet" in told.err
    assert "NO_SUCH_KEY" in told.err
    assert "there is no module `no_such_module`" in told.err
    refused = box.run("generate", "made.yaml")
    assert (refused.code, "there is no module `no_such_module`" in refused.err) == (2, True)


async def test_a_dead_endpoint_ends_the_run_if_that_is_wanted(box: Box) -> None:
    faults = script(dead=ModelScript(latency=0, faults=(Fault(status=503),)), one=ModelScript(latency=60_000))
    async with generating(box.folder, faults) as stand:
        spec = stand.dataset(**model_columns("one", "dead", dead_after="300ms"), on_dead_endpoint="fail")
        (box.folder / "spec.yaml").write_text(json.dumps(json.loads(spec.wire())["spec"]))
        said = await asyncio.to_thread(box.run, "generate", "spec.yaml", "--json")
        assert said.code == 1, said
        dead, cancelled = said.json()["failures"]
        assert dead["column"] == "by_dead"
        assert "503" in dead["message"]
        assert cancelled["message"].startswith("cancelled: pool")


async def test_a_dataset_is_exported_reported_and_shown(tmp_path: Path) -> None:
    async with generating(tmp_path, script()) as stand:
        made = stand.dataset(columns=COLUMNS)
        summary = await stand.make(made)
        rows = rows_of(tmp_path / "made.parquet")
        for form in FORMATS:
            export_dataset(made.out, tmp_path / f"other.{form}", form)
        with (tmp_path / "other.csv").open(newline="") as file:
            assert [row["ticket"] for row in csv.DictReader(file)] == [row["ticket"] for row in rows]
        assert [json.loads(line) for line in (tmp_path / "other.jsonl").read_text().splitlines()] == rows
        assert rows_of(tmp_path / "other.hf" / "data" / "train-00000-of-00001.parquet") == rows
        times = await stand.host.engine.read(lambda reader: call_times(reader, made))
        page = report_html(made, summary, times, [{"ticket": "<script>"}], made_at=0)
        assert "<script>" not in page
        view = await stand.host.engine.read(lambda reader: row_view(reader, made, 3))
        told = {column["name"]: column for column in view["columns"]}
        assert told["ticket"]["value"] == rows[3]["ticket"]
        assert rows[3]["ticket"] in told["reply"]["prompt"][0]["content"]
        assert told["reply"]["attempts"][0]["outcome"] == "success"


async def test_calls_are_counted_and_drawn_by_model_and_time(tmp_path: Path) -> None:
    faults = script(busy=ModelScript(latency=20, faults=(Fault(status=429, retry_after=1, last=2),)))
    async with generating(tmp_path, faults) as stand:
        made = stand.dataset(**model_columns("one", "busy", max_in_flight=2))
        summary = await stand.make(made)
        times = await stand.host.engine.read(lambda reader: call_times(reader, made))
        told = {model.name: dict(model.counts) for model in times.models}
        assert told == {"one": {"answered": 6}, "busy": {"refused": 2, "answered": 6}}
        assert times.length >= 1_000, "the refused model was waited for"
        for model in times.models:
            assert sum(sum(step.ended.values()) for step in model.steps) == model.counts.total()
            assert max(step.under_way for step in model.steps) <= 2
        page = report_html(made, summary, times, [], made_at=0)
        busy, one = (next(model for model in times.models if model.name == name) for name in ("busy", "one"))
        assert {most for _, most in one.allowed} == {2}
        assert [most for _, most in busy.allowed[:3]] == [2, 0, 1], "open, closed for a second, tried with one"
        assert busy.allowed[2][0] - busy.allowed[1][0] >= 1_000
        assert "at most" in page
        assert "max_in_flight" not in page, "what it was allowed then is known"


async def test_why_of_a_run_says_what_each_of_its_columns_waits_for(tmp_path: Path) -> None:
    faults = script(busy=ModelScript(latency=0, faults=(Fault(status=429, retry_after=3600),)))
    async with generating(tmp_path, faults) as stand:
        await stand.declare(stand.dataset(**model_columns("one", "busy"), rows=2, row_group=2))
        async for rows in stand.host.engine.feed.after(0):
            if any('"rate_limited"' in row.events for row in rows):
                break
        reads = EngineReads(Client(str(tmp_path / "home")))
        told = await asyncio.to_thread(run_why, reads, "@made")
        assert told is not None
        (held,) = [one for one in told["waiting"] if one["group"] == "default/made/by_busy"]
        assert held["blockers"][0]["code"] == "cooling"
        assert held["blockers"][0]["pool"].endswith("/busy")


@pytest.mark.timeout(90)
def test_the_example_runs_as_it_is_and_asks_for_nothing_twice(tmp_path: Path) -> None:
    script_file = Path(__file__).parents[2] / "examples" / "generate" / "demo.sh"
    told = {"PASSLOOP_HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path), "PYTHON": sys.executable}
    told["PASSLOOP"] = str(Path(sys.executable).with_name("passloop"))
    done = subprocess.run(
        ["sh", str(script_file)], env=os.environ | told, capture_output=True, text=True, timeout=80, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "the second run asked for 0 answers" in done.stdout
