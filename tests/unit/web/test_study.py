"""A study as the page reads it while it runs: trials as they stand, the front, the best and what it changed."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from passloop.apps.tune.search import expander
from passloop.web.app import make_app
from passloop.web.expanders import TUNE, app_expanders
from passloop.web.host import EngineHost
from passloop.web.serve import SocketServer
from tests.support.served import Served
from tests.support.tuned import Tuned
from tests.unit.apps.tune.studies import GOOD, study

SEARCH = {"sampler": "grid", "max_parallel": 2, "baseline": {"batch": 64, "slots": 1}}


@asynccontextmanager
async def tuned_page(folder: Path, **changes: Any) -> AsyncIterator[tuple[Tuned, Served]]:
    """A study under way, and its engine served."""
    made = Tuned(folder, study({**GOOD, "search": SEARCH, **changes}))
    await made.open()
    await made.declare()
    host = EngineHost(made.rig.engine)
    server = SocketServer(make_app(host), made.rig.home.socket)
    await server.start()
    try:
        yield made, Served(made.rig, host)
    finally:
        made.rig.engine.hang_up()
        await server.stop()
        await made.rig.close()


def test_the_kind_of_studies_is_the_one_that_their_expander_writes_out() -> None:
    assert {TUNE, expander.KIND} <= {*app_expanders()}
    assert TUNE == expander.KIND


async def told(one: Served, run: int) -> dict[str, Any]:
    reply = await one.get(f"/runs/{run}/tune")
    assert reply.status == 200, reply.body
    return dict(reply.json())


async def test_a_study_tells_its_aims_its_space_and_its_trials_as_they_stand(tmp_path: Path) -> None:
    async with tuned_page(tmp_path) as (made, one):
        live = await made.until_live(2)
        out = live[1].directory / "out"
        out.mkdir(parents=True, exist_ok=True)
        (out / "phase.json").write_text(json.dumps({"phase": "measuring"}))
        made.end(0, 100.0)
        await made.rig.heard()
        found = await told(one, made.run)
        assert found["study"] == made.study.name
        assert [each["metric"] for each in found["objectives"]] == ["output_tokens_per_second"]
        assert found["objectives"][0]["unit"] == "tok/s"
        assert [each["name"] for each in found["parameters"]] == list(made.study.space.names)
        assert found["max_parallel"]["value"] == 2
        assert found["max_parallel"]["fits"] >= 2
        trials = {trial["trial"]: trial for trial in found["trials"]}
        assert (trials[0]["status"], trials[0]["values"], trials[0]["baseline"]) == ("complete", [100.0], True)
        assert (trials[1]["status"], trials[1]["phase"], trials[1]["values"]) == ("running", "measuring", [None])
        assert trials[0]["points"][0]["metrics"]["output_tokens_per_second"]["mean"] == 100.0


async def test_the_best_tells_its_gain_and_which_words_it_changed(tmp_path: Path) -> None:
    async with tuned_page(tmp_path) as (made, one):
        await made.to_the_end(lambda order: 100.0 + float(order.params["batch"]))
        found = await told(one, made.run)
        best = found["best"]
        assert best["trial"] in found["front"]
        assert best["gain"][0] > 0
        marks = {mark for mark, _ in best["argv_diff"]}
        assert marks == {" ", "-", "+"}
        assert [word for mark, word in best["argv_diff"] if mark != "-"] == best["argv"]
        trial = (await one.get(f"/runs/{made.run}/tune/{best['trial']}")).json()["trial"]
        assert (trial["argv"], trial["gain"]) == (best["argv"], best["gain"])
        assert {point["name"] for point in trial["points"]} == {"concurrency=1", "concurrency=4"}


async def test_a_trial_that_failed_says_why(tmp_path: Path) -> None:
    async with tuned_page(tmp_path) as (made, one):
        await made.until_live(2)
        made.end(0, None, kind="bad_flag", message="no such flag")
        await made.rig.heard()
        trial = (await told(one, made.run))["trials"][0]
        assert (trial["status"], trial["message"], trial["feasible"]) == ("failed", "bad_flag: no such flag", False)
        assert (await one.get(f"/runs/{made.run}/tune/99")).status == 404
        assert (await one.get(f"/runs/{made.run}/bench")).status == 404
