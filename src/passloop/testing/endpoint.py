"""An OpenAI-compatible endpoint that misbehaves as scripted: for tests, and to try a dataset without paying for it.

    python -m passloop.testing.endpoint --port 8080 --latency 20 --log bills.jsonl

It answers `chat/completions`, `completions` and `models` below `/v1`, whole or as a stream; what it does wrong is data
(see `script.py`). It keeps exact counts of what came within each minute and says 429 beyond, whatever the client
believes. It listens on the loopback only.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from email.utils import formatdate
from pathlib import Path
from typing import Any
from weakref import WeakSet

from aiohttp import web

from .answers import Said, answer_body, say, stream_parts
from .billing import BillingLog
from .script import Fault, ModelScript, Script
from .windows import MINUTE, RateWindow

__all__ = ["FaultyEndpoint", "main"]

LOOPBACK = "127.0.0.1"


def _monotonic_ms() -> int:
    return time.monotonic_ns() // 1_000_000


class _Model:
    """What is going on at one model."""

    def __init__(self, name: str, script: ModelScript) -> None:
        self.name = name
        self.script = script
        self.calls = 0
        self.answered = 0
        self.in_flight = 0
        self.rates = _Rates(script.requests_per_minute, script.tokens_per_minute)


class _Rates:
    """The two rates of a model, or of all together."""

    def __init__(self, requests: int | None, tokens: int | None) -> None:
        self.requests = None if requests is None else RateWindow(requests)
        self.tokens = None if tokens is None else RateWindow(tokens)

    def wait(self, tokens: int, now: int) -> int:
        """In how many ms a call of this size may come; 0 for now."""
        waits = [0]
        if self.requests is not None and self.requests.left(now) < 1:
            waits.append(max(1, self.requests.reset(1, now)))
        if self.tokens is not None and self.tokens.left(now) < tokens:
            waits.append(max(1, self.tokens.reset(tokens, now)))
        return max(waits)

    def take(self, tokens: int, now: int) -> None:
        """A call of this size came."""
        if self.requests is not None:
            self.requests.take(1, now)
        if self.tokens is not None:
            self.tokens.take(tokens, now)

    def headers(self, now: int) -> dict[str, str]:
        """What is left, as the usual headers tell it."""
        found: dict[str, str] = {}
        for name, window in (("requests", self.requests), ("tokens", self.tokens)):
            if window is not None:
                found[f"x-ratelimit-limit-{name}"] = str(window.rate)
                found[f"x-ratelimit-remaining-{name}"] = str(window.left(now))
                used = window.rate - window.left(now)
                found[f"x-ratelimit-reset-{name}"] = f"{math.ceil(used * MINUTE / window.rate)}ms"
        return found


class FaultyEndpoint:
    """Plays a `Script`. `counts` has what happened, by (model, word): calls, answered, refused, over, broken.

    `now` is the clock of its windows and faults, in ms.
    """

    def __init__(
        self, script: Script | None = None, *, log: Path | None = None, now: Callable[[], int] = _monotonic_ms
    ) -> None:
        self.script = script or Script()
        self.counts: Counter[tuple[str, str]] = Counter()
        self.keys: list[str] = []
        self._now = now
        self._log = BillingLog(log)
        self._rates = _Rates(self.script.requests_per_minute, self.script.tokens_per_minute)
        self._models: dict[str, _Model] = {}
        self._started = now()
        self._runner: web.AppRunner | None = None
        self._closing = asyncio.Event()
        self._used: WeakSet[object] = WeakSet()
        self.url = ""

    async def start(self, port: int = 0) -> str:
        """Listen on the loopback; gives the base URL."""
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_post("/v1/chat/completions", self._complete)
        app.router.add_post("/v1/completions", self._complete)
        app.router.add_get("/v1/models", self._list)
        keep = self.script.idle_close / 1000
        self._runner = web.AppRunner(app, access_log=None, keepalive_timeout=keep, shutdown_timeout=0.2)
        await self._runner.setup()
        site = web.TCPSite(self._runner, LOOPBACK, port)
        await site.start()
        address = self._runner.addresses[0]
        self._started = self._now()
        self.url = f"http://{LOOPBACK}:{address[1]}/v1"
        return self.url

    async def stop(self) -> None:
        """Hang up on everybody."""
        self._closing.set()
        if self._runner is not None:
            await self._runner.cleanup()
        self._log.close()

    def count(self, word: str, model: str | None = None) -> int:
        """How often a thing happened, at one model or at all."""
        return sum(n for (name, what), n in self.counts.items() if what == word and model in (None, name))

    async def _list(self, request: web.Request) -> web.Response:
        names = [{"id": name, "object": "model"} for name in self.script.models]
        return web.json_response({"object": "list", "data": names})

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        if self._is_dropped(request):
            return self._hang_up(request)
        body = await request.json()
        name = str(body.get("model", ""))
        model = self._model(name)
        if model is None:
            return _error(404, f"there is no model {name!r}", code="model_not_found")
        key = _bearer(request)
        if self.script.api_keys and key not in self.script.api_keys:
            self._tell(model, "refused", request, status=401)
            return _error(401, f"the key {key!r} is not let in", code="invalid_api_key")
        return await self._call(request, model, body, key)

    async def _call(self, request: web.Request, model: _Model, body: Mapping[str, Any], key: str) -> web.StreamResponse:
        call, model.calls = model.calls, model.calls + 1
        self._tell(model, "received", request, call=call)
        said = say(body, seed=self.script.seed, call=model.answered, answers=model.script.answers)
        fault = self._fault(model, call)
        if fault is not None and fault.kind == "status":
            self._tell(model, "refused", request, call=call, status=fault.status)
            return self._faulty(fault, key)
        refusal = self._over(model, said, request, call)
        if refusal is not None:
            return refusal
        model.in_flight += 1
        try:
            return await self._answer(request, model, said, call, fault, body=body)
        finally:
            model.in_flight -= 1

    async def _answer(
        self,
        request: web.Request,
        model: _Model,
        said: Said,
        call: int,
        fault: Fault | None,
        *,
        body: Mapping[str, Any],
    ) -> web.StreamResponse:
        latency = model.script.latency + int(self.script.draw(f"{model.name}/latency", call) * model.script.jitter)
        if fault is not None and fault.kind in ("hang", "close"):
            if fault.kind == "hang":
                await self._closing.wait()
            self._tell(model, "broken", request, call=call)
            return self._hang_up(request)
        if body.get("stream"):
            return await self._stream(request, model, said, call, fault, latency)
        await asyncio.sleep(latency / 1000)
        if fault is not None and fault.kind == "garbage":
            self._tell(model, "broken", request, call=call)
            return web.Response(text="<html>a gateway's idea of an answer</html>", content_type="text/html")
        if fault is not None:
            return await self._cut(request, model, call)
        self._answered(model, request, said, call)
        told = answer_body(said)
        if not model.script.usage:
            del told["usage"]
        return web.json_response(told, headers=self._headers(model))

    async def _stream(
        self, request: web.Request, model: _Model, said: Said, call: int, fault: Fault | None, latency: int
    ) -> web.StreamResponse:
        options = (await request.json()).get("stream_options") or {}
        parts = list(stream_parts(said, with_usage=model.script.usage and bool(options.get("include_usage"))))
        response = web.StreamResponse(headers={"content-type": "text/event-stream"} | self._headers(model))
        await response.prepare(request)
        for position, part in enumerate(parts):
            if fault is not None and position == len(parts) // 2:
                self._tell(model, "broken", request, call=call)
                if fault.kind == "hang":
                    await self._closing.wait()
                return self._hang_up(request, response)
            await asyncio.sleep(latency / 1000 / len(parts))
            await response.write(part)
        self._answered(model, request, said, call)
        await response.write_eof()
        return response

    async def _cut(self, request: web.Request, model: _Model, call: int) -> web.StreamResponse:
        """Half an answer, then the connection is closed."""
        response = web.StreamResponse(headers={"content-type": "application/json", "content-length": "1000"})
        await response.prepare(request)
        await response.write(b'{"choices": [')
        self._tell(model, "broken", request, call=call)
        return self._hang_up(request, response)

    def _model(self, name: str) -> _Model | None:
        known = self._models.get(name)
        if known is None:
            script = self.script.model(name)
            if script is None:
                return None
            known = self._models[name] = _Model(name, script)
        return known

    def _fault(self, model: _Model, call: int) -> Fault | None:
        draw = self.script.draw(model.name, call)
        since = self._now() - self._started
        return next((fault for fault in model.script.faults if fault.applies(call, since, draw)), None)

    def _faulty(self, fault: Fault, key: str) -> web.Response:
        headers: dict[str, str] = {}
        if fault.retry_after == "date":
            end = fault.until if fault.until is not None else self._now() - self._started
            headers["retry-after"] = formatdate(time.time() + (end - self._now() + self._started) / 1000, usegmt=True)
        elif fault.retry_after is not None:
            headers["retry-after"] = f"{fault.retry_after:g}"
        if fault.shared:
            headers["x-ratelimit-scope"] = "organization"
        text = fault.body.replace("{key}", key) or f"scripted to answer {fault.status}"
        return _error(fault.status, text, headers=headers)

    def _over(self, model: _Model, said: Said, request: web.Request, call: int) -> web.Response | None:
        """429 if the call is beyond a limit, which is counted as `over`; else it is taken into the windows."""
        now, tokens = self._now(), said.prompt_tokens + said.tokens
        wait = max(model.rates.wait(tokens, now), self._rates.wait(tokens, now))
        most = model.script.max_in_flight
        if wait or (most is not None and model.in_flight >= most):
            self.counts[model.name, "over"] += 1
            self._tell(model, "refused", request, call=call, status=429)
            headers = self._headers(model) | {"retry-after": str(max(1, math.ceil(wait / 1000)))}
            return _error(429, "too many requests", headers=headers, code="rate_limit_exceeded")
        model.rates.take(tokens, now)
        self._rates.take(tokens, now)
        return None

    def _headers(self, model: _Model) -> dict[str, str]:
        if not self.script.tells_limits:
            return {}
        return self._rates.headers(self._now()) | model.rates.headers(self._now())

    def _answered(self, model: _Model, request: web.Request, said: Said, call: int) -> None:
        model.answered += 1
        self._tell(model, "answered", request, call=call, tokens=[said.prompt_tokens, said.tokens])

    def _tell(self, model: _Model, what: str, request: web.Request, **fields: object) -> None:
        self.counts[model.name, what] += 1
        key = request.headers.get("idempotency-key", "")
        self._log.note(what, at=self._now(), model=model.name, key=key, **fields)

    def _is_dropped(self, request: web.Request) -> bool:
        if not self.script.drops_reused or request.transport is None:
            return False
        was_used = request.transport in self._used
        self._used.add(request.transport)
        return was_used

    @staticmethod
    def _hang_up(request: web.Request, response: web.StreamResponse | None = None) -> web.StreamResponse:
        if request.transport is not None:
            request.transport.abort()
        return response or web.Response()


def _bearer(request: web.Request) -> str:
    return request.headers.get("authorization", "").removeprefix("Bearer ")


def _error(
    status: int, text: str, *, headers: Mapping[str, str] | None = None, code: str | None = None
) -> web.Response:
    body = {"error": {"message": text, "type": "scripted", "code": code}}
    return web.json_response(body, status=status, headers=headers)


def main(arguments: list[str] | None = None) -> None:
    """Play a script until SIGTERM or Ctrl-C. The first line on stdout is JSON with the `url`."""
    parser = argparse.ArgumentParser(prog="python -m passloop.testing.endpoint", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 (the default) takes a free one")
    parser.add_argument("--script", type=Path, help="JSON file; see passloop.testing.script")
    parser.add_argument("--latency", type=int, default=20, metavar="MS", help="without a script")
    parser.add_argument("--requests-per-minute", type=int, help="without a script")
    parser.add_argument("--log", type=Path, help="append what was billed to this file, as JSON lines")
    given = parser.parse_args(arguments)
    if given.script is not None:
        script = Script.parse(given.script.read_bytes())
    else:
        script = Script(requests_per_minute=given.requests_per_minute, default=ModelScript(latency=given.latency))
    asyncio.run(_serve(script, given.port, given.log))


async def _serve(script: Script, port: int, log: Path | None) -> None:
    endpoint = FaultyEndpoint(script, log=log)
    url = await endpoint.start(port)
    sys.stdout.write(json.dumps({"url": url}) + "\n")
    sys.stdout.flush()
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    await ended.wait()
    await endpoint.stop()


if __name__ == "__main__":
    main()
