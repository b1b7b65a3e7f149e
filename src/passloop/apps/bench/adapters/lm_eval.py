"""The adapter `lm_eval`: tasks of lm-evaluation-harness on the model that `hf` loads, under the same methods. Light."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from passloop.apps.errors import BadValue

from .hf import HfKind

__all__ = ["KIND", "LmEvalKind"]


class LmEvalKind(HfKind):
    """See `AdapterKind`. Of one family with `hf`: what one loaded serves the other's cells."""

    name = "lm_eval"

    def resolve_options(self, options: Mapping[str, Any], folder: Path) -> Mapping[str, Any]:
        """Check the options, and that lm-eval is there."""
        if find_spec("lm_eval") is None:
            raise BadValue("the adapter lm_eval needs lm-eval, which is not installed", "pip install 'passloop[bench]'")
        return super().resolve_options(options, folder)


KIND = LmEvalKind()
