"""Finds SQL text. One statement per file in `queries/`, read once; it never builds SQL from a user's text."""

from __future__ import annotations

from functools import cache
from pathlib import Path

__all__ = ["MIGRATIONS", "statement"]

_QUERIES = Path(__file__).parent / "queries"
MIGRATIONS = Path(__file__).parent / "migrations"


@cache
def statement(name: str) -> str:
    """The statement in `queries/<name>.sql`."""
    return (_QUERIES / f"{name}.sql").read_text(encoding="utf-8")
