"""Runs commands to their end in forks of a process that has the command line loaded (`command_nursery.py`).

One nursery for each set of surroundings that an interpreter takes in only when it starts; it ends with the process of
the tests. It decides nothing: what a command says and how it ends is its own.
"""

from __future__ import annotations

import atexit
import contextlib
import io
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Container, Mapping, Sequence
from functools import cache
from pathlib import Path

__all__ = ["run_forked"]

PROGRAM = Path(__file__).with_name("command_nursery.py")
TAKEN_AT_START = ("PYTHON", "COVERAGE", "LC_", "LANG", "LD_", "TZ")


class Nursery:
    """The process that forks commands."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.link, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, str(PROGRAM), str(theirs.fileno())],
                env=environ,
                cwd=PROGRAM.parents[2],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=[theirs.fileno()],
            )
        atexit.register(self.close)

    def close(self) -> None:
        """Hang up, and wait for its end."""
        self.link.close()
        self.process.communicate()

    def order(self, order: bytes, descriptors: Sequence[int]) -> None:
        """Let a command run on these: stdin, stdout, stderr, and a pipe for its pid and its end."""
        memory = os.memfd_create("order", os.MFD_CLOEXEC)
        try:
            os.write(memory, order)
            socket.send_fds(self.link, [b"%d" % len(order)], [memory, *descriptors])
        finally:
            os.close(memory)


@cache
def nursery(taken: tuple[tuple[str, str], ...]) -> Nursery:
    """The one with these surroundings; the rest of the environment comes with each order."""
    return Nursery({"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")} | dict(taken))


def run_forked(
    words: Sequence[str], *, environ: Mapping[str, str], cwd: Path, seconds: float, withheld: Container[str] = ()
) -> subprocess.CompletedProcess[str]:
    """Run `passloop WORDS` with nothing on its stdin; as `subprocess.run`. It is killed if it takes so many seconds.

    What is `withheld` of the environment is not passed on to what the command starts.
    """
    taken = sorted((name, value) for name, value in environ.items() if name.startswith(TAKEN_AT_START))
    passed_on = {name: value for name, value in environ.items() if name not in withheld}
    order = json.dumps({"words": list(words), "environ": passed_on, "cwd": str(cwd)}).encode()
    with contextlib.ExitStack() as open_files:
        pipes = [os.pipe2(os.O_CLOEXEC) for _ in range(3)]
        nothing = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        try:
            nursery(tuple(taken)).order(order, [nothing, *(writing for _, writing in pipes)])
        finally:
            for descriptor in (nothing, *(writing for _, writing in pipes)):
                os.close(descriptor)
        out, err, told = [open_files.enter_context(open(reading, "rb", buffering=0)) for reading, _ in pipes]
        pid = int(first_line(told.fileno()))
        try:
            found = read_to_the_ends([out.fileno(), err.fileno(), told.fileno()], time.monotonic() + seconds)
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            raise subprocess.TimeoutExpired(list(words), seconds) from None
    said = [io.TextIOWrapper(io.BytesIO(text), encoding="utf-8").read() for text in found]
    return subprocess.CompletedProcess(list(words), int(said[2]), said[0], said[1])


def first_line(descriptor: int) -> bytes:
    """Up to and with the first newline, and nothing of what follows."""
    line = b""
    while not line.endswith(b"\n"):
        piece = os.read(descriptor, 1)
        assert piece, "the nursery of commands is dead"
        line += piece
    return line


def read_to_the_ends(descriptors: Sequence[int], until: float) -> list[bytes]:
    """What comes from each, until nobody writes to any of them any more. Raises TimeoutError."""
    found = {descriptor: bytearray() for descriptor in descriptors}
    unended = set(descriptors)
    while unended:
        ready, _, _ = select.select(unended, [], [], max(0, until - time.monotonic()))
        if not ready:
            raise TimeoutError
        for descriptor in ready:
            piece = os.read(descriptor, 65_536)
            found[descriptor] += piece
            if not piece:
                unended.remove(descriptor)
    return [bytes(text) for text in found.values()]
