"""Checks of the system: Python, kernel features, limits, clock, memory enforcement. Nothing is changed."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import resource
import sys
import time
from pathlib import Path

from passloop.cli.checks.finding import Check, Finding, Place, fail, ok, warn

__all__ = ["SYSTEM_CHECKS"]

_GET_SUBREAPER = 37
_FEW_FILES = 1024
_FEW_PROCESSES = 1000
_FEW_PIDS = 32_768


def _python(_place: Place) -> Finding:
    text = f"Python {platform.python_version()} at {sys.executable}"
    return ok(text) if sys.version_info >= (3, 11) else fail(text, "install Python 3.11 or newer")


def _kernel(_place: Place) -> Finding:
    text = f"{platform.system()} {platform.release()}"
    return ok(text) if sys.platform == "linux" else fail(f"{text}: passloop needs Linux")


def _pidfd(_place: Place) -> Finding:
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError as error:
        return fail(f"pidfd_open: {os.strerror(error.errno or 0)}", "use Linux 5.3 or newer, or allow it in seccomp")
    return ok("process descriptors work, so an end is noticed at once")


def _subreaper(_place: Place) -> Finding:
    libc = ctypes.CDLL(None, use_errno=True)
    answer = ctypes.c_int()
    if libc.prctl(_GET_SUBREAPER, ctypes.byref(answer), 0, 0, 0) != 0:
        return fail(f"subreaper: {os.strerror(ctypes.get_errno())}", "allow prctl(PR_SET_CHILD_SUBREAPER)")
    return ok("subreapers work, so escaped children of a task are caught")


def _proc(_place: Place) -> Finding:
    try:
        Path("/proc/self/stat").read_text(encoding="ascii")
        Path("/proc/1/stat").read_text(encoding="ascii")
    except PermissionError:
        return warn(
            "/proc hides other users' processes", "GPUs that others use show no names: mount it without hidepid"
        )
    except OSError as error:
        return fail(f"/proc: {error.strerror}", "mount /proc")
    return ok("/proc is readable")


def _boot_id(_place: Place) -> Finding:
    try:
        found = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError as error:
        return fail(f"the boot id is not readable: {error.strerror}", "mount /proc/sys")
    return ok(f"boot {found[:8]}")


def _clock(_place: Place) -> Finding:
    """The wall clock is for display; what matters is that it is not absurd, and how long since suspension."""
    year = time.gmtime().tm_year
    if not 2024 <= year <= 2100:
        return warn(f"the clock says {year}", "set it; times shown are wrong, nothing else is")
    slept = time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)
    return ok(
        f"{time.strftime('%Y-%m-%d %H:%M:%S %Z')}" + (f", {slept:.0f} s suspended since boot" if slept > 1 else "")
    )


def _open_files(_place: Place) -> Finding:
    """An engine takes the hard limit for itself; tasks get the soft one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    text = f"{hard:,} open files for the engine, {soft:,} for a task unless it asks for more"
    return (
        ok(text)
        if hard > _FEW_FILES or hard == resource.RLIM_INFINITY
        else warn(text, "raise the hard limit: nofile in /etc/security/limits.conf")
    )


def _processes(_place: Place) -> Finding:
    soft, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    if soft == resource.RLIM_INFINITY:
        return ok("processes are not limited")
    text = f"{soft:,} processes for this user"
    return ok(text) if soft >= _FEW_PROCESSES else warn(text, "ulimit -u 8192")


def _pid_max(_place: Place) -> Finding:
    most = int(Path("/proc/sys/kernel/pid_max").read_text(encoding="ascii"))
    text = f"process ids up to {most:,}"
    if most > _FEW_PIDS:
        return ok(text)
    return ok(f"{text}; they come round soon, and passloop compares start times too")


def _memory(_place: Place) -> Finding:
    from passloop.drivers.processes.cgroups import memory_parent

    parent = memory_parent()
    if parent is not None:
        return ok(f"--mem is enforced by control groups below {parent}")
    return warn(
        "--mem is enforced by the shim, which adds up the memory of a task's processes each second",
        "run the engine with a delegated cgroup for exact limits: systemd-run --user -p Delegate=yes passloop serve",
    )


def _inotify(_place: Place) -> Finding:
    from passloop.store.inotify import watcher

    try:
        with watcher():
            return ok("inotify works, so output is followed without polling")
    except OSError as error:
        full = error.errno == errno.EMFILE
        hint = "raise fs.inotify.max_user_instances" if full else "allow inotify"
        return warn(f"inotify: {os.strerror(error.errno or 0)}; following output does not work", hint)


SYSTEM_CHECKS = (
    Check("python", _python),
    Check("kernel", _kernel),
    Check("pidfd", _pidfd),
    Check("subreaper", _subreaper),
    Check("proc", _proc),
    Check("boot id", _boot_id),
    Check("clock", _clock),
    Check("open files", _open_files),
    Check("processes", _processes),
    Check("pid_max", _pid_max),
    Check("memory limits", _memory),
    Check("inotify", _inotify),
)
