"""What the methods of kvpress are called here, which parameters they take, and what is known about them.

Light on purpose: `plan` looks here and imports neither torch nor kvpress. A worker checks each method it builds against
what is written here (`presses.py`), so a table that no longer matches the library is an error and never another run.
Defaults and bounds are those of kvpress 0.5.5 (https://github.com/NVIDIA/kvpress).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

__all__ = ["BASE", "METHODS", "RATIO", "Kept", "Method", "Parameter"]

Default = str | int | float | bool | None

BASE = "base"
"""The parameter of a wrapping method that names the method it wraps."""
RATIO = "compression_ratio"


class Kept(Enum):
    """How the share of the cache that a method keeps follows from its parameters."""

    BY_RATIO = "one less the compression ratio"
    OF_KEYS = "the ratio counts for the keys' channels only"
    UNKNOWN = "it depends on the text"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: its default decides its type (`type_` where that is None); bounds are inclusive."""

    default: Default = None
    least: float | None = None
    most: float | None = None
    choices: tuple[str, ...] = ()
    type_: type | None = None
    below: float | None = None
    """A bound that the value must stay under."""


@dataclass(frozen=True, slots=True)
class Method:
    """One method. `press` is kvpress's class; `wraps` names the field that holds the wrapped method (it then has the
    parameter `base`). `problem` says why it cannot run (plan refuses it with `fix`); `attention` is the implementation
    it wants, `not_attention` those it cannot work with. `answering`: it works while answers are made, not while the
    context is read. `renumbered`: what it keeps is numbered anew, so questions begin where the kept cache ends.
    """

    press: str
    parameters: Mapping[str, Parameter]
    kept: Kept = Kept.BY_RATIO
    wraps: str = ""
    attention: str = ""
    not_attention: tuple[str, ...] = ()
    mutates_model: bool = False
    answering: bool = False
    renumbered: bool = False
    problem: str = ""
    fix: str = ""


COMPRESSION = Parameter(0.0, least=0.0, below=1.0)
SINK = Parameter(4, least=0)
SHARE = Parameter(0.2, least=0.0, most=1.0)
TAKE_ANOTHER = "take a method that computes its scores from the model itself, such as snapkv or expected_attention"


def _scorer(press: str, /, **more: Parameter) -> Method:
    return Method(press, {RATIO: COMPRESSION, **more})


def _wrapper(press: str, /, **more: Parameter) -> Method:
    return Method(press, {RATIO: COMPRESSION, **more}, wraps="press")


def _blocked(press: str, problem: str, fix: str, /, **more: Parameter) -> Method:
    return Method(press, {RATIO: COMPRESSION, **more}, problem=problem, fix=fix)


