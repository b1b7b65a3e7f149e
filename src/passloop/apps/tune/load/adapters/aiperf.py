"""AIPerf (0.13): `aiperf profile`, read from its `profile_export.jsonl`, which has each request.

It refuses a local tokenizer while HF_HUB_OFFLINE is set, so that is taken from its environment. Its own latencies count
from when a request was sent; here, in an open loop, they count from when it gave the credit for it, which is when the
request was due.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from passloop.apps.tune.load.prompts import Prompt
from passloop.apps.tune.load.requests import RequestRecord

from .base import Asked, NoOutput

__all__ = ["AIPerf"]

OUTPUT = "aiperf"
PROMPTS = "prompts.jsonl"
NS_IN_MS = 1_000_000


class AIPerf:
    """NVIDIA's load client, in an environment of its own."""

    program = "aiperf"
    tokenizer = True

    def env(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Without what makes it refuse a tokenizer's folder."""
        return {name: value for name, value in environ.items() if name != "HF_HUB_OFFLINE"}

    def write_prompts(self, asked: Asked, prompts: Sequence[Prompt]) -> None:
        """One text a line."""
        lines = [msgspec.json.encode({"text": prompt.body("completions")["prompt"]}) for prompt in prompts]
        (asked.folder / PROMPTS).write_bytes(b"\n".join(lines) + b"\n")

    def words(self, asked: Asked) -> list[str]:
        """`aiperf profile ...`."""
        point, order, options = asked.point, asked.order, asked.options
        return [
            "profile",
            *("--model", asked.model, "--url", asked.url, "--streaming", "--ui", "none"),
            *("--endpoint-type", options.api, "--tokenizer", options.tokenizer or asked.model),
            *_load(asked),
            *("--request-count", str(point.requests)),
            *(("--warmup-request-count", str(point.warmup)) if point.warmup else ()),
            *(("--benchmark-duration", f"{point.seconds:g}") if point.seconds is not None else ()),
            *("--input-file", str(asked.folder / PROMPTS), "--custom-dataset-type", "single_turn"),
            *("--extra-inputs", f"max_tokens:{order.max_tokens}", "--extra-inputs", "temperature:0"),
            *("--request-timeout-seconds", f"{order.timeout / 1000:g}", "--random-seed", str(order.seed)),
            *("--connection-reuse-strategy", "pooled" if options.reuse else "never"),
            *("--use-server-token-count", "--no-gpu-telemetry", "--no-server-metrics"),
            *("--artifact-dir", str(asked.folder / OUTPUT)),
            *options.args,
        ]

    def records(self, asked: Asked) -> list[RequestRecord]:
        """From the lines of its measured phase."""
        path = asked.folder / OUTPUT / "profile_export.jsonl"
        try:
            lines = [msgspec.json.decode(line) for line in path.read_bytes().split(b"\n") if line]
            measured = [line for line in lines if line["metadata"]["benchmark_phase"] == "profiling"]
            start = min((_first_time(asked, line) for line in measured), default=0)
            return [_record(asked, index, line, start) for index, line in enumerate(measured)]
        except (OSError, msgspec.DecodeError, KeyError, TypeError) as error:
            raise NoOutput(f"{path.name} cannot be read: {error!r}") from None


def _load(asked: Asked) -> list[str]:
    if asked.point.rate is None:
        return ["--concurrency", str(asked.point.concurrency)]
    return ["--request-rate", f"{asked.point.rate:g}", "--arrival-pattern", asked.point.arrivals]


def _first_time(asked: Asked, line: Mapping[str, Any]) -> int:
    """When a request was due: with its credit in an open loop, as it was sent in a closed one."""
    return int(line["metadata"]["request_start_ns" if asked.point.rate is None else "credit_issued_ns"])


def _record(asked: Asked, index: int, line: dict[str, Any], start: int) -> RequestRecord:
    told, metrics = line["metadata"], line["metrics"]
    sent = (told["request_start_ns"] - start) / NS_IN_MS
    due = (_first_time(asked, line) - start) / NS_IN_MS
    ended = (told["request_end_ns"] - start) / NS_IN_MS
    error = line.get("error")
    if error is not None:
        kind = _kind(error)
        status, message = error.get("code"), str(error.get("message"))[:300]
        return asked.record(index, scheduled=due, sent=sent, ended=ended, status=status, error=kind, message=message)
    return asked.record(
        index,
        scheduled=due,
        sent=sent,
        ended=ended,
        first=sent + _value(metrics, "time_to_first_token"),
        last=sent + _value(metrics, "request_latency"),
        tokens_in=int(_value(metrics, "input_sequence_length")),
        tokens_out=int(_value(metrics, "output_sequence_length")),
        chunks=int(_value(metrics, "http_req_chunks_received")),
        status=200,
    )


def _kind(error: Mapping[str, Any]) -> str:
    kind = str(error.get("type"))
    if isinstance(error.get("code"), int):
        return f"http_{error['code']}"
    if "No responses with actual content" in str(error.get("message")):
        return "no_text"
    return "timeout" if "Timeout" in kind else "closed"


def _value(metrics: Mapping[str, Any], name: str) -> float:
    return float(metrics[name]["value"])
