"""The loaded model as lm-eval sees one, under a method: a prompt is read under it, and what follows is made or scored
from what the method kept. It loads nothing and keeps one prompt's cache, because choices share their prompt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lm_eval.api.model import LM

from passloop.apps.bench.adapters.base import CellWork
from passloop.apps.bench.errors import ConfigError
from passloop.apps.bench.methods.presses import Applied

from .chat import PlainTokenizer
from .generating import arguments_of, generated, kept_as_is, seed_of
from .loading import LoadedModel
from .reading import ReadContext, Reader
from .usage import Usage

__all__ = ["HarnessModel"]

NEW_TOKENS = 256
"""lm-eval's own bound for tasks and cells that name none."""
ARGUMENTS = ("do_sample", "temperature", "top_k", "top_p")


class HarnessModel(LM):  # type: ignore[misc, unused-ignore]
    """See lm-eval's `LM`. One request at a time."""

    def __init__(self, loaded: LoadedModel, method: Applied, cell: CellWork, *, usage: Usage) -> None:
        super().__init__()
        self._loaded = loaded
        self._method = method
        self._cell = cell
        self._usage = usage
        self._tokens = PlainTokenizer(loaded.tokenizer)
        self._reader = Reader(loaded.model, method)
        self._prompt: list[int] = []
        self._read: ReadContext | None = None

    @property
    def tokenizer_name(self) -> str:
        """What lm-eval tells caches of prompts apart by."""
        return str(self._loaded.model.config.name_or_path).replace("/", "__")

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """A conversation as one text."""
        return str(
            self._loaded.tokenizer.apply_chat_template(
                chat_history,
                tokenize=False,
                add_generation_prompt=add_generation_prompt,
                continue_final_message=not add_generation_prompt,
            )
        )

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = True) -> list[str]:
        """The text that follows each prompt."""
        return [self._generate(*request.args[:2], number=request.doc_id) for request in requests]

    def loglikelihood(self, requests: Sequence[Any], disable_tqdm: bool = True) -> list[tuple[float, bool]]:
        """For each prompt and continuation: its log-likelihood, and whether greedy decoding would say it."""
        return [self._likelihood(*request.args[:2]) for request in requests]

    def loglikelihood_rolling(self, requests: Sequence[Any], disable_tqdm: bool = True) -> list[float]:
        """The log-likelihood of whole texts; only without a method, since there is no prompt that it could work on."""
        if self._cell.method.method is not None:
            fix = "exclude this task for sparse methods, or give the text a prompt"
            raise ConfigError(f"{self._cell.method.method} has no prompt to work on in a rolling likelihood; {fix}")
        return [self._scored(self._begin(), self._tokens.encode(request.args[0]))[0] for request in requests]

    def _generate(self, prompt: str, asked: Mapping[str, Any], *, number: int) -> str:
        tokens = self._tokens.encode(prompt) or self._begin()
        read = self._read_prompt(tokens[:-1])
        until = asked.get("until") or []
        own: dict[str, Any] = {name: asked[name] for name in ARGUMENTS if asked.get(name) is not None}
        if asked.get("max_gen_toks"):
            own["max_new_tokens"] = int(asked["max_gen_toks"])
        own["stop"] = [until] if isinstance(until, str) else list(until)
        if not own.get("do_sample"):  # tasks write temperature: 0.0 for greedy
            own.pop("temperature", None)
        with kept_as_is(read.cache), self._method.answering(self._loaded.model):
            text, made = generated(
                self._loaded.model,
                read.cache,
                tokens[-1:],
                position=read.position,
                arguments=arguments_of({"max_new_tokens": NEW_TOKENS}, self._cell.generation, own),
                seed=seed_of(self._cell.seed, number),
                tokenizer=self._loaded.tokenizer,
            )
        self._usage.add_answer(made)
        return text

    def _likelihood(self, prompt: str, continuation: str) -> tuple[float, bool]:
        """As lm-eval has it: blanks that end the prompt belong to the continuation, and both are split together."""
        bare = prompt.rstrip()
        before = self._tokens.encode(bare) if bare else self._begin()
        whole = self._tokens.encode(prompt + continuation)
        after = whole[len(before) :] if bare else whole
        return self._scored(before, after)

    def _scored(self, before: Sequence[int], after: Sequence[int]) -> tuple[float, bool]:
        import torch

        read = self._read_prompt(before[:-1])
        model = self._loaded.model
        ids = torch.tensor([[before[-1], *after[:-1]]], device=model.device)
        places = torch.arange(read.position, read.position + ids.shape[1], device=model.device).unsqueeze(0)
        with kept_as_is(read.cache), self._method.answering(model):
            logits = model(input_ids=ids, past_key_values=read.cache, position_ids=places).logits[0].float()
        wanted = torch.tensor(list(after), device=model.device)
        shares = torch.log_softmax(logits, dim=-1).gather(-1, wanted.unsqueeze(-1))
        return float(shares.sum()), bool((logits.argmax(dim=-1) == wanted).all())

    def _read_prompt(self, tokens: Sequence[int]) -> ReadContext:
        """The cache of a prompt; the last one is kept for the next continuation."""
        wanted = list(tokens)
        if self._read is None or self._prompt != wanted:
            self._read = self._reader.read(wanted, seed=seed_of(self._cell.seed, *wanted))
            self._prompt = wanted
            self._usage.add_context(self._read)
        return self._read

    def _begin(self) -> list[int]:
        """What stands for an empty prompt."""
        model = self._loaded.tokenizer
        token = model.bos_token_id if model.bos_token_id is not None else model.eos_token_id
        return [int(token or 0)]
