"""One answer after another from a cache that is left as it was: greedy, or sampled with the sample's own seed.

Arguments are those of one question; nothing of it is kept for the next. It knows tokens and tensors, not benchmarks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from passloop.apps.bench.errors import ConfigError

__all__ = ["Arguments", "arguments_of", "generated", "kept_as_is", "seed_of"]

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
        if name not in FITS:
            raise ConfigError(f"{name} is no generation argument; use one of: {', '.join(FITS)}")
        if not FITS[name](merged[name]):
            raise ConfigError(f"{name} is {merged[name]!r}; write {FIXES[name]}")
    stop = merged.pop("stop", ())
    return Arguments(**merged, stop=(stop,) if isinstance(stop, str) else tuple(stop))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _are_texts(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, list | tuple) and all(isinstance(each, str) for each in value))


FITS: Mapping[str, Callable[[Any], bool]] = {
    "max_new_tokens": lambda value: type(value) is int and 1 <= value <= MOST_NEW_TOKENS,
    "do_sample": lambda value: isinstance(value, bool),
    "temperature": lambda value: _is_number(value) and value > 0,
    "top_k": lambda value: type(value) is int and value >= 0,
    "top_p": lambda value: _is_number(value) and 0 < value <= 1,
    "stop": _are_texts,
}
FIXES: Mapping[str, str] = {
    "max_new_tokens": "a whole number from 1",
    "do_sample": "true or false",
    "temperature": "a number over 0, or do_sample: false",
    "top_k": "a whole number from 0",
    "top_p": "a number over 0 and up to 1",
    "stop": "a text or a list of texts",
}


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
