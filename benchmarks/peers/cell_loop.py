"""The loop that a researcher writes: one process, one model, one cell after the other. Run by `bench_cells`.

`python cell_loop.py MODEL SAMPLES SUBSETS METHODS` prints the seconds of loading, and of all cells. Nothing is stored,
nothing survives, nothing goes on after an error.
"""

from __future__ import annotations

import sys
import time

import kvpress
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from passloop.apps.bench.benchmarks.base import DataAsk
from passloop.apps.bench.benchmarks.niah import KIND
from passloop.apps.bench.transformer.chat import PlainTokenizer

NEW_TOKENS = 4
PRESSES = {"knorm": kvpress.KnormPress, "tova": kvpress.TOVAPress, "streaming_llm": kvpress.StreamingLLMPress}


def main() -> None:
    """Load, loop, print."""
    folder, samples, subsets, methods = sys.argv[1], int(sys.argv[2]), sys.argv[3].split(","), sys.argv[4].split(",")
    torch.set_num_threads(1)
    began = time.perf_counter()
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    pipeline = kvpress.KVPressTextGenerationPipeline(model=model, tokenizer=tokenizer)
    loaded = time.perf_counter()
    for method in methods:
        press = None if method == "dense" else PRESSES[method](compression_ratio=0.5)
        for subset in subsets:
            ask = DataAsk(subset=subset, samples=samples)
            answers = [
                pipeline(
                    context.text,
                    question=context.questions[0].text,
                    answer_prefix=context.questions[0].answer_prefix,
                    press=press,
                    max_new_tokens=NEW_TOKENS,
                )["answer"]
                for context in KIND.contexts(ask, PlainTokenizer(tokenizer))
            ]
            if len(answers) != samples:
                raise RuntimeError(f"{method} {subset}: {len(answers)} answers")
    print(loaded - began, time.perf_counter() - loaded)


if __name__ == "__main__":
    main()
