"""Completes what brings tasks (a submission, a unit of a source) with what the machine no longer holds: final
dependencies, the tasks that keys made, and whether the run to add to is still there.

It is done right before the turn that handles the submission, in the writer's thread, when everything earlier is
committed; so two submissions of one key can never both miss the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from typing import Protocol

from passloop.kernel.events import Event, Expanded, Submitted
from passloop.kernel.ids import RunId, TaskId
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

    def runs_there(self, runs: Sequence[RunId]) -> Set[RunId]:
        """Those of these runs that there are."""
        ...


def lacks_records(event: Event) -> bool:
    """Whether the event names keys, dependencies or a run that must be looked up."""
    if isinstance(event, Submitted) and event.run is not None:
        return True
    return isinstance(event, Submitted | Expanded) and any(task.key is not None or task.after for task in event.tasks)


def completed(records: Records, events: Sequence[Event]) -> list[Event]:
    """The events, submissions among them completed with `known`, `known_keys` and `run_gone`."""
    wanted = [event for event in events if isinstance(event, Submitted | Expanded)]
    keys = {task.key for event in wanted for task in event.tasks if task.key is not None}
    ids = {TaskId(need.task) for event in wanted for task in event.tasks for need in task.after if need.task > 0}
    by_key = records.find_keys(sorted(keys)) if keys else {}
    states = records.states_of(sorted(ids)) if ids else {}
    runs = {event.run for event in wanted if isinstance(event, Submitted) and event.run is not None}
    gone = runs - records.runs_there(sorted(runs)) if runs else runs
    return [
        _completed(_placed(event, gone), by_key, states)
        if isinstance(event, Submitted | Expanded) and lacks_records(event)
        else event
        for event in events
    ]


def _placed(event: Submitted | Expanded, gone: Set[RunId]) -> Submitted | Expanded:
    """A submission to a run that was removed says so."""
    return replace(event, run_gone=True) if isinstance(event, Submitted) and event.run in gone else event


def _completed(
    event: Submitted | Expanded, by_key: Mapping[str, tuple[TaskId, TaskState]], states: Mapping[TaskId, TaskState]
) -> Submitted | Expanded:
    """Known are final dependencies, and keys whose newest task succeeded or is still live."""
    keys = {task.key for task in event.tasks if task.key is not None}
    kept = {key: by_key[key] for key in keys & by_key.keys() if _is_kept(by_key[key][1])}
    needs = {TaskId(need.task) for task in event.tasks for need in task.after}
    known = {task: states[task] for task in needs & states.keys() if states[task] in FINAL_STATES}
    # Another task of the submission may come after one that a key had already made.
    known |= {task: state for task, state in kept.values() if state in FINAL_STATES}
    return replace(
        event,
        known=tuple(sorted(known.items())),
        known_keys=tuple((key, kept[key][0]) for key in sorted(kept)),
    )


def _is_kept(state: TaskState) -> bool:
    """Whether the same key again returns the task in this state; any other is tried again."""
    return state is TaskState.SUCCEEDED or state not in FINAL_STATES
