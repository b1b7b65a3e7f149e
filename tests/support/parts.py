"""Splits a long test into parts that go to whichever process is free. Coverage looks at the first one alone: to look
takes as long again as to run, and the others are more of the same.
"""

from __future__ import annotations

from typing import Any

import pytest

__all__ = ["parts"]


def parts(count: int) -> list[Any]:
    """The numbers of `count` parts, as parameters of a test."""
    return [0, *(pytest.param(number, marks=pytest.mark.no_cover) for number in range(1, count))]
