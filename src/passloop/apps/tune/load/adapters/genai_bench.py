"""genai-bench (0.0.5): `genai-bench benchmark`, read from the one JSON of its run. A closed loop only.

Its requests have latencies but no times of the day, so each is said to begin with the run and to end with it: latencies
and rates are right, an order among them there is none. It counts tokens with its own tokenizer. Its limit of time is in
whole minutes, and it may send more requests than it is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from passloop.apps.tune.load.prompts import Prompt
from passloop.apps.tune.load.requests import RequestRecord

from .base import Asked, NoOutput, closed_only, parsed

__all__ = ["GenAIBench"]

OUTPUT = "genai-bench"
PROMPTS = "prompts.txt"
LONGEST_MINUTES = 1_440
IN_MS = {"s": 1000.0, "ms": 1.0}


class GenAIBench:
    """The SGLang project's load client, in an environment of its own."""

    program = "genai-bench"
    tokenizer = True

    def env(self, environ: Mapping[str, str]) -> dict[str, str]:
        """It shall look for nothing in the net."""
        return {**environ, "HF_HUB_OFFLINE": "1"}

    def write_prompts(self, asked: Asked, prompts: Sequence[Prompt]) -> None:
        """One prompt a line."""
        lines = [" ".join(prompt.body("completions")["prompt"].split()) for prompt in prompts]
        (asked.folder / PROMPTS).write_text("\n".join(lines) + "\n", encoding="utf-8")

    def words(self, asked: Asked) -> list[str]:
        """`genai-bench benchmark ...`."""
        point, order, options = asked.point, asked.order, asked.options
        concurrency = closed_only(asked, self.program)
        minutes = LONGEST_MINUTES if point.seconds is None else math.ceil(point.seconds / 60)
        asks = f'{{"max_tokens": {order.max_tokens}, "temperature": 0}}'
        return [
            "benchmark",
            *("--api-backend", "openai", "--api-base", asked.url, "--api-key", "none"),
            *("--api-model-name", asked.model, "--model-tokenizer", options.tokenizer or asked.model),
            *("--task", "text-to-text", "--num-concurrency", str(concurrency)),
            *("--traffic-scenario", "dataset", "--dataset-path", str(asked.folder / PROMPTS)),
            *("--max-requests-per-run", str(point.requests), "--max-time-per-run", str(minutes)),
            *("--warmup-ratio", f"{point.warmup / (point.warmup + point.requests):.3f}"),
            *("--additional-request-params", asks, "--log-dir", str(asked.folder / "logs")),
            *("--experiment-base-dir", str(asked.folder), "--experiment-folder-name", OUTPUT),
            *options.args,
        ]

    def records(self, asked: Asked) -> list[RequestRecord]:
        """From the only file of its folder that has requests."""
        folder = asked.folder / OUTPUT
        files = sorted(folder.glob("*_num_concurrency_*.json"))
        if len(files) != 1:
            raise NoOutput(f"{OUTPUT} has {len(files)} results, one was asked for")
        told = parsed(files[0])
        try:
            scale = IN_MS[told["_time_unit"]]
            span = told["aggregated_metrics"]["run_duration"] * 1000
            requests = told["individual_request_metrics"]
            return [_record(asked, index, one, scale, span) for index, one in enumerate(requests)]
        except (KeyError, TypeError) as error:
            raise NoOutput(f"{files[0].name} lacks {error}") from None


def _record(asked: Asked, index: int, one: Mapping[str, Any], scale: float, span: float) -> RequestRecord:
    if one["error_code"] is not None:
        code, message = one["error_code"], str(one["error_message"])[:300]
        kind = f"http_{code}" if 300 <= code < 600 else "closed"
        return asked.record(index, scheduled=0.0, sent=0.0, ended=span, status=code, error=kind, message=message)
    return asked.record(
        index,
        scheduled=0.0,
        sent=0.0,
        ended=span,
        first=one["ttft"] * scale,
        last=one["e2e_latency"] * scale,
        tokens_in=one["num_input_tokens"],
        tokens_out=one["num_output_tokens"],
        chunks=one["num_output_tokens"],
        status=200,
    )
