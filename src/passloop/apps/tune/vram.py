"""How much memory of a GPU a candidate is thought to take: weights, cache and workspace by formula, then by what was
observed.

Cache of keys and values: 2 x layers x kv_heads x head_dim x bytes x tokens (Pope et al. 2022, section 2), for as many
sequences as run at once. Weights and cache are divided among the ranks of tensor and pipeline parallelism;
data-parallel replicas have their own. MiB per GPU, rounded up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from .facts import Facts
from .families import Family
from .records import Params, Value

__all__ = ["Memory", "Peak", "vram_mib"]

MIB = 2**20
RUNTIME_MIB = 1_024
"""Context of the device, kernels, graphs and what the engine keeps beside."""
MARGIN_TENTHS = 11
WIDTHS = {"auto": 0.0, "float32": 4.0, "float16": 2.0, "bfloat16": 2.0, "fp16": 2.0, "int8": 1.0, "int4": 0.5}
"""Bytes of a value by the setting; 0 is as stored."""


class Peak(NamedTuple):
    """What a trial with these values took of a GPU, in MiB."""

    values: Mapping[str, Value]
    mib: int


@dataclass(frozen=True, slots=True)
class Memory:
    """What the spec says: `vram` in MiB, `auto`, or None; with the model, and the load's most sequences and tokens."""

    vram: int | str | None
    facts: Facts
    sequences: int
    tokens: int


def vram_mib(memory: Memory, family: Family, known: Params, gpus: int, peaks: Iterable[Peak] = ()) -> int | None:
    """The memory to ask of each GPU; None if nothing is to be asked or known. Observed peaks come first: those of the
    same settings, else the estimate is raised as much as others took more than theirs, but never over the highest peak:
    engines that fill what they find take the same on every GPU.
    """
    if memory.vram is None or isinstance(memory.vram, int):
        return memory.vram
    own = _estimate(memory, family, known)
    seen = [each for each in peaks if each.mib > 0]
    key = _key(family, known, gpus)
    same = [each.mib for each in seen if _key(family, {**family.defaults, **each.values}, gpus) == key]
    most = max((each.mib for each in seen), default=None)
    if same or own is None or most is None:
        return max(same) if same else own if own is not None else most
    ratios = [
        each.mib / told for each in seen if (told := _estimate(memory, family, {**family.defaults, **each.values}))
    ]
    return min(int(own * max([1.0, *ratios])), max(own, most))


def _key(family: Family, known: Mapping[str, Value], gpus: int) -> tuple[object, ...]:
    """The settings on which memory depends."""
    names = ("tp", "pp", "weights", "kv_cache", "moe", family.batch, family.context)
    return (gpus, *(known.get(name) for name in names if name is not None))


def _estimate(memory: Memory, family: Family, known: Mapping[str, Value]) -> int | None:
    facts = memory.facts
    if facts.weights_mib is None:
        return None
    ranks = max(1, _number(known, "tp", 1) * _number(known, "pp", 1))
    weights = facts.weights_mib * _width(known.get("weights"), facts.width) / facts.width
    shape = (facts.layers, facts.kv_heads, facts.head_dim)
    cache = 0.0
    if all(each is not None for each in shape):
        layers, kv_heads, head_dim = (each or 0 for each in shape)
        sequences = min(_number(known, family.batch, memory.sequences), memory.sequences)
        tokens = min(_number(known, family.context, memory.tokens), memory.tokens)
        width = _width(known.get("kv_cache"), facts.width)
        cache = 2 * layers * kv_heads * head_dim * width * tokens * sequences / MIB
    return _margin(int((weights + cache) / ranks) + 1) + RUNTIME_MIB


def _width(setting: object, stored: int) -> float:
    told = str(setting) if setting is not None else "auto"
    width = 1.0 if told.startswith("fp8") else WIDTHS.get(told, 0.0)
    return width or float(stored)


def _number(known: Mapping[str, Value], name: str | None, otherwise: int) -> int:
    value = known.get(name) if name is not None else None
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) and value > 0 else otherwise


def _margin(mib: int) -> int:
    return -(-mib * MARGIN_TENTHS // 10)
