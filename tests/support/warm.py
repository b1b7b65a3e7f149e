"""Calls for warm workers: orders for them, and functions that behave as a test wants. Imported in the workers, too."""

from __future__ import annotations

import ctypes
import fcntl
import os
import resource
import select
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from passloop import worker
from passloop.drivers.base import Launch
from passloop.drivers.processes.keeper.records import own_ticks

ROOT = Path(__file__).resolve().parents[2]
"""Where workers must be to import this module."""


def call_of(function: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
    """The call of a function of this module, as it stands in a payload."""
    return {"target": f"tests.support.warm:{function}", "args": list(args), "kwargs": kwargs}


def call_order(home: Path, attempt: int, call: dict[str, Any], **fields: Any) -> Launch:
    """An order for the driver of warm workers; `fields` are those of `order_for`."""
    from .attempts import order_for

    payload = {"call": call} | fields.pop("payload", {})
    return order_for(home, attempt, [], payload=payload, cwd=str(ROOT), **{"warm_key": "key"} | fields)


def nothing() -> None:
    """Return at once."""


def leave_a_thread() -> None:
    """Return, and leave a thread that never ends and that Python waits for."""
    threading.Thread(target=threading.Event().wait).start()


def leave_with(code: int) -> None:
    """End like a program with an exit code."""
    sys.exit(code)


def stay(tree: list[str]) -> None:
    """Start a tree of processes and stay until stopped."""
    subprocess.Popen(tree)
    while True:
        signal.pause()


def stay_stubbornly(tree: list[str]) -> None:
    """The same, but take no stop for an answer."""
    subprocess.Popen(tree)
    while True:
        try:
            signal.pause()
        except worker.Stopped:
            continue


def count() -> dict[str, int]:
    """How often this worker was asked, and which process it is."""
    worker.kept["calls"] = worker.kept.get("calls", 0) + 1
    return {"calls": worker.kept["calls"], "pid": os.getpid(), "number": worker.cell().number}


def surroundings() -> dict[str, Any]:
    """What a call sees of the task and of what it was granted."""
    cell = worker.cell()
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "OWN", "PASSLOOP_INDEX")
    said = {name: os.environ.get(name) for name in names}
    same = os.environ["PASSLOOP_ATTEMPT_ID"] == cell.attempt_id and os.environ["PASSLOOP_OUT"] == str(cell.out)
    return said | {
        "task": cell.task,
        "key": os.environ["PASSLOOP_IDEMPOTENCY_KEY"],
        "warm_key": cell.warm_key,
        "same": same,
        "out": cell.out.is_dir(),
        "cwd": os.getcwd(),
        "open_files": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
    }


def write() -> None:
    """Write to both outputs, from Python, from C and from a process of its own."""
    print("from python")
    os.write(2, b"from below\n")
    subprocess.run(["echo", "from a child"], check=True)


def fail(kind: str, *words: str) -> None:
    """Raise an exception of this kind."""
    kinds: dict[str, type[Exception]] = {
        "value": ValueError,
        "memory": MemoryError,
        "ours": worker.OutOfMemory,
        "device": worker.DeviceFault,
        "refused": worker.Refused,
    }
    raise kinds[kind](*words)


def die(number: int) -> None:
    """Die of a signal."""
    os.kill(os.getpid(), number)


def exit_at_once(code: int) -> None:
    """End the process, and run nothing of what Python does at its end."""
    os._exit(code)


def limit_files(size: int) -> None:
    """Let this process write no file beyond so many bytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def hang_in_c(seconds: float) -> None:
    """Hold the interpreter's lock and heed no signal handler: only the kernel can end this."""
    ctypes.PyDLL(None).usleep(int(seconds * 1e6))


def await_gate(pipe: str, gate: str) -> int:
    """Say on a pipe that it stands at a gate, and wait there: who is told may open it and go away."""
    with open(gate, encoding="ascii") as passage:
        with open(pipe, "w", encoding="ascii") as said:
            said.write("x")
        passage.readline()
    return os.getpid()


def mutate() -> None:
    """Spoil what is kept."""
    worker.mutated("the embeddings were resized")


def load(*millis: int) -> None:
    """Say that loading took so long, part by part."""
    for each in millis:
        worker.loaded(each)


def grow(mib: int) -> None:
    """Keep that much memory."""
    worker.kept.setdefault("grown", []).append(bytearray(os.urandom(1 << 10) * (mib << 10)))


def opaque() -> object:
    """Return what JSON cannot say."""
    return object()


async def later(value: int) -> int:
    """A coroutine."""
    return value


def record(folder: str, work: int | str) -> None:
    """Leave proof of itself as `recording_worker.py` does: that it begins, was alone, and ends after so many ms, or
    once it is let through this gate.
    """
    cell = worker.cell()
    lock = os.open(f"{folder}/{cell.task}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    said = os.open(f"{folder}/record", os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    alone = 1
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        alone = 0
    try:
        for what in ("start", "end"):
            words = [
                what,
                cell.task,
                cell.attempt,
                cell.attempt_id,
                os.getpid(),
                own_ticks(),
                time.monotonic_ns(),
                alone,
            ]
            os.write(said, " ".join(map(str, [*words, "-", {"start": "-", "end": 0}[what]])).encode() + b"\n")
            if what == "start":
                _work(folder, work)
    finally:
        os.close(said)
        os.close(lock)


def _work(folder: str, work: int | str) -> None:
    if isinstance(work, int):
        select.poll().poll(work)
        return
    with open(f"{folder}/{work}", "rb", buffering=0) as gate:
        gate.read(1)  # one byte lets one through


def limit_and_fail() -> None:
    """Fail where nothing more can be written to the log, as on a full disk."""
    os.write(2, b"x" * 8_192)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8_192, resource.RLIM_INFINITY))
    raise ValueError("bad")
