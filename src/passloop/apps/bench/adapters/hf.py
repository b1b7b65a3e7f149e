"""The adapter `hf`: models of transformers, dense or under a method. Light; the heavy half is in `transformer`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from passloop.apps.bench.errors import ConfigError
from passloop.apps.bench.methods.resolve import resolved_method
from passloop.apps.bench.models.sources import resolved_model
from passloop.apps.bench.transformer.generating import arguments_of
from passloop.apps.errors import BadValue, did_you_mean
from passloop.apps.text import shown

from .base import Adapter, MethodAsk, ModelAsk, ResolvedMethod, ResolvedModel

__all__ = ["FAMILY", "KIND", "HfKind"]

FAMILY = "hf"
OPTIONS = ("chat",)


class HfKind:
    """See `AdapterKind`. Option `chat` (default true): write prompts by the model's chat template, where it has one."""

    name = "hf"
    family = FAMILY
    free_names = False
    warm = True

    def resolve_model(self, ask: ModelAsk) -> ResolvedModel:
        """Find the model; nothing is fetched or loaded."""
        return resolved_model(ask)

    def resolve_method(self, ask: MethodAsk, model: ResolvedModel) -> ResolvedMethod:
        """Check the method and complete its parameters."""
        return resolved_method(ask, model)

    def check_generation(self, arguments: Mapping[str, Any]) -> None:
        """Check the arguments by name and value."""
        try:
            arguments_of(arguments)
        except ConfigError as wrong:
            what, _, fix = wrong.message.partition("; ")
            raise BadValue(what, fix, path=("generation",)) from None

    def resolve_options(self, options: Mapping[str, Any], folder: Path) -> Mapping[str, Any]:
        """Check the options."""
        for name in options:
            if name not in OPTIONS:
                raise BadValue(f"{shown(name)} is no option of hf", did_you_mean(name, OPTIONS), path=("options", name))
        chat = options.get("chat", True)
        if not isinstance(chat, bool):
            raise BadValue(f"chat is {shown(chat)}", "write true or false", path=("options", "chat"))
        return {"chat": chat}

    def create(self, options: Mapping[str, Any]) -> Adapter:
        """The adapter proper."""
        from passloop.apps.bench.transformer.adapter import TransformerAdapter

        return TransformerAdapter(options)


KIND = HfKind()
