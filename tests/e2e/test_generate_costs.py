"""What a dataset took is told as far as endpoints tell it; a figure that nobody gave is not 0."""

from __future__ import annotations

from pathlib import Path

import pytest

from passloop.apps.generate.call_times import CallTimes
from passloop.apps.generate.report_html import report_html
from passloop.testing.script import ModelScript, Script
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
