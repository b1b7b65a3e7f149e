"""What an attempt is given: its order for the zygote, and the variables it sees besides the submitter's
environment.

Must never start anything.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from passloop.drivers.base import Launch

from .keeper.frames import Order

__all__ = ["attempt_variables", "build_order", "environment_fields"]


def attempt_variables(launch: Launch) -> dict[str, str]:
    """The variables passloop sets for this attempt; they win over the submitter's."""
    uuids = ",".join(grant.uuid for grant in launch.allocation.devices)
    variables = {
        "PASSLOOP_TASK_ID": str(launch.task),
        "PASSLOOP_ATTEMPT": str(launch.epoch),
        "PASSLOOP_ATTEMPT_ID": launch.name,
        "PASSLOOP_IDEMPOTENCY_KEY": launch.idempotency_key,
        "PASSLOOP_OUT": str(launch.directory / "out"),
        "PASSLOOP_GPUS": uuids,
        "CUDA_VISIBLE_DEVICES": uuids,
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
    }
    for key, name in (("index", "PASSLOOP_INDEX"), ("line", "PASSLOOP_LINE")):
        value = launch.payload.get(key)
        if value is not None:
            variables[name] = str(value)
    return variables


def build_order(launch: Launch, *, cgroup: Path | None, lock_fds: Sequence[int]) -> Order:
    """The order for the zygote. `ValueError` says in one sentence what is wrong with the task."""
    command = [str(word) for word in launch.payload.get("command", ())]
    if not command:
        raise ValueError("the task has no command; give one after --")
    if any("\0" in word for word in command):
        raise ValueError("the command contains a NUL byte, which no program can be given; remove it")
    order = Order()
    order.attempt, order.epoch = launch.attempt, launch.epoch
    order.time_limit, order.grace = launch.time_limit or 0, launch.grace
    order.memory_limit = launch.memory_limit or 0
    order.lock_fds = len(lock_fds)
    order.name = os.fsencode(launch.name)
    order.directory = os.fsencode(launch.directory.absolute())
    order.cwd = os.fsencode(str(launch.payload.get("cwd") or "/"))
    order.cgroup = os.fsencode(cgroup) if cgroup is not None else b""
    order.environment_id = os.fsencode(launch.environment_id)
    order.extra = _variables(attempt_variables(launch))
    order.argv = [os.fsencode(word) for word in command]
    return order


def environment_fields(launch: Launch) -> list[bytes]:
    """The submitter's environment as the fields of a frame, to be sent once before the first order that uses
    it.
    """
    return [b"environment", os.fsencode(launch.environment_id), *_variables(launch.environment)]


def _variables(environment: Mapping[str, str]) -> list[bytes]:
    return [os.fsencode(f"{name}={value}") for name, value in environment.items()]
