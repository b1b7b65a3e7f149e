"""Every method, benchmark and model that a spec can name stands in the guide."""

from __future__ import annotations

import pytest

from passloop.apps.bench.methods.table import METHODS
from passloop.apps.bench.plugins import BENCHMARKS
from tests.tidy.source import ROOT

GUIDE = (ROOT / "docs" / "guides" / "bench-models.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [*METHODS, *BENCHMARKS, "sparse_attention_hub", "smollm2"])
def test_what_can_be_named_stands_in_the_guide(name: str) -> None:
    assert f"`{name}`" in GUIDE


def test_every_parameter_stands_in_the_guide() -> None:
    usable = [method for method in METHODS.values() if not method.problem]
    missing = {name for method in usable for name in method.parameters if f"`{name}`" not in GUIDE}
    assert not missing
