"""Costs for people, and nothing that was paid for is told as nothing."""

from __future__ import annotations

import pytest

from passloop.apps.generate.costs import cost_text


@pytest.mark.parametrize(
    ("cost", "told"),
    [(0.0, "0.0000"), (0.00002, "under 0.0001"), (0.0058, "0.0058"), (0.9, "0.9000"), (1234.567, "1,234.57")],
)
def test_a_cost_is_told_as_finely_as_it_is_small(cost: float, told: str) -> None:
    assert cost_text(cost) == told
