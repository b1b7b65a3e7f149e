"""Forks commands from a process that has imported the whole command line, so that a thousand of them cost little.

Run as a program: `command_nursery.py SOCKET_FD`. Each message is the order's length with five descriptors: a file with
the order as JSON (`words`, `environ`, `cwd`), the command's stdin, stdout and stderr, and a pipe that is told its pid
and, once it is over, how it ended. A command is a process of its own in every way but its start, and so is the daemon
that a command starts. Never used by the product.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import json
import os
import pkgutil
import resource
import selectors
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, NoReturn

import coverage

import passloop.cli
from passloop.cli import daemon
from passloop.cli.launching import READY_FD
from passloop.cli.main import main as command_line

LATER = ("passloop.cli.__main__", "passloop.cli.top_app")
"""What few commands need, and those load it themselves."""
ORDER, STATUS = 0, 4
DAEMON = ["-m", daemon.__name__]
MEASURED = "COVERAGE_PROCESS_CONFIG"
posix_spawn = os.posix_spawn


def main(link: socket.socket) -> None:
    """Serve the tests at the other end until they hang up; in a command, be it."""
    for module in pkgutil.walk_packages(passloop.cli.__path__, "passloop.cli."):
        if module.name not in LATER:
            import_module(module.name)
    forget_what_was_measured()
    gc.freeze()
    order = Nursery(link).serve()
    if order is None:
        os._exit(0)
    become(order)
    os.posix_spawn = spawn
    leave(command_line())


class Nursery:
    """Waits for orders and for the ends of the commands."""

    def __init__(self, link: socket.socket) -> None:
        self.link = link
        self.waiting = selectors.DefaultSelector()
        self.waiting.register(link, selectors.EVENT_READ)
        self.told: dict[int, tuple[int, int]] = {}
        """By the pidfd of a command: its pid, and where its end is told."""

    def serve(self) -> dict[str, Any] | None:
        """Until the tests hang up: None. In a command that was forked: its order."""
        while True:
            for key, _ in self.waiting.select():
                if key.fd != self.link.fileno():
                    self.tell_end(key.fd)
                    continue
                data, descriptors, _, _ = socket.recv_fds(self.link, 64, 5)
                if not data:
                    return None
                order = self.fork(int(data), descriptors)
                if order is not None:
                    return order

    def fork(self, length: int, descriptors: list[int]) -> dict[str, Any] | None:
        """Fork one command; its order in the command, None here."""
        pid = os.fork()
        if pid:
            for descriptor in descriptors[:STATUS]:
                os.close(descriptor)
            watched = os.pidfd_open(pid)
            self.told[watched] = (pid, descriptors[STATUS])
            self.waiting.register(watched, selectors.EVENT_READ)
            os.write(descriptors[STATUS], b"%d\n" % pid)
            return None
        for place, descriptor in enumerate(descriptors[ORDER + 1 : STATUS]):
            os.dup2(descriptor, place)
        text = os.pread(descriptors[ORDER], length, 0)
        self.waiting.close()
        self.link.close()
        for descriptor in (*descriptors, *self.told, *(status for _, status in self.told.values())):
            os.close(descriptor)
        order: dict[str, Any] = json.loads(text)
        return order

    def tell_end(self, watched: int) -> None:
        """A command is over: how it ended, as `subprocess` would say it."""
        pid, told = self.told.pop(watched)
        self.waiting.unregister(watched)
        os.close(watched)
        _, status = os.waitpid(pid, 0)
        with contextlib.suppress(BrokenPipeError):
            os.write(told, b"%d\n" % os.waitstatus_to_exitcode(status))
        os.close(told)


def forget_what_was_measured() -> None:
    """Save which lines the imports ran, so that no command has to write them down again."""
    measured = coverage.Coverage.current()
    if measured is not None:
        measured.stop()
        measured.save()
        measured.start()


def become(order: dict[str, Any]) -> None:
    """Have the surroundings that `python -m passloop.cli WORDS` would have."""
    os.environ.clear()
    os.environ.update(order["environ"])
    os.chdir(order["cwd"])
    sys.path[0] = order["cwd"]
    sys.argv = [str(import_module("passloop.cli.__main__").__file__), *order["words"]]


def spawn(path: str, words: Sequence[str], environ: Mapping[str, str], **how: Any) -> int:
    """`os.posix_spawn`, but that the daemon is forked from what is loaded here, which saves it 0.5 s of CPU."""
    if list(words[1:-1]) != DAEMON:
        return posix_spawn(path, words, environ, **how)
    pid = os.fork()
    if not pid:
        be_started(environ, how["file_actions"])
        be_daemon(words[-1])
    return pid


def be_daemon(home: str) -> NoReturn:
    """Be what `python -m passloop.cli.daemon HOME` is."""
    code = 1
    sys.argv = [str(daemon.__file__), home]
    try:
        code = daemon.main(home)
    except BaseException:
        traceback.print_exc()
    finally:
        leave(code)


def be_started(environ: Mapping[str, str], actions: Sequence[tuple[Any, ...]]) -> None:
    """Have what a process of its own session has when it starts: this environment and these descriptors alone.

    What is garbage by now is collected first, so that nothing closes a descriptor later that is another's by then.
    """
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    gc.collect()
    gc.freeze()
    for action, target, *rest in actions:
        if action == os.POSIX_SPAWN_OPEN:
            path, flags, mode = rest
            opened = os.open(path, flags, mode)
            os.dup2(opened, target)
        else:
            os.dup2(target, *rest)
    os.set_inheritable(READY_FD, True)
    os.closerange(READY_FD + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    os.environ.clear()
    os.environ.update(environ)
    measured = coverage.Coverage.current()
    if measured is not None and MEASURED not in environ:
        measured.stop()


def leave(code: int) -> NoReturn:
    """End as an interpreter does, but for taking to pieces what was loaded, which costs more than most commands."""
    threading._shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    atexit._run_exitfuncs()
    os._exit(code)


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])))
