"""guidellm (0.8): `guidellm run`, read from its JSON report, which has each request with its times in seconds.

It loads torch to read prompts. In an open loop it keeps the time that each request was due, and latencies count from
that; it asks for exactly as many tokens as it is told, since it sends `ignore_eos`. It has no warm-up by number, so the
first requests are its warm-up here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from passloop.apps.tune.load.prompts import Prompt
from passloop.apps.tune.load.requests import RequestRecord

from .base import Asked, NoOutput, parsed

__all__ = ["GuideLLM"]

OUTPUT = "guidellm.json"
PROMPTS = "prompts.jsonl"
STATUS = re.compile(r"error '(\d{3}) ")


class GuideLLM:
    """The vLLM project's load client, in an environment of its own."""

    program = "guidellm"
    tokenizer = True

    def env(self, environ: Mapping[str, str]) -> dict[str, str]:
        """As it is."""
        return dict(environ)

    def write_prompts(self, asked: Asked, prompts: Sequence[Prompt]) -> None:
        """One prompt with the length of its answer a line."""
        lines = [
            msgspec.json.encode(
                {
                    "prompt": prompt.body("completions")["prompt"],
                    "output_tokens_count": prompt.max_tokens or asked.order.max_tokens,
                }
            )
            for prompt in prompts
        ]
        (asked.folder / PROMPTS).write_bytes(b"\n".join(lines) + b"\n")

    def words(self, asked: Asked) -> list[str]:
        """`guidellm run ...`."""
        point, options = asked.point, asked.options
        path = "/v1/chat/completions" if options.api == "chat" else "/v1/completions"
        seconds = () if point.seconds is None else ("--constraint", f"kind=max_duration,seconds={point.seconds:g}")
        return [
            "run",
            *("--backend", f"kind=openai_http,target={asked.url},model={asked.model},request_format={path}"),
            *("--profile", _profile(asked)),
            *("--constraint", f"kind=max_requests,count={point.warmup + point.requests}"),
            *seconds,
            *("--tokenizer", f"kind=hf_auto,model={options.tokenizer or asked.model}"),
            *("--data", f"kind=json_file,path={asked.folder / PROMPTS}"),
            *("--seed", f"kind=static,value={asked.order.seed}"),
            *("--output", f"kind=json,path={asked.folder / OUTPUT}", "--disable-console"),
            *options.args,
        ]

    def records(self, asked: Asked) -> list[RequestRecord]:
        """From all requests of its only benchmark that ended."""
        report = parsed(asked.folder / OUTPUT)
        try:
            requests = report["benchmarks"][0]["requests"]
            told = [*(requests["successful"] or ()), *(requests["errored"] or ())]
            told = sorted(told, key=_due)[asked.point.warmup :]
            start = min((_due(one) for one in told), default=0.0)
            return [_record(asked, index, one, start) for index, one in enumerate(told)]
        except (KeyError, IndexError, TypeError) as error:
            raise NoOutput(f"{OUTPUT} lacks {error}") from None


def _profile(asked: Asked) -> str:
    if asked.point.rate is None:
        return f"kind=concurrent,streams={asked.point.concurrency}"
    return f"kind={asked.point.arrivals},rate={asked.point.rate:g}"


def _due(told: Mapping[str, Any]) -> float:
    return float(told["info"]["timings"]["targeted_start"])


def _record(asked: Asked, index: int, told: Mapping[str, Any], start: float) -> RequestRecord:
    times = told["info"]["timings"]

    def at(*names: str) -> float:
        return next((float(times[name]) - start) * 1000 for name in names if times.get(name) is not None)

    sent = at("request_start", "resolve_start")
    due = at("targeted_start") if asked.point.rate is not None else sent
    ended = at("request_end", "resolve_end")
    error = told["info"].get("error")
    if error is not None:
        found = STATUS.search(str(error))
        status = int(found.group(1)) if found else None
        kind = f"http_{status}" if found else "timeout" if "Timeout" in str(error) else "closed"
        message = str(error)[:300]
        return asked.record(index, scheduled=due, sent=sent, ended=ended, status=status, error=kind, message=message)
    if times.get("first_token_iteration") is None:
        return asked.record(index, scheduled=due, sent=sent, ended=ended, status=200, error="no_text")
    return asked.record(
        index,
        scheduled=due,
        sent=sent,
        ended=ended,
        first=at("first_token_iteration"),
        last=at("last_token_iteration"),
        tokens_in=told["prompt_tokens"],
        tokens_out=told["output_tokens"],
        chunks=times["token_iterations"],
        status=200,
    )
