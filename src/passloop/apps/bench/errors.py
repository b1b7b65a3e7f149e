"""Why a cell failed: its class by the error's type and the phase it came from, never by words in its text.

Adapters and benchmarks translate foreign errors once, at their edge, into the errors of this file; what they let
through is classed by its type here. It imports no library of models: their error types are looked up only where such a
library is loaded already.
"""

from __future__ import annotations

import errno
import sys
from enum import StrEnum
from typing import NamedTuple

from passloop.apps.errors import BadValue

__all__ = [
    "CellError",
    "ConfigError",
    "DatasetError",
    "DependencyMissing",
    "DeviceFault",
    "ErrorClass",
    "LibraryError",
    "ModelMissing",
    "NetworkError",
    "OutOfMemory",
    "Phase",
    "Reason",
    "classed",
]


class ErrorClass(StrEnum):
    """Why a cell failed. The policy of each class is in `policy.py`."""

    CONFIG = "config"
    MODEL_MISSING = "model_missing"
    DATASET = "dataset"
    LOAD_OOM = "load_oom"
    RUN_OOM = "run_oom"
    DEVICE_FAULT = "device_fault"
    DEPENDENCY = "dependency"
    NETWORK = "network"
    TIME_LIMIT = "time_limit"
    WORKER_LOST = "worker_lost"
    HOST_OOM = "host_oom"
    DISK = "disk"
    BUG = "bug"
    CANCELLED = "cancelled"


class Phase(StrEnum):
    """What a cell was doing: reading its order, loading the model, reading data, answering, scoring, writing."""

    CONFIG = "config"
    LOAD = "load"
    DATA = "data"
    RUN = "run"
    SCORE = "score"
    STORE = "store"


class CellError(Exception):
    """A failure whose class is known where it happens. `message` is one sentence for people."""

    error_class = ErrorClass.BUG

    def __init__(self, message: str, *, device: str | None = None, exit_code: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.device = device
        self.exit_code = exit_code


class ConfigError(CellError):
    """The spec asks for what cannot be: a parameter out of range, a method that does not know this model."""

    error_class = ErrorClass.CONFIG


class ModelMissing(CellError):
    """The model is not where the spec says, or not readable as one."""

    error_class = ErrorClass.MODEL_MISSING


class DatasetError(CellError):
    """The benchmark's data is missing, unreadable or not what was planned."""

    error_class = ErrorClass.DATASET


class DependencyMissing(CellError):
    """A package that the adapter or the method stands on is missing or of the wrong version."""

    error_class = ErrorClass.DEPENDENCY


class NetworkError(CellError):
    """Something had to be fetched and the network did not give it. Tried again."""

    error_class = ErrorClass.NETWORK


class DeviceFault(CellError):
    """The device itself failed; `device` is its UUID where it is known. It is quarantined."""

    error_class = ErrorClass.DEVICE_FAULT


class OutOfMemory(CellError):
    """Memory of the device ran out: load_oom or run_oom by the phase it happened in."""

    error_class = ErrorClass.RUN_OOM


class LibraryError(CellError):
    """A library that the adapter stands on failed in a way that is no fault of model, data or device."""

    error_class = ErrorClass.BUG


class Reason(NamedTuple):
    """Why a cell failed, as it is stored: class, phase, one sentence, and the device to blame, if any."""

    error_class: ErrorClass
    phase: Phase
    message: str
    device: str | None = None
    exit_code: int | None = None


FULL_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG})
MISSING_IN = {
    Phase.LOAD: ErrorClass.MODEL_MISSING,
    Phase.DATA: ErrorClass.DATASET,
    Phase.CONFIG: ErrorClass.CONFIG,
}
LONGEST_MESSAGE = 500


def classed(error: BaseException, phase: Phase) -> Reason:
    """The reason that `error`, raised in `phase`, stands for."""
    message = _sentence(error)
    if isinstance(error, CellError):
        found = error.error_class
        if isinstance(error, OutOfMemory) and phase is Phase.LOAD:
            found = ErrorClass.LOAD_OOM
        return Reason(found, phase, message, error.device, error.exit_code)
    return Reason(_class_of(error, phase), phase, message)


def _class_of(error: BaseException, phase: Phase) -> ErrorClass:
    if isinstance(error, _torch_types("OutOfMemoryError")):
        return ErrorClass.LOAD_OOM if phase is Phase.LOAD else ErrorClass.RUN_OOM
    if isinstance(error, _torch_types("AcceleratorError")):
        return ErrorClass.DEVICE_FAULT
    if isinstance(error, MemoryError):
        return ErrorClass.HOST_OOM
    if isinstance(error, BadValue):
        return ErrorClass.CONFIG
    if isinstance(error, ImportError):
        return ErrorClass.DEPENDENCY
    if isinstance(error, KeyboardInterrupt):
        return ErrorClass.CANCELLED
    return _class_of_os_error(error, phase) if isinstance(error, OSError) else ErrorClass.BUG


def _class_of_os_error(error: OSError, phase: Phase) -> ErrorClass:
    if error.errno in FULL_DISK or phase is Phase.STORE:
        return ErrorClass.DISK
    if isinstance(error, FileNotFoundError | NotADirectoryError | PermissionError | IsADirectoryError):
        return MISSING_IN.get(phase, ErrorClass.BUG)
    if isinstance(error, ConnectionError | TimeoutError) or _is_of_the_network(error):
        return ErrorClass.NETWORK
    return ErrorClass.BUG


def _is_of_the_network(error: OSError) -> bool:
    """Name look-ups and the errors of urllib, requests and httpx that say the other side was not reached."""
    names = {f"{each.__module__}.{each.__qualname__}" for each in type(error).__mro__}
    return bool(names & {"socket.gaierror", "urllib.error.URLError", "requests.exceptions.RequestException"})


def _torch_types(name: str) -> tuple[type[BaseException], ...]:
    """torch's error type of this name, if torch is loaded and has it."""
    torch = sys.modules.get("torch")
    found = getattr(torch, name, None) or getattr(getattr(torch, "cuda", None), name, None)
    return (found,) if isinstance(found, type) and issubclass(found, BaseException) else ()


def _sentence(error: BaseException) -> str:
    """The error in one line; without words of its own it is its type."""
    text = " ".join(str(error).split())
    named = text if isinstance(error, CellError | BadValue) else f"{type(error).__name__}: {text}" if text else ""
    return (named or type(error).__name__)[:LONGEST_MESSAGE]
