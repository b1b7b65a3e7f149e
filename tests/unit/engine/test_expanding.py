"""Units are written out by the app's expander, off the turn, and enter once, whatever dies between."""

from __future__ import annotations

import asyncio
import errno
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from passloop.engine.errors import EngineStopped, Refused
from passloop.engine.expanding import ExpandAsk, Expansion, in_thread
from passloop.kernel.events import Cancelled, Held, PoolDeclared, PoolKind, Released, SourceDeclared, SourceRetried
from passloop.kernel.ids import PoolName, RunId
from passloop.kernel.resources import Request
from passloop.kernel.source_rows import ResidentGuard, SourcePlan, SourceState, TemplateNode
from passloop.kernel.tasks import NewTask, TaskState
from passloop.store.errors import StoreBusy, StoreFull, StoreOutOfFiles
from passloop.store.reader import Reader, RunView
from passloop.store.sources import SourceView
from tests.support.builders import ask, spec_of
from tests.support.engines import Rig, one_cpu
from tests.support.expanding import PAYLOAD, ScriptedExpander, unit_of

TWO = (one_cpu(), spec_of(ask(licence=1)))
CELL = TemplateNode(one_cpu().request, completes=True)


def reworded(cause: Exception) -> Exception:
    """The error of an app that says another's in its own words."""
    error = ValueError("the list of rows cannot be read")
    error.__context__, error.__suppress_context__ = cause, True
    return error


NO_DESCRIPTOR = OSError(errno.EMFILE, "Too many open files")
WANTS = {
    "descriptors": NO_DESCRIPTOR,
    "in other words": reworded(NO_DESCRIPTOR),
    "files": StoreOutOfFiles("it cannot be opened", hint="", number=errno.EMFILE),
    "disk": StoreFull("disk I/O error", hint=""),
    "busy": StoreBusy("locked", hint=""),
}
"""What may keep anybody from knowing anything about a unit."""


def source(**plan: Any) -> SourceDeclared:
    return SourceDeclared("matrix", "scripted", SourcePlan((CELL,), **plan), spec='{"cells": 3}', about='{"kind": "x"}')


def three_units(asked: ExpandAsk) -> Expansion:
    return Expansion(unit_of(2, first=2 * asked.unit), exhausted=asked.unit == 2)


async def stored(rig: Rig, run: int) -> SourceView:
    found = await rig.engine.read(lambda reader: reader.source(run))
    assert found is not None
    return found


async def run_view(rig: Rig, run: int) -> RunView:
    found = await rig.engine.read(lambda reader: reader.run(str(run)))
    assert found is not None
    return found


async def started(path: Path, expander: ScriptedExpander) -> Rig:
    rig = Rig(path)
    await reopened(rig, expander)
    return rig


async def reopened(rig: Rig, expander: ScriptedExpander) -> None:
    engine = rig.open()
    engine.expansions.register("scripted", expander)
    await engine.start()


async def all_end(rig: Rig, run: RunId) -> None:
    """What runs ends well, again and again, until the source is over."""
    over = asyncio.ensure_future(rig.engine.wait_source(run))
    while not over.done():
        for attempt in list(rig.outside.live):
            rig.driver.finish(attempt)
        await rig.heard()
    await over


async def test_units_come_one_after_the_other_until_the_source_is_exhausted(tmp_path: Path) -> None:
    expander = ScriptedExpander(three_units)
    rig = await started(tmp_path, expander)
    run = (await rig.engine.declare_source(source())).run
    await all_end(rig, run)
    assert expander.asked == [0, 1, 2]
    view = await run_view(rig, run)
    assert view.counts == {"succeeded": 6}
    assert view.source is not None
    assert view.source.row.state is SourceState.EXHAUSTED
    assert view.about == '{"kind": "x"}'
    await rig.close()


