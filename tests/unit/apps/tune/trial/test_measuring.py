"""Points on one live server: its cache emptied between them, and the highest load searched after them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from passloop.apps.tune.engines.base import End, Holder, Site
from passloop.apps.tune.records import LoadOrder, Order, Point, PointResult, Slo
from passloop.apps.tune.trial.failures import TrialFailure
from passloop.apps.tune.trial.loading import load_point
from passloop.apps.tune.trial.measuring import Measuring
from passloop.apps.tune.trial.phases import PhaseBoard
from passloop.apps.tune.trial.readiness import Health
from passloop.apps.tune.trial.server_log import ServerLog
from passloop.clock import FakeClock
from passloop.testing.server import ScriptedServer
from passloop.testing.server_script import ServerScript
from tests.support.trials import order_of
from tests.unit.apps.tune.trial.test_readiness import Claimed

SEARCH = {"of": "concurrency", "low": 1.0, "high": 8.0, "steps": 12}


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    made = ScriptedServer(ServerScript(ttft=2, tpot=1))
    await made.start()
    yield made
    made.stop()


async def measured(
    order: Order, server: ScriptedServer, folder: Path, load: Any = load_point, claimed: Claimed | None = None
) -> tuple[Measuring, list[str]]:
    """The order's points on this server, and the notes about them."""
    notes: list[str] = []
    log = ServerLog(folder / "server.log")
    work = Measuring(order, folder, PhaseBoard(folder, FakeClock()), log, notes)
    site = Site(port=server.port, ports=1, temporary=folder, environment={}, log=log.write)
    claimed = claimed or Claimed(Holder.OURS)
    try:
        await work.run(load, claimed, site, Health(claimed, site.host, site.port, "/health"))
    finally:
        log.close()
    return work, notes


async def test_the_cache_is_emptied_before_every_point_but_the_first(server: ScriptedServer, tmp_path: Path) -> None:
    work, notes = await measured(order_of(engine={"reset": "/reset"}), server, tmp_path)
    assert [result.point.name for result in work.results] == ["concurrency=1", "concurrency=2"]
    assert (server.resets, notes) == (1, [])


async def test_a_reset_that_is_refused_is_noted_and_the_figures_stand(server: ScriptedServer, tmp_path: Path) -> None:
    work, notes = await measured(order_of(engine={"reset": "/nothing"}), server, tmp_path)
    assert len(work.results) == 2
    assert notes == ["the cache was not reset: POST /nothing was answered 404"]


async def in_proportion(
    order: Order, point: Point, url: str, *, folder: Path, progress: Callable[[Any], None]
) -> PointResult:
    """A load whose first tokens take 10 ms for each request in flight."""
    await asyncio.sleep(0)
    return PointResult(
        point=point,
        metrics={"ttft": {"p95": 10.0 * (point.concurrency or 0)}, "attainment": {"mean": 1.0}},
        requests=point.requests,
    )


async def test_a_server_whose_death_is_told_after_its_last_request_is_said_to_have_died(
    server: ScriptedServer, tmp_path: Path
) -> None:
    claimed = Claimed(Holder.OURS)

    async def refused(order: Order, point: Point, url: str, **_: Any) -> PointResult:
        asyncio.get_running_loop().call_later(0.05, claimed.ended.set_result, End(signal=9))
        return PointResult(point=point, metrics={}, requests=4, errors=4, error_kinds={"connect": 4})

    with pytest.raises(TrialFailure, match=r"the server ended by itself with signal 9 \(SIGKILL\)"):
        await measured(order_of(), server, tmp_path, refused, claimed)


async def test_the_highest_load_is_searched_on_the_same_server(server: ScriptedServer, tmp_path: Path) -> None:
    order = order_of(slo=(Slo(metric="ttft", stat="p95", most=55.0),), search_load=SEARCH, engine={"reset": "/reset"})
    work, _ = await measured(order, server, tmp_path, in_proportion)
    assert work.max_load is not None
    assert (work.max_load["value"], work.max_load["missed"]) == (5.0, 6.0)
    assert [result.point.concurrency for result in work.results] == [1, 2]
    assert server.resets > 2


async def test_no_load_is_searched_for_a_candidate_that_was_given_up(server: ScriptedServer, tmp_path: Path) -> None:
    order = order_of(slo=(Slo(metric="ttft", stat="p95", most=5.0),), search_load=SEARCH)
    work, _ = await measured(order, server, tmp_path, in_proportion)
    assert (work.max_load, len(work.results)) == (None, 1)
    assert work.pruned is not None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"search_load": {"of": "tokens"}}, "load.max_load cannot be read"),
        ({"load": LoadOrder(prompts="builtin:nothing", points=(Point(concurrency=1),))}, "the load cannot be made"),
    ],
)
async def test_a_load_that_cannot_be_is_final(
    server: ScriptedServer, tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(TrialFailure, match=words) as failed:
        await measured(order_of(**changes), server, tmp_path)
    assert (failed.value.kind, failed.value.final) == ("bad_flag", True)
