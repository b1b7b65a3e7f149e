"""The maskers of sparse-attention-hub, as the method `sparse_attention_hub`; light, so that `plan` can check them.

The package is not on the package index and optional: without it the method is an error, with the command that brings
it. A masker is named by its class's configuration without the ending, its parameters are checked where it is built.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from passloop.apps.bench.adapters.base import ResolvedMethod
from passloop.apps.errors import BadValue, did_you_mean
from passloop.apps.text import shown

__all__ = ["FIXED", "NAME", "PACKAGE", "SAMPLING", "resolved"]

NAME = "sparse_attention_hub"
PACKAGE = "sparse_attention_hub"
INSTALL = "pip install 'git+https://github.com/xAlg-ai/sparse-attention-hub'"
FIXED: Mapping[str, str] = {
    "local": "LocalMaskerConfig",
    "sink": "SinkMaskerConfig",
    "oracle_top_k": "OracleTopKConfig",
    "oracle_top_p": "OracleTopPMaskerConfig",
    "quest_top_k": "QuestTopKMaskerConfig",
    "double_sparsity": "DoubleSparsityTopKMaskerConfig",
    "hash_attention": "HashAttentionTopKMaskerConfig",
    "pq_cache": "PQCacheConfig",
}
SAMPLING: Mapping[str, str] = {
    "random_sampling": "RandomSamplingMaskerConfig",
    "adaptive_sampling": "AdaptiveSamplingMaskerConfig",
    "magic_pig": "MagicPigConfig",
}
EXAMPLE = "write them as a list: maskers: [{masker: sink, sink_size: 4}, {masker: local, window_size: 64}]"


def resolved(parameters: Mapping[str, Any]) -> ResolvedMethod:
    """The method of a list of maskers. Raises `BadValue`."""
    for name in parameters:
        if name != "maskers":
            raise BadValue(f"{NAME} has no parameter {shown(name)}", EXAMPLE, path=(name,))
    maskers = parameters.get("maskers")
    if not isinstance(maskers, list) or not maskers:
        raise BadValue(f"{NAME} has no maskers", EXAMPLE, path=("maskers",) if maskers is not None else ())
    checked = [_checked(place, each) for place, each in enumerate(maskers)]
    sampling = [place for place, each in enumerate(checked) if each["masker"] in SAMPLING]
    if len(sampling) > 1:
        fix = "keep one of: " + ", ".join(SAMPLING)
        raise BadValue("two maskers sample, and one at most can", fix, path=("maskers", sampling[1]))
    if find_spec(PACKAGE) is None:
        raise BadValue("the method needs sparse-attention-hub, which is not installed", INSTALL, path=("method",))
    return ResolvedMethod(method=NAME, parameters={"maskers": checked}, version=PACKAGE)


def _checked(place: int, masker: Any) -> dict[str, Any]:
    path = ("maskers", place)
    name = masker.get("masker") if isinstance(masker, Mapping) else None
    if not isinstance(name, str):
        raise BadValue("this is no masker", EXAMPLE, path=path)
    known = {**FIXED, **SAMPLING}
    if name not in known:
        raise BadValue(f"there is no masker {shown(name)}", did_you_mean(name, known), path=(*path, "masker"))
    return dict(masker)
