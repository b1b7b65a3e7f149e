"""What an adapter is: it writes prompts for a foreign client, names the words that start it, and reads what it left.

An adapter starts nothing and waits for nothing; every figure is computed from its records by the same formulas as the
built-in client's (`results.py`), so that clients can be compared. Their outputs name units; records are in ms.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import msgspec

from passloop.apps.errors import BadValue
from passloop.apps.tune.load.prompts import Prompt
from passloop.apps.tune.load.requests import RequestRecord
from passloop.apps.tune.records import LoadOrder, Point, Record

__all__ = ["Adapter", "Asked", "NoOutput", "OutsideOptions", "closed_only", "parsed"]


class OutsideOptions(Record, frozen=True, kw_only=True):
    """What a load order may say to a foreign client. `program` is its path (it lives in an environment of its own).

    `tokenizer` is a folder or a name that it can load; `args` are more words for it. `env` goes over its environment.
    """

    program: str | None = None
    tokenizer: str | None = None
    api: Literal["completions", "chat"] = "chat"
    args: tuple[str, ...] = ()
    env: dict[str, str] = msgspec.field(default_factory=dict)
    reuse: bool = True
    most_errors: float | None = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One repeat of one point. `url` has no `/v1`; `folder` is the repeat's own."""

    order: LoadOrder
    point: Point
    options: OutsideOptions
    model: str
    url: str
    folder: Path
    repeat: int = 0

    def record(self, index: int, **fields: Any) -> RequestRecord:
        """A record of this repeat."""
        return RequestRecord(point=self.point.name, repeat=self.repeat, index=index, **fields)


class NoOutput(Exception):
    """The client left nothing that can be read."""


class Adapter(Protocol):
    """A foreign client."""

    @property
    def program(self) -> str:
        """Its name on the path."""
        ...

    @property
    def tokenizer(self) -> bool:
        """Whether it has to be given one."""
        ...

    def env(self, environ: Mapping[str, str]) -> dict[str, str]:
        """The environment it is started with."""
        ...

    def write_prompts(self, asked: Asked, prompts: Sequence[Prompt]) -> None:
        """Write the prompts as it reads them, into the repeat's folder; the warm-up's come first."""
        ...

    def words(self, asked: Asked) -> list[str]:
        """Its arguments. Raises `BadValue` for a point that it cannot make."""
        ...

    def records(self, asked: Asked) -> list[RequestRecord]:
        """What it measured, without its warm-up. Raises `NoOutput`."""
        ...


def parsed(path: Path) -> Any:
    """A JSON file that a client wrote. Raises `NoOutput`."""
    try:
        return msgspec.json.decode(path.read_bytes())
    except (OSError, msgspec.DecodeError) as error:
        raise NoOutput(f"{path.name} cannot be read: {error}") from None


def closed_only(asked: Asked, client: str) -> int:
    """The point's concurrency, for a client that knows no rates. Raises `BadValue`."""
    if asked.point.concurrency is None:
        raise BadValue(f"{client} keeps no rate ({asked.point.name})", "give a concurrency, or take another client")
    return asked.point.concurrency
