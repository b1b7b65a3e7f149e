"""What a worker is given: the order of its own process, and those of its cells. Must never start anything."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from passloop.drivers.base import Launch
from passloop.kernel.amounts import CPU_UNIT
from passloop.kernel.ids import CPU

from .protocol import HEADER

__all__ = ["WORKER_SUFFIX", "cell_message", "worker_launch", "worker_name"]

WORKER_SUFFIX = "-worker"
"""What a worker's name has more than that of the attempt it began with."""

_encode = msgspec.json.Encoder().encode

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "RAYON_NUM_THREADS",
)


def worker_name(launch: Launch) -> str:
    """The worker's name, unique on the box: what its process has as PASSLOOP_ATTEMPT_ID."""
    return f"{launch.name}{WORKER_SUFFIX}"


def worker_launch(launch: Launch, directory: Path) -> Launch:
    """The order for the worker that runs this attempt first. Raises `ValueError` for what is no call."""
    call = _call_of(launch.payload)
    python = str(call.get("python") or sys.executable)
    command = [python, "-m", "passloop.drivers.workers.worker", str(directory), str(launch.attempt)]
    if launch.warm_key is not None:
        command.append(launch.warm_key)
    threads = _threads(launch)
    name = worker_name(launch)
    return replace(
        launch,
        epoch=1,
        name=name,
        directory=directory,
        time_limit=None,
        payload={"command": command, "cwd": launch.payload.get("cwd") or "/"},
        environment={**launch.environment, **threads, "PASSLOOP_WORKER_ID": name},
        environment_id=f"{launch.environment_id}+{name}",
        warm_key=None,
        worker=None,
    )


def _threads(launch: Launch) -> dict[str, str]:
    """As many threads as CPUs were granted, unless the task itself says otherwise."""
    milli = dict(launch.allocation.amounts).get(CPU, 0)
    if not milli:
        return {}
    said = launch.payload.get("env") or {}
    return {name: str(-(-milli // CPU_UNIT)) for name in THREAD_VARIABLES if name not in said}


def cell_message(launch: Launch, *, short: bool) -> bytes:
    """The order for one cell as it is sent. Raises `ValueError` for what is no call.

    A `short` cell waits behind another: it is told only when it has ended, with its logs only if there are any.
    """
    payload = launch.payload
    call = _call_of(payload)
    variables = {
        "PASSLOOP_TASK_ID": str(launch.task),
        "PASSLOOP_ATTEMPT": str(launch.epoch),
        "PASSLOOP_ATTEMPT_ID": launch.name,
        "PASSLOOP_IDEMPOTENCY_KEY": launch.idempotency_key,
        "PASSLOOP_OUT": f"{launch.directory}/out",
    }
    for key, name in (("index", "PASSLOOP_INDEX"), ("line", "PASSLOOP_LINE")):
        if payload.get(key) is not None:
            variables[name] = str(payload[key])
    body = _encode(
        {
            "cell": launch.attempt,
            "epoch": launch.epoch,
            "task": launch.task,
            "name": launch.name,
            "directory": os.fspath(launch.directory),
            "target": call["target"],
            "args": call.get("args", []),
            "kwargs": call.get("kwargs", {}),
            "cwd": payload.get("cwd") or "/",
            "env": payload.get("env"),
            "index": payload.get("index"),
            "variables": variables,
            "time_limit": launch.time_limit,
            "grace": launch.grace,
            "cells": call.get("cells"),
            "growth_mib": call.get("growth_mib"),
            "short": short,
        }
    )
    return len(body).to_bytes(HEADER, "big") + body


def _call_of(payload: Mapping[str, Any]) -> Mapping[str, Any]:
    call = payload.get("call")
    if not isinstance(call, Mapping) or not isinstance(call.get("target"), str):
        raise ValueError("the task has no call; a warm worker runs passloop.call(...), not commands")
    return call
