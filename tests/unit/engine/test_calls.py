"""Calls through a real engine: answers are durable with their success, refusals with their feedback, keys nowhere."""

from __future__ import annotations

from pathlib import Path

from passloop.drivers.calls.driver import UNKNOWN
from passloop.drivers.calls.endpoints import Endpoint, Model
from passloop.kernel.events import Exited
from passloop.kernel.tasks import TaskState
from passloop.testing.billing import bills_in
from passloop.testing.endpoint import FaultyEndpoint
from passloop.testing.script import Fault, ModelScript, Script
from tests.support.call_engine import CallEngine, call_engine

CANARY = "sk-canary-7f3a9b"


async def first_end(calls: CallEngine) -> None:
    """Wait until the end of some attempt is committed."""
    async for rows in calls.engine.journal_events(0):
        if any(isinstance(event, Exited) for row in rows for event in row.decoded_events()):
            return


async def test_answers_are_kept_with_the_success_of_their_tasks(tmp_path: Path) -> None:
    endpoint = FaultyEndpoint(Script(default=ModelScript(latency=0, answers=("one", "two", "three"))))
    model = Model(Endpoint(await endpoint.start()), "m", max_in_flight=1)
    async with call_engine(tmp_path, model) as calls:
        tasks = await calls.submit({}, {}, {"settled": 7})
        assert sorted(str(one["text"]) for one in (await calls.results(tasks))[:2]) == ["one", "two"]
        assert (await calls.results(tasks))[2] == 7
    await endpoint.stop()


async def test_a_short_call_is_told_in_one_commit_with_when_it_began(tmp_path: Path) -> None:
    endpoint = FaultyEndpoint(Script(default=ModelScript(latency=60)))
    async with call_engine(tmp_path, Model(Endpoint(await endpoint.start()), "m")) as calls:
        tasks = await calls.submit({})
        assert (await calls.results(tasks))[0]["text"]
        (attempt,) = await calls.engine.read(lambda reader: reader.attempts(tasks[0]))
        rows = await calls.engine.read(lambda reader: reader.journal())
    assert attempt.started_at is not None
    assert attempt.ended_at is not None
    assert attempt.ended_at - attempt.started_at >= 59
    told = [[type(event).__name__ for event in row.decoded_events()] for row in rows]
    assert ["Started", "Exited"] in told
    await endpoint.stop()


async def test_the_next_attempt_knows_why_the_last_answer_was_refused(tmp_path: Path) -> None:
    endpoint = FaultyEndpoint(Script(default=ModelScript(latency=0, answers=("wrong", "lamp"))))
    async with call_engine(tmp_path, Model(Endpoint(await endpoint.start()), "m")) as calls:
        tasks = await calls.submit({"wants": "lamp"})
        assert (await calls.results(tasks))[0]["text"] == "lamp"
    first, second = calls.caller.asked
    assert (first.refusals, second.refusals, second.feedback) == (0, 1, "the word lamp is missing")
    await endpoint.stop()


async def test_a_call_that_its_engine_did_not_outlive_is_unknown_and_asked_again(tmp_path: Path) -> None:
    script = Script(default=ModelScript(latency=0, faults=(Fault(kind="hang", last=1),)))
    endpoint = FaultyEndpoint(script, log=tmp_path / "bills.jsonl")
    model = Model(Endpoint(await endpoint.start()), "m")
    async with call_engine(tmp_path, model) as calls:
        tasks = await calls.submit({"prompt": "hello"})
        await calls.engine.wait_started(tasks[0])
    async with call_engine(tmp_path, model) as calls:
        assert (await calls.results(tasks))[0]["text"]
        attempts = await calls.engine.read(lambda reader: reader.attempts(tasks[0]))
        assert calls.engine.drivers["calls"].statistics()["unknown"] == 1
    assert next(row.outcome.message for row in attempts if row.outcome is not None) == UNKNOWN
    received = [line["key"] for line in bills_in(tmp_path / "bills.jsonl") if line["what"] == "received"]
    assert received == [f"cell-{tasks[0]}"] * 2
    await endpoint.stop()


async def test_a_key_is_nowhere_in_a_home_whatever_the_endpoint_says(tmp_path: Path) -> None:
    echo = Fault(status=400, body="your key {key} is wrong", first=1)
    script = Script(api_keys=(CANARY,), default=ModelScript(latency=0, faults=(echo,), answers=(f"it is {CANARY}",)))
    endpoint = FaultyEndpoint(script)
    model = Model(Endpoint(await endpoint.start(), api_key="env:CANARY_KEY"), "m", max_in_flight=1)
    async with call_engine(tmp_path, model, {"CANARY_KEY": CANARY}) as calls:
        tasks = await calls.submit({}, {})
        assert (await calls.results(tasks))[0]["text"] == "it is ***"
        states = await calls.engine.states_of(tasks)
        attempts = await calls.engine.read(lambda reader: reader.attempts(tasks[1]))
    assert states[tasks[1]] is TaskState.FAILED
    assert [row.outcome.message for row in attempts if row.outcome is not None] == [
        "m answered 400: your key *** is wrong"
    ]
    held = [path for path in (tmp_path / "home").rglob("*") if path.is_file() and CANARY.encode() in path.read_bytes()]
    assert held == []
    await endpoint.stop()


async def test_a_key_that_is_not_there_closes_the_endpoint_and_says_what_to_do(tmp_path: Path) -> None:
    endpoint = FaultyEndpoint()
    model = Model(Endpoint(await endpoint.start(), api_key="env:NOT_THERE"), "m")
    async with call_engine(tmp_path, model) as calls:
        tasks = await calls.submit({}, on_dead="wait")
        await first_end(calls)
        views = await calls.engine.look(lambda machine, now: {pool.name: pool for pool in machine.pools(now)})
        attempts = await calls.engine.read(lambda reader: reader.attempts(tasks[0]))
    assert views[model.endpoint.pool].gate in ("cooling", "half_open")
    message = attempts[0].outcome.message if attempts[0].outcome is not None else ""
    assert "NOT_THERE" in message
    assert "file:PATH" in message
    assert endpoint.count("received") == 0
    await endpoint.stop()
