"""How many of something, in words. It imports nothing: commands that must start at once use it."""

from __future__ import annotations

__all__ = ["counted"]


def counted(number: int, noun: str) -> str:
    """`1 task`, `2,000 tasks`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
