"""What a model's `config.json` says about its size: for the memory formula, the order of cells, and load arguments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from passloop.apps.bench.adapters.base import ModelShape

__all__ = ["DTYPE_BYTES", "shape_of", "stored_dtype"]

DTYPE_BYTES: Mapping[str, int] = {"float32": 4, "bfloat16": 2, "float16": 2}
"""The dtypes that a model can be loaded in."""
QUANTISED_BYTES: Mapping[str, float] = {"8bit": 1.0, "4bit": 0.55}
"""Bytes of a weight, with the scales of 4-bit blocks."""


def stored_dtype(config: Mapping[str, Any]) -> str:
    """The dtype that the weights were saved in, by the configuration; float32 where it does not say."""
    named = str(config.get("dtype") or config.get("torch_dtype") or "float32").removeprefix("torch.")
    return named if named in DTYPE_BYTES else "float32"


def shape_of(config: Mapping[str, Any], *, parameters: int, load: Mapping[str, Any]) -> ModelShape:
    """The model's shape, loaded with these arguments; `parameters` is their number, 0 if unknown."""
    inner = config.get("text_config", config)
    heads = _count(inner, "num_attention_heads")
    width = DTYPE_BYTES[load["dtype"]]
    each = QUANTISED_BYTES.get(str(load.get("quantization")), float(width))
    return ModelShape(
        parameters=parameters,
        weight_bytes=round(parameters * each),
        layers=_count(inner, "num_hidden_layers"),
        heads=heads,
        kv_heads=_count(inner, "num_key_value_heads") or heads,
        head_dim=_count(inner, "head_dim") or (_count(inner, "hidden_size") // heads if heads else 0),
        cache_bytes=width,
        eager=load.get("attn_implementation") == "eager",
    )


def _count(config: Mapping[str, Any], name: str) -> int:
    value = config.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
