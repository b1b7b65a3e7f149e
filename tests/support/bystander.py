"""A process that has nothing to do with passloop, and can tell afterwards which signals it was sent.

It blocks every signal that can be blocked, and at the end of its input tells of those that are pending. SIGKILL it
cannot tell of, but it is not there any more then.
"""

from __future__ import annotations

import subprocess
import sys
from types import TracebackType
from typing import Self

from passloop.drivers.identity import ticks_of

__all__ = ["Bystander"]

STAND_BY = """
import signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
print("here", flush=True)
sys.stdin.read()
print("signals:", *sorted(map(int, signal.sigpending())))
"""


class Bystander:
    """Such a process, the leader of a session of its own. Use as a context: it must be left alone until its end."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", STAND_BY],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "here\n"
        self.pid = self._process.pid
        self.ticks = ticks_of(self.pid) or 0
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        told, _ = self._process.communicate(timeout=20)
        if error is None:
            assert (self._process.returncode, told) == (0, "signals:\n"), "a process that is not ours was signalled"
