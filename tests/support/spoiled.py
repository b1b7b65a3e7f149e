"""Good specs spoiled, for fuzz tests of what reads them: odd values at any depth, odd pieces anywhere in the text; and
what every error that answers such a spec must say. It knows no spec and reads none.
"""

from __future__ import annotations

import copy
import json
import re
from typing import Any

from hypothesis import strategies as st

from passloop.apps.errors import SpecError

from .nasty import NASTY

__all__ = ["NAME", "TRICKS", "check_words_of", "spoiled_text", "with_odd_values"]

NAME = "s.yaml"
"""The name under which a spoiled spec is to be read."""
TRICKS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""What a terminal would obey, or turn about, instead of showing it."""
WHERE = re.compile(rf"{re.escape(NAME)}:[1-9][0-9]*:[1-9][0-9]*")


def check_words_of(error: SpecError) -> None:
    """Each problem says what, where and how to fix it, in words that any terminal can show."""
    assert error.problems
    for problem in error.problems:
        assert problem.what
        assert problem.fix
        assert WHERE.fullmatch(problem.where), problem
    assert not TRICKS.search(str(error)), str(error)
    assert len(str(error)) < 20_000


def with_odd_values(draw: st.DrawFn, document: dict[str, Any], values: st.SearchStrategy[Any]) -> bytes:
    """The document as JSON with a few values, at any depth, that should not be there."""
    told: dict[str, Any] = json.loads(json.dumps(document))
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(_places(told)))
        inner: Any = told
        for part in path[:-1]:
            inner = inner[part]
        inner[path[-1]] = copy.deepcopy(draw(values))
    return json.dumps(told, ensure_ascii=False).encode("utf-8", "surrogatepass")


def spoiled_text(draw: st.DrawFn, document: dict[str, Any]) -> bytes:
    """The document as JSON with a few pieces of its text replaced."""
    text = bytearray(json.dumps(document).encode())
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(text)))
        piece = draw(st.sampled_from(NASTY)).encode("utf-8", "surrogatepass")
        text[place : place + draw(st.sampled_from([0, 1, 5]))] = piece
    return bytes(text)


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a document but its root."""
    found = [path] if path else []
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return found + [place for key, child in children for place in _places(child, (*path, key))]
