"""The one place that calls NVML (through `nvidia-ml-py`). Its errors are translated here, once, and nowhere
else.

Three kinds come out: `LibraryLost` (NVML as a whole cannot be used), `DeviceFault` (this device is broken),
and a missing figure, which becomes the caller's default. Functions missing in an old driver are missing
figures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

import pynvml

from .base import MIB, ProcessUse
from .errors import DeviceError
from .topology import SWITCH

__all__ = ["DeviceFault", "LibraryLost", "Memory", "Nvml"]

T = TypeVar("T")

LOST = {
    pynvml.NVML_ERROR_UNINITIALIZED,
    pynvml.NVML_ERROR_DRIVER_NOT_LOADED,
    pynvml.NVML_ERROR_LIBRARY_NOT_FOUND,
    pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH,
}
BROKEN = {
    pynvml.NVML_ERROR_GPU_IS_LOST,
    pynvml.NVML_ERROR_RESET_REQUIRED,
    pynvml.NVML_ERROR_IRQ_ISSUE,
    pynvml.NVML_ERROR_INSUFFICIENT_POWER,
}
REASONS = {
    pynvml.NVML_ERROR_LIBRARY_NOT_FOUND: (
        "No NVIDIA driver was found (there is no libnvidia-ml.so.1), so there are no GPUs to use."
    ),
    pynvml.NVML_ERROR_DRIVER_NOT_LOADED: (
        "The NVIDIA driver is installed but its kernel module is not loaded; nvidia-smi says more."
    ),
    pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH: (
        "The NVIDIA driver was updated but its old kernel module is still loaded; reboot this machine."
    ),
    pynvml.NVML_ERROR_NO_PERMISSION: (
        "The NVIDIA driver does not let this user see its GPUs; check the permissions of /dev/nvidia*."
    ),
    pynvml.NVML_ERROR_FUNCTION_NOT_FOUND: (
        "The NVIDIA driver is too old to list its GPUs; version 450 or newer is required."
    ),
    pynvml.NVML_ERROR_UNINITIALIZED: "The NVIDIA library was shut down by other code in this process.",
}
FAULTS = {
    pynvml.NVML_ERROR_GPU_IS_LOST: "the GPU is lost (fell off the bus); reboot or reset it",
    pynvml.NVML_ERROR_RESET_REQUIRED: "the GPU must be reset before it can be used again",
    pynvml.NVML_ERROR_IRQ_ISSUE: "the kernel found an interrupt problem with the GPU",
    pynvml.NVML_ERROR_INSUFFICIENT_POWER: "the GPU's external power cables are not properly attached",
}
NO_INSTANCE = 0xFFFFFFFF


class LibraryLost(DeviceError):
    """NVML cannot be used at all now. The text is one plain sentence."""


class DeviceFault(DeviceError):
    """A device cannot be used. The text says what NVML says, without a full stop."""


class Memory(NamedTuple):
    """VRAM in bytes. `exact` tells that `used` leaves out what the driver keeps for itself."""

    total: int
    used: int
    exact: bool


class Nvml:
    """NVML, opened. Handles are NVML's own and stay inside this layer."""

    def __init__(self) -> None:
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError as error:
            raise LibraryLost(_reason(error)) from error

    def close(self) -> None:
        """Shut NVML down; that it was already shut down is no error."""
        self.figure(None, pynvml.nvmlShutdown, unless_lost=False)

    def need(self, call: Callable[..., T], *arguments: Any) -> T:
        """Call for something without which the device cannot be used: any error is a fault."""
        try:
            return call(*arguments)
        except pynvml.NVMLError as error:
            if error.value in LOST:
                raise LibraryLost(_reason(error)) from error
            raise DeviceFault(_fault(error)) from error

    def figure(self, default: T, call: Callable[..., T], *arguments: Any, unless_lost: bool = True) -> T:
        """Call for an optional figure: what the device or driver does not offer becomes `default`."""
        try:
            return call(*arguments)
        except pynvml.NVMLError as error:
            if unless_lost and error.value in LOST:
                raise LibraryLost(_reason(error)) from error
            if error.value in BROKEN:
                raise DeviceFault(_fault(error)) from error
            return default

    def count(self) -> int:
        """How many GPUs the driver knows, broken ones too."""
        try:
            return int(pynvml.nvmlDeviceGetCount())
        except pynvml.NVMLError as error:
            raise LibraryLost(_reason(error)) from error

    def handle(self, index: int) -> Any:
        """The GPU at NVML's own index."""
        return self.need(pynvml.nvmlDeviceGetHandleByIndex, index)

    def handle_of(self, uuid: str) -> Any:
        """The GPU or MIG instance with this UUID."""
        return self.need(pynvml.nvmlDeviceGetHandleByUUID, uuid)

    def uuid(self, handle: Any) -> str:
        return _text(self.need(pynvml.nvmlDeviceGetUUID, handle))

    def name(self, handle: Any) -> str:
        return _text(self.figure("NVIDIA GPU", pynvml.nvmlDeviceGetName, handle))

    def bus_id(self, handle: Any) -> str:
        """The PCI bus id as sysfs writes it; empty when NVML does not tell."""
        return _bus_id(self.figure(None, pynvml.nvmlDeviceGetPciInfo_v3, handle))

    def memory(self, handle: Any) -> Memory:
        """Total and used VRAM; zeros where the device has none of its own (unified memory)."""
        exact = self.figure(None, pynvml.nvmlDeviceGetMemoryInfo, handle, pynvml.nvmlMemory_v2)
        if exact is not None:
            return Memory(exact.total, exact.used, True)
        rough = self.figure(None, pynvml.nvmlDeviceGetMemoryInfo, handle)
        return Memory(rough.total, rough.used, False) if rough is not None else Memory(0, 0, True)

    def utilisation(self, handle: Any) -> int | None:
        """How busy its cores were, in percent."""
        rates = self.figure(None, pynvml.nvmlDeviceGetUtilizationRates, handle)
        return int(rates.gpu) if rates is not None else None

    def power_w(self, handle: Any) -> int | None:
        """Power drawn, in whole W."""
        milliwatts = self.figure(None, pynvml.nvmlDeviceGetPowerUsage, handle)
        return (milliwatts + 500) // 1000 if milliwatts is not None else None

    def compute(self, handle: Any) -> tuple[ProcessUse, ...]:
        """The processes that compute on it."""
        return self._processes(
            handle,
            pynvml.nvmlDeviceGetComputeRunningProcesses_v3,
            pynvml.nvmlDeviceGetComputeRunningProcesses_v2,
        )

    def graphics(self, handle: Any) -> tuple[ProcessUse, ...]:
        """The processes that draw with it."""
        return self._processes(
            handle,
            pynvml.nvmlDeviceGetGraphicsRunningProcesses_v3,
            pynvml.nvmlDeviceGetGraphicsRunningProcesses_v2,
        )

    def _processes(self, handle: Any, newer: Callable[..., Any], older: Callable[..., Any]) -> tuple[ProcessUse, ...]:
        found = self.figure(None, newer, handle)
        if found is None:
            found = self.figure((), older, handle)
        instance = self._instance(handle) if any(one.gpuInstanceId != NO_INSTANCE for one in found) else None
        return tuple(
            ProcessUse(one.pid, None if one.usedGpuMemory is None else one.usedGpuMemory // MIB)
            for one in found
            if instance is None or (one.gpuInstanceId, one.computeInstanceId) == instance
        )

    def _instance(self, handle: Any) -> tuple[int, int] | None:
        """A MIG instance's (GPU, compute) instance ids; None for a whole GPU."""
        gpu = self.figure(None, pynvml.nvmlDeviceGetGpuInstanceId, handle)
        compute = self.figure(None, pynvml.nvmlDeviceGetComputeInstanceId, handle)
        return None if gpu is None or compute is None else (gpu, compute)

    def split(self, handle: Any) -> bool:
        """True when the GPU is in MIG mode: then its instances are the devices."""
        modes = self.figure([0, 0], pynvml.nvmlDeviceGetMigMode, handle)
        return bool(modes[0] == pynvml.NVML_DEVICE_MIG_ENABLE)

    def instances(self, handle: Any) -> Iterator[Any]:
        """The MIG instances of a GPU in MIG mode."""
        for index in range(self.figure(0, pynvml.nvmlDeviceGetMaxMigDeviceCount, handle)):
            instance = self.figure(None, pynvml.nvmlDeviceGetMigDeviceHandleByIndex, handle, index)
            if instance is not None:
                yield instance

    def link_ends(self, handle: Any) -> frozenset[str]:
        """The remote ends of its active NVLinks: PCI bus ids, or `SWITCH`."""
        ends: set[str] = set()
        for link in range(pynvml.NVML_NVLINK_MAX_LINKS):
            state = self.figure(None, pynvml.nvmlDeviceGetNvLinkState, handle, link)
            if state is None:
                break
            if state == pynvml.NVML_FEATURE_ENABLED:
                ends.add(self._link_end(handle, link))
        return frozenset(ends - {""})

    def _link_end(self, handle: Any, link: int) -> str:
        kind = self.figure(
            pynvml.NVML_NVLINK_DEVICE_TYPE_UNKNOWN, pynvml.nvmlDeviceGetNvLinkRemoteDeviceType, handle, link
        )
        if kind == pynvml.NVML_NVLINK_DEVICE_TYPE_SWITCH:
            return SWITCH
        return _bus_id(self.figure(None, pynvml.nvmlDeviceGetNvLinkRemotePciInfo, handle, link))


def _text(value: str | bytes) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _bus_id(pci: Any) -> str:
    return "" if pci is None else f"{pci.domain:04x}:{pci.bus:02x}:{pci.device:02x}.0"


def _reason(error: pynvml.NVMLError) -> str:
    return REASONS.get(error.value, f"The NVIDIA driver's library cannot be used: {error}.")


def _fault(error: pynvml.NVMLError) -> str:
    return FAULTS.get(error.value, f"NVML says: {error}")
