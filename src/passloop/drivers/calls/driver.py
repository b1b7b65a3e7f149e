"""The driver of calls: one asyncio loop (the engine's), no process, no file, no queue and no retry of its own.

    launch -> prepare (the app) -> Started, request -> answer -> accept (the app) -> Exited with the result
                  |                       |                          |
                  +-- settled, failed     +-- no answer: outcome     +-- refused: the next attempt is told why

It makes one call, says what happened and whom to blame; the kernel decides whether and when to try again. A call cannot
outlive its engine, nor `down --now`: one that was under way then is lost, with the words that its outcome is unknown.

A want that passes (`drivers/descriptors.py`) is no word about a cell or an endpoint. Each step that it keeps back is
made again later, before a call is sent and after its answer is there, which is kept; a call that was sent never is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

from passloop.clock import Clock
from passloop.crashpoints import crashpoint
from passloop.drivers import descriptors
from passloop.drivers.background import Background, to_the_loop
from passloop.drivers.base import Fail, Launch, LiveAttempt, Report
from passloop.drivers.forbidden import Forbidden
from passloop.kernel.events import Event, Exited, PoolDeclared, PoolKind, Started
from passloop.kernel.ids import AttemptId, PoolName
from passloop.kernel.tasks import Outcome, OutcomeKind

from .caller import Answer, Caller, CallOrder, CallRequest, Failed, Settled
from .endpoints import Model
from .errors import Broken, NotSent, Silent, Unreachable, outcome_of_status, outcome_of_trouble
from .limits import rate_told
from .refusals import order_of, refusal_text
from .secrets import Credentials, KeyMissing, credentials_of

if TYPE_CHECKING:
    from .client import Client, Reply

__all__ = ["UNKNOWN", "CallDriver"]

UNKNOWN = "unknown: the engine ended during this call, which may have been answered and paid for"
"""The message of a lost attempt whose call nobody knows the end of."""

NO_LIBRARY = "calls of endpoints need one more package: pip install 'passloop[generate]'"
SHORT_MS = 250
"""The start of a call is told when it has lasted so long, and that of a shorter one together with its end: then both
are one commit. A call has one timer, so that a short one sets none but this."""
_HALTED = {"timeout": OutcomeKind.TIMEOUT, "down": OutcomeKind.LOST}
_SUCCESS = OutcomeKind.SUCCESS
Made = TypeVar("Made")


@dataclass(slots=True)
class _Flight:
    """One call under way. `model` is known once the app has said what to ask.

    Times are in seconds of the loop: `began` is when it was sent, until that is `told`; `ends` when it must be over,
    None for never. `timer` looks at it when the next of these is due.
    """

    launch: Launch
    ends: float | None
    task: asyncio.Task[None] | None = None
    model: Model | None = None
    began: float | None = None
    told: bool = False
    timer: asyncio.TimerHandle | None = None

    def next(self) -> float | None:
        """When there is something to tell of it, if it goes on."""
        if self.began is None or self.told:
            return self.ends
        tell = self.began + SHORT_MS / 1000
        return tell if self.ends is None else min(tell, self.ends)


class CallClient(Protocol):
    """What speaks HTTP for the driver."""

    async def call(self, request: CallRequest, headers: Mapping[str, str]) -> Reply:
        """Make one call. Raises `Unreachable`, `NotSent`, `Broken`, `Silent`."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...


Connect = Callable[[], Awaitable[CallClient]]
"""Makes the client, with the first call."""


async def _connect() -> CallClient:
    """The real client. Its library is large and is loaded beside the loop."""
    made = await asyncio.to_thread(_load_client)
    return made()


