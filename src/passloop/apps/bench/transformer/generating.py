"""One answer after another from a cache that is left as it was: greedy, or sampled with the sample's own seed.

Arguments are those of one question; nothing of it is kept for the next. It knows tokens and tensors, not benchmarks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from passloop.apps.bench.errors import ConfigError

__all__ = ["Arguments", "arguments_of", "generated", "kept_as_is", "seed_of"]

KNOWN = ("max_new_tokens", "do_sample", "temperature", "top_k", "top_p", "stop")
MOST_NEW_TOKENS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """How one answer is made. `top_k` 0 and `top_p` 1 leave out nothing; `stop` are texts that end it, cut off."""

    max_new_tokens: int = 32
    do_sample: bool = False
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    stop: tuple[str, ...] = ()


def arguments_of(*layers: Mapping[str, Any]) -> Arguments:
    """The arguments of these layers, later ones before earlier ones. Raises `ConfigError`."""
    merged = {name: value for layer in layers for name, value in layer.items()}
    for name in merged:
        if name not in KNOWN:
            raise ConfigError(f"{name} is no generation argument; use one of: {', '.join(KNOWN)}")
    stop = merged.pop("stop", ())
    found = Arguments(**merged, stop=(stop,) if isinstance(stop, str) else tuple(stop))
    _check(found)
    return found


def _check(found: Arguments) -> None:
    if type(found.max_new_tokens) is not int or not 1 <= found.max_new_tokens <= MOST_NEW_TOKENS:
        raise ConfigError(f"max_new_tokens is {found.max_new_tokens!r}; write a whole number from 1")
    if found.do_sample and not found.temperature > 0:
        raise ConfigError(f"temperature is {found.temperature!r}; write a number over 0, or do_sample: false")
    if not 0 < found.top_p <= 1 or found.top_k < 0:
        raise ConfigError("top_p lies over 0 and up to 1, top_k is 0 or more")


def seed_of(*parts: object) -> int:
    """A seed of 63 bits from a cell's seed and what it is for: the same in any order, process and attempt."""
    digest = hashlib.sha256("\0".join(str(part) for part in parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


@contextmanager
def kept_as_is(cache: Any) -> Iterator[None]:
    """Give the cache back as it was. Layers put new tensors in place of old ones and never change one they gave out
    (torch.cat), so holding on to the old ones is enough.
    """
    before = [dict(vars(layer)) for layer in cache.layers]
    try:
        yield
    finally:
        for layer, state in zip(cache.layers, before, strict=True):
            vars(layer).clear()
            vars(layer).update(state)


def generated(
    model: Any, cache: Any, question: Sequence[int], *, position: int, arguments: Arguments, seed: int, tokenizer: Any
) -> tuple[str, int]:
    """The answer to a question after what is in `cache`, and how many tokens it has. The question's first token is
    number `position` of the text. `seed` is used for sampling only.
    """
    import torch

    device = model.device
    chance = torch.Generator(device=device).manual_seed(seed) if arguments.do_sample else None
    ends = _end_tokens(model)
    ids = torch.tensor([list(question)], device=device)
    places = torch.arange(position, position + ids.shape[1], device=device).unsqueeze(0)
    made: list[int] = []
    while len(made) < arguments.max_new_tokens:
        logits = model(input_ids=ids, past_key_values=cache, position_ids=places, logits_to_keep=1).logits[0, -1]
        token = _chosen(logits, arguments, chance)
        if token in ends:
            break
        made.append(token)
        if arguments.stop and _stopped(tokenizer, made, arguments.stop) is not None:
            break
        ids = torch.tensor([[token]], device=device)
        places = places[:, -1:] + 1
    return _text(tokenizer, made, arguments.stop), len(made)


def _end_tokens(model: Any) -> frozenset[int]:
    ends = model.generation_config.eos_token_id
    return frozenset(ends if isinstance(ends, list) else [] if ends is None else [ends])


def _chosen(logits: Any, arguments: Arguments, chance: Any) -> int:
    import torch

    if not arguments.do_sample:
        return int(logits.argmax())
    scores = logits.float() / arguments.temperature
    if 0 < arguments.top_k < scores.shape[-1]:
        scores = scores.masked_fill(scores < torch.topk(scores, arguments.top_k).values[-1], -torch.inf)
    shares = torch.softmax(scores, dim=-1)
    if arguments.top_p < 1:
        shares = _nucleus(shares, arguments.top_p)
    return int(torch.multinomial(shares, 1, generator=chance))


def _nucleus(shares: Any, most: float) -> Any:
    """The fewest tokens whose shares come to `most` (Holtzman et al. 2020), the others without a share."""
    import torch

    ordered, places = torch.sort(shares, descending=True)
    before = torch.cumsum(ordered, dim=-1) - ordered
    return torch.zeros_like(shares).scatter(-1, places, ordered.masked_fill(before >= most, 0.0))


def _text(tokenizer: Any, made: Sequence[int], stop: Sequence[str]) -> str:
    text = str(tokenizer.decode(list(made), skip_special_tokens=True))
    cut = _cut(text, stop)
    return text if cut is None else text[:cut]


def _stopped(tokenizer: Any, made: Sequence[int], stop: Sequence[str]) -> int | None:
    return _cut(str(tokenizer.decode(list(made), skip_special_tokens=True)), stop)


def _cut(text: str, stop: Sequence[str]) -> int | None:
    """Where the first of the texts begins that end an answer."""
    found = [text.index(each) for each in stop if each and each in text]
    return min(found, default=None)
