"""What is asked: prompts of plain words made from a seed, or the lines of a file. Never asks a tokenizer.

Each made prompt opens with words of its own, so that no server answers it from what it kept of another; `shared` has a
long common beginning on purpose. The same seed, point and number always give the same prompt, so that trials compare.
"""

from __future__ import annotations

import hashlib
import random
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import msgspec

from passloop.apps.errors import BadValue

__all__ = ["BUILTIN", "Prompt", "Prompts", "prompts_of"]

BUILTIN = {"short": 32, "medium": 256, "long": 2048}
"""Made prompts by name, in words; `builtin:N` has N of them, `builtin:shared` 256 in common and 32 of its own."""
SHARED = 256
OWN = 8
"""Words at the beginning that are of this prompt alone."""
MOST_WORDS = 200_000
LARGEST_FILE = 64 * 1024 * 1024
_TEXT = (
    "amber anchor apple arrow autumn basket beacon birch blanket bottle bridge bronze butter candle canvas carpet "
    "castle cellar chalk cherry circle clock cloud clover cobalt copper coral cotton cradle crystal curtain daisy "
    "desert dragon drawer eagle early ember engine evening fabric falcon feather fiddle flint forest fossil "
    "fountain garden garlic ginger glacier granite guitar hammer harbour hazel helmet honey horizon island ivory "
    "jacket jungle kettle kitchen ladder lantern lemon letter linen lizard magnet maple marble meadow mirror "
    "morning mountain needle nickel orchard oyster paper pebble pepper pillow planet plaster pocket portal quarry "
    "quiet ribbon river rocket saddle salmon sandal shadow silver spider stone summer table thunder timber tunnel "
    "velvet violet walnut water whisper window winter yellow zebra "
)
_WORDS = tuple(_TEXT.split())


class Prompt(NamedTuple):
    """One prompt: plain text or messages of a chat, and the most tokens of its answer if it has its own."""

    text: str
    messages: tuple[dict[str, Any], ...] = ()
    max_tokens: int | None = None

    def body(self, api: str) -> dict[str, Any]:
        """Its part of a request's body."""
        if api == "completions":
            return {"prompt": self.text or "\n".join(str(one.get("content", "")) for one in self.messages)}
        return {"messages": self.messages or [{"role": "user", "content": self.text}]}


class Prompts(Protocol):
    """Gives the prompt of each request."""

    def prompt(self, point: str, number: int) -> Prompt:
        """The prompt of a point's n-th request, warm-up and repeats counted on."""
        ...


class _Made:
    """Prompts of so many words: a few random ones, then a piece of a long random text, which costs nothing to make."""

    def __init__(self, words: int, seed: int, *, shared: int = 0) -> None:
        self._own = min(OWN, words)
        self._rest = words - self._own
        self._seed = seed
        self._text = random.Random(f"{seed}/text").choices(_WORDS, k=2 * self._rest + OWN)
        self._shared = random.Random(f"{seed}/shared").choices(_WORDS, k=shared)

    def prompt(self, point: str, number: int) -> Prompt:
        chance = random.Random(f"{self._seed}/{point}/{number}")
        own = chance.choices(_WORDS, k=self._own)
        start = chance.randrange(self._rest + 1)
        return Prompt(" ".join([*self._shared, *own, *self._text[start : start + self._rest]]))


class _Listed:
    """The prompts of a file, in turn; each point begins elsewhere."""

    def __init__(self, prompts: list[Prompt], seed: int) -> None:
        self._prompts = prompts
        self._seed = seed

    def prompt(self, point: str, number: int) -> Prompt:
        start = random.Random(f"{self._seed}/{point}").randrange(len(self._prompts))
        return self._prompts[(start + number) % len(self._prompts)]


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    """A line of a .jsonl file."""

    prompt: str = ""
    messages: tuple[dict[str, Any], ...] = ()
    max_tokens: int | None = None


def prompts_of(reference: str, *, seed: int, digest: str | None = None) -> Prompts:
    """The prompts that an order names: `builtin:NAME`, `builtin:N`, a .jsonl file, or one with a prompt a line.

    Raises `BadValue`, also for a file that cannot be read, or that has not this `digest` (SHA-256 in hex) any more.
    """
    kind, _, name = reference.partition(":")
    if kind != "builtin":
        return _Listed(_read(Path(reference).expanduser(), digest), seed)
    if name == "shared":
        return _Made(BUILTIN["short"], seed, shared=SHARED)
    words = BUILTIN.get(name) or (int(name) if name.isascii() and name.isdigit() else 0)
    if not 0 < words <= MOST_WORDS:
        names = ", ".join(f"builtin:{known}" for known in (*BUILTIN, "shared"))
        raise BadValue(f"there are no prompts {reference!r}", f"use {names}, builtin:N for N words, or a file")
    return _Made(words, seed)


def _read(path: Path, digest: str | None) -> list[Prompt]:
    fix = "name a .jsonl file with `prompt` or `messages` in each line, or one with a prompt a line"
    try:
        with path.open("rb") as file:
            text = file.read(LARGEST_FILE + 1)
        if len(text) > LARGEST_FILE:
            raise BadValue(f"the prompts {path} are over {LARGEST_FILE >> 20} MiB", "take a part of them")
        if digest is not None and hashlib.sha256(text).hexdigest() != digest:
            again = "cancel its run, then the same command again: other prompts are another study"
            raise BadValue(f"the prompts {path} are not those that the study began with", again)
        lines = [line for line in text.decode("utf-8-sig").split("\n") if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise BadValue(f"the prompts {path} cannot be read: {error}", fix) from None
    if path.suffix == ".jsonl":
        found = [_parsed(line, number, path) for number, line in enumerate(lines, 1)]
    else:
        found = [Prompt(line.rstrip("\r")) for line in lines]
    if not found:
        raise BadValue(f"the file {path} holds no prompt", fix)
    return found


def _parsed(line: str, number: int, path: Path) -> Prompt:
    try:
        one = msgspec.json.decode(line, type=_Line)
    except msgspec.DecodeError as error:
        raise BadValue(f"{path}:{number}: {error}", 'a line is {"prompt": "..."} or {"messages": [...]}') from None
    if bool(one.prompt) == bool(one.messages):
        raise BadValue(f"{path}:{number}: neither or both of prompt and messages", "give one of them")
    return Prompt(one.prompt, one.messages, one.max_tokens)
