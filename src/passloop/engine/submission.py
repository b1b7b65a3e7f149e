"""What a client submits, as the engine takes it: checked already, spans in ms. Makes the kernel's event of it."""

from __future__ import annotations

from dataclasses import dataclass

from passloop.kernel.events import Submitted
from passloop.kernel.ids import RunId
from passloop.kernel.tasks import NewTask

__all__ = ["Submission"]


@dataclass(frozen=True, slots=True)
class Submission:
    """Tasks to store as one run, all or nothing.

    `environments` are (id, JSON text) of the environments that payloads name; those the store has already are
    ignored. `about` is JSON text about the run. `run` adds to an existing run. With `refuse_impossible` a task that
    can never fit refuses all of it.
    """

    name: str
    tasks: tuple[NewTask, ...]
    group: str = "default"
    priority: int = 0
    environments: tuple[tuple[str, str], ...] = ()
    about: str = "{}"
    run: RunId | None = None
    refuse_impossible: bool = True

    def as_event(self) -> Submitted:
        """The fact for the kernel; what the machine no longer holds is looked up right before it is handled."""
        return Submitted(
            name=self.name,
            tasks=self.tasks,
            group=self.group,
            priority=self.priority,
            run=self.run,
            refuse_impossible=self.refuse_impossible,
            about=self.about,
        )
