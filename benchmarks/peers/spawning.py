"""What starting processes costs without any queue: bare `posix_spawn`, and `xargs -P`."""

from __future__ import annotations

import os
import subprocess
import time

from benchmarks.support.submissions import TRUE

__all__ = ["bare_spawn", "xargs"]


def bare_spawn(count: int, outstanding: int) -> float:
    """Milliseconds a task for `posix_spawn` and `wait` alone."""
    began = time.perf_counter()
    running = 0
    for _ in range(count):
        if running == outstanding:
            os.wait()
            running -= 1
        os.posix_spawn(TRUE, [TRUE], os.environ)
        running += 1
    for _ in range(running):
        os.wait()
    return (time.perf_counter() - began) * 1e3 / count


def xargs(count: int, outstanding: int) -> float:
    """Milliseconds a task for `xargs -P`."""
    lines = "\n".join(str(number) for number in range(count))
    began = time.perf_counter()
    subprocess.run(["xargs", f"-P{outstanding}", "-n1", TRUE], input=lines, text=True, check=True)
    return (time.perf_counter() - began) * 1e3 / count
