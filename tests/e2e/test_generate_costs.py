"""What a dataset took is told as far as endpoints tell it; a figure that nobody gave is not 0."""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path
from typing import Any

import pytest

from passloop.apps.generate import caller
from passloop.apps.generate.call_times import CallTimes
from passloop.apps.generate.costs import spent_of
from passloop.apps.generate.report_html import report_html
from passloop.apps.generate.settling import Settling
from passloop.drivers import descriptors
from passloop.engine.retrying import retry
from passloop.testing.script import Fault, ModelScript, Script
from tests.support.command_line import Box
from tests.support.generating import generating

pytestmark = pytest.mark.timeout(60)

PRICED = {"m": {"endpoint": "here", "model": "m", "price": {"input": 1, "output": 3}}}
COLUMNS = [
    {"name": "said", "kind": "llm_text", "model": "m", "prompt": "say something"},
    {"name": "never", "kind": "llm_text", "model": "m", "prompt": "no", "skip": {"when": "{{ true }}", "value": "x"}},
]


async def test_an_endpoint_that_tells_no_tokens_is_said_to_tell_none(tmp_path: Path) -> None:
    async with generating(tmp_path, Script(default=ModelScript(latency=0, usage=False))) as stand:
        dataset = stand.dataset(models=PRICED, columns=COLUMNS)
        made = await stand.make(dataset)
    assert made.untold == ("said",)
    assert made.document(None)["untold_usage"] == ["said"]
    assert "  said: its endpoint tells no tokens, so what it costs is not known" in made.lines()
    assert "  never: 0 tokens in, 0 out, cost 0.0000" in made.lines()
    page = report_html(dataset, made, CallTimes((), 1, 1, 0), (), made_at=0)
    assert page.count("not told") == 2


async def test_an_endpoint_that_tells_them_is_believed(tmp_path: Path) -> None:
    async with generating(tmp_path, Script(default=ModelScript(latency=0))) as stand:
        made = await stand.make(stand.dataset(models=PRICED, columns=COLUMNS))
        told = [line["tokens"] for line in stand.bills if line["what"] == "answered"]
    assert made.untold == ()
    read, written = (sum(each[place] for each in told) for place in (0, 1))
    assert made.usage["said"] == {"input": read, "output": written, "cost": pytest.approx((read + 3 * written) / 1e6)}


THREE = {"m": {"endpoint": "here", "model": "m", "max_in_flight": 1, "price": {"input": 0, "output": 1_000_000}}}
"""With an answer of three words: one costs 3."""


def three(*faults: Fault) -> Script:
    return Script(default=ModelScript(latency=0, faults=faults, answers=("one two three",)))


async def test_what_a_later_run_of_a_dataset_spends_counts_for_a_retry_in_an_older_one(tmp_path: Path) -> None:
    limited: dict[str, Any] = {"models": THREE, "limits": {"max_cost": 5}}
    async with generating(tmp_path, three(Fault(status=400, last=1))) as stand:
        older = await stand.make(stand.dataset(rows=1, **limited))
        assert (older.failures[0].cells, stand.endpoint.count("answered")) == (1, 0)
        newer = [{**COLUMNS[0], "name": "text", "prompt": "say something else"}]
        assert (await stand.make(stand.dataset(rows=2, columns=newer, **limited))).counts["kept"] == 2
        (again,) = (await retry(stand.host.engine, [older.failures[0].task])).created
        await stand.host.engine.wait_final([again])
        (attempt,) = await stand.host.engine.read(lambda reader: reader.attempts(again))
        assert attempt.outcome is not None
        assert attempt.outcome.message == "the cost limit is reached: 6.0000 of max_cost 5"
        assert stand.endpoint.count("answered") == 2


async def test_what_a_failed_cell_cost_is_counted_on_after_a_broad_rm(box: Box) -> None:
    rubric = {"scores": {"1": "bad", "5": "good"}}
    judged = {"name": "text", "kind": "llm_judge", "model": "m", "prompt": "rate it", "rubric": rubric}
    async with generating(box.folder, three()) as stand:
        dataset = stand.dataset(rows=1, models=THREE, columns=[judged])
        made = await stand.make(dataset)
        cost = made.usage["text"]["cost"]
        assert (made.counts["kept"], cost >= 3) == (0, True)
        plan = await asyncio.to_thread(box.run, "rm", "-n", "--failed")
        assert ("would rm 0 tasks" in plan.out, "counts what it cost" in plan.err) == (True, True)
        left = await asyncio.to_thread(box.run, "rm", "--failed")
        assert ("removed" in left.out, "counts what it cost" in left.err) == (False, True)
        _read, written = (await stand.host.engine.read(lambda reader: spent_of(reader, dataset)))["text"]
        assert written == cost
        gone = await asyncio.to_thread(box.run, "rm", "--failed", "--answers")
        assert ("removed 1 task" in gone.out, "is counted no more" in gone.err) == (True, True)


async def test_an_answer_that_could_not_be_judged_at_once_is_counted_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wants = [OSError(errno.EMFILE, "too many open files")]
    judged = caller.value_of

    def value_of(*asked: Any) -> Any:
        if wants:
            raise wants.pop()
        return judged(*asked)

    monkeypatch.setattr(descriptors, "AGAIN_S", 0)
    monkeypatch.setattr(caller, "value_of", value_of)
    async with generating(tmp_path, three()) as stand:
        made = await stand.make(stand.dataset(rows=2, models=THREE, limits={"max_cost": 5}))
    assert (made.counts["kept"], wants) == (2, [])


async def test_answers_that_were_cut_off_are_told_and_may_be_refused(tmp_path: Path) -> None:
    models = {"m": {"endpoint": "here", "model": "m", "params": {"max_tokens": 1}}}
    said = "column text: 6 answers are cut off: they were longer than `max_tokens` or the model allows"
    text = {**COLUMNS[0], "name": "text"}
    async with generating(tmp_path, Script(default=ModelScript(latency=0))) as stand:
        dataset = stand.dataset(models=models, columns=[text])
        made = await stand.make(dataset)
        assert (made.exit_code, made.document(None)["cut_off"], said in made.lines()) == (0, {"text": 6}, True)
        assert said in report_html(dataset, made, CallTimes((), 1, 1, 0), (), made_at=0)
        again = Settling(dataset).written()  # what the file says
        assert again is not None
        assert again.tally.cut_off == {"text": 6}
        refusing = stand.dataset(models=models, columns=[{**text, "cut_off": "refuse", "refusals": 0}], rows=1)
        refused = await stand.make(refusing)
    assert (refused.cut_off, refused.failures[0].cells) == ({}, 1)
    assert refused.failures[0].message == "refused: the answer was cut off, since it was too long; say less"
