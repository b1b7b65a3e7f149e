"""The submission as it travels from a client to the engine: which fields there are, what they may hold, what holds
where one is left out. `convert.py` makes it what the kernel takes; `documents.py` is the way of clients that cannot
wait for this import.

Structs of msgspec and not pydantic models: one body may hold 100,000 tasks. Spans in ms, memory in MiB, CPUs in
1/1,000. Nothing here reads a file or the environment.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from passloop.apps.errors import Problem, SpecError
from passloop.kernel.amounts import SHARE_WHOLE

from .documents import Document

__all__ = [
    "WireCall",
    "WireRetries",
    "WireSpec",
    "WireSubmission",
    "WireTask",
    "WireVariant",
    "decode_submission",
    "encode_submission",
    "plain_submission",
    "submission_from",
    "submission_schema",
]

MOST_AT_ONCE = 1_000_000
Count = Annotated[int, Meta(ge=0, le=1_000_000)]
Amount = Annotated[int, Meta(ge=0, le=10**15)]
Span = Annotated[int, Meta(ge=0, le=3_650 * 86_400_000)]
Order = Annotated[int, Meta(ge=-1_000_000_000, le=1_000_000_000)]
AtOnce = Annotated[int, Meta(ge=1, le=MOST_AT_ONCE)]
Scalar = str | int | float | bool | None

TARGET = r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$"
MOST_TASKS = 1_000_000


class WireVariant(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One form of a request: whole GPUs or one share (1/10,000), VRAM per device, amounts by pool."""

    gpus: Count = 0
    share: Annotated[int, Meta(ge=0, lt=SHARE_WHOLE)] = 0
    vram_mib: Amount | None = None
    balance: bool = False
    amounts: dict[str, Amount] = {}
    exclusive: bool = False


class WireRetries(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How often a task may be tried again after each class of outcome."""

    failure: Count = 0
    timeout: Count = 0
    out_of_memory: Count = 1
    lost: Count = 5


class WireSpec(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What many tasks share."""

    request: tuple[WireVariant, ...] = (WireVariant(amounts={"cpu": 1_000}),)
    time_limit: Span | None = None
    grace: Span = 30_000
    retries: WireRetries = WireRetries()
    patience: Span | None = None
    deadline: Span | None = None
    wait_for_capacity: bool = False
    task_class: str = ""
    program: str = ""
    warm_key: Annotated[str, Meta(min_length=1, max_length=500)] | None = None
    alike: bool = False


class WireCall(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A function to call in a warm worker instead of a command: `package.module:function` and its arguments.

    The worker ends after `cells` calls, or once its resident memory has grown by `growth_mib`.
    """

    target: Annotated[str, Meta(pattern=TARGET, max_length=500)]
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = {}
    python: str | None = None
    cells: Annotated[int, Meta(ge=1)] | None = None
    growth_mib: Annotated[int, Meta(ge=1)] | None = None


class WireTask(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One task. `spec` and `cwd` override those of the submission. With `call` it runs in a warm worker of its spec's
    `warm_key`, and `command` is what people are shown.
    """

    command: tuple[str, ...]
    name: str = ""
    key: str | None = None
    index: int | None = None
    line: str | None = None
    params: dict[str, Scalar] | None = None
    env: dict[str, str] = {}
    rank: Order = 0
    spec: WireSpec | None = None
    cwd: str | None = None
    call: WireCall | None = None


class WireSubmission(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One submission: a run of tasks. `after` pairs a task id with "any final state will do"; `max_parallel` is how
    many of its tasks, and of others whose run has this name, may run at once.
    """

    tasks: tuple[WireTask, ...]
    name: str | None = None
    group: str = "default"
    priority: Order = 0
    cwd: str = "/"
    environment: dict[str, str] = {}
    spec: WireSpec = WireSpec()
    after: tuple[tuple[Annotated[int, Meta(ge=1, le=2**62)], bool], ...] = ()
    held: bool = False
    refuse_impossible: bool = True
    max_parallel: AtOnce | None = None
    about: dict[str, Any] = {}


_NEWER_CLIENT = "if the command is of a newer passloop than its engine: passloop down --leave, then passloop up"
_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(WireSubmission)


def encode_submission(submission: WireSubmission) -> bytes:
    """The request body of POST /submit."""
    return _ENCODER.encode(submission)


def plain_submission(submission: WireSubmission) -> Document:
    """The request body as plain data, for a client that encodes JSON itself."""
    plain: Document = msgspec.to_builtins(submission)
    return plain


def submission_from(document: Document) -> WireSubmission:
    """The submission that a document of ours means. Raises `msgspec.ValidationError` for what is none."""
    return msgspec.convert(document, WireSubmission)


def decode_submission(body: bytes) -> WireSubmission:
    """Read a request body. Raises `SpecError` that names the place in the body."""
    try:
        return _DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        what = f"the submission is not readable: {error}"
        fix = _NEWER_CLIENT if "unknown field" in str(error) else "send what `passloop schema wire` describes"
        raise SpecError([Problem(what, fix, "request body")]) from None


def submission_schema() -> dict[str, Any]:
    """JSON Schema of the request body."""
    return msgspec.json.schema(WireSubmission)
