"""Texts of an exact number of tokens: as many pieces as fit, then single words until it is exact. Nothing random here.

Tokens of neighbouring words may join, so nothing is assumed to add up: every length is counted by the tokenizer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from passloop.apps.bench.errors import DatasetError

from .base import Tokenizer

__all__ = ["Words", "exact_text"]

PADDING = (" so", " then", " and", " now", " the", " a", ".", ",", "!")
MOST_PIECES = 2**22


class Words:
    """Counts words, where no model's tokenizer is at hand."""

    def encode(self, text: str) -> list[int]:
        """One number a word."""
        return list(range(len(text.split())))

    def decode(self, tokens: Sequence[int]) -> str:
        """There is no way back."""
        return " ".join(str(token) for token in tokens)


def exact_text(build: Callable[[int, str], str], *, tokens: int, tokenizer: Tokenizer) -> str:
    """`build(pieces, padding)` with exactly `tokens` tokens: the most pieces that fit, and padding for the rest.

    `build` has to grow with the number of pieces. Raises `DatasetError` when even no piece at all is too long, or when
    no padding makes it exact.
    """
    pieces = _most_pieces(lambda count: len(tokenizer.encode(build(count, ""))), tokens)
    padding = ""
    text = build(pieces, padding)
    for _ in range(tokens):
        length = len(tokenizer.encode(text))
        if length == tokens:
            return text
        padding = _longer(build, pieces, padding, length, tokens, tokenizer)
        text = build(pieces, padding)
    raise DatasetError(f"no text of exactly {tokens} tokens could be made")


def _most_pieces(length: Callable[[int], int], tokens: int) -> int:
    if length(0) > tokens:
        raise DatasetError(f"{tokens} tokens are too few: the part that must be there has {length(0)}")
    most = 1
    while length(most) <= tokens and most < MOST_PIECES:
        most *= 2
    least = most // 2
    while most - least > 1:
        middle = (least + most) // 2
        least, most = (middle, most) if length(middle) <= tokens else (least, middle)
    return least


def _longer(
    build: Callable[[int, str], str], pieces: int, padding: str, length: int, tokens: int, tokenizer: Tokenizer
) -> str:
    """The padding with one word more, the first that makes the text longer but not too long."""
    for word in PADDING:
        if length < len(tokenizer.encode(build(pieces, padding + word))) <= tokens:
            return padding + word
    raise DatasetError(f"no word makes a text of {length} tokens exactly {tokens} long")
