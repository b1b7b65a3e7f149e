"""Work as Python says it: commands and functions by import path, and the submission they make together.

What may be said and what it means is decided in `apps.queue`, as for the command line; here keywords become its
options. Nothing is submitted here, and no function is imported.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from .errors import PassloopError
from .records import Scalar

if TYPE_CHECKING:
    from typing import Unpack

    from passloop.apps.queue.options import Place, SubmitOptions
    from passloop.apps.queue.wire import WireCall, WireSubmission, WireTask

__all__ = ["Command", "Options", "Shared", "call", "command", "submission_of_commands"]

LONGEST_ARGUMENTS = 120_000
LONGEST_KEY = 500
TARGET = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


class Options(TypedDict, total=False):
    """What can be said of a command; each is the option of `passloop submit` with that name.

    Numbers are whole GPUs or a share of one, CPUs, and seconds; text may have a unit ("20GiB", "2h"). `need` maps
    declared pools to amounts. `env` sets variables; None takes the present value of one. `params` are columns of the
    result table.
    """

    gpus: int | float | str
    vram: str
    cpus: int | float | str
    mem: str
    balance: bool
    need: Mapping[str, int | str]
    or_variants: Sequence[str]
    name: str
    key: str
    time_limit: float | str
    grace: float | str
    deadline: float | str
    patience: float | str
    retries: int
    env: Mapping[str, str | None]
    cwd: str | os.PathLike[str]
    array: str
    each_line: str | os.PathLike[str]
    wait_for_capacity: bool
    params: Mapping[str, Scalar]


@dataclass(frozen=True, slots=True)
class Warm:
    """A call that is to run on a warm worker: calls with the same key share workers that stay between them."""

    key: str
    target: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Command:
    """A command to submit: its words, and what was said about it. With `warm` it is a call on a warm worker."""

    words: tuple[str, ...]
    said: Mapping[str, Any] = field(default_factory=dict)
    warm: Warm | None = None


@dataclass(frozen=True, slots=True)
class Shared:
    """What all tasks of one submission share; `after` and `after_any` are task ids."""

    name: str | None = None
    group: str = "default"
    priority: int = 0
    after: tuple[int, ...] = ()
    after_any: tuple[int, ...] = ()
    held: bool = False


def command(*words: str | os.PathLike[str], **options: Unpack[Options]) -> Command:
    """A command and what it asks for, such as `command("python", "train.py", gpus=1, vram="20GiB")`.

    As on the command line, `{python}` is replaced by this interpreter, and `{index}` and `{line}` with `array` and
    `each_line`. Mistakes are told by `submit`.
    """
    return Command(tuple(os.fspath(word) for word in words), dict(options))


def call(
    target: str,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    warm: str | None = None,
    **options: Unpack[Options],
) -> Command:
    """A call of `"package.module:function"` in a Python process of its own, with arguments that JSON can say.

    The function is imported there, from the directory of the submission. What it returns goes to `result.json` in the
    attempt's folder (`await run.values()`), and what of it is a number, a text or a boolean into the task's metrics.
    With `warm`, calls of one submission with the same key run one after the other on workers that stay between them,
    and may keep things in `passloop.worker.kept`. Raises `ValueError` for a target or arguments that cannot be.
    """
    if not TARGET.fullmatch(target):
        raise ValueError(f"{target!r} is no import path: write package.module:function")
    if {"array", "each_line"} & options.keys():
        raise ValueError("a call takes neither array nor each_line: submit a list of calls")
    try:
        text = json.dumps({"args": list(args), "kwargs": dict(kwargs or {})}, allow_nan=False)
    except (TypeError, ValueError) as wrong:
        what = f"the arguments of {target} cannot be said in JSON: {wrong}"
        raise ValueError(f"{what}; pass the path of a file") from wrong
    if len(text) > LONGEST_ARGUMENTS:
        raise ValueError(f"the arguments of {target} have {len(text)} characters; pass the path of a file")
    plain = text.replace("{python}", "\\u007bpython}")
    words = (sys.executable, "-m", "passloop.api.callee", target, plain)
    said = {"name": target, **options}
    return Command(words, said, None if warm is None else _warm(warm, target, args, kwargs))


def _warm(key: str, target: str, args: Sequence[Any], kwargs: Mapping[str, Any] | None) -> Warm:
    if not 0 < len(key) <= LONGEST_KEY:
        raise ValueError(f"a warm key has 1 to {LONGEST_KEY} characters; this one has {len(key)}")
    return Warm(key, target, tuple(args), dict(kwargs or {}))


def submission_of_commands(commands: Sequence[Command], shared: Shared, place: Place) -> WireSubmission:
    """One submission of all commands. Raises `SpecError`, and `PassloopError` for an unknown option."""
    import msgspec

    from passloop.apps.queue.options import document_of
    from passloop.apps.queue.wire import submission_from

    if not commands:
        raise PassloopError("there is nothing to submit", hint="give one command or more", code="invalid")
    first = _warmed(submission_from(document_of(_options(commands[0], shared), commands[0].words, place)), commands[0])
    others = (document_of(_options(one, shared), one.words, place, environment={}) for one in commands[1:])
    parts = [first, *(_warmed(submission_from(other), one) for other, one in zip(others, commands[1:], strict=True))]
    tasks = [_placed(task, one, part, first) for one, part in zip(commands, parts, strict=True) for task in part.tasks]
    return msgspec.structs.replace(first, name=shared.name or first.name, tasks=tuple(tasks))


def _warmed(part: WireSubmission, one: Command) -> WireSubmission:
    """The submission of one command, with its warm key if it has one."""
    import msgspec

    if one.warm is None:
        return part
    return msgspec.structs.replace(part, spec=msgspec.structs.replace(part.spec, warm_key=one.warm.key))


def _wire_call(warm: Warm) -> WireCall:
    from passloop.apps.queue.wire import WireCall

    return WireCall(warm.target, warm.args, dict(warm.kwargs), python=sys.executable)


def _placed(task: WireTask, one: Command, part: WireSubmission, first: WireSubmission) -> WireTask:
    """A task with what differs from the submission's first command."""
    import msgspec

    params = one.said.get("params")
    return msgspec.structs.replace(
        task,
        call=None if one.warm is None else _wire_call(one.warm),
        spec=None if part.spec == first.spec else part.spec,
        cwd=None if part.cwd == first.cwd else part.cwd,
        params=task.params if params is None else dict(params),
    )


def _options(one: Command, shared: Shared) -> SubmitOptions:
    from passloop.apps.queue.options import SubmitOptions

    unknown = one.said.keys() - Options.__annotations__.keys()
    if unknown:
        hint = "use one of " + ", ".join(sorted(Options.__annotations__))
        raise PassloopError(f"a command has no option {min(unknown)!r}", hint=hint, code="invalid")
    own = {name: _as_text(name, value) for name, value in one.said.items() if name != "params"}
    return SubmitOptions(
        **own,
        group=shared.group,
        priority=shared.priority,
        after=tuple(map(str, shared.after)),
        after_any=tuple(map(str, shared.after_any)),
        held=shared.held,
    )


def _as_text(name: str, value: Any) -> Any:
    """An option's value as it would stand on a command line."""
    if name == "env":
        return tuple(variable if text is None else f"{variable}={text}" for variable, text in value.items())
    if name == "need":
        return tuple(f"{pool}={amount}" for pool, amount in value.items())
    if name == "or_variants":
        return tuple(value)
    if isinstance(value, bool) or value is None:
        return value
    return os.fspath(value) if isinstance(value, Path) else str(value)
