"""The breaker's file: what the cells of one invocation appended to it, and what follows from that, each line read once.

A process that runs many cells keeps what it has read, and asks only for what is new. It takes nothing out and clears
nothing; whoever asks does.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

import msgspec
from msgspec import Struct

__all__ = ["BreakerLine", "BreakerLog", "Noted", "breaker_log"]

LOGS_KEPT = 4


class BreakerLine(Struct, frozen=True, omit_defaults=True, rename={"error_class": "class"}):
    """One line. `sort` is failed, succeeded or cleared; `model` is None where a failure does not speak against it,
    `devices` (UUIDs) is empty where it does not speak against them.
    """

    sort: str
    cell: str = ""
    task: int = 0
    model: str | None = None
    sparse_attention: str = ""
    devices: tuple[str, ...] = ()
    error_class: str = ""


_line = msgspec.json.Decoder(BreakerLine)
_encoder = msgspec.json.Encoder()


class Noted:
    """What stands against models and devices since the breaker was cleared, and how often it was cleared."""

    def __init__(self, clears: int = 0) -> None:
        self.clears = clears
        self.tasks: dict[str, set[int]] = {}
        """By cell: as which tasks it failed."""
        self.of_model: dict[str, tuple[set[str], set[str]]] = {}
        """By model: its cells that failed since its last success, and their configurations."""
        self.of_device: dict[str, set[str | None]] = {}
        """By device: the models that failed there since the last success there."""

    def take(self, line: BreakerLine) -> None:
        """Take what one more line says, unless it says that all is cleared."""
        if line.cell:
            self.tasks.setdefault(line.cell, set()).add(line.task)
        if line.sort == "succeeded":
            self.of_model.pop(line.model or "", None)
            for device in line.devices:
                self.of_device.pop(device, None)
        elif line.sort == "failed":
            self._take_failed(line)

    def _take_failed(self, line: BreakerLine) -> None:
        if line.model is not None:
            cells, configurations = self.of_model.setdefault(line.model, (set(), set()))
            cells.add(line.cell)
            configurations.add(line.sparse_attention)
        for device in line.devices:
            self.of_device.setdefault(device, set()).add(line.model)


class BreakerLog:
    """The file of one invocation, as far as this process has read it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = (0, 0)
        self._read = 0
        self._noted = Noted()

    def noted(self) -> Noted:
        """What is noted by now; a torn line is passed over."""
        for text in self._new().split(b"\n"):
            line = _parsed(text)
            if line is None:
                continue
            if line.sort == "cleared":
                self._noted = Noted(self._noted.clears + 1)
            else:
                self._noted.take(line)
        return self._noted

    def append(self, line: BreakerLine) -> None:
        """Note one line; it begins anew, whatever was torn before it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            os.write(descriptor, b"\n" + _encoder.encode(line) + b"\n")
        finally:
            os.close(descriptor)

    def _new(self) -> bytes:
        """The lines that end behind what was read; all, if it is another file than before."""
        try:
            file = self.path.open("rb")
        except FileNotFoundError:
            self._begin_anew((0, 0))
            return b""
        with file:
            found = os.fstat(file.fileno())
            if (found.st_dev, found.st_ino) != self._file or found.st_size < self._read:
                self._begin_anew((found.st_dev, found.st_ino))
            file.seek(self._read)
            data = file.read()
        data = data[: data.rfind(b"\n") + 1]
        self._read += len(data)
        return data

    def _begin_anew(self, file: tuple[int, int]) -> None:
        self._file, self._read, self._noted = file, 0, Noted()


@lru_cache(maxsize=LOGS_KEPT)
def breaker_log(path: str) -> BreakerLog:
    """The log at `path`, the same for all who ask in this process."""
    return BreakerLog(Path(path))


def _parsed(text: bytes) -> BreakerLine | None:
    try:
        return _line.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
