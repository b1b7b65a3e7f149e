"""A want that passes: what says that something cannot be known now, and nothing of what was asked.

Whoever asked may ask again later, and must not take it for an answer.
"""

from __future__ import annotations

__all__ = ["Passing"]


class Passing(Exception):
    """A kind of error: nothing can be said for now. Errors of any part may be of this kind beside their own."""
