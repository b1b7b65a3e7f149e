"""`vllm bench serve`, read from the JSON that it saves with `--save-detailed`: lists with a place for each request.

It counts latencies from when a request was sent (vllm-project/vllm #54101). Newer ones also say how long a request had
waited for its turn (`queue_times`), and then, in an open loop, latencies count from when it was due. The tokenizer is
the model's, or the one that is named; seconds become ms here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import msgspec

from passloop.apps.tune.load.prompts import Prompt
from passloop.apps.tune.load.requests import RequestRecord

from .base import Asked, NoOutput, parsed

__all__ = ["VllmBench"]

OUTPUT = "vllm-bench.json"
PROMPTS = "prompts.jsonl"
REASONS = {status.phrase: status.value for status in HTTPStatus}
"""Of a refused request it keeps the reason of the status line, no more."""


class VllmBench:
    """The load client in vLLM's own environment."""

    program = "vllm"
    tokenizer = False

    def env(self, environ: Mapping[str, str]) -> dict[str, str]:
        """As it is."""
        return dict(environ)

    def write_prompts(self, asked: Asked, prompts: Sequence[Prompt]) -> None:
        """One prompt a line, which it reads as its `custom` dataset."""
        lines = [msgspec.json.encode({"prompt": prompt.body("completions")["prompt"]}) for prompt in prompts]
        (asked.folder / PROMPTS).write_bytes(b"\n".join(lines) + b"\n")

    def words(self, asked: Asked) -> list[str]:
        """`vllm bench serve ...`."""
        point, order, options = asked.point, asked.order, asked.options
        backend = ("openai-chat", "/v1/chat/completions") if options.api == "chat" else ("openai", "/v1/completions")
        return [
            *("bench", "serve", "--backend", backend[0], "--endpoint", backend[1], "--base-url", asked.url),
            *("--model", asked.model),
            *(("--tokenizer", options.tokenizer) if options.tokenizer else ()),
            *("--dataset-name", "custom", "--dataset-path", str(asked.folder / PROMPTS), "--disable-shuffle"),
            *("--custom-output-len", str(order.max_tokens), "--skip-chat-template", "--temperature", "0"),
            *("--num-prompts", str(point.requests), "--num-warmups", str(point.warmup), "--seed", str(order.seed)),
            *_load(asked),
            *("--disable-tqdm", "--save-result", "--save-detailed"),
            *("--result-dir", str(asked.folder), "--result-filename", OUTPUT),
            *options.args,
        ]

    def records(self, asked: Asked) -> list[RequestRecord]:
        """From the lists of its result."""
        told = parsed(asked.folder / OUTPUT)
        try:
            starts = told["start_times"]
            waits = told.get("queue_times") if asked.point.rate is not None else None
            dues = [start - wait for start, wait in zip(starts, waits or [0.0] * len(starts), strict=True)]
            begin = min(dues, default=0.0)
            return [_record(asked, told, index, begin, dues[index]) for index in range(len(starts))]
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise NoOutput(f"{OUTPUT} has not what --save-detailed saves: {error}") from None


def _load(asked: Asked) -> list[str]:
    if asked.point.rate is None:
        return ["--max-concurrency", str(asked.point.concurrency)]
    burstiness = "1.0" if asked.point.arrivals == "poisson" else "1000000"
    return ["--request-rate", f"{asked.point.rate:g}", "--burstiness", burstiness]


def _record(asked: Asked, told: Mapping[str, Any], index: int, begin: float, due: float) -> RequestRecord:
    start, first = told["start_times"][index], told["ttfts"][index]
    latencies = told.get("latencies")
    latency = latencies[index] if latencies else first + sum(told["itls"][index])
    scheduled, sent = (due - begin) * 1000, (start - begin) * 1000
    ended = sent + latency * 1000
    if told["errors"][index]:
        message = str(told["errors"][index])[:300]
        status = REASONS.get(message)
        kind = "closed" if status is None else f"http_{status}"
        return asked.record(
            index, scheduled=scheduled, sent=sent, ended=ended, status=status, error=kind, message=message
        )
    return asked.record(
        index,
        scheduled=scheduled,
        sent=sent,
        ended=ended,
        first=sent + first * 1000,
        last=sent + latency * 1000,
        tokens_in=told["input_lens"][index],
        tokens_out=told["output_lens"][index],
        chunks=1 + len(told["itls"][index]),
        status=200,
    )