async def test_the_expander_is_told_what_was_declared_and_may_ask_the_store(tmp_path: Path) -> None:
    told: list[Any] = []

    class Curious:
        async def expand(self, asked: ExpandAsk) -> Expansion:
            view = await asked.read(lambda reader: reader.run(str(asked.run)))
            told.append((asked.unit, json.loads(asked.spec), asked.unit_spec, view.row.name if view else None))
            return Expansion(exhausted=asked.unit == 2)

    rig = Rig(tmp_path)
    rig.open().expansions.register("scripted", Curious())
    await rig.engine.start()
    run = (await rig.engine.declare_source(replace(source(), unit_specs=("[0]", "[1]")))).run
    assert await rig.engine.wait_source(run)
    assert told == [(unit, {"cells": 3}, own, "matrix") for unit, own in enumerate(["[0]", "[1]", None])]
    await rig.close()


async def test_a_unit_can_be_made_in_a_thread(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.open().expansions.register("scripted", in_thread(three_units))
    await rig.engine.start()
    await all_end(rig, (await rig.engine.declare_source(source())).run)
    assert rig.store.reader().counts() == {"succeeded": 6}
    await rig.close()


async def test_a_slow_expander_holds_up_nobody_else(tmp_path: Path) -> None:
    expander = ScriptedExpander(three_units)
    expander.gate.clear()
    rig = await started(tmp_path, expander)
    run = (await rig.engine.declare_source(source())).run
    await expander.begun.wait()
    other = await rig.engine.declare_source(source())
    assert other.run == run + 1
    await rig.heard()
    assert expander.asked == [0, 0]
    await rig.close()


async def test_what_an_expander_raises_ends_its_source_and_nothing_is_tried_again(tmp_path: Path) -> None:
    expander = ScriptedExpander(lambda asked: ValueError("no such subset") if asked.unit else three_units(asked))
    rig = await started(tmp_path, expander)
    run = (await rig.engine.declare_source(source())).run
    await all_end(rig, run)
    row = (await stored(rig, run)).row
    assert (row.state, row.message) == (SourceState.FAILED, "unit 1: no such subset")
    assert expander.asked == [0, 1]
    expander.script = three_units
    await rig.engine.send(SourceRetried(run))
    await all_end(rig, run)
    assert expander.asked == [0, 1, 1, 2]
    assert (await run_view(rig, run)).counts == {"succeeded": 6}
    await rig.close()


@pytest.mark.parametrize("want", WANTS.values(), ids=WANTS)
async def test_a_want_that_passes_is_no_word_about_a_unit(
    want: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("passloop.drivers.descriptors.AGAIN_S", 0.001)
    wants = [want, want]
    expander = ScriptedExpander(lambda asked: wants.pop() if asked.unit and wants else three_units(asked))
    rig = await started(tmp_path, expander)
    run = (await rig.engine.declare_source(source())).run
    await all_end(rig, run)
    assert expander.asked == [0, 1, 1, 1, 2]
    assert (await stored(rig, run)).row.state is SourceState.EXHAUSTED
    assert (await run_view(rig, run)).counts == {"succeeded": 6}
    await rig.close()


async def test_a_unit_that_cannot_be_told_of_now_is_not_asked_for_at_once_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And who waits for it can cancel."""
    monkeypatch.setattr("passloop.drivers.descriptors.AGAIN_S", 60)
    expander = ScriptedExpander(lambda _asked: WANTS["descriptors"])
    rig = await started(tmp_path, expander)
    run = (await rig.engine.declare_source(source())).run
    await expander.begun.wait()
    await rig.heard()
    await rig.engine.send(Cancelled(tasks=(), sources=(run,)))
    assert await rig.engine.wait_source(run, timeout_ms=10_000)
    assert expander.asked == [0]
    await rig.close()


async def test_a_source_that_the_store_cannot_be_read_for_is_read_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading threads open the store when they are first asked."""
    monkeypatch.setattr("passloop.drivers.descriptors.AGAIN_S", 0.001)
    rig = await started(tmp_path, ScriptedExpander(three_units))
    real, tried, loop = rig.store.reader, asyncio.Event(), asyncio.get_running_loop()

    def reader() -> Reader:
        monkeypatch.setattr(rig.store, "reader", real)
        loop.call_soon_threadsafe(tried.set)
        raise StoreOutOfFiles("it cannot be opened", hint="", number=errno.EMFILE)

    monkeypatch.setattr(rig.store, "reader", reader)
    run = (await rig.engine.declare_source(source())).run
    await tried.wait()
    await all_end(rig, run)
    assert (await run_view(rig, run)).counts == {"succeeded": 6}
    await rig.close()


async def test_what_is_no_expansion_ends_its_source_too(tmp_path: Path) -> None:
    """Nobody would hear of it, and the source would wait for its unit for ever."""
    rig = await started(tmp_path, ScriptedExpander(lambda _asked: None))  # type: ignore[arg-type,return-value]
    run = (await rig.engine.declare_source(source())).run
    assert await rig.engine.wait_source(run, timeout_ms=10_000)
    row = (await stored(rig, run)).row
    assert (row.state, row.message) == (SourceState.FAILED, "unit 0: 'NoneType' object has no attribute 'tasks'")
    await rig.close()


async def test_a_source_of_an_unknown_kind_says_so(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    await rig.open().start()
    run = (await rig.engine.declare_source(source())).run
    assert await rig.engine.wait_source(run)
    assert "no expander" in (await stored(rig, run)).row.message
    await rig.close()


async def test_a_unit_that_was_asked_for_is_asked_for_again_after_a_crash(tmp_path: Path) -> None:
    expander = ScriptedExpander(three_units)
    expander.gate.clear()
    rig = await started(tmp_path, expander)
    run = (await rig.engine.declare_source(source())).run
    await expander.begun.wait()
    await rig.kill()
    again = ScriptedExpander(three_units)
    await reopened(rig, again)
    await all_end(rig, run)
    assert (expander.asked, again.asked) == ([0], [0, 1, 2])
    assert (await run_view(rig, run)).counts == {"succeeded": 6}
    await rig.close()


class InParts:
    """Writes out units of two nodes; unless it `goes_on` it comes to the rest of one and says that it `is_there`."""

    def __init__(self, *, goes_on: bool) -> None:
        self.asked: list[tuple[int, tuple[int, ...], bool]] = []
        self.is_there = asyncio.Event()
        self.goes_on = goes_on

    async def expand(self, asked: ExpandAsk) -> Expansion:
        self.asked.append((asked.unit, asked.nodes, asked.begun))
        if asked.begun and not self.goes_on:
            self.is_there.set()
            await asyncio.Event().wait()
        nodes = [node for node in (0, 1) if asked.wants(node)]
        tasks = tuple(NewTask(TWO[node], PAYLOAD, index=asked.unit, node=node) for node in nodes)
        return Expansion(tasks, bytes=10 * len(tasks))


async def test_a_part_that_was_asked_for_is_asked_for_again_after_a_crash(tmp_path: Path) -> None:
    """There is one licence, which is held until memory is half full, so that units come without what asks for it."""
    rig, first = Rig(tmp_path), InParts(goes_on=False)
    rig.open().expansions.register("scripted", first)
    await rig.engine.start()
    await rig.engine.send(PoolDeclared(PoolName("licence"), PoolKind.AMOUNT, 1))
    template = tuple(TemplateNode(spec.request, completes=True) for spec in TWO)
    plan = SourcePlan(template, ResidentGuard(bytes=70), units=8)
    run = (await rig.engine.declare_source(SourceDeclared("parts", "scripted", plan))).run
    while not first.is_there.is_set():
        is_in_parts = any(nodes for _, nodes, _ in first.asked)
        for attempt, order in list(rig.outside.live.items()):
            if is_in_parts or not any(pool == "licence" for pool, _ in order.allocation.amounts):
                rig.driver.finish(attempt)
        await rig.heard()
    await rig.kill()
    again = InParts(goes_on=True)
    rig.open().expansions.register("scripted", again)
    await rig.engine.start()
    await all_end(rig, run)
    assert again.asked[0] == first.asked[-1]
    parts = [(unit, node) for unit, nodes, _ in (*first.asked[:-1], *again.asked) for node in nodes or (0, 1)]
    assert sorted(parts) == [(unit, node) for unit in range(8) for node in (0, 1)]
    assert (await run_view(rig, run)).counts == {"succeeded": 16}
    await rig.close()


async def test_a_unit_that_entered_is_not_asked_for_again_after_a_crash(tmp_path: Path) -> None:
    rig = await started(tmp_path, ScriptedExpander(three_units))
    run = (await rig.engine.declare_source(source(guard=ResidentGuard(units=1)))).run
    await rig.until(lambda: rig.outside.live)
    await rig.kill()
    again = ScriptedExpander(three_units)
    await reopened(rig, again)
    await all_end(rig, run)
    assert again.asked == [1, 2]
    assert (await run_view(rig, run)).counts == {"succeeded": 6}
    await rig.close()


async def test_a_cancelled_run_gives_up_what_is_being_written_out(tmp_path: Path) -> None:
    expander = ScriptedExpander(three_units)
    expander.gate.clear()
    rig = await started(tmp_path, expander)
    run = (await rig.engine.declare_source(source())).run
    await expander.begun.wait()
    answer = await rig.engine.send(Cancelled((), sources=(run,)))
    assert answer.sources == (run,)
    assert await rig.engine.wait_source(run)
    expander.gate.set()
    await rig.heard()
    assert (await run_view(rig, run)).counts == {}
    await rig.close()


async def test_a_held_run_is_not_expanded_until_it_is_released(tmp_path: Path) -> None:
    expander = ScriptedExpander(three_units)
    expander.gate.clear()
    rig = await started(tmp_path, expander)
    run = (await rig.engine.declare_source(source())).run
    await expander.begun.wait()
    await rig.engine.send(Held((), sources=(run,)))
    expander.gate.set()
    await rig.until(lambda: rig.engine.turns.machine.counts().get(TaskState.HELD) == 2)
    await rig.heard()
    assert expander.asked == [0]
    await rig.engine.send(Released((), sources=(run,)))
    await all_end(rig, run)
    assert (await run_view(rig, run)).counts == {"succeeded": 6}
    await rig.close()


async def test_a_key_that_succeeded_before_is_not_run_again(tmp_path: Path) -> None:
    rig = await started(tmp_path, ScriptedExpander(lambda _: Expansion(unit_of(2, key="cell"), exhausted=True)))
    first = (await rig.engine.declare_source(source())).run
    await all_end(rig, first)
    second = (await rig.engine.declare_source(source())).run
    assert await rig.engine.wait_source(second)
    assert ((await run_view(rig, first)).counts, (await run_view(rig, second)).counts) == ({"succeeded": 2}, {})
    await rig.close()


async def test_a_source_that_can_never_fit_is_refused(tmp_path: Path) -> None:
    rig = await started(tmp_path, ScriptedExpander(three_units))
    large = TemplateNode(Request((ask(cpus=9),)), completes=True)
    with pytest.raises(Refused, match="CPU") as refused:
        await rig.engine.declare_source(SourceDeclared("large", "scripted", SourcePlan((large,))))
    assert refused.value.exit_code == 7
    await rig.close()


async def test_who_waits_for_a_source_is_told_that_the_engine_stops(tmp_path: Path) -> None:
    expander = ScriptedExpander(three_units)
    expander.gate.clear()
    rig = await started(tmp_path, expander)
    run = (await rig.engine.declare_source(source())).run
    waiting = asyncio.ensure_future(rig.engine.wait_source(run))
    await expander.begun.wait()
    await rig.close()
    with pytest.raises(EngineStopped):
        await waiting


async def test_one_kind_has_one_expander(tmp_path: Path) -> None:
    rig = await started(tmp_path, ScriptedExpander(three_units))
    with pytest.raises(ValueError, match="scripted"):
        rig.engine.expansions.register("scripted", ScriptedExpander(three_units))
    await rig.close()
