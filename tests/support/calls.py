"""For tests of calls: a caller that asks what its payload says, orders for the driver, faulty endpoints."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from passloop.clock import FakeClock
from passloop.drivers.base import Launch
from passloop.drivers.calls.caller import Answer, CallOrder, CallRequest, Failed, Refused, Settled
from passloop.drivers.calls.driver import CallDriver
from passloop.drivers.calls.endpoints import Endpoint, Model
from passloop.kernel.events import Event, Exited
from passloop.kernel.ids import PoolName
from passloop.kernel.resources import Allocation
from passloop.testing.endpoint import FaultyEndpoint
from passloop.testing.script import Fault, ModelScript, Script

from .attempts import Heard, order_for

__all__ = ["CallStand", "PlainCaller", "faults", "standing"]


class PlainCaller:
    """Asks for `prompt` and takes each answer, unless `wants` names a word that it must hold.

    With `settled` or `failed` in the payload nothing is called. `asked` has every order.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self.asked: list[CallOrder] = []

    async def prepare(self, order: CallOrder) -> CallRequest | Settled | Failed:
        self.asked.append(order)
        fields = order.payload
        if "settled" in fields:
            return Settled(json.dumps(fields["settled"]))
        if "failed" in fields:
            return Failed(fields["failed"])
        body: dict[str, Any] = {"max_tokens": 8}
        prompt = fields.get("prompt", "say something")
        body |= {"prompt": prompt} if fields.get("plain") else {"messages": [{"role": "user", "content": prompt}]}
        model = Model(self.model.endpoint, fields["model"]) if "model" in fields else self.model
        return CallRequest(
            model,
            body,
            key=f"cell-{order.task}",
            stream=bool(fields.get("stream")),
            silence=fields.get("silence"),
            refusals_most=fields.get("refusals_most", 2),
        )

    async def accept(self, order: CallOrder, answer: Answer) -> Settled | Failed | Refused:
        wanted = order.payload.get("wants")
        if wanted is not None and wanted not in answer.text:
            return Refused(f"the word {wanted} is missing")
        usage = None if answer.usage is None else [answer.usage.input, answer.usage.output]
        return Settled(json.dumps({"text": answer.text, "finish": answer.finish, "usage": usage}))


class CallStand:
    """A call driver before a faulty endpoint. `heard` has what it reported."""

    def __init__(self, home: Path, endpoint: FaultyEndpoint, **fields: Any) -> None:
        self.home = home
        self.endpoint = endpoint
        self.clock = FakeClock()
        self.model = Model(Endpoint(endpoint.url, **fields), "m")
        self.caller = PlainCaller(self.model)
        self.heard = Heard()
        self.environ: dict[str, str] = {}
        self.driver = self.new_driver()
        self.orders: dict[int, Launch] = {}

    def new_driver(self) -> CallDriver:
        """A driver as the next engine would have it."""
        driver = CallDriver(self.clock, environ=self.environ)
        driver.register("plain", self.caller)
        return driver

    def launch(self, attempt: int = 1, *, draws: dict[str, int] | None = None, **fields: Any) -> Launch:
        """Launch an attempt; `fields` are of its payload, but for `left` and `time_limit`."""
        named = {name: fields.pop(name) for name in ("left", "time_limit", "epoch") if name in fields}
        amounts = tuple((PoolName(name), amount) for name, amount in (draws or {}).items())
        order = order_for(
            self.home, attempt, [], payload={"caller": "plain"} | fields, allocation=Allocation(0, (), amounts), **named
        )
        self.orders[attempt] = order
        self.driver.launch(order)
        return order

    async def end(self, attempt: int = 1, **fields: Any) -> Exited:
        """Launch an attempt and wait for its end."""
        self.launch(attempt, **fields)
        return await self.heard.until(Exited, attempt)

    def events(self, kind: type[Event]) -> list[Event]:
        """What was reported of one kind."""
        return [event for event in self.heard.events if isinstance(event, kind)]


def faults(*several: Fault, **model: Any) -> Script:
    """A script whose one model does these things wrong."""
    return Script(default=ModelScript(latency=0, faults=several, **model))


@asynccontextmanager
async def standing(
    home: Path, script: Script | None = None, *, now: Callable[[], int] | None = None, **fields: Any
) -> AsyncIterator[CallStand]:
    """A stand with its endpoint served, as long as the block lasts; `fields` are the endpoint's."""
    given = {} if now is None else {"now": now}
    endpoint = FaultyEndpoint(script or faults(), log=home / "bills.jsonl", **given)
    await endpoint.start()
    stand = CallStand(home, endpoint, **fields)
    await stand.driver.start(stand.heard)
    try:
        yield stand
    finally:
        await stand.driver.stop()
        await endpoint.stop()
