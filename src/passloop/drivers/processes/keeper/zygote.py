"""The zygote: a bare interpreter that has a shim for each order, a rested one or a new fork of itself.

Started by the driver, it ends when the driver's end of its socket closes; running shims are not affected by
that. It keeps the environments it was sent, passes on lock descriptors, and says which shims ended before
their attempt had, or before they had told the engine everything. A shim stands over one attempt at a time
and takes the next only after the tree of the last is proven gone and its exit record written: forking one
for each would cost twice the time, nearly all of it for pages the fork has to copy. Must never wait for a
shim, nor look at what an attempt does.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import socket
import sys

from . import shim
from .crashpoints import crashpoint
from .frames import Order, join, split, take_frames
from .handover import ANCILLARY, CHUNK, Post, descriptors_of, take_order
from .reports import Reporter

__all__ = ["Zygote", "main"]

MOST_RESTED = 8
"""Shims kept for the next orders while they have nothing to do."""

_NOTICE = 4
"""Bytes of a shim's notice that it rests: its pid."""


class Zygote:
    """Takes orders from `orders` and has them carried out by shims that report to the home at the folder
    `home`, and may have `open_files` open (0 for as many as the zygote).
    """

    __slots__ = (
        "_boot",
        "_buffer",
        "_environments",
        "_forks",
        "_lock_fds",
        "_notices",
        "_open_files",
        "_orders",
        "_posts",
        "_reporter",
        "_rested",
    )

    def __init__(self, orders: socket.socket, home: int, open_files: int) -> None:
        self._orders = orders
        self._open_files = open_files
        self._reporter = Reporter(home)
        self._buffer = bytearray()
        self._environments: dict[bytes, tuple[int, dict[bytes, bytes]]] = {}
        self._forks = 0
        self._posts: dict[int, Post] = {}
        self._rested: list[Post] = []
        self._lock_fds: list[int] = []
        self._notices = os.pipe2(os.O_CLOEXEC)
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            self._boot = file.read().strip()

    def serve(self) -> None:
        """Carry out orders until the driver is gone. Signals but SIGCHLD are blocked, here and in the shims."""
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals() - {signal.SIGCHLD})
        wake_in, wake_out = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(wake_out, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, _wake_only)
        poller = select.poll()
        for fd in (self._orders.fileno(), self._notices[0], wake_in):
            poller.register(fd, select.POLLIN)
        self._tell(b"ready", 0)
        while True:
            ready = [fd for fd, _ in poller.poll()]
            if self._notices[0] in ready:
                self._take_notices()
            if wake_in in ready:
                os.read(wake_in, 4096)
                self._reap()
            if self._orders.fileno() in ready and not self._take_orders():
                return

    def _take_orders(self) -> bool:
        data, ancillary, _, _ = self._orders.recvmsg(CHUNK, ANCILLARY)
        self._lock_fds += descriptors_of(ancillary)
        self._buffer += data
        for body in take_frames(self._buffer):
            self._obey(body)
        return bool(data)

    def _obey(self, body: bytes) -> None:
        fields = split(body)
        if fields[0] == b"attempt":
            self._carry_out(Order.of(fields), fields)
        elif fields[0] == b"environment":
            pairs = (variable.partition(b"=") for variable in fields[2:])
            self._environments[fields[1]] = (self._forks, {key: value for key, _, value in pairs})
        elif fields[0] == b"forget":
            self._environments.pop(fields[1], None)

    def _carry_out(self, order: Order, fields: list[bytes]) -> None:
        lock_fds = self._lock_fds[: order.lock_fds]
        del self._lock_fds[: order.lock_fds]
        crashpoint("zygote_before_order")
        post = self._rested_with(order.environment_id)
        if post is None or not post.hand_over(join(fields), order.attempt, lock_fds):
            self._fork(order, lock_fds)
        crashpoint("zygote_after_order")
        for fd in lock_fds:
            os.close(fd)

    def _rested_with(self, environment_id: bytes) -> Post | None:
        """A rested shim that was forked after that environment had come, taken from the rested ones."""
        since = self._environments.get(environment_id, (0, {}))[0]
        for at in reversed(range(len(self._rested))):
            if self._rested[at].serial > since:
                return self._rested.pop(at)
        return None

    def _fork(self, order: Order, lock_fds: list[int]) -> None:
        try:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        except OSError as error:
            self._tell(b"unforked", order.attempt, (error.strerror or "").encode())
            return
        self._forks += 1
        try:
            pid = os.fork()
        except OSError as error:
            self._tell(b"unforked", order.attempt, (error.strerror or "").encode())
            ours.close()
        else:
            if pid == 0:
                ours.close()  # held here, the shim would never see that the zygote is gone or dismisses it
                self._become_shim(order, theirs, lock_fds)
            self._posts[pid] = Post(pid, ours, self._forks, order.attempt)
        theirs.close()

    def _become_shim(self, order: Order, orders: socket.socket, lock_fds: list[int]) -> None:
        try:
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
            self._orders.close()
            os.close(self._notices[0])
            for post in self._posts.values():
                post.dismiss()
            for fd in self._lock_fds:  # came glued to this order, for later ones: held here they outlast these
                os.close(fd)
            self._live_as_shim(order, orders, lock_fds)
        except BrokenPipeError:
            os._exit(0)  # the zygote is gone
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(1)

    def _live_as_shim(self, first: Order, orders: socket.socket, lock_fds: list[int]) -> None:
        """Carry out orders one after the other, resting between them."""
        shim.settle_in(self._open_files)
        order: Order | None = first
        notice = os.getpid().to_bytes(_NOTICE, sys.byteorder)
        left = shim.MOST_ATTEMPTS
        while order is not None:
            left -= 1
            if not shim.run(order, self._environment_for(order), self._reporter, self._boot, lock_fds) or not left:
                return  # without a notice: whoever says that it rests is handed an order, which would be lost
            os.write(self._notices[1], notice)
            order, lock_fds = take_order(orders)

    def _environment_for(self, order: Order) -> dict[bytes, bytes]:
        environment = dict(self._environments[order.environment_id][1])
        for variable in order.extra:
            key, _, value = variable.partition(b"=")
            environment[key] = value
        return environment

    def _take_notices(self) -> None:
        data = os.read(self._notices[0], _NOTICE * 512)
        for at in range(0, len(data), _NOTICE):
            post = self._posts.get(int.from_bytes(data[at : at + _NOTICE], sys.byteorder))
            if post is not None:
                self._rest(post)

    def _rest(self, post: Post) -> None:
        post.attempt = 0
        if len(self._rested) < MOST_RESTED:
            self._rested.append(post)
        else:
            post.dismiss()

    def _reap(self) -> None:
        while True:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._lose(self._posts.pop(pid, None))

    def _lose(self, post: Post | None) -> None:
        """A shim is gone; if it had an attempt, that has not come to its end."""
        if post is None:
            return
        if post in self._rested:
            self._rested.remove(post)
        if post.attempt:
            self._tell(b"gone", post.attempt)
        post.dismiss()

    def _tell(self, what: bytes, attempt: int, why: bytes = b"") -> None:
        try:
            self._orders.sendall(join([what, b"%d" % attempt, why]))
        except OSError:
            return  # the driver is gone; the next read says so


def _wake_only(_number: int, _frame: object) -> None:
    """The byte in the wake-up pipe is all that is wanted of a SIGCHLD."""


def main(*, orders: int, home: int, open_files: int) -> None:
    """Serve the driver at the other end of descriptor `orders`; `home` is the home as an open folder.

    Shims, and so what they run, get `open_files` as their soft limit; 0 leaves them the zygote's.
    """
    for fd in (orders, home):
        os.set_inheritable(fd, False)
    zygote = Zygote(socket.socket(fileno=orders), home, open_files)
    gc.collect()
    gc.freeze()
    gc.disable()
    zygote.serve()
