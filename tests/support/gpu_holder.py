"""Holds memory of a GPU until it is told to end, as a program of CUDA does: `gpu_holder.py RECORD GATE MIB`.

It needs nothing but the driver's own libraries. It appends to RECORD, as a line of JSON, which process it is, which
device it was given and what NVML says is used there before it takes MIB itself; then it waits for a byte from the pipe
GATE. Where FAKE_NVML names the file of the stand-in for NVML it is entered there, for there is no CUDA.
"""

import ctypes
import fcntl
import json
import os
import sys

record, gate, mib = sys.argv[1], sys.argv[2], int(sys.argv[3])
device = os.environ["CUDA_VISIBLE_DEVICES"]
shown = os.environ.get("FAKE_NVML")


def must(code: int) -> None:
    """What CUDA and NVML call success is 0."""
    if code != 0:
        raise SystemExit(f"the driver says {code}")


def used_mib() -> int:
    """What is used of the device now, by whomever; the stand-in does not add up who entered."""
    nvml = ctypes.CDLL("libnvidia-ml.so.1")
    handle, memory, count = ctypes.c_void_p(), (ctypes.c_uint64 * 3)(), ctypes.c_uint()
    must(nvml.nvmlInitWithFlags(0))
    must(nvml.nvmlDeviceGetCount_v2(ctypes.byref(count)))
    must(nvml.nvmlDeviceGetHandleByUUID(device.encode(), ctypes.byref(handle)))
    must(nvml.nvmlDeviceGetMemoryInfo(handle, memory))
    return (memory[2] >> 20) + (entered(shown) if shown else 0)


def entered(path: str) -> int:
    """What processes entered in the stand-in."""
    with open(path, encoding="ascii") as file:
        return sum(int(line.rpartition("used=")[2]) for line in file if line.startswith("compute "))


def take_by_cuda() -> int:
    """Make a context and take the memory; how many devices this process sees."""
    cuda = ctypes.CDLL("libcuda.so.1")
    count, first, context, memory = ctypes.c_int(), ctypes.c_int(), ctypes.c_void_p(), ctypes.c_uint64()
    must(cuda.cuInit(0))
    must(cuda.cuDeviceGetCount(ctypes.byref(count)))
    must(cuda.cuDeviceGet(ctypes.byref(first), 0))
    must(cuda.cuCtxCreate_v2(ctypes.byref(context), 0, first))
    must(cuda.cuMemAlloc_v2(ctypes.byref(memory), ctypes.c_size_t(mib << 20)))
    return count.value


def enter(path: str) -> int:
    """Be one more process on the one device of the stand-in."""
    with open(f"{path}.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with open(path, encoding="ascii") as file:
            lines = file.read().splitlines()
        with open(f"{path}.new", "w", encoding="ascii") as file:
            file.write("\n".join([*lines, f"compute pid={os.getpid()} used={mib}", ""]))
        os.replace(f"{path}.new", path)
    return 1


before = used_mib()
seen = take_by_cuda() if shown is None else enter(shown)
line = {"pid": os.getpid(), "device": device, "order": os.environ.get("CUDA_DEVICE_ORDER"), "seen": seen}
descriptor = os.open(record, os.O_WRONLY | os.O_APPEND)
os.write(descriptor, json.dumps(line | {"used_before": before}).encode() + b"\n")
os.read(os.open(gate, os.O_RDONLY), 1)