class CallDriver:
    """Makes calls for the apps that registered their callers. `environ` is where `env:NAME` keys are looked up; tests
    may give a `connect` of their own.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        environ: Mapping[str, str] | None = None,
        connect: Connect = _connect,
        name: str = "calls",
    ) -> None:
        self.name = name
        self._clock = clock
        self._environ = environ
        self._callers: dict[str, Caller] = {}
        self._flights: dict[AttemptId, _Flight] = {}
        self._forbidden = Forbidden()
        self._connect = connect
        self._client: CallClient | None = None
        self._opening = asyncio.Lock()
        self._background = Background()
        self._rates: dict[PoolName, int] = {}
        self._counts = {"launched": 0, "ended": 0, "unknown": 0}

    def register(self, name: str, caller: Caller) -> None:
        """Let this caller prepare and judge the calls whose payload names it. Twice is an error."""
        if name in self._callers:
            raise ValueError(f"there is a caller {name!r} already")
        self._callers[name] = caller

    async def start(self, report: Report, *, failed: Fail = to_the_loop) -> None:
        """Report to `report` from now on."""
        self._report = report
        self._background.failed = failed

    async def stop(self) -> None:
        """Give up what is under way, without a word: the next engine reports it as unknown."""
        for flight in self._flights.values():
            _let_be(flight)
        self._flights.clear()
        await self._background.stop()
        if self._client is not None:
            await self._client.close()
            self._client = None

    def launch(self, order: Launch) -> None:
        """Begin a call."""
        forbidden = self._forbidden.outcome(order.attempt, "stopped before it was sent")
        if forbidden is not None:
            self._tell_end(order, forbidden)
            return
        self._counts["launched"] += 1
        loop = asyncio.get_running_loop()
        ends = None if order.time_limit is None else loop.time() + order.time_limit / 1000
        flight = self._flights[order.attempt] = _Flight(order, ends)
        flight.task = self._background.spawn(self._fly(flight))
        soon = loop.time() + SHORT_MS / 1000
        self._look_at(flight, soon if ends is None else min(soon, ends))

    def halt(self, attempt: AttemptId, epoch: int, *, grace: int, reason: str) -> None:
        """Hang up. There is nothing polite to say to an endpoint, so there is no grace."""
        flight = self._flights.get(attempt)
        if flight is None:
            self._forbidden.add(attempt, reason)
            return
        kind, message = _HALTED.get(reason, OutcomeKind.CANCELLED), f"stopped: {reason}"
        is_lost = kind is OutcomeKind.LOST
        if is_lost and flight.began is not None:  # it is sent again, and this time may be paid for all the same
            self._counts["unknown"] += 1
            message = UNKNOWN
        self._hang_up(flight, Outcome(kind, message=message, engine_lost=is_lost))

    async def reattach(self, attempts: Sequence[LiveAttempt]) -> None:
        """No call outlives its engine: each is lost at no cost, and nobody knows whether it was answered."""
        for live in attempts:
            self._counts["unknown"] += 1
            self._tell_end(live, Outcome(OutcomeKind.LOST, message=UNKNOWN, engine_lost=True))

    def statistics(self) -> Mapping[str, int]:
        """Counts since the start; `unknown` are calls that nobody knows the end of: an earlier engine's, and those that
        were under way when this one was told to end them.
        """
        return self._counts | {"watched": len(self._flights)}

    async def _fly(self, flight: _Flight) -> None:
        """One attempt from its order to its end, whatever happens."""
        try:
            outcome, result = await self._call(flight)
        except Exception as error:
            outcome = Outcome(OutcomeKind.FAILURE, message=_words(error), final=True)
            result = None
        if self._flights.get(flight.launch.attempt) is flight:
            self._end(flight, outcome, result)
            crashpoint("call_told")

    def _hang_up(self, flight: _Flight, outcome: Outcome) -> None:
        """End a call that is under way."""
        self._end(flight, outcome)
        if flight.task is not None:
            flight.task.cancel()

    def _end(self, flight: _Flight, outcome: Outcome, result: str | None = None) -> None:
        """A call is over: nobody looks at it any more, and its start is told before its end."""
        del self._flights[flight.launch.attempt]
        _let_be(flight)
        self._tell_start(flight)
        self._tell_end(flight.launch, outcome, result)

    def _look_at(self, flight: _Flight, when: float) -> None:
        """Look at a call again at this time of the loop."""
        flight.timer = asyncio.get_running_loop().call_at(when, self._look, flight, when)

    def _look(self, flight: _Flight, now: float) -> None:
        """A call goes on: tell that it was sent, end one that has lasted too long."""
        flight.timer = None
        if flight.ends is not None and flight.ends <= now:
            limit = flight.launch.time_limit
            pool = None if flight.model is None else flight.model.pool
            self._hang_up(flight, Outcome(OutcomeKind.TIMEOUT, message=f"no answer within {limit} ms", pool=pool))
            return
        due = flight.next()
        if due is not None and due <= now:
            crashpoint("call_under_way")
            self._tell_start(flight)
            due = flight.next()
        if due is not None:
            self._look_at(flight, due)

    async def _call(self, flight: _Flight) -> tuple[Outcome, str | None]:
        """Ask the app, then the endpoint, then the app again."""
        launch = flight.launch
        caller = self._callers.get(str(launch.payload.get("caller")))
        if caller is None:
            named = launch.payload.get("caller")
            return Outcome(OutcomeKind.FAILURE, message=f"this engine has no caller named {named!r}", final=True), None
        order = order_of(launch)
        asked = await self._past_wants(flight, partial(caller.prepare, order))
        if isinstance(asked, Settled):
            return Outcome(_SUCCESS, untried=True), asked.result
        if isinstance(asked, Failed):
            return Outcome(OutcomeKind.FAILURE, message=asked.message, final=True, untried=True), asked.result
        flight.model = asked.model
        reply = await self._reply(flight, order, asked)
        if isinstance(reply, Outcome):
            return reply, None
        return await self._judge(flight, caller, order, asked, reply)

    async def _past_wants(
        self,
        flight: _Flight,
        make: Callable[[], Awaitable[Made]],
        *,
        passes: Callable[[Exception], bool] = descriptors.is_passing,
        limited: bool = True,
    ) -> Made:
        """What a step makes, tried again while a want that passes keeps it back; that is no time of its call. A step
        that is not `limited` has all the time it needs then, since what it would lose is paid for.
        """
        while True:
            try:
                return await make()
            except Exception as error:
                if not passes(error):
                    raise
            self._stand_still(flight)
            await asyncio.sleep(descriptors.AGAIN_S)
            if limited:
                self._go_on(flight)

    def _stand_still(self, flight: _Flight) -> None:
        """For a while nothing can be done for a call: nothing is due but to say that it was sent, if it was."""
        _let_be(flight)
        self._tell_start(flight)

    def _go_on(self, flight: _Flight) -> None:
        """Its time limit begins anew."""
        limit = flight.launch.time_limit
        if limit is not None:
            flight.ends = asyncio.get_running_loop().time() + limit / 1000
            self._look_at(flight, flight.ends)

    async def _reply(self, flight: _Flight, order: CallOrder, asked: CallRequest) -> Answer | Outcome:
        """The endpoint's answer, or the outcome of a call without one."""
        ready = await self._past_wants(flight, partial(self._ready, asked.model))
        if isinstance(ready, Outcome):
            return ready
        client, given = ready
        try:
            send = partial(self._send, flight, client, asked, _headers(order, asked, given))
            reply = await self._past_wants(flight, send, passes=_was_not_sent)
        except (Unreachable, Broken, Silent) as trouble:
            return outcome_of_trouble(trouble, asked.model, given.hide)
        crashpoint("call_after_reply")
        return self._heard(asked.model, reply, given, dict(flight.launch.allocation.amounts))

    async def _ready(self, model: Model) -> tuple[CallClient, Credentials] | Outcome:
        """What a call is made with, the client and what lets it in, or the outcome for want of one."""
        endpoint = model.endpoint
        client = self._client or await self._open()
        if client is None:
            return Outcome(OutcomeKind.FAILURE, message=NO_LIBRARY, final=True, untried=True)
        try:
            return client, credentials_of(endpoint, self._environ)
        except KeyMissing as missing:
            return Outcome(OutcomeKind.RATE_LIMITED, message=str(missing), pool=endpoint.pool, status=401)

    async def _send(self, flight: _Flight, client: CallClient, asked: CallRequest, headers: Mapping[str, str]) -> Reply:
        """Make the call."""
        self._note_sent(flight)
        crashpoint("call_before_send")
        try:
            return await client.call(asked, headers)
        except NotSent:
            flight.began = None
            raise

    def _heard(self, model: Model, reply: Reply, given: Credentials, drawn: Mapping[PoolName, int]) -> Answer | Outcome:
        if model.endpoint.discovers:
            self._learn(model, reply, drawn)
        answer = reply.answer
        if answer is not None:
            return replace(answer, text=given.hide_in_answer(answer.text)) if given.secrets else answer
        wall = self._clock.wall()
        return outcome_of_status(reply.status, reply.headers, reply.body, model, wall=wall, hide=given.hide)

    def _learn(self, model: Model, reply: Reply, drawn: Mapping[PoolName, int]) -> None:
        """Keep the limits that headers tell: the pools of the model's rates take that size, if it is another."""
        for pool, what in ((model.requests, "requests"), (model.tokens, "tokens")):
            rate = rate_told(reply.headers, what)
            if rate is not None and rate >= drawn.get(pool, rate + 1) and self._rates.get(pool) != rate:
                self._rates[pool] = rate
                self._report(PoolDeclared(pool, PoolKind.RATE, rate))

    async def _judge(
        self, flight: _Flight, caller: Caller, order: CallOrder, asked: CallRequest, answer: Answer
    ) -> tuple[Outcome, str | None]:
        """What the app makes of an answer, with what it really used."""
        verdict = await self._past_wants(flight, partial(caller.accept, order, answer), limited=False)
        used = () if answer.usage is None else _used(asked.model, answer.usage.total)
        if isinstance(verdict, Settled):
            verdict.result.encode()  # what is no Unicode must not reach the store
            return Outcome(_SUCCESS, used=used), verdict.result
        if isinstance(verdict, Failed):
            return Outcome(OutcomeKind.FAILURE, message=verdict.message, final=True, used=used), verdict.result
        is_last = order.refusals >= asked.refusals_most
        outcome = Outcome(
            OutcomeKind.FAILURE,
            message=f"refused: {verdict.feedback}",
            final=is_last,
            uncounted=not is_last,
            used=used,
        )
        return outcome, refusal_text(order, answer, verdict.feedback)

    async def _open(self) -> CallClient | None:
        """The client, made with the first call; None if its library is not there."""
        async with self._opening:
            if self._client is not None:
                return self._client
            try:
                self._client = await self._connect()
            except ImportError:
                if descriptors.none_left():
                    raise NotSent("the library of calls cannot be opened now") from None
                return None
        return self._client

    def _note_sent(self, flight: _Flight) -> None:
        """A call is sent now. Its timer rings in time to tell it, unless what came before took long."""
        flight.began = asyncio.get_running_loop().time()
        due = flight.next()
        if due is not None and (flight.timer is None or flight.timer.when() > due):
            _let_be(flight)
            self._look_at(flight, due)

    def _tell_start(self, flight: _Flight) -> None:
        """Tell once that a call was sent, and how long ago."""
        if flight.began is not None and not flight.told:
            flight.told = True
            ago = round((asyncio.get_running_loop().time() - flight.began) * 1000)
            self._report(Started(flight.launch.attempt, flight.launch.epoch, ago=ago))

    def _tell_end(self, which: Launch | LiveAttempt, outcome: Outcome, result: str | None = None) -> None:
        self._counts["ended"] += 1
        if outcome.message:
            outcome = replace(outcome, message=outcome.message.encode("utf-8", "replace").decode())
        ended: Event = Exited(which.attempt, which.epoch, outcome, result=result)
        self._report(ended)


