"""The zygote: a bare interpreter that forks one shim per order. Started by the driver, ends when the driver's end
of its socket closes; running shims are not affected by that.

It keeps the environments it was sent, passes on lock descriptors, and says which shims ended before they had told
the engine everything. It must never wait for a shim, nor look at what an attempt does.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import socket
import sys

from . import shim
from .frames import Order, join, split, take_frames
from .reports import Reporter

__all__ = ["Zygote", "main"]

_CHUNK = 1 << 18
_MOST_FDS = 250


class Zygote:
    """Takes orders from `orders` and forks shims that report to the home at the open folder `home`."""

    __slots__ = ("_boot", "_buffer", "_environments", "_lock_fds", "_orders", "_reporter", "_shims")

    def __init__(self, orders: socket.socket, home: int) -> None:
        self._orders = orders
        self._reporter = Reporter(home)
        self._buffer = bytearray()
        self._environments: dict[bytes, dict[bytes, bytes]] = {}
        self._shims: dict[int, int] = {}
        self._lock_fds: list[int] = []
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            self._boot = file.read().strip()

    def serve(self) -> None:
        """Carry out orders until the driver is gone. Every signal but SIGCHLD is blocked, here and in the shims."""
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals() - {signal.SIGCHLD})
        wake_in, wake_out = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(wake_out, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, _wake_only)
        poller = select.poll()
        poller.register(self._orders.fileno(), select.POLLIN)
        poller.register(wake_in, select.POLLIN)
        self._tell(b"ready", 0, b"")
        while True:
            ready = [fd for fd, _ in poller.poll()]
            if wake_in in ready:
                os.read(wake_in, 4096)
                self._reap()
            if self._orders.fileno() in ready and not self._take_orders():
                return

    def _take_orders(self) -> bool:
        data, ancillary, _, _ = self._orders.recvmsg(_CHUNK, socket.CMSG_SPACE(4 * _MOST_FDS))
        for _, _, packed in ancillary:
            whole = range(0, len(packed) - 3, 4)
            self._lock_fds += [int.from_bytes(packed[at : at + 4], sys.byteorder) for at in whole]
        self._buffer += data
        for body in take_frames(self._buffer):
            self._obey(split(body))
        return bool(data)

    def _obey(self, fields: list[bytes]) -> None:
        if fields[0] == b"attempt":
            self._fork(Order.of(fields))
        elif fields[0] == b"environment":
            pairs = (variable.partition(b"=") for variable in fields[2:])
            self._environments[fields[1]] = {key: value for key, _, value in pairs}
        elif fields[0] == b"forget":
            self._environments.pop(fields[1], None)

    def _fork(self, order: Order) -> None:
        lock_fds = self._lock_fds[: order.lock_fds]
        del self._lock_fds[: order.lock_fds]
        try:
            pid = os.fork()
        except OSError as error:
            self._tell(b"unforked", order.attempt, (error.strerror or "").encode())
        else:
            if pid == 0:
                self._become_shim(order, lock_fds)
            self._shims[pid] = order.attempt
        for fd in lock_fds:
            os.close(fd)

    def _become_shim(self, order: Order, lock_fds: list[int]) -> None:
        status = 1
        try:
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
            self._orders.close()
            for fd in lock_fds:
                os.set_inheritable(fd, True)
            environment = dict(self._environments[order.environment_id])
            for variable in order.extra:
                key, _, value = variable.partition(b"=")
                environment[key] = value
            status = shim.run(order, environment, self._reporter, self._boot)
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(status)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            attempt = self._shims.pop(pid, None)
            if attempt is not None and status != 0:
                self._tell(b"gone", attempt, b"")

    def _tell(self, what: bytes, attempt: int, why: bytes) -> None:
        try:
            self._orders.sendall(join([what, b"%d" % attempt, why]))
        except OSError:
            return  # the driver is gone; the next read says so


def _wake_only(_number: int, _frame: object) -> None:
    """The byte in the wake-up pipe is all that is wanted of a SIGCHLD."""


def main(*, orders: int, home: int) -> None:
    """Serve the driver at the other end of descriptor `orders`; `home` is the home as an open folder."""
    for fd in (orders, home):
        os.set_inheritable(fd, False)
    zygote = Zygote(socket.socket(fileno=orders), home)
    gc.collect()
    gc.freeze()
    gc.disable()
    zygote.serve()
