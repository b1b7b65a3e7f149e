"""Each thing that an endpoint may do becomes one outcome, over real HTTP: its kind, whom it blames, what it costs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from passloop.drivers.calls.driver import UNKNOWN
from passloop.kernel.events import Exited, PoolDeclared, Started
from passloop.kernel.ids import AttemptId, PoolName
from passloop.kernel.tasks import OutcomeKind
from passloop.testing.billing import bills_in
from passloop.testing.script import Fault, ModelScript, Script
from tests.support.calls import CallStand, faults, standing

RATE_LIMITED, FAILURE, TIMEOUT = OutcomeKind.RATE_LIMITED, OutcomeKind.FAILURE, OutcomeKind.TIMEOUT


async def ending(
    home: Path, script: Script, fields: dict[str, Any] | None = None, **payload: Any
) -> tuple[Exited, CallStand]:
    """The end of one call of an endpoint that does as scripted."""
    async with standing(home, script, **(fields or {})) as stand:
        return await stand.end(**payload), stand


async def test_an_answer_is_handed_over_with_the_end(tmp_path: Path) -> None:
    ended, stand = await ending(tmp_path, faults(answers=("hello there",)))
    assert (ended.outcome.kind, ended.outcome.pool) == (OutcomeKind.SUCCESS, None)
    assert ended.result is not None
    assert json.loads(ended.result) == {"text": "hello there", "finish": "stop", "usage": [2, 2]}
    assert stand.heard.of(1) == ["Started", "Exited"]


@pytest.mark.parametrize("payload", [{"plain": True}, {"stream": True}, {"plain": True, "stream": True}])
async def test_completions_and_streams_give_the_same_answer(tmp_path: Path, payload: dict[str, Any]) -> None:
    ended, _ = await ending(tmp_path, faults(answers=("one two three",)), **payload)
    assert ended.result is not None
    assert json.loads(ended.result) == {"text": "one two three", "finish": "stop", "usage": [2, 3]}


@pytest.mark.parametrize(("told", "millis"), [(7, 7_000), (0.25, 250), (None, None), (0, None)])
async def test_429_blames_the_model_and_keeps_its_retry_after(tmp_path: Path, told: Any, millis: int | None) -> None:
    ended, stand = await ending(tmp_path, faults(Fault(retry_after=told)))
    outcome = ended.outcome
    assert (outcome.kind, outcome.status, outcome.pool) == (RATE_LIMITED, 429, stand.model.pool)
    assert outcome.retry_after == millis
    assert ended.result is None


async def test_a_date_in_retry_after_counts_from_the_answers_own_date(tmp_path: Path) -> None:
    ended, _ = await ending(tmp_path, faults(Fault(retry_after="date", until=20_000)))
    assert ended.outcome.retry_after is not None
    assert 17_000 <= ended.outcome.retry_after <= 21_000


async def test_a_429_that_names_a_shared_limit_blames_the_endpoint(tmp_path: Path) -> None:
    ended, stand = await ending(tmp_path, faults(Fault(shared=True)))
    assert (ended.outcome.kind, ended.outcome.pool) == (RATE_LIMITED, stand.model.endpoint.pool)


@pytest.mark.parametrize("status", [500, 502, 503, 529, 408])
async def test_a_servers_own_errors_cost_an_attempt_and_blame_the_model(tmp_path: Path, status: int) -> None:
    ended, stand = await ending(tmp_path, faults(Fault(status=status)))
    outcome = ended.outcome
    assert (outcome.kind, outcome.status, outcome.pool) == (FAILURE, status, stand.model.pool)
    assert not outcome.final
    assert str(status) in outcome.message


@pytest.mark.parametrize("status", [400, 404, 413, 422, 302])
async def test_a_request_that_is_wrong_is_final_and_blames_nobody(tmp_path: Path, status: int) -> None:
    ended, _ = await ending(tmp_path, faults(Fault(status=status)))
    assert (ended.outcome.kind, ended.outcome.pool, ended.outcome.final) == (FAILURE, None, True)


@pytest.mark.parametrize("status", [401, 403])
async def test_a_key_that_is_not_let_in_blames_the_endpoint_and_is_named(tmp_path: Path, status: int) -> None:
    ended, stand = await ending(tmp_path, faults(Fault(status=status)), {"api_key": f"file:{_key(tmp_path)}"})
    outcome = ended.outcome
    assert (outcome.kind, outcome.status, outcome.pool) == (RATE_LIMITED, status, stand.model.endpoint.pool)
    assert "key.txt" in outcome.message


@pytest.mark.parametrize("kind", ["close", "cut", "garbage"])
async def test_an_answer_that_breaks_off_or_is_none_costs_an_attempt(tmp_path: Path, kind: Any) -> None:
    ended, stand = await ending(tmp_path, faults(Fault(kind=kind)))
    assert (ended.outcome.kind, ended.outcome.pool) == (FAILURE, stand.model.pool)
    assert not ended.outcome.final


async def test_a_stream_that_breaks_off_is_no_answer(tmp_path: Path) -> None:
    ended, stand = await ending(tmp_path, faults(Fault(kind="cut"), answers=("one two three four",)), stream=True)
    assert (ended.outcome.kind, ended.outcome.pool, ended.result) == (FAILURE, stand.model.pool, None)


async def test_a_call_without_answer_ends_at_its_time_limit(tmp_path: Path) -> None:
    ended, stand = await ending(tmp_path, faults(Fault(kind="hang")), time_limit=50)
    assert (ended.outcome.kind, ended.outcome.pool) == (TIMEOUT, stand.model.pool)
    assert "50 ms" in ended.outcome.message


async def test_a_stream_that_falls_silent_ends_and_one_that_goes_on_does_not(tmp_path: Path) -> None:
    script = Script(models={"m": ModelScript(latency=300, answers=("a b c d e f g h i j",))})
    ended, _ = await ending(tmp_path, script, stream=True, silence=200)
    assert ended.outcome.kind is OutcomeKind.SUCCESS
    script = Script(models={"m": ModelScript(latency=0, answers=("a b c",), faults=(Fault(kind="hang"),))})
    ended, stand = await ending(tmp_path, script, stream=True, silence=50)
    assert (ended.outcome.kind, ended.outcome.pool) == (TIMEOUT, stand.model.pool)


async def test_an_endpoint_that_is_not_there_is_blamed_and_costs_nothing(tmp_path: Path) -> None:
    async with standing(tmp_path) as stand:
        await stand.endpoint.stop()
        outcome = (await stand.end()).outcome
    assert (outcome.kind, outcome.pool) == (RATE_LIMITED, stand.model.endpoint.pool)
    assert "no connection to http://127.0.0.1" in outcome.message


async def test_an_idle_connection_that_the_server_closed_is_no_failure(tmp_path: Path) -> None:
    async with standing(tmp_path, Script(drops_reused=True, default=ModelScript(latency=0))) as stand:
        kinds = [(await stand.end(attempt)).outcome.kind for attempt in range(1, 9)]
    assert kinds == [OutcomeKind.SUCCESS] * 8
    assert stand.endpoint.count("answered") == 8


async def test_a_cell_that_is_settled_or_failed_before_makes_no_call(tmp_path: Path) -> None:
    async with standing(tmp_path) as stand:
        settled = await stand.end(1, settled=None)
        failed = await stand.end(2, failed="its input is missing")
    assert (settled.outcome.kind, settled.outcome.untried, settled.result) == (OutcomeKind.SUCCESS, True, "null")
    assert (failed.outcome.kind, failed.outcome.final, failed.outcome.untried) == (FAILURE, True, True)
    assert stand.events(Started) == []
    assert stand.endpoint.count("received") == 0


async def test_a_refused_answer_tells_the_next_attempt_why_and_costs_no_failure(tmp_path: Path) -> None:
    async with standing(tmp_path, faults(answers=("wrong", "wrong again", "lamp"))) as stand:
        first = await stand.end(1, wants="lamp")
        second = await stand.end(2, wants="lamp", left=first.result, epoch=2)
        third = await stand.end(3, wants="lamp", left=second.result, epoch=3)
    assert [end.outcome.uncounted for end in (first, second, third)] == [True, True, False]
    assert third.outcome.kind is OutcomeKind.SUCCESS
    order = stand.caller.asked[2]
    assert (order.refusals, order.feedback, order.refused) == (2, "the word lamp is missing", "wrong again")
    assert (order.spent.input, order.spent.output) == (4, 3)


async def test_refusals_have_a_budget_of_their_own(tmp_path: Path) -> None:
    async with standing(tmp_path, faults(answers=("wrong",))) as stand:
        first = await stand.end(1, wants="lamp", refusals_most=1)
        second = await stand.end(2, wants="lamp", refusals_most=1, left=first.result, epoch=2)
    assert (first.outcome.final, first.outcome.uncounted) == (False, True)
    assert (second.outcome.final, second.outcome.uncounted) == (True, False)
    assert second.result is not None
    assert json.loads(second.result)["refused"] == "wrong"


async def test_the_idempotency_key_is_the_cells_until_an_answer_is_refused(tmp_path: Path) -> None:
    async with standing(tmp_path, faults(Fault(status=500, last=1), answers=("wrong", "lamp"))) as stand:
        await stand.end(1, wants="lamp")
        refused = await stand.end(2, wants="lamp", epoch=2)
        await stand.end(3, wants="lamp", left=refused.result, epoch=3)
    keys = [line["key"] for line in bills_in(tmp_path / "bills.jsonl") if line["what"] == "received"]
    assert keys == ["cell-1", "cell-2", "cell-3-1"]


async def test_usage_corrects_what_was_drawn_of_tokens(tmp_path: Path) -> None:
    ended, stand = await ending(tmp_path, faults(answers=("a b c",)), {"tokens_per_minute": 1_000})
    assert ended.outcome.used == ((stand.model.endpoint.tokens, 5),)


async def test_limits_that_headers_tell_become_the_size_of_the_models_rates(tmp_path: Path) -> None:
    now = [0]
    script = Script(tells_limits=True, default=ModelScript(latency=0, requests_per_minute=60, tokens_per_minute=6_000))
    async with standing(tmp_path, script, now=lambda: now[0], discovers=True) as stand:
        for attempt in range(1, 5):
            await stand.end(attempt, draws={stand.model.requests: 1, stand.model.tokens: 64})
            now[0] += 1_000
    told = {event.name: event.capacity for event in stand.events(PoolDeclared) if isinstance(event, PoolDeclared)}
    assert told == {stand.model.requests: 60, stand.model.tokens: 6_000}
    assert len(stand.events(PoolDeclared)) == 2


async def test_a_limit_below_what_one_call_drew_is_not_believed(tmp_path: Path) -> None:
    """No such call could ever be made again."""
    now = [0]
    script = Script(tells_limits=True, default=ModelScript(latency=0, requests_per_minute=60, tokens_per_minute=6_000))
    async with standing(tmp_path, script, now=lambda: now[0], discovers=True) as stand:
        for attempt in range(1, 5):
            await stand.end(attempt, draws={stand.model.requests: 60, stand.model.tokens: 6_001})
            now[0] += 1_000
    assert {event.name for event in stand.events(PoolDeclared) if isinstance(event, PoolDeclared)} == {
        stand.model.requests
    }


async def test_a_halted_call_hangs_up(tmp_path: Path) -> None:
    async with standing(tmp_path, faults(Fault(kind="hang"))) as stand:
        stand.launch(1)
        await stand.heard.until(Started, 1)
        stand.driver.halt(AttemptId(1), 1, grace=0, reason="cancelled")
        ended = await stand.heard.until(Exited, 1)
        assert ended.outcome.kind is OutcomeKind.CANCELLED
        assert stand.driver.statistics()["watched"] == 0


async def test_a_call_that_was_sent_before_the_engine_is_told_to_end_all_is_unknown(tmp_path: Path) -> None:
    """It goes back to the queue and is sent again, though it may have been paid for."""
    async with standing(tmp_path, faults(Fault(kind="hang"))) as stand:
        stand.launch(1)
        await stand.heard.until(Started, 1)
        stand.launch(2)
        for attempt in (1, 2):
            stand.driver.halt(AttemptId(attempt), 1, grace=0, reason="down")
        sent, unsent = [(await stand.heard.until(Exited, attempt)).outcome for attempt in (1, 2)]
        assert stand.driver.statistics()["unknown"] == 1
    assert (sent.kind, sent.engine_lost, sent.message) == (OutcomeKind.LOST, True, UNKNOWN)
    assert (unsent.kind, unsent.engine_lost, unsent.message) == (OutcomeKind.LOST, True, "stopped: down")


async def test_an_app_that_raises_fails_the_cell_with_its_words(tmp_path: Path) -> None:
    async with standing(tmp_path) as stand:
        outcome = (await stand.end(1, prompt="x", refusals_most="many", wants="lamp")).outcome
        unknown = (await stand.end(2, caller="nobody")).outcome
    assert (outcome.kind, outcome.final) == (FAILURE, True)
    assert "TypeError" in outcome.message
    assert "no caller named 'nobody'" in unknown.message


def test_a_pool_is_named_after_the_true_resource() -> None:
    from passloop.drivers.calls.endpoints import Endpoint, Model

    endpoint = Endpoint("https://api.example.org/v1/", api_key="env:MY_KEY")
    assert Model(endpoint, "big").pool == PoolName("api.example.org/v1@MY_KEY/big")


def _key(home: Path) -> Path:
    path = home / "key.txt"
    path.write_text("sk-canary-1234\n", encoding="utf-8")
    return path
