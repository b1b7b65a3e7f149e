"""Request bodies for the benchmarks."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable

from passloop.apps.queue.wire import WireSpec, WireSubmission, WireTask, WireVariant, encode_submission

__all__ = ["TRUE", "body_of", "one_cpu", "true_tasks"]

TRUE = shutil.which("true") or "/bin/true"


def one_cpu(*, gpus: int = 0, time_limit: int | None = None) -> WireSpec:
    """One CPU and some GPUs; `time_limit` in ms."""
    return WireSpec(request=(WireVariant(gpus=gpus, amounts={"cpu": 1_000}),), time_limit=time_limit)


def body_of(tasks: Iterable[WireTask], *, held: bool = False, priority: int = 0, name: str = "benchmark") -> bytes:
    """One submission with this process's environment, as a client would send it."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PASSLOOP_")}
    return encode_submission(
        WireSubmission(tuple(tasks), name=name, environment=environment, held=held, priority=priority)
    )


def true_tasks(count: int, *, held: bool = False) -> bytes:
    """`count` times /bin/true on one CPU each."""
    return body_of((WireTask((TRUE, str(index)), index=index) for index in range(1, count + 1)), held=held)
