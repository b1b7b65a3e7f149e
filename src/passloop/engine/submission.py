"""Completes a submission with what the machine no longer holds: final dependencies, and the tasks that keys made.

It is done right before the turn that handles the submission, in the writer's thread, when everything earlier is
committed; so two submissions of one key can never both miss the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from passloop.kernel.events import Event, Submitted
from passloop.kernel.ids import TaskId
from passloop.kernel.tasks import FINAL_STATES, TaskState

__all__ = ["Records", "completed", "lacks_records"]


class Records(Protocol):
    """The store's look-ups by key and by id."""

    def find_keys(self, keys: Sequence[str]) -> Mapping[str, tuple[TaskId, TaskState]]:
        """The newest task of each key."""
        ...

    def states_of(self, ids: Sequence[TaskId]) -> Mapping[TaskId, TaskState]:
        """The states of tasks; unknown ids are left out."""
        ...


def lacks_records(event: Event) -> bool:
    """Whether the event names keys or dependencies that must be looked up."""
    return isinstance(event, Submitted) and any(task.key is not None or task.after for task in event.tasks)


def completed(records: Records, events: Sequence[Event]) -> list[Event]:
    """The events, submissions among them completed with `known` and `known_keys`."""
    wanted = [event for event in events if isinstance(event, Submitted)]
    keys = {task.key for event in wanted for task in event.tasks if task.key is not None}
    ids = {TaskId(need.task) for event in wanted for task in event.tasks for need in task.after if need.task > 0}
    by_key = records.find_keys(sorted(keys)) if keys else {}
    states = records.states_of(sorted(ids)) if ids else {}
    return [
        _completed(event, by_key, states) if isinstance(event, Submitted) and lacks_records(event) else event
        for event in events
    ]


def _completed(
    event: Submitted, by_key: Mapping[str, tuple[TaskId, TaskState]], states: Mapping[TaskId, TaskState]
) -> Submitted:
    """Known are final dependencies, and keys whose newest task succeeded or is still live."""
    known: dict[TaskId, TaskState] = {}
    known_keys: dict[str, TaskId] = {}
    for task in event.tasks:
        for need in task.after:
            state = states.get(TaskId(need.task))
            if state is not None and state in FINAL_STATES:
                known[TaskId(need.task)] = state
        if task.key is not None and task.key in by_key:
            found, state = by_key[task.key]
            if state is TaskState.SUCCEEDED or state not in FINAL_STATES:
                known_keys[task.key] = found
                if state in FINAL_STATES:
                    known[found] = state  # another task of the submission may come after it
    return replace(event, known=tuple(known.items()), known_keys=tuple(known_keys.items()))
