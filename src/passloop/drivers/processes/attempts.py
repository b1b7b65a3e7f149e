"""What the driver knows of one attempt while it has not ended. Holds; decides nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from passloop.drivers.base import Launch, LiveAttempt
from passloop.drivers.identity import Process
from passloop.kernel.ids import AttemptId

__all__ = ["Phase", "ShimHold", "Watch"]


class Phase(Enum):
    """Ordered of the zygote; running (its start record exists); ended but with a stray; ended."""

    ORDERED = "ordered"
    RUNNING = "running"
    STRAY = "stray"
    ENDED = "ended"


@dataclass(slots=True, eq=False)
class Watch:
    """One attempt. `frame` is its order and `environment` the frame of that, both kept until it has begun;
    `shim` is what stands over it, while it lives.

    `process` is the shim's even after its death. `halted` is the reason of a stop, "" for none; `forced`
    says that the wish to stop could not be left in its folder, so that its shim is killed. `settling` holds
    while its records are being read, `unsettled` says that they must be (again). `adopted` says that an
    earlier engine launched it. `unstarted` says why nothing starts it any more, "" if something may; `passing` that
    this is a want that passes, `tries` how often it has kept its order back. `outlasted` says that only the end of what
    SIGKILL did not end is waited for.
    """

    attempt: AttemptId
    epoch: int
    name: str
    directory: Path
    phase: Phase = Phase.ORDERED
    cgroup: Path | None = None
    frame: bytes = b""
    environment: bytes = b""
    lock_fds: Sequence[int] = ()
    process: Process | None = None
    shim: ShimHold | None = None
    halted: str = ""
    forced: bool = False
    settling: bool = False
    unsettled: bool = False
    adopted: bool = False
    unstarted: str = ""
    passing: bool = False
    tries: int = 0
    outlasted: bool = False

    @classmethod
    def of_launch(cls, launch: Launch, cgroup: Path | None) -> Watch:
        """An attempt that is about to be ordered."""
        return cls(launch.attempt, launch.epoch, launch.name, launch.directory, cgroup=cgroup)

    @classmethod
    def of_live(cls, live: LiveAttempt, cgroup: Path | None) -> Watch:
        """An attempt of an earlier engine."""
        phases = {"admitted": Phase.ORDERED, "stray": Phase.STRAY}
        phase = phases.get(live.state, Phase.RUNNING)
        watch = cls(live.attempt, live.epoch, live.name, live.directory, phase=phase, cgroup=cgroup)
        watch.adopted = True
        return watch


@dataclass(slots=True, eq=False)
class ShimHold:
    """A living shim, by a descriptor that becomes readable at its death. `watch` is the attempt it stands
    over.
    """

    process: Process
    pidfd: int
    watch: Watch | None = None
