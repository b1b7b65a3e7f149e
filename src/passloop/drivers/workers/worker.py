"""The process of a worker, under a shim of its own: `python -m passloop.drivers.workers.worker FOLDER ID [WARM_KEY]`.

It takes cells from one connection at a time and runs them one after the other in its main thread. It outlives the
engine: a cell goes on, its records are the truth, and the next engine connects to the socket in the worker's folder.
It must never run a cell whose start record somebody else has made, nor take another one after a cell spoiled it.
"""

from __future__ import annotations

import os
import resource
import select
import signal
import socket
import struct
import sys
from collections import deque
from pathlib import Path
from typing import Any

from passloop import worker
from passloop.crashpoints import crashpoint
from passloop.drivers.processes.keeper import records

from .cell import Cell, Ended, Standing, TakenError
from .claims import StartRecord
from .limits import TimeLimit
from .output import Output
from .protocol import DOOR, SOCKET, end_frame, frame, take_messages

__all__ = ["Worker", "main"]

ORPHAN_MS = 60_000
"""How long an idle worker waits for the next engine before it ends by itself."""

GROWTH_MIB = 2_048
"""By how much a worker may grow since its first cell, unless the task says otherwise."""

LONG_MS = 100
"""A cell that took longer has its exit record brought to the disk, as has any while no engine is connected: what is
shorter is committed by the engine sooner than an fsync would be worth."""

LEAST_LEAVING_MS = 1_000
"""How long a worker has to end by itself at least, whatever grace its last cell was given."""

_CHUNK = 1 << 18
_SEND_SECONDS = 1


class _QuitError(Exception):
    """The worker is to end while it is idle."""


