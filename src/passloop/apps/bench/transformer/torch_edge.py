"""Where torch's and transformers' errors become this project's, once: memory, device, missing parts, models.

By type only. It holds no state and loads nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from passloop.apps.bench.errors import ConfigError, DependencyMissing, DeviceFault, ModelMissing, OutOfMemory

__all__ = ["host_peak_mib", "importing", "loading", "reset_peaks", "running", "vram_peak_mib"]

MIB = 2**20
STATUS = Path("/proc/self/status")
CLEAR_REFS = Path("/proc/self/clear_refs")
RESET_PEAK = "5"
"""What resets the peak of resident memory (proc(5), clear_refs)."""


@contextmanager
def importing() -> Iterator[None]:
    """Around imports of the heavy libraries."""
    try:
        yield
    except ImportError as missing:
        message = f"{missing.name or 'a library'} cannot be imported ({missing}): pip install 'passloop[bench]'"
        raise DependencyMissing(message) from missing


@contextmanager
def loading(source: str, device: str | None) -> Iterator[None]:
    """Around the loading of a model; `device` is the UUID it goes to."""
    import torch
    from safetensors import SafetensorError

    try:
        yield
    except torch.OutOfMemoryError as full:
        raise OutOfMemory(_first_line(full), device=device) from full
    except torch.AcceleratorError as fault:
        raise DeviceFault(_first_line(fault), device=device) from fault
    except SafetensorError as broken:
        raise ModelMissing(f"the weights in {source} cannot be read: {_first_line(broken)}") from broken
    except (OSError, ValueError, KeyError) as wrong:
        raise ModelMissing(f"{source} cannot be loaded: {_first_line(wrong)}") from wrong


@contextmanager
def running(method: str, device: str | None) -> Iterator[None]:
    """Around the model's work under a method: what a method says against this text or model is an error of the
    configuration.
    """
    import torch

    try:
        yield
    except torch.OutOfMemoryError as full:
        raise OutOfMemory(_first_line(full), device=device) from full
    except torch.AcceleratorError as fault:
        raise DeviceFault(_first_line(fault), device=device) from fault
    except (AssertionError, NotImplementedError) as refused:
        raise ConfigError(f"{method} cannot do this: {_first_line(refused)}") from refused


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def reset_peaks(torch: Any) -> None:
    """Begin anew to measure peaks of memory; where the system does not let us, the host's is that of the process."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    try:
        CLEAR_REFS.write_text(RESET_PEAK)
    except OSError:
        return


def host_peak_mib() -> float:
    """The peak of resident memory since `reset_peaks`, in MiB; 0 where the system does not tell."""
    try:
        lines = STATUS.read_text().splitlines()
    except OSError:
        return 0.0
    found = next((line for line in lines if line.startswith("VmHWM:")), None)
    return round(int(found.split()[1]) / 1024, 1) if found else 0.0


def vram_peak_mib(torch: Any) -> float:
    """The peak of memory reserved on all devices together since `reset_peaks`, in MiB; 0 without one."""
    if not torch.cuda.is_available():
        return 0.0
    reserved = [int(torch.cuda.max_memory_reserved(each)) for each in range(torch.cuda.device_count())]
    return round(sum(reserved) / MIB, 1)