NOT_EAGER = ("eager",)
SCORERS: dict[str, Method] = {
    "knorm": _scorer("KnormPress"),
    "snapkv": _scorer("SnapKVPress", window_size=Parameter(64, least=1), kernel_size=Parameter(5, least=1)),
    "streaming_llm": _scorer("StreamingLLMPress", n_sink=SINK),
    "tova": _scorer("TOVAPress"),
    "expected_attention": _scorer(
        "ExpectedAttentionPress",
        n_future_positions=Parameter(512, least=1),
        n_sink=SINK,
        use_covariance=Parameter(True),
        use_vnorm=Parameter(True),
        epsilon=Parameter(0.0, least=0.0),
    ),
    "random": _scorer("RandomPress", seed=Parameter(None, least=0, type_=int)),
    "keydiff": _scorer("KeyDiffPress"),
    "lagkv": _scorer("LagKVPress", n_sink=SINK, lag_size=Parameter(128, least=1), cross_scoring=Parameter(False)),
    "leverage": _scorer("LeverageScorePress", sketch_dimension=Parameter(48, least=1)),
    "non_causal": _scorer("NonCausalAttnPress", chunk_size=Parameter(256, least=1)),
    "compactor": _scorer(
        "CompactorPress",
        sink_size_start=Parameter(8, least=0),
        sink_size_end=Parameter(4, least=0),
        chunk_size=Parameter(256, least=1),
        sketch_dimension=Parameter(48, least=1),
        blending=Parameter(None, least=0.0, type_=float),
    ),
    "cur": _scorer(
        "CURPress",
        num_sinks=SINK,
        leverage_type=Parameter("kv_product", choices=("kv_avg", "key", "value", "kv_product")),
        use_random_leverage=Parameter(False),
        use_local_approximation=Parameter(True),
        local_window_size=Parameter(16, least=1),
    ),
    "observed_attention": Method("ObservedAttentionPress", {RATIO: COMPRESSION}, attention="eager"),
}
WHOLE: dict[str, Method] = {
    "think": Method(
        "ThinKPress",
        {"key_channel_compression_ratio": COMPRESSION, "window_size": Parameter(32, least=1)},
        kept=Kept.OF_KEYS,
    ),
    "simlayerkv": Method(
        "SimLayerKVPress",
        {
            "lazy_threshold": Parameter(1.0, least=0.0, most=1.0),
            "n_last": Parameter(1, least=1),
            "n_recent": Parameter(1024, least=1),
            "n_initial": Parameter(4, least=0),
        },
        kept=Kept.UNKNOWN,
    ),
    "kvzip": Method(
        "KVzipPress",
        {
            RATIO: COMPRESSION,
            "layerwise": Parameter(False),
            "n_sink": SINK,
            "kvzip_plus_normalization": Parameter(False),
            "chunk_size": Parameter(2048, least=1),
        },
        not_attention=NOT_EAGER,
    ),
}
WRAPPERS: dict[str, Method] = {
    "adakv": Method(
        "AdaKVPress",
        {RATIO: COMPRESSION, "alpha_safeguard": SHARE},
        wraps="press",
        not_attention=NOT_EAGER,
    ),
    "criticalkv": _wrapper(
        "CriticalKVPress",
        epsilon=Parameter(0.0001, least=0.0),
        first_stage_ratio=Parameter(0.5, least=0.0, most=1.0),
    ),
    "critical_adakv": Method(
        "CriticalAdaKVPress",
        {
            RATIO: COMPRESSION,
            "alpha_safeguard": SHARE,
            "epsilon": Parameter(0.0001, least=0.0),
            "first_stage_ratio": Parameter(0.5, least=0.0, most=1.0),
        },
        wraps="press",
        not_attention=NOT_EAGER,
    ),
    "chunk": _wrapper("ChunkPress", chunk_length=Parameter(1024, least=1)),
    "chunkkv": _wrapper("ChunkKVPress", chunk_length=Parameter(20, least=1)),
    "block": _wrapper("BlockPress", block_size=Parameter(128, least=1)),
    "key_rerotation": Method("KeyRerotationPress", {RATIO: COMPRESSION}, wraps="press", renumbered=True),
    "merging": _wrapper(
        "MergingPress",
        similarity_threshold=Parameter(0.0, least=0.0, most=1.0),
        merge_fraction=Parameter(1.0, least=0.0, most=1.0),
    ),
    "dms": Method(
        "DMSPress",
        {"threshold": Parameter(None, type_=float), "sliding_window_size": Parameter(128, least=0)},
        wraps="press",
        kept=Kept.UNKNOWN,
        not_attention=NOT_EAGER,
    ),
    "decoding": Method(
        "DecodingPress",
        {
            "compression_interval": Parameter(512, least=1),
            "target_size": Parameter(2048, least=1),
            "hidden_states_buffer_size": Parameter(256, least=0),
        },
        wraps="base_press",
        kept=Kept.UNKNOWN,
        answering=True,
    ),
}
BLOCKED: dict[str, Method] = {
    "pyramidkv": _blocked(
        "PyramidKVPress",
        "pyramidkv of kvpress 0.5.5 keeps another length in each layer, which transformers 5.2 cannot attend to",
        "take snapkv, which scores alike with one length for all layers, or leave this configuration out",
        window_size=Parameter(64, least=1),
        kernel_size=Parameter(5, least=1),
        beta=Parameter(20, least=1),
    ),
    "finch": Method(
        "FinchPress",
        {
            RATIO: COMPRESSION,
            "chunk_length": Parameter(None, least=1, type_=int),
            "normalize_scores": Parameter(True),
            "rerotate_keys": Parameter(True),
        },
        mutates_model=True,
        problem="finch wants a delimiter token in the text and resizes the model's embeddings for it",
        fix="take snapkv with a window, or leave this configuration out",
    ),
    "qfilter": _blocked("QFilterPress", "qfilter wants filters that are fetched from a hub", TAKE_ANOTHER),
    "kvzap": _blocked("KVzapPress", "kvzap wants a trained model that is fetched from a hub", TAKE_ANOTHER),
    "fastkvzip": _blocked("FastKVzipPress", "fastkvzip wants trained gates that are fetched from a hub", TAKE_ANOTHER),
    "duo_attention": Method(
        "DuoAttentionPress",
        {"head_compression_ratio": COMPRESSION},
        problem="duo_attention wants the pattern of heads that is fetched from a site",
        fix=TAKE_ANOTHER,
    ),
    "expected_attention_stats": _blocked(
        "ExpectedAttentionStatsPress", "expected_attention_stats wants statistics fetched from a hub", TAKE_ANOTHER
    ),
    "lukv": _blocked("LUKVPress", "lukv wants budget curves that are fetched from a site", TAKE_ANOTHER),
}
METHODS: Mapping[str, Method] = {**SCORERS, **WHOLE, **WRAPPERS, **BLOCKED}
"""Every method by the name that a spec gives it."""