class Worker:
    """One worker. `queue` are the orders it has not begun."""

    def __init__(self, folder: Path, standing: Standing) -> None:
        self._folder = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._standing = standing
        itself: dict[str, str | int] = {"worker": standing.worker, "worker_pid": os.getpid()}
        self._starts = StartRecord(self._folder, standing.shim | itself)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._engine: socket.socket | None = None
        self._heard = bytearray()
        self._queue: deque[dict[str, Any]] = deque()
        self._limit = TimeLimit()
        self._output = Output(self._folder)
        self._calling = self._idle = self._ending = self._timed_out = self._interrupted = False
        self._cells = self._grace = 0
        self._first_rss = 0

    def open(self) -> None:
        """Listen in the worker's folder, then knock at the engine's door. Who is not there comes later."""
        self._listener.bind(f"/proc/self/fd/{self._folder}/{SOCKET}")
        self._listener.listen(4)
        signal.signal(signal.SIGTERM, self._asked_to_end)
        signal.signal(signal.SIGALRM, self._time_is_up)
        engine = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            engine.connect(f"/proc/self/fd/{self._folder}/../{DOOR}")
        except OSError:
            engine.close()
            return
        self._talk_to(engine)

    def serve(self) -> None:
        """Run cells until told to end, or until nobody wants the worker."""
        try:
            while self._wait_for_cells():
                if not self._run(self._queue.popleft()):
                    return
        except _QuitError:
            return

    def leave(self) -> None:
        """End for sure within the grace of the last cell. What a cell left running, a thread that is waited for above
        all, would else keep the worker, and with it the end of that cell, for ever.
        """
        self._limit.end_within(max(LEAST_LEAVING_MS, self._grace))

    def _wait_for_cells(self) -> bool:
        """True once there is a cell; False if no engine came for too long."""
        while not self._queue:
            watched = [self._listener, *([self._engine] if self._engine else [])]
            ready = self._select(watched, None if self._engine else ORPHAN_MS / 1000)
            if not ready:
                return False
            if self._listener in ready:
                self._talk_to(self._listener.accept()[0])
            elif self._engine is not None:
                self._hear(self._engine)
        return True

    def _select(self, watched: list[socket.socket], seconds: float | None) -> list[socket.socket]:
        self._idle = True
        try:
            if self._ending:
                raise _QuitError
            return select.select(watched, [], [], seconds)[0]
        finally:
            self._idle = False

    def _talk_to(self, engine: socket.socket) -> None:
        """This is the engine from now on; what an earlier one ordered and was not begun is forgotten."""
        if self._engine is not None:
            self._engine.close()
        self._queue.clear()
        self._heard.clear()
        engine.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", _SEND_SECONDS, 0))
        self._engine = engine
        self._say({"worker": self._standing.worker, "shim": self._standing.shim})

    def _hear(self, engine: socket.socket) -> None:
        try:
            data = engine.recv(_CHUNK)
        except OSError:
            data = b""
        if not data:
            engine.close()
            self._engine = None
            return
        self._heard += data
        self._queue.extend(take_messages(self._heard))

    def _say(self, message: dict[str, Any]) -> None:
        """Tell the engine, if there is one; records say the same."""
        self._send(frame(message))

    def _send(self, framed: bytes) -> None:
        if self._engine is None:
            return
        try:
            self._engine.sendall(framed)
        except OSError:
            self._engine.close()
            self._engine = None

    def _run(self, order: dict[str, Any]) -> bool:
        """Run one cell; False if the worker must end now."""
        cell = Cell(order, self._standing, self._starts)
        try:
            cell.claim()
        except TakenError:
            self._say({"taken": cell.attempt})
            return not self._ending
        except OSError as error:
            return self._refuse(cell, error)
        else:
            return self._stand_over(cell)
        finally:
            cell.close()

    def _refuse(self, cell: Cell, error: OSError) -> bool:
        """Tell that nothing could be recorded and nothing was run. A worker waits for a full disk to have room; any
        other reason may be of its own process, which an earlier cell changed, and the next cell gets a fresh one.
        """
        record = cell.refusal(error)
        is_full: bool = record["full"]
        self._say({"exited": cell.attempt, "record": record, "kept": is_full})
        return is_full and not self._ending

    def _stand_over(self, cell: Cell) -> bool:
        self._cells += 1
        self._grace = cell.order["grace"]
        self._timed_out = self._interrupted = False
        if not cell.order["short"]:
            self._say({"started": cell.attempt})
        ended = self._limited(cell)
        spoilt = self._spoilt_by(cell, ended)
        if spoilt and ended.kind == "success" and not ended.message:
            ended.message = f"its worker is not used again: {spoilt}"
        record, wall_us = cell.finish(ended, kept=not spoilt)
        crashpoint("worker_before_exit_report")
        self._send(end_frame(cell.attempt, record, kept=not spoilt))
        crashpoint("worker_after_exit_report")
        if self._engine is None or wall_us > LONG_MS * 1000:
            cell.sync()
        return not spoilt

    def _limited(self, cell: Cell) -> Ended:
        limit = cell.order.get("time_limit")
        self._calling = True
        if self._ending:
            return self._stopped()
        if limit:
            self._limit.arm(limit, cell.order["grace"])
        try:
            ended = cell.run(self._cells, self._output)
        except worker.Stopped:
            ended = Ended("stopped", None, "")
        self._calling = False
        self._limit.disarm()
        return self._stopped() if self._interrupted else ended

    def _stopped(self) -> Ended:
        """How a cell ended that was stopped: by its limit, or as the engine's wish says."""
        self._calling = False
        if self._timed_out:
            return Ended("timeout", None, "stopped at its time limit", stop="timeout", spoils="its call was stopped")
        grace, reason = records.read_stop(self._folder)
        kinds = {"timeout": ("timeout", "stopped at its time limit"), "down": ("lost", "the engine was shut down")}
        kind, message = kinds.get(reason, ("cancelled", "stopped on request"))
        if grace is None:
            kind, message = "lost", "its worker was told to end by somebody else (SIGTERM)"
        return Ended(kind, None, message, stop=reason or None, spoils="its call was stopped")

    def _spoilt_by(self, cell: Cell, ended: Ended) -> str:
        """Why the worker may not go on after this cell; "" if it may."""
        if ended.spoils or self._ending:
            return ended.spoils or "it was told to end"
        mutation = worker.mutation()
        if mutation is not None:
            return mutation
        if 0 <= resource.getrlimit(resource.RLIMIT_FSIZE)[0] < records.RESERVED:
            return "its files were limited to less than a record needs (RLIMIT_FSIZE)"
        most = cell.order.get("cells")
        if most and self._cells >= most:
            return f"it has run {self._cells} cells"
        ended.growth = self._growth(cell.order.get("growth_mib") or GROWTH_MIB)
        if ended.growth is None:
            return ""
        return f"its memory grew by {ended.growth[0]} MiB in {self._cells} cells (a leak?)"

    def _growth(self, most_mib: int) -> tuple[int, int] | None:
        """By how many MiB the worker has grown in how many cells, if that is too much."""
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
        self._first_rss = self._first_rss or _resident_mib()
        if peak - self._first_rss <= most_mib:
            return None
        grown = _resident_mib() - self._first_rss
        return (grown, self._cells) if grown > most_mib else None

    def _asked_to_end(self, _number: int, _frame: object) -> None:
        self._ending = True
        if self._idle:
            raise _QuitError
        self._interrupt()

    def _time_is_up(self, _number: int, _frame: object) -> None:
        self._timed_out = self._calling
        self._interrupt()

    def _interrupt(self) -> None:
        if self._calling:
            self._calling = False
            self._interrupted = True
            raise worker.Stopped


def _resident_mib() -> int:
    with open("/proc/self/statm", "rb", buffering=0) as file:
        return int(file.read(200).split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20


def _shim() -> dict[str, str | int]:
    """The process that stands over this one."""
    pid = os.getppid()
    with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
        text = file.read(1024)
    ticks = int(text[text.rindex(b")") + 2 :].split(b" ", 20)[19])
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return {"pid": pid, "ticks": ticks, "boot": file.read().strip()}


def main(folder: str, number: str, warm_key: str = "") -> None:
    """Be the worker with this id, whose folder this is."""
    one = Worker(Path(folder), Standing(int(number), _shim(), warm_key or None))
    one.open()
    one.serve()
    one.leave()


if __name__ == "__main__":
    main(*sys.argv[1:])
