"""Whether two trials were measured alike: by what is known of both."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from passloop.apps.tune.records import Document
from passloop.apps.tune.scoring.likeness import unlike


def made(**provenance: Any) -> Document:
    return Document(trial=0, params={}, hash="h", state="complete", provenance=provenance)


def on(*names: str) -> dict[str, Any]:
    """The hardware of these GPUs, as a trial notes it."""
    return {"driver": "1", "devices": {f"GPU-{place}": {"name": name} for place, name in enumerate(names)}}


@pytest.mark.parametrize(
    ("mine", "other", "how"),
    [
        ({"engine_version": "1"}, {"engine_version": "2"}, "engine 1, not 2"),
        ({"engine": {"image_id": "a"}}, {"engine": {"image_id": "b"}}, "image a, not b"),
        ({"hardware": on("A", "B")}, {"hardware": on("B")}, "GPU A and B, not B"),
        ({"cpu": "x"}, {"cpu": "y"}, "CPU x, not y"),
        ({"hardware": on("A", "A")}, {"hardware": on("A")}, ""),
        ({"engine_version": "1"}, {"engine_version": None}, ""),
        ({"engine_version": "1", "load_average": [1]}, {"engine_version": "1", "load_average": [2]}, ""),
        ({"hardware": on("A")}, {}, ""),
        ({"hardware": [], "engine": "x", "cpu": 3}, {"hardware": on("A"), "engine": {}, "cpu": "y"}, ""),
    ],
)
def test_what_is_known_of_both_is_compared(mine: dict[str, Any], other: dict[str, Any], how: str) -> None:
    assert unlike(made(**mine), made(**other)) == how
    assert unlike(made(**mine), msgspec.structs.replace(made(**mine), trial=1)) == ""
