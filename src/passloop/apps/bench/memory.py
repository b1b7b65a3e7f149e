"""What a cell is thought to take of a device: weights, cache and workspace by formula, then what was observed.

Cache of keys and values: 2 x layers x kv_heads x head_dim x bytes x tokens (Pope et al. 2022, section 2). Workspace of
eager attention: the scores of one layer, heads x tokens^2, twice (before and after the softmax). In MiB, rounded up.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from .adapters.base import ModelShape

__all__ = ["Bucket", "Device", "Estimate", "bucket_of", "estimate", "gpu_request"]

MIB = 2**20
RUNTIME_MIB = 600
"""Context of the device and what the libraries keep there."""
MARGIN_TENTHS = 11
"""Estimates are multiplied by this over ten."""
HALF = 2
LAYERS_OF_ACTIVATIONS = 8
WHOLE_SHARE = 10_000

Bucket = tuple[str, str, int]
"""Model, configuration, and the tokens of a context rounded up to a power of two."""


class Estimate(NamedTuple):
    """Memory in MiB, and what it rests on."""

    mib: int
    basis: str


class Device(NamedTuple):
    """A GPU as the estimate sees it: memory in MiB."""

    vram_mib: int
    virtual: bool


def bucket_of(model: str, sparse_attention: str, tokens: int) -> Bucket:
    """Where a peak is filed."""
    return model, sparse_attention, 1 << max(0, tokens - 1).bit_length()


def estimate(
    shape: ModelShape | None, *, tokens: int, observed: Mapping[Bucket, int], bucket: Bucket
) -> Estimate | None:
    """What a cell with contexts of so many tokens takes: the observed peak with a margin, else by formula; None where
    neither is known.
    """
    peak = observed.get(bucket)
    if peak is not None:
        return Estimate(-(-peak * MARGIN_TENTHS // 10), "observed peak")
    if shape is None or not shape.weight_bytes:
        return None
    cache = 2 * shape.layers * shape.kv_heads * shape.head_dim * shape.cache_bytes * tokens
    width = shape.heads * shape.head_dim
    work = LAYERS_OF_ACTIVATIONS * tokens * width * HALF
    if shape.eager:
        work += 2 * shape.heads * tokens * tokens * HALF
    whole = -(-(shape.weight_bytes + cache + work) // MIB)
    return Estimate(-(-whole * MARGIN_TENTHS // 10) + RUNTIME_MIB, "weights + cache + workspace")


def gpu_request(mib: int | None, device: Device) -> tuple[int, int, int | None]:
    """Whole GPUs, share in 1/10,000, and VRAM in MiB on a device of this size; a whole one where nothing is known."""
    if mib is None:
        return 1, 0, None
    share = -(-mib * WHOLE_SHARE // max(1, device.vram_mib))
    return (1, 0, mib) if share >= WHOLE_SHARE else (0, max(1, share), mib)
