"""The maskers of sparse-attention-hub on a loaded model, in a worker: attention is replaced while an answer is made.

The context is read densely, question and answer attend through the maskers, as that project does it. Written from its
public interface (`ResearchAttentionConfig`, `create_from_config`, `custom_attention`), and built whole or not at all.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib import import_module
from typing import Any

from passloop.apps.bench.errors import ConfigError, DependencyMissing

from .maskers import FIXED, PACKAGE, SAMPLING

__all__ = ["Masked"]

ROOT = f"{PACKAGE}.sparse_attention.research_attention"
NAME = "passloop_maskers"
"""What the attention is called among those of transformers while an answer is made."""


class Masked:
    """See `presses.Applied`. The whole context stays in the cache, so its length does not tell what is attended to."""

    renumbered = False
    measured = False

    def __init__(self, maskers: Sequence[Mapping[str, Any]]) -> None:
        try:
            attention = import_module(ROOT)
            configurations = [_configuration(each) for each in maskers]
        except ImportError as missing:
            raise DependencyMissing(f"{PACKAGE} cannot be imported: {missing}") from missing
        config = attention.ResearchAttentionConfig(masker_configs=configurations)
        self._attention = attention.ResearchAttention.create_from_config(config)
        if len(self._attention.maskers) != len(maskers):
            built = len(self._attention.maskers)
            raise ConfigError(f"{built} of {len(maskers)} maskers were built; a part of them would be another method")

    def reading(self, model: Any) -> AbstractContextManager[Any]:
        """The context is read densely."""
        return nullcontext(model)

    def answering(self, model: Any) -> AbstractContextManager[Any]:
        """Attention through the maskers."""
        return _replaced(model, _through(self._attention))


def _configuration(masker: Mapping[str, Any]) -> Any:
    """The configuration of one masker, with exactly the parameters that were planned."""
    name = str(masker["masker"])
    kind = "fixed" if name in FIXED else "sampling"
    module = import_module(f"{ROOT}.maskers.{kind}")
    build = getattr(module, {**FIXED, **SAMPLING}[name], None)
    if build is None:
        raise DependencyMissing(f"{PACKAGE} has no {name} in this version")
    asked = {each: value for each, value in masker.items() if each != "masker"}
    try:
        made = build(**asked)
    except (TypeError, ValueError, AssertionError) as wrong:
        raise ConfigError(f"the masker {name} cannot be built: {wrong}") from wrong
    held = {each.name: getattr(made, each.name) for each in dataclasses.fields(made)}
    for each, value in asked.items():
        if held.get(each) != value:
            raise ConfigError(f"the masker {name} was built with {each} = {held.get(each)!r} instead of {value!r}")
    return made


def _through(attention: Any) -> Callable[..., Any]:
    """The maskers as a function of transformers; what they gather belongs to one answer."""
    gathered: dict[str, Any] = {}

    def attend(module: Any, queries: Any, keys: Any, values: Any, attention_mask: Any, **more: Any) -> Any:
        return attention.custom_attention(
            module=module,
            queries=queries,
            keys=keys,
            values=values,
            attention_mask=attention_mask,
            scaling=more.pop("scaling", 1.0),
            dropout=more.pop("dropout", 0.0),
            sparse_meta_data=gathered,
            layer_idx=module.layer_idx,
            **more,
        )

    return attend


@contextmanager
def _replaced(model: Any, attend: Callable[..., Any]) -> Iterator[Any]:
    """The model with this attention, and as it was afterwards."""
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, eager_mask
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    before = model.config._attn_implementation
    ALL_ATTENTION_FUNCTIONS.register(NAME, attend)
    ALL_MASK_ATTENTION_FUNCTIONS.register(NAME, eager_mask)
    model.config._attn_implementation = NAME
    try:
        yield model
    finally:
        model.config._attn_implementation = before
