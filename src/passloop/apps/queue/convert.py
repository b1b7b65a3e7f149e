"""The wire submission -> the event that the kernel takes, and the environments that the store keeps.

Hot: 10,000 tasks in under 100 ms. Specs are interned: equal ones are one object for any number of tasks. What
a client may not have checked (other programs speak HTTP too) is checked here again.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import msgspec
from msgspec import Struct

from passloop.apps.errors import BadValue, Problem, SpecError
from passloop.apps.text import (
    SURROGATE,
    UNSAFE,
    check_group,
    check_key,
    check_name,
    check_run_name,
    check_words,
)
from passloop.kernel.events import Submitted
from passloop.kernel.ids import PoolName
from passloop.kernel.resources import DeviceAsk, Request, Variant
from passloop.kernel.tasks import Dependency, NewTask, RetryBudgets, TaskSpec

from .wire import MOST_TASKS, Scalar, WireCall, WireSpec, WireSubmission, WireTask, WireVariant

__all__ = ["Converted", "environment_text", "task_spec_of", "to_submitted"]


PROCESSES = "processes"
WORKERS = "workers"


class Converted(NamedTuple):
    """What the engine needs: the event, and the new environments as (id, JSON text)."""

    submitted: Submitted
    environments: tuple[tuple[str, str], ...]


class _Payload(Struct, omit_defaults=True):
    name: str
    command: tuple[str, ...]
    cwd: str
    environment: str
    env: dict[str, str]
    index: int | None
    line: str | None
    params: dict[str, Scalar] | None
    call: WireCall | None = None


_ENCODER = msgspec.json.Encoder()
_SORTED = msgspec.json.Encoder(order="sorted")


def environment_text(environment: dict[str, str]) -> tuple[str, str]:
    """An environment as (id, canonical JSON text); the id is the SHA-256 of the text in hex."""
    data = _SORTED.encode(environment)
    return hashlib.sha256(data).hexdigest(), data.decode()


def to_submitted(wire: WireSubmission) -> Converted:
    """The kernel's event for `wire`. Raises `SpecError` naming the first task that cannot be."""
    where = "submission"
    try:
        name = check_run_name(wire.name) if wire.name is not None else _run_name(wire)
        check_group(wire.group)
        _check_tasks_and_environment(wire)
        specs = _SpecTable(wire.spec)
        environment, text = environment_text(wire.environment)
        after = tuple(Dependency(task, any_end) for task, any_end in wire.after)
        tasks: list[NewTask] = []
        for position, task in enumerate(wire.tasks):
            where = f"task {position + 1}"
            tasks.append(_new_task(task, wire, specs.of(task.spec), environment, position, after))
    except BadValue as bad:
        raise SpecError([Problem(bad.what, bad.fix, where)]) from None
    submitted = Submitted(
        name=name,
        tasks=tuple(tasks),
        group=wire.group,
        priority=wire.priority,
        refuse_impossible=wire.refuse_impossible,
        about=_ENCODER.encode(wire.about).decode(),
    )
    return Converted(submitted, ((environment, text),))


def _run_name(wire: WireSubmission) -> str:
    """The program's name, so that `@train.py` finds it; the kernel names a run for which there is none."""
    name = wire.spec.program
    return "" if not name or name.isdecimal() or UNSAFE.search(name) else name[:200].strip()


def _check_tasks_and_environment(wire: WireSubmission) -> None:
    if not wire.tasks:
        raise BadValue("there are no tasks", "submit at least one")
    if len(wire.tasks) > MOST_TASKS:
        raise BadValue(f"there are {len(wire.tasks):,} tasks", f"submit at most {MOST_TASKS:,} at once")
    _check_variables(wire.environment)
    _check_directory(wire.cwd)


def _check_variables(variables: dict[str, str]) -> None:
    for name, value in variables.items():
        if not name or "=" in name or "\0" in name or "\0" in value:
            raise BadValue(f"the variable {name[:60]!r} cannot be set", "remove NUL, and = from its name")


def _check_directory(cwd: str) -> None:
    if not cwd.startswith("/") or "\0" in cwd or SURROGATE.search(cwd):
        raise BadValue(f"the directory {cwd[:60]!r} is not an absolute path", "give the full path")


def _new_task(
    task: WireTask,
    wire: WireSubmission,
    spec: TaskSpec,
    environment: str,
    position: int,
    after: tuple[Dependency, ...],
) -> NewTask:
    check_words(task.command)
    if task.name:
        check_name(task.name)
    if task.key is not None:
        check_key(task.key)
    if task.env:
        _check_variables(task.env)
    if task.cwd is not None:
        _check_directory(task.cwd)
    if (task.call is None) != (spec.warm_key is None):
        raise BadValue("a call and a warm key belong together", "give both, or neither")
    if task.line is not None and "\0" in task.line:
        raise BadValue("the line has a NUL character", "remove it: no program can be given one")
    name = task.name or task.command[0].rpartition("/")[2]
    payload = _Payload(
        name, task.command, task.cwd or wire.cwd, environment, task.env, task.index, task.line, task.params, task.call
    )
    return NewTask(
        spec=spec,
        payload=_ENCODER.encode(payload).decode(),
        key=task.key,
        index=position,
        rank=task.rank,
        after=after,
        held=wire.held,
    )


class _SpecTable:
    """Makes each distinct wire spec into a kernel spec once."""

    __slots__ = ("_default", "_made")

    def __init__(self, default: WireSpec) -> None:
        self._made: dict[bytes, TaskSpec] = {}
        self._default = self._intern(default)

    def of(self, override: WireSpec | None) -> TaskSpec:
        return self._default if override is None else self._intern(override)

    def _intern(self, wire: WireSpec) -> TaskSpec:
        text = _SORTED.encode(wire)
        made = self._made.get(text)
        if made is None:
            made = self._made[text] = task_spec_of(wire)
        return made


def task_spec_of(wire: WireSpec) -> TaskSpec:
    """The kernel's spec. Raises `BadValue`."""
    retries = wire.retries
    return TaskSpec(
        request=_request(wire.request),
        time_limit=wire.time_limit,
        grace=wire.grace,
        retries=RetryBudgets(
            failure=retries.failure,
            timeout=retries.timeout,
            out_of_memory=retries.out_of_memory,
            lost=retries.lost,
        ),
        patience=wire.patience,
        deadline=wire.deadline,
        wait_for_capacity=wire.wait_for_capacity,
        task_class=wire.task_class,
        program=wire.program,
        driver=PROCESSES if wire.warm_key is None else WORKERS,
        warm_key=wire.warm_key,
        alike=wire.alike,
    )


def _request(variants: tuple[WireVariant, ...]) -> Request:
    if not variants:
        raise BadValue("the request has no variant", "give one: an empty one asks for nothing")
    return Request(tuple(_variant(variant) for variant in variants))


def _variant(wire: WireVariant) -> Variant:
    if wire.gpus and wire.share:
        raise BadValue("a variant asks for whole GPUs and a share", "ask for one of them")
    devices = None
    if wire.gpus or wire.share:
        devices = DeviceAsk(wire.gpus, wire.share, wire.vram_mib, wire.balance)
    elif wire.vram_mib is not None:
        raise BadValue("a variant asks for VRAM without a GPU", "add GPUs or drop the VRAM")
    amounts = tuple((PoolName(name), wire.amounts[name]) for name in sorted(wire.amounts) if wire.amounts[name])
    return Variant(devices, amounts, wire.exclusive)
