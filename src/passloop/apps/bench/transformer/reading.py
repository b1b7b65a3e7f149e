"""Reads a context into a cache, under a method, and tells how much of it the method kept. It answers nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from passloop.apps.bench.errors import ConfigError
from passloop.apps.bench.methods.presses import Applied

__all__ = ["ReadContext", "Reader"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadContext:
    """A context that was read: its cache, the number of the next token, its tokens, and the mean over layers and heads
    of the tokens that are kept (None: the cache's length does not tell).
    """

    cache: Any
    position: int
    tokens: int
    kept_tokens: float | None


class Reader:
    """Reads contexts with one model under one method."""

    def __init__(self, model: Any, method: Applied) -> None:
        self._model = model
        self._method = method

    def read(self, tokens: Sequence[int], *, seed: int) -> ReadContext:
        """Read a context. `seed` is for methods that choose by chance."""
        import torch
        from transformers import DynamicCache

        cache = DynamicCache(config=self._model.config)
        if not tokens:
            return ReadContext(cache=cache, position=0, tokens=0, kept_tokens=None)
        torch.manual_seed(seed)
        ids = torch.tensor([list(tokens)], device=self._model.device)
        with self._method.reading(self._model):
            self._model.base_model(input_ids=ids, past_key_values=cache)  # without the head: no token is wanted
        self._check_lengths(cache)
        length = int(cache.get_seq_length())
        return ReadContext(
            cache=cache,
            position=length if self._method.renumbered else len(tokens),
            tokens=len(tokens),
            kept_tokens=self._kept(cache) if self._method.measured else None,
        )

    def _check_lengths(self, cache: Any) -> None:
        """transformers makes one mask for all layers of a type, so they have to keep equally many tokens."""
        types = getattr(self._model.config.get_text_config(), "layer_types", None)
        lengths = {layer.keys.shape[2] for layer in cache.layers}
        if len(lengths) > 1 and len(set(types or ())) < 2:
            kept = f"{min(lengths)} to {max(lengths)} tokens"
            raise ConfigError(
                f"the method kept {kept}, by layer, of this context; transformers attends to one length only"
            )

    def _kept(self, cache: Any) -> float:
        """Tokens in the cache less those that single heads do not attend to, over layers and heads."""
        kept = 0.0
        for layer in cache.layers:
            kept += layer.keys.shape[2]
        for module in self._model.modules():
            masked = getattr(module, "masked_key_indices", None)
            if masked is not None:
                kept -= len(masked[0]) / self._kv_heads()
        return round(kept / len(cache.layers), 2)

    def _kv_heads(self) -> int:
        config = self._model.config.get_text_config()
        return int(getattr(config, "num_key_value_heads", None) or config.num_attention_heads)
