"""What holds for a cell once defaults, its model, its benchmark and overrides have spoken: the later one wins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .spec import BenchSpec, Resources, Settings

__all__ = ["Settled", "settle"]


@dataclass(frozen=True, slots=True)
class Settled:
    """Settings of a cell. `time_limit` in ms."""

    generation: Mapping[str, Any]
    load: Mapping[str, Any]
    samples: int | None
    time_limit: int | None
    resources: Resources


def settle(spec: BenchSpec, layers: Sequence[Settings]) -> Settled:
    """The layers over what the spec says for all; arguments are merged, everything else is replaced."""
    generation: dict[str, Any] = {}
    load: dict[str, Any] = {}
    samples: int | None = None
    time_limit = spec.time_limit
    resources = spec.resources
    for layer in layers:
        generation |= layer.generation
        load |= layer.load
        samples = layer.samples if layer.samples is not None else samples
        time_limit = layer.time_limit if layer.time_limit is not None else time_limit
        resources = _over(resources, layer.resources)
    return Settled(generation, load, samples, time_limit, resources)


def _over(base: Resources, said: Resources) -> Resources:
    """`base` with what the other says; needs of pools are merged."""
    changed = {name: getattr(said, name) for name in said.model_fields_set if name != "need"}
    if not changed and not said.need:
        return base
    return base.model_copy(update={**changed, "need": {**base.need, **said.need}})
