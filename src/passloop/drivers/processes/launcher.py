"""The driver's end of the zygote: starts it, sends it frames without ever blocking, hears what it says,
notices its end.

Must never start a second zygote while one lives, and knows nothing of attempts.
"""

from __future__ import annotations

import array
import asyncio
import errno
import os
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from passloop.crashpoints import handed_on
from passloop.drivers import descriptors

from .keeper.frames import split, take_frames

__all__ = ["Launcher"]

_BOOT = Path(__file__).parent / "keeper" / "boot.py"
_CHUNK = 1 << 16


def _nobody(_why: str) -> None:
    """Nobody waits for what becomes of a frame without descriptors."""


class Launcher:
    """One zygote. `on_word` gets each thing it says, `on_end` its last words when it has ended by itself.

    `home` is the home as an open folder, which the shims report to; `open_files` their soft limit of open
    files, None for the zygote's own.
    """

    def __init__(
        self,
        home: int,
        *,
        on_word: Callable[[list[bytes]], None],
        on_end: Callable[[str], None],
        open_files: int | None = None,
    ) -> None:
        self._home = home
        self._open_files = open_files
        self._on_word = on_word
        self._on_end = on_end
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._waiting: deque[tuple[memoryview, Sequence[int], Callable[[str], None]]] = deque()
        self._heard = bytearray()
        self._last_words = os.fdopen(os.memfd_create("passloop-zygote-stderr"), "r+b")

    @property
    def pid(self) -> int | None:
        """The zygote's pid, None if there is none."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start the zygote; what is sent meanwhile waits for it. Raises `OSError`."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        fds = (theirs.fileno(), self._home)
        with theirs:
            try:
                self._process = self._begun(fds)
            except BaseException:
                ours.close()
                raise
        ours.setblocking(False)
        self._socket = ours
        asyncio.get_running_loop().add_reader(ours, self._hear)

    def _begun(self, fds: Sequence[int]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", str(_BOOT), *map(str, fds), str(self._open_files or 0)],
            env=handed_on(),
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._last_words,
            pass_fds=fds,
            start_new_session=True,
        )

    def stop(self) -> None:
        """Let the zygote end; running shims are not affected."""
        self._close()
        self._last_words.close()

    def send(self, frame: bytes, lock_fds: Sequence[int] = (), *, refused: Callable[[str], None] = _nobody) -> None:
        """Send `frame`, with descriptors if there are any; both must stay as they are until they are sent.

        A frame with descriptors that are closed by then is never sent, and `refused` is told why. Where there is no
        zygote it goes nowhere: whoever starts the next one sends it all that it must know.
        """
        if self._socket is None:
            return
        self._waiting.append((memoryview(frame), lock_fds, refused))
        if len(self._waiting) == 1:
            self._flush()

    def _flush(self) -> None:
        if self._socket is None:
            return
        while self._waiting:
            rest, lock_fds, refused = self._waiting[0]
            try:
                sent = self._send_some(self._socket, rest, lock_fds)
            except BlockingIOError:
                asyncio.get_running_loop().add_writer(self._socket, self._flush_late)
                return
            except OSError as error:
                if error.errno == errno.ETOOMANYREFS:
                    asyncio.get_running_loop().remove_writer(self._socket)
                    asyncio.get_running_loop().call_later(descriptors.AGAIN_S, self._flush)
                    return
                if error.errno != errno.EBADF:
                    return  # the zygote is gone; its end of the socket says so to `_hear`
                self._waiting.popleft()
                refused(f"its device locks were let go: {error.strerror}")
                continue
            self._waiting[0] = (rest[sent:], (), refused)
            if sent == len(rest):
                self._waiting.popleft()

    def _flush_late(self) -> None:
        """The zygote takes more again."""
        self._flush()
        if not self._waiting and self._socket is not None:
            asyncio.get_running_loop().remove_writer(self._socket)

    @staticmethod
    def _send_some(ours: socket.socket, rest: memoryview, lock_fds: Sequence[int]) -> int:
        if not lock_fds:
            return ours.send(rest)
        packed = array.array("i", lock_fds).tobytes()
        return ours.sendmsg([rest], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, packed)])

    def _hear(self) -> None:
        assert self._socket is not None
        try:
            data = self._socket.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self._heard += data
        for body in take_frames(self._heard):
            self._on_word(split(body))
        if not data:
            self._ended()

    def _ended(self) -> None:
        self._close()
        self._last_words.seek(0)
        words = self._last_words.read().decode("utf-8", "replace").strip()
        self._last_words.seek(0)
        self._last_words.truncate()
        self._on_end(words.rpartition("\n")[2])

    def _close(self) -> None:
        if self._socket is not None:
            loop = asyncio.get_running_loop()
            loop.remove_reader(self._socket)
            loop.remove_writer(self._socket)
            self._socket.close()
            self._socket = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        self._waiting.clear()
        self._heard.clear()


def open_home(home: Path) -> int:
    """The home as an open folder."""
    return os.open(home, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
