"""What a measurement was made with and on: versions, machine, how busy it was. Facts only; nothing is judged but load.

What cannot be found out is left out, never guessed.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from passloop.apps.tune.records import Order
from passloop.clock import Clock, iso_utc

from .http import NoAnswer, ask

__all__ = ["busy_note", "host_facts", "logged_version", "own_version", "served_version"]

CROWDED = 0.5
"""Load for each CPU before the trial began above which its figures are doubted."""
VERSION_PATHS = {"/version": "version", "/props": "build_info", "/get_server_info": "version"}
"""Where servers tell their version, and under which word: vLLM, llama.cpp, SGLang."""
ASK_SECONDS = 2.0
ENGINE_LINE = "engine: "


def host_facts(order: Order, clock: Clock) -> dict[str, Any]:
    """What is known before anything is started."""
    return {
        "python": ".".join(str(part) for part in sys.version_info[:3]),
        "system": f"{os.uname().sysname} {os.uname().release}",
        "cpu": _cpu_model(),
        "cpus": len(os.sched_getaffinity(0)),
        "load_average": [round(each, 2) for each in os.getloadavg()],
        "memory_available_mib": _available_mib(),
        "seed": order.seed,
        "started_at": iso_utc(clock.wall()),
        "attempt": os.environ.get("PASSLOOP_ATTEMPT_ID", ""),
        "interpreter": sys.executable,
    }


def own_version() -> str:
    """The version of passloop, by the name of its metadata's folder: what reads metadata is slow to load."""
    for folder in sys.path:
        for path in Path(folder).glob("passloop-*.dist-info"):
            return path.name.removeprefix("passloop-").removesuffix(".dist-info")
    return "unknown"


def busy_note(facts: Mapping[str, Any]) -> str:
    """A sentence if the machine was busy already when the trial began; empty if it was not."""
    load, cpus = facts["load_average"][0], facts["cpus"]
    if load <= CROWDED * cpus:
        return ""
    return f"the machine was busy before the trial began (load {load:g} on {cpus} CPUs); its figures may suffer"


def logged_version(lines: Sequence[str]) -> str | None:
    """The version that a server writes into its log, as a line `engine: NAME VERSION`."""
    told = (line.removeprefix(ENGINE_LINE) for line in lines if line.startswith(ENGINE_LINE))
    return next((each.strip()[:100] for each in told), None)


async def served_version(host: str, port: int) -> str | None:
    """The version that the server tells when it is asked."""
    for path, word in VERSION_PATHS.items():
        try:
            reply = await ask(host, port, path, seconds=ASK_SECONDS)
            told = json.loads(reply.body) if reply.good else None
        except (NoAnswer, ValueError, RecursionError):
            continue
        if isinstance(told, dict) and isinstance(told.get(word), str):
            return str(told[word])[:100]
    return None


def _cpu_model() -> str:
    for line in _lines(Path("/proc/cpuinfo")):
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return os.uname().machine


def _available_mib() -> int | None:
    for line in _lines(Path("/proc/meminfo")):
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) // 1024
    return None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
