"""Events of the kernel as JSON text for the journal, and back. Pure.

`{"type": "Submitted", ...}` with the fields of the event, but for those that say nothing (their default). Some things
differ from the event itself: the payloads of tasks, the results that come with an end and the specs of units are left
out (they stand in tables of their own), and a spec that many tasks share is written once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, get_args

import msgspec

from passloop.kernel.events import Event, Exited, Expanded, SourceDeclared, Submitted
from passloop.kernel.tasks import Dependency, NewTask, TaskSpec

from .records import decode_json, encode_json
from .telling import told

__all__ = ["EVENT_TYPES", "decode_events", "encode_events"]


EVENT_TYPES: dict[str, type[Any]] = {kind.__name__: kind for kind in get_args(Event)}
"""Every type of event by its name in the journal."""


class _TaskRecord(msgspec.Struct, array_like=True):
    spec: int
    key: str | None
    index: int
    rank: int
    after: tuple[Dependency, ...]
    held: bool
    retry_of: int | None
    node: int = 0


def encode_events(events: Sequence[Event]) -> str:
    """A batch as a JSON array."""
    return encode_json([_encode(event) for event in events])


def decode_events(text: str) -> tuple[Event, ...]:
    """A batch from its JSON array; the payloads of submitted tasks are empty strings."""
    return decode_json(_decode_all, text, "journal")


def _encode(event: Event) -> dict[str, object]:
    record: dict[str, object] = {"type": type(event).__name__, **told(event)}
    if isinstance(event, Submitted | Expanded):
        record["specs"], record["tasks"] = _encode_tasks(event.tasks)
    elif isinstance(event, SourceDeclared):
        record.pop("unit_specs", None)
    elif isinstance(event, Exited):
        record["outcome"] = told(event.outcome)
        record.pop("result", None)
    return record


def _encode_tasks(tasks: Sequence[NewTask]) -> tuple[list[TaskSpec], list[_TaskRecord]]:
    numbers: dict[int, int] = {}
    specs: list[TaskSpec] = []
    records = []
    for task in tasks:
        number = numbers.get(id(task.spec))
        if number is None:
            number = numbers[id(task.spec)] = len(specs)
            specs.append(task.spec)
        records.append(
            _TaskRecord(number, task.key, task.index, task.rank, task.after, task.held, task.retry_of, task.node)
        )
    return specs, records


def _decode_all(text: str) -> tuple[Event, ...]:
    return tuple(_decode(record) for record in msgspec.json.decode(text, type=list[dict[str, Any]]))


def _decode(record: dict[str, Any]) -> Event:
    kind = EVENT_TYPES.get(record.pop("type", ""))
    if kind is None:
        raise ValueError("an event of unknown type")
    if kind in (Submitted, Expanded):
        record["tasks"] = _decode_tasks(record.pop("specs"), record["tasks"])
        return _with_tasks(record, kind)
    event: Event = msgspec.convert(record, kind)
    return event


def _decode_tasks(specs: Any, tasks: Any) -> tuple[NewTask, ...]:
    known = msgspec.convert(specs, list[TaskSpec])
    return tuple(_new_task(known, record) for record in msgspec.convert(tasks, list[_TaskRecord]))


def _new_task(specs: Sequence[TaskSpec], record: _TaskRecord) -> NewTask:
    build: Callable[..., NewTask] = NewTask
    return build(
        specs[record.spec],
        payload="",
        key=record.key,
        index=record.index,
        rank=record.rank,
        after=record.after,
        held=record.held,
        retry_of=record.retry_of,
        node=record.node,
    )


def _with_tasks(record: dict[str, Any], kind: type[Any]) -> Event:
    tasks = record.pop("tasks")
    bare = msgspec.convert({**record, "tasks": ()}, kind)
    event: Event = kind(**{name: getattr(bare, name) for name in bare.__slots__} | {"tasks": tasks})
    return event
