"""The app's side of a call: what is asked, and what an answer is worth. The driver owns everything in between.

An app registers a `Caller` under a name; the payload of its tasks holds that name under `caller`. A caller never waits
for anything but the store, never retries and never counts: it renders, and it judges. Pure types, no HTTP.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from passloop.kernel.ids import AttemptId, RunId, TaskId

from .endpoints import Model

__all__ = [
    "Answer",
    "CallOrder",
    "CallRequest",
    "Caller",
    "Failed",
    "Refused",
    "Settled",
    "Usage",
]


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens, as the endpoint counted them."""

    input: int = 0
    output: int = 0

    @property
    def total(self) -> int:
        """Both together."""
        return self.input + self.output


@dataclass(frozen=True, slots=True)
class CallOrder:
    """One attempt at a task. `payload` is what the app stored with the task.

    `refusals` is how many answers of earlier attempts were refused, `feedback` why the latest was, `refused` that
    answer's text; `spent` is what they used. All of it was committed and so survives a restart.
    """

    attempt: AttemptId
    epoch: int
    run: RunId
    task: TaskId
    payload: Mapping[str, Any]
    refusals: int = 0
    feedback: str = ""
    refused: str = ""
    spent: Usage = Usage()


@dataclass(frozen=True, slots=True)
class CallRequest:
    """A call to make. `body` is the JSON object without `model` and `stream`; with `messages` it goes to
    `chat/completions`, with `prompt` to `completions`.

    `key` is the idempotency key: the cell's, the same for each attempt. `silence` is the longest pause in ms until the
    answer begins, and between two parts of a stream; the whole call is bounded by the task's `time_limit`.
    `refusals_most` is how many answers may be refused before the cell fails.
    """

    model: Model
    body: Mapping[str, Any]
    key: str
    stream: bool = False
    silence: int | None = None
    refusals_most: int = 2


@dataclass(frozen=True, slots=True)
class Answer:
    """What the endpoint answered: the first choice. `finish` is why it ended (`stop`, `length`, ...).

    `message` is the choice's message as it came (`tool_calls`, `reasoning_content`, ...); empty for completions and
    streams. `usage` is None where the endpoint does not tell it.
    """

    text: str
    finish: str | None = None
    usage: Usage | None = None
    message: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """The cell is done. `result` is JSON text; it is committed together with the attempt's success."""

    result: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The cell is final without success, whatever budget is left. `message` is one sentence for people."""

    message: str
    result: str | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The answer will not do; the next attempt is told `feedback`. One sentence, for the model and for people."""

    feedback: str


class Caller(Protocol):
    """An app's side of its calls. Called on the engine's loop; more than a millisecond of work belongs in a thread."""

    async def prepare(self, order: CallOrder) -> CallRequest | Settled | Failed:
        """What to ask, rendered from committed inputs; or the cell's end without any call (a skipped cell).

        Whatever it raises fails the cell for good, with that message, but for a want that passes (no descriptor is
        left, the store cannot be read now): then it is asked again later.
        """
        ...

    async def accept(self, order: CallOrder, answer: Answer) -> Settled | Failed | Refused:
        """What the answer is worth. Refusals have a budget of their own, which the driver keeps.

        After a want that passes it is asked again about the same answer, so it must have counted nothing before.
        """
        ...
