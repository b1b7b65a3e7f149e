"""Whether two trials were measured alike: by one version of the server, on one kind of processor and GPU. Pure.

None of it is in a trial's identity, since nobody knows it before the server runs; so figures of two versions may lie
side by side in one study, and no gain is told between them. What is not known is no difference.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from passloop.apps.tune.records import Document

__all__ = ["unlike"]


def unlike(mine: Document, other: Document) -> str:
    """In which way the first was measured otherwise than the second, in a few words; empty if they are alike."""
    facts, others = _facts(mine.provenance), _facts(other.provenance)
    differ = [name for name, value in facts.items() if name in others and others[name] != value]
    return ", ".join(f"{name} {facts[name]}, not {others[name]}" for name in differ)


def _facts(provenance: Mapping[str, Any]) -> dict[str, str]:
    """What figures depend on, as far as it is known. How many GPUs there are is part of the configuration."""
    devices = _mapping(_mapping(provenance.get("hardware")).get("devices")).values()
    found = {
        "engine": provenance.get("engine_version"),
        "image": _mapping(provenance.get("engine")).get("image_id"),
        "GPU": " and ".join(sorted({str(_mapping(each).get("name") or "") for each in devices})),
        "CPU": provenance.get("cpu"),
    }
    return {name: value for name, value in found.items() if isinstance(value, str) and value}


def _mapping(told: Any) -> Mapping[str, Any]:
    return told if isinstance(told, Mapping) else {}
