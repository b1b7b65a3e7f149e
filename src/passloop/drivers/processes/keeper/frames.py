"""The words between driver and zygote: framed lists of byte fields, and the order to run one attempt.

A frame is four bytes of length and fields joined by NUL, which no path, argument or variable can contain.
Used by both sides and by the bare interpreter, so it imports nothing; it must never read or write a file
itself.
"""

from __future__ import annotations

__all__ = ["HEADER", "Order", "join", "split", "take_frames"]

HEADER = 4
"""Bytes of length before each frame."""


def join(fields: list[bytes]) -> bytes:
    """Make one frame of `fields`. A field with a NUL is a `ValueError`: it could not be told from two."""
    body = b"\0".join(fields)
    if body.count(b"\0") != len(fields) - 1:
        raise ValueError("a NUL byte is in a field")
    return len(body).to_bytes(HEADER, "big") + body


def split(body: bytes) -> list[bytes]:
    """The fields of a frame's body."""
    return body.split(b"\0")


def take_frames(buffer: bytearray) -> list[bytes]:
    """Take the bodies of all complete frames from the front of `buffer`."""
    frames: list[bytes] = []
    start = 0
    while len(buffer) - start >= HEADER:
        end = start + HEADER + int.from_bytes(buffer[start : start + HEADER], "big")
        if end > len(buffer):
            break
        frames.append(bytes(buffer[start + HEADER : end]))
        start = end
    del buffer[:start]
    return frames


class Order:
    """Run one attempt. Spans in ms (`time_limit` 0 = none), `memory_limit` in MiB (0 = none).

    `cgroup` is the folder under which a control group for the attempt is made ("" = none can be made).
    `lock_fds` counts the descriptors that travel with the order and stay open in the attempt's whole tree.
    `extra` are variables (`K=V`) on top of the environment that was sent before under `environment_id`.
    """

    __slots__ = (
        "argv",
        "attempt",
        "cgroup",
        "cwd",
        "directory",
        "environment_id",
        "epoch",
        "extra",
        "grace",
        "lock_fds",
        "memory_limit",
        "name",
        "time_limit",
    )

    attempt: int
    epoch: int
    name: bytes
    directory: bytes
    cwd: bytes
    time_limit: int
    grace: int
    memory_limit: int
    cgroup: bytes
    lock_fds: int
    environment_id: bytes
    extra: list[bytes]
    argv: list[bytes]

    def fields(self) -> list[bytes]:
        """As the fields of a frame."""
        head: list[object] = [
            self.attempt,
            self.epoch,
            self.time_limit,
            self.grace,
            self.memory_limit,
            self.lock_fds,
        ]
        numbers = " ".join(str(number) for number in [*head, len(self.extra)]).encode()
        texts = [self.name, self.directory, self.cwd, self.cgroup, self.environment_id]
        return [b"attempt", numbers, *texts, *self.extra, *self.argv]

    @classmethod
    def of(cls, fields: list[bytes]) -> Order:
        """Read an order back from the fields of a frame."""
        order = cls()
        numbers = [int(number) for number in fields[1].split()]
        order.attempt, order.epoch, order.time_limit, order.grace = numbers[:4]
        order.memory_limit, order.lock_fds, extras = numbers[4:]
        order.name, order.directory, order.cwd, order.cgroup, order.environment_id = fields[2:7]
        order.extra = fields[7 : 7 + extras]
        order.argv = fields[7 + extras :]
        return order
