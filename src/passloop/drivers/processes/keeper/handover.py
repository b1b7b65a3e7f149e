"""How an order gets from the zygote to a rested shim: over a socket of that shim's own, with its lock
descriptors.

Must never know what an order says.
"""

from __future__ import annotations

import os
import socket
import sys

from .frames import HEADER, Order, split, take_frames

__all__ = ["ANCILLARY", "CHUNK", "Post", "descriptors_of", "take_order"]

CHUNK = 1 << 18
ANCILLARY = socket.CMSG_SPACE(4 * 250)
"""Room for the descriptors that may come with one message; the kernel passes at most 253."""

Ancillary = list[tuple[int, int, bytes]]


class Post:
    """The zygote's end of one shim. `serial` grows with each fork; `attempt` is 0 while it rests."""

    __slots__ = ("_orders", "attempt", "pid", "serial")

    def __init__(self, pid: int, orders: socket.socket, serial: int, attempt: int) -> None:
        self.pid = pid
        self._orders = orders
        self.serial = serial
        self.attempt = attempt

    def hand_over(self, frame: bytes, attempt: int, lock_fds: list[int]) -> bool:
        """Give the rested shim an order; False if it is gone and cannot have seen it."""
        packed = b"".join(fd.to_bytes(4, sys.byteorder) for fd in lock_fds)
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, packed)] if packed else []
        try:
            sent = self._orders.sendmsg([frame], ancillary)
        except OSError:
            return False
        self.attempt = attempt
        try:
            self._orders.sendall(frame[sent:])
        except OSError:
            return True  # it died meanwhile, and the zygote is told so as for any attempt
        return True

    def dismiss(self) -> None:
        """Let the shim end once it rests."""
        self._orders.close()


def take_order(orders: socket.socket) -> tuple[Order | None, list[int]]:
    """The next order and its descriptors; no order if the zygote is gone or wants none of this shim any more."""
    buffer = bytearray()
    lock_fds: list[int] = []
    while True:
        data, ancillary, _, _ = orders.recvmsg(CHUNK, ANCILLARY)
        if not data:
            return None, []
        lock_fds += descriptors_of(ancillary)
        buffer += data
        if len(buffer) >= HEADER:
            frames = take_frames(buffer)
            if frames:
                return Order.of(split(frames[0])), lock_fds


def descriptors_of(ancillary: Ancillary) -> list[int]:
    """The descriptors that came with a message. They are not inherited by what is run, until said so."""
    found = []
    for _, _, packed in ancillary:
        found += [int.from_bytes(packed[at : at + 4], sys.byteorder) for at in range(0, len(packed) - 3, 4)]
    for fd in found:
        os.set_inheritable(fd, False)
    return found
