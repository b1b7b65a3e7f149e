"""Servers that are programs of this machine: started as a child in a session of its own, with its output to the log.

Its own session, because some servers signal their whole process group when they fail, and that must not reach the
trial. Must never go through a shell.
"""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from passloop.apps.tune.records import EngineOrder

from .base import CannotStart, End, Holder, Site, Stopped, filled, server_environment
from .listeners import holder_of
from .tree import Known, below, children_now, end_tree

__all__ = ["CommandEngine", "CommandServer"]

CHUNK = 1 << 16
LAST_WORDS = 1.0
"""Seconds that the log of an ended server may still take."""


class CommandEngine:
    """Starts programs."""

    async def start(self, order: EngineOrder, site: Site) -> CommandServer:
        """Start the program of the order. Raises `CannotStart`."""
        argv = filled(order.argv, site)
        environment = server_environment(order, site)
        if not argv:
            raise CannotStart("bad_flag", "the engine has no argv; give its program and options", final=True)
        before = children_now()
        return CommandServer(argv, environment, _begun(argv, environment, order.cwd), site, before)


def _begun(argv: tuple[str, ...], environment: Mapping[str, str], cwd: str | None) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            argv,
            env=environment,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        raise _refusal(argv[0], cwd, error) from None


def _refusal(program: str, cwd: str | None, error: OSError) -> CannotStart:
    if error.errno == errno.ENOENT and cwd is not None and not Path(cwd).is_dir():
        return CannotStart("bad_flag", f"the folder {cwd} to start the server in is not there; make it", final=True)
    if error.errno == errno.ENOENT:
        return CannotStart("bad_flag", f"there is no program {program}; install it or give its full path", final=True)
    if error.errno in (errno.EACCES, errno.ENOEXEC):
        return CannotStart("bad_flag", f"{program} cannot be run: {error.strerror}; make it executable", final=True)
    return CannotStart("crash", f"{program} cannot be started: {error.strerror}")


class CommandServer:
    """A `Server` that is a child of this process. All that came below this process since it was started counts as its
    tree; what was there `before` is not touched.
    """

    def __init__(
        self,
        argv: tuple[str, ...],
        environment: Mapping[str, str],
        process: subprocess.Popen[bytes],
        site: Site,
        before: Known,
    ) -> None:
        loop = asyncio.get_running_loop()
        self.argv = argv
        self.environment = environment
        self.ended: asyncio.Future[End] = loop.create_future()
        self._process = process
        self._before = before
        self._watched = os.pidfd_open(process.pid)
        loop.add_reader(self._watched, self._on_end)
        self._pump = threading.Thread(target=self._copy, args=(site,), name="passloop-server-log", daemon=True)
        self._pump.start()

    @property
    def pid(self) -> int:
        """The program's own process."""
        return self._process.pid

    def holder(self, port: int) -> Holder:
        return holder_of(port, below(self._before))

    def facts(self) -> Mapping[str, Any]:
        path = shutil.which(self.argv[0], path=self.environment.get("PATH"))
        return {"program": os.path.abspath(path) if path else self.argv[0]}

    async def drained(self, seconds: float) -> None:
        await asyncio.to_thread(self._pump.join, seconds)

    async def stop(self, grace: int) -> Stopped:
        stopped = await end_tree(grace, self._before)
        if not stopped.left:
            await self.ended
            await self.drained(LAST_WORDS)
        return stopped

    def _on_end(self) -> None:
        code = self._process.poll()
        if code is None:
            return
        asyncio.get_running_loop().remove_reader(self._watched)
        os.close(self._watched)
        self.ended.set_result(End(code=code) if code >= 0 else End(signal=-code))

    def _copy(self, site: Site) -> None:
        """All that the server writes goes to the log, until nobody has its output open any more."""
        assert self._process.stdout is not None
        with self._process.stdout as output:
            while piece := os.read(output.fileno(), CHUNK):
                site.log(piece)
