"""What Prometheus reads: well-formed whatever pools are called, and nothing that grows with the work."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from passloop.engine.engine import EngineStatus
from passloop.kernel.overview import PoolView
from passloop.web import own_commands
from passloop.web.figures import figures_of, metrics_text
from passloop.web.own_commands import OwnCommands, TooSlow
from tests.support.engines import rig
from tests.support.served import served

STATUS = EngineStatus(state="paused: disk full", started_at=1_500, turns=7, passes=3, attempts=2)
POOL = PoolView("cpu", "amount", 2_000, 500, 1_500, None, "open", None, None, ())
LINE = re.compile(r'^[a-z_]+(\{[a-z]+="(?:[^"\\\n]|\\["\\n])*"(,[a-z]+="(?:[^"\\\n]|\\["\\n])*")*\})? -?[0-9.e+-]+$')


def text_of(*pools: PoolView) -> str:
    return metrics_text(figures_of(STATUS, {"ready": 5}, 9, devices=(), pools=pools))


@pytest.mark.parametrize("name", ["cpu", 'a"b', "a\\b", "a\nb", "host:1/v1@KEY/model", "<b>"])
def test_every_line_is_well_formed_whatever_a_pool_is_called(name: str) -> None:
    lines = text_of(replace(POOL, name=name)).splitlines()
    assert [line for line in lines if not line.startswith("#") and not LINE.match(line)] == []


def test_figures_say_what_they_are() -> None:
    text = text_of(POOL, replace(POOL, name="limited", limit=4, gate="cooling"))
    assert 'passloop_up{state="paused"} 1' in text
    assert 'passloop_tasks{state="ready"} 5' in text
    assert "passloop_start_time_seconds 1.5" in text
    assert 'passloop_pool_used{pool="cpu"} 500' in text
    assert 'passloop_pool_state{pool="limited",state="cooling"} 1' in text
    assert text.count("passloop_pool_limit{") == 1


async def test_the_number_of_lines_does_not_grow_with_the_work(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        reader, writer = await one.connect()
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        before = (await reader.read()).count(b"\n")
        writer.close()
        await writer.wait_closed()
        await one.submit(50, group="lab")
        reader, writer = await one.connect()
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert (await reader.read()).count(b"\n") == before
        writer.close()
        await writer.wait_closed()


async def test_a_command_of_ours_that_takes_too_long_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_commands, "SECONDS", 0.01)
    async with rig(tmp_path) as made:
        with pytest.raises(TooSlow, match="more than a minute"):
            await OwnCommands(made.engine).run(["status"])
