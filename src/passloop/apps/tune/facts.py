"""What is known of a model: its size and shape, from the spec, else from a `config.json` beside its weights.

Nothing is downloaded and no weights are read; what cannot be known stays unknown, and what depends on it is
not checked.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .records import Params
from .spec import ModelEntry

__all__ = ["NAMES", "Facts", "facts_of"]

MIB = 2**20
LARGEST_CONFIG = 2**20
NAMES = ("experts", "heads", "kv_heads", "layers")
"""What expressions may name."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Of one model; None is unknown. `source` is a hub id, or the absolute path of what is here. `weights_mib` is the
    size of the weights as stored, `width` bytes of a value.
    """

    source: str | None = None
    weights_mib: int | None = None
    layers: int | None = None
    heads: int | None = None
    kv_heads: int | None = None
    head_dim: int | None = None
    experts: int | None = None
    width: int = 2

    @property
    def names(self) -> Params:
        """What is known, as expressions may name it."""
        return {name: value for name in NAMES if (value := getattr(self, name)) is not None}


def facts_of(entry: ModelEntry | None, folder: Path) -> Facts:
    """What is known of a model; a path is relative to `folder`."""
    if entry is None:
        return Facts()
    place = _place(entry.source, folder)
    config = _config(place)
    heads = entry.heads or _number(config, "num_attention_heads", "n_head")
    hidden = _number(config, "hidden_size", "n_embd")
    return Facts(
        source=entry.source if place is None else str(place),
        weights_mib=entry.weights if entry.weights is not None else _weights(place),
        layers=entry.layers or _number(config, "num_hidden_layers", "n_layer"),
        heads=heads,
        kv_heads=entry.kv_heads or _number(config, "num_key_value_heads") or heads,
        head_dim=entry.head_dim or _number(config, "head_dim") or (hidden // heads if hidden and heads else None),
        experts=entry.experts or _experts(config),
        width=4 if _text(config, "dtype", "torch_dtype") == "float32" else 2,
    )


def _place(source: str, folder: Path) -> Path | None:
    """Where its files are, if they are here."""
    try:
        path = (folder / source).resolve()
        return path if path.exists() else None
    except (OSError, ValueError, RuntimeError):
        return None


def _config(place: Path | None) -> Mapping[str, Any]:
    if place is None or not place.is_dir():
        return {}
    try:
        with (place / "config.json").open("rb") as file:
            found = json.loads(file.read(LARGEST_CONFIG))
    except (OSError, ValueError, RecursionError):
        return {}
    inner = found.get("text_config") if isinstance(found, dict) else None
    return inner if isinstance(inner, dict) else found if isinstance(found, dict) else {}


def _weights(place: Path | None) -> int | None:
    """The size of the files of weights, in MiB."""
    if place is None:
        return None
    if place.is_file():
        return -(-place.stat().st_size // MIB)
    with os.scandir(place) as entries:
        sizes = [
            each.stat().st_size for each in entries if each.name.endswith((".safetensors", ".gguf")) and each.is_file()
        ]
    return -(-sum(sizes) // MIB) or None


def _experts(config: Mapping[str, Any]) -> int | None:
    """How many experts; 0 for a model whose configuration is known and names none."""
    if not config:
        return None
    return _number(config, "num_experts", "num_local_experts", "n_routed_experts") or 0


def _number(config: Mapping[str, Any], *names: str) -> int | None:
    found = next((config[name] for name in names if name in config), None)
    return found if isinstance(found, int) and not isinstance(found, bool) and 0 < found < 10**7 else None


def _text(config: Mapping[str, Any], *names: str) -> str | None:
    return next((str(config[name]) for name in names if name in config), None)