def _load_client() -> type[Client]:
    from .client import Client

    return Client


def _was_not_sent(error: Exception) -> bool:
    """Whether a call that failed can be made again: after any other error it may have been sent, and paid for."""
    return isinstance(error, NotSent)


def _let_be(flight: _Flight) -> None:
    """Look at a call no more."""
    if flight.timer is not None:
        flight.timer.cancel()
        flight.timer = None


def _headers(order: CallOrder, asked: CallRequest, given: Credentials) -> dict[str, str]:
    """The call's headers. A refused answer is never asked for again under its own idempotency key."""
    headers = {"Content-Type": "application/json", **given.headers}
    headers["Idempotency-Key"] = f"{asked.key}-{order.refusals}" if order.refusals else asked.key
    return headers


def _used(model: Model, tokens: int) -> tuple[tuple[PoolName, int], ...]:
    """What an answer used of the rates that count tokens."""
    endpoint = model.endpoint
    found = []
    if endpoint.tokens_per_minute is not None:
        found.append((endpoint.tokens, tokens))
    if endpoint.discovers:
        found.append((model.tokens, tokens))
    return tuple(found)


def _words(error: Exception) -> str:
    """What went wrong in the app's own code, for its author."""
    return f"the app could not make or take this call: {type(error).__name__}: {error}"[:500]
