"""What a faulty endpoint says when it answers: the same words for the same seed, model and prompt. Pure."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Said", "answer_body", "say", "stream_parts"]

_TEXT = (
    "the order came late and its box was open so we would like a new one or our money back "
    "thank you for a kind word about the lamp it works well since monday please tell me how to change the address"
)
_WORDS = tuple(_TEXT.split())


@dataclass(frozen=True, slots=True)
class Said:
    """An answer with its count of tokens; `chat` says which of the two forms it has."""

    id: str
    model: str
    text: str
    finish: str
    prompt_tokens: int
    tokens: int
    chat: bool


def say(body: Mapping[str, Any], *, seed: int, call: int, answers: tuple[str, ...]) -> Said:
    """Answer a request: from `answers` in turn, else some words that follow from seed, model and prompt."""
    model = str(body.get("model", ""))
    prompt = _prompt_of(body)
    most = int(body.get("max_tokens") or body.get("max_completion_tokens") or 16)
    if answers:
        words = answers[call % len(answers)].split(" ")
    else:
        chance = random.Random(f"{seed}/{model}/{prompt}")
        words = [chance.choice(_WORDS) for _ in range(min(most, chance.randint(4, 16)))]
    return Said(
        id=f"call-{call}",
        model=model,
        text=" ".join(words),
        finish="length" if not answers and len(words) >= most else "stop",
        prompt_tokens=max(1, len(prompt.split())),
        tokens=len(words),
        chat="messages" in body,
    )


def _prompt_of(body: Mapping[str, Any]) -> str:
    messages = body.get("messages")
    if isinstance(messages, list):
        return "\n".join(str(one.get("content", "")) for one in messages if isinstance(one, dict))
    return str(body.get("prompt", ""))


def answer_body(said: Said) -> dict[str, Any]:
    """The whole answer as the API gives it."""
    choice: dict[str, Any] = {"index": 0, "finish_reason": said.finish}
    if said.chat:
        choice["message"] = {"role": "assistant", "content": said.text}
    else:
        choice["text"] = said.text
    kind = "chat.completion" if said.chat else "text_completion"
    return {"id": said.id, "object": kind, "model": said.model, "choices": [choice], "usage": _usage(said)}


def _usage(said: Said) -> dict[str, int]:
    total = said.prompt_tokens + said.tokens
    return {"prompt_tokens": said.prompt_tokens, "completion_tokens": said.tokens, "total_tokens": total}


def stream_parts(said: Said, *, with_usage: bool) -> Iterator[bytes]:
    """The answer as server-sent events, a word each, then its end."""
    words = said.text.split(" ")
    for position, word in enumerate(words):
        yield _part(said, word if position == 0 else f" {word}", None)
    yield _part(said, "", said.finish)
    if with_usage:
        yield _event({"id": said.id, "model": said.model, "choices": [], "usage": _usage(said)})
    yield b"data: [DONE]\n\n"


def _part(said: Said, text: str, finish: str | None) -> bytes:
    choice: dict[str, Any] = {"index": 0, "finish_reason": finish}
    choice |= {"delta": {"content": text}} if said.chat else {"text": text}
    return _event({"id": said.id, "model": said.model, "choices": [choice]})


def _event(body: Mapping[str, Any]) -> bytes:
    return b"data: " + json.dumps(body).encode() + b"\n\n"
