"""A prompt in two parts: what stands before the end of the context, read once, and what each question adds.

With a chat template both stand in one message of the user; without one a newline ends the question. Token ids only, no
model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["Chat", "PlainTokenizer"]

MARK = "\u241e\u241e\u241e"
"""Stands where the context ends while the template is applied; no text has it."""


class PlainTokenizer:
    """The tokenizer as generators of exact lengths see it: no special tokens."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    def encode(self, text: str) -> list[int]:
        """Token ids of a text."""
        return list(self._tokenizer.encode(text, add_special_tokens=False))

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of token ids."""
        return str(self._tokenizer.decode(list(tokens), skip_special_tokens=False))


class Chat:
    """Writes prompts for one tokenizer. `templated` False: as plain text, even where there is a template."""

    def __init__(self, tokenizer: Any, *, templated: bool = True) -> None:
        self._plain = PlainTokenizer(tokenizer)
        self._before, self._after = _around(tokenizer, templated)

    def context(self, text: str) -> list[int]:
        """The tokens of a context and what stands before it; never none."""
        return self._plain.encode(self._before + text) or self._plain.encode("\n")

    def question(self, text: str, answer_prefix: str) -> list[int]:
        """The tokens of a question and of the beginning of its answer; never none."""
        return self._plain.encode(text + self._after + answer_prefix) or self._plain.encode("\n")


def _around(tokenizer: Any, templated: bool) -> tuple[str, str]:
    if not templated or tokenizer.chat_template is None:
        return tokenizer.bos_token or "", "\n" if templated else ""
    message = [{"role": "user", "content": MARK}]
    text = tokenizer.apply_chat_template(message, tokenize=False, add_generation_prompt=True)
    before, _, after = text.partition(MARK)
    return before, after
