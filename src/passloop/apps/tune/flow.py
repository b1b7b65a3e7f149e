"""Plain data -> the text of a spec: its keys a line each, what is in them in flow style."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from passloop.apps.spec_file import NOT_YAML
from passloop.apps.text import UNSAFE
from passloop.apps.yaml_scalars import plain_scalar

__all__ = ["spec_text"]

PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*")
HIDDEN = re.compile(f"{NOT_YAML.pattern}|{UNSAFE.pattern}")
BLOCKS = frozenset({"engine", "space", "presets"})
"""Keys whose entries have a line each."""


def spec_text(spec: Mapping[str, Any]) -> str:
    """The text of a spec, in the order of its keys."""
    lines = []
    for key, value in spec.items():
        if key in BLOCKS and isinstance(value, dict) and value:
            lines += [f"{key}:", *(f"  {_flow(name)}: {_flow(each)}" for name, each in value.items())]
        else:
            lines.append(f"{key}: {_flow(value)}")
    return "\n".join(lines) + "\n"


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_flow(key)}: {_flow(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_flow(each) for each in value) + "]"
    if isinstance(value, str) and PLAIN.fullmatch(value) and plain_scalar(value) == value:
        return value
    return HIDDEN.sub(_escaped, json.dumps(value, ensure_ascii=False))


def _escaped(match: re.Match[str]) -> str:
    """A character that a spec cannot hold as it is; half of one becomes the sign for what is lost."""
    code = ord(match.group())
    return "\ufffd" if 0xD800 <= code <= 0xDFFF else f"\\U{code:08x}"
