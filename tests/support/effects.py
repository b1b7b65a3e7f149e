"""Writes down, in the order of each thread, which crash points a process reaches and what it does to the world.

An effect is what others see and a death does not undo: a commit, a name given or taken, a signal, a process, a report.
Each is told with the innermost function of passloop that it was done in. `install` cannot be undone: it is for
processes that end with their test, and for bare interpreters too, so that nothing but the standard library is loaded.
"""

from __future__ import annotations

import _thread
import ctypes
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

__all__ = ["TRACE", "install"]

TRACE = "PASSLOOP_TESTS_TRACE"
"""The variable that names the file to write to. A line each: pid, thread, `point`, `effect` or `undone`, what."""

PACKAGE = os.path.join(
    os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "src", "passloop", ""
)
VERBS = {
    "os.rename": "rename",
    "os.remove": "unlink",
    "os.link": "link",
    "os.symlink": "symlink",
    "os.mkdir": "mkdir",
    "os.rmdir": "rmdir",
    "os.truncate": "truncate",
    "shutil.rmtree": "rmtree",
    "os.kill": "signal",
    "os.killpg": "signal",
    "os.fork": "fork",
    "os.posix_spawn": "spawn",
    "subprocess.Popen": "spawn",
    "socket.sendto": "send",
}
"""What Python audits, and what the edges call it. A commit, a signal by descriptor and `renameat2` are not audited."""
SHUTIL = os.path.join(os.path.dirname(os.__file__), "shutil.py")
IMPORTS = "<frozen importlib"
"""Whose files are compiled modules."""
PASSED_THROUGH = "store/connection.py:_Transaction."
"""Whose methods do for their callers what they do."""


def install(path: str) -> None:
    """From now on write down what this process and its forks do."""
    told = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def tell(kind: str, what: str) -> None:
        os.write(told, f"{os.getpid()} {_thread.get_native_id()} {kind} {what}\n".encode())

    def effect(verb: str) -> None:
        caller = sys._getframe(2)
        file = caller.f_code.co_filename
        is_told = file == SHUTIL and verb in ("unlink", "rmdir")  # as `rmtree`
        place = "" if is_told or file.startswith(IMPORTS) else _place(caller)
        if place:
            tell("effect", f"{place} {verb}")

    def hear(event: str, args: tuple[Any, ...]) -> None:
        if event == "passloop.crashpoint":
            tell("point", args[0])
        elif event in VERBS:
            effect(VERBS[event])
        elif event == "open" and isinstance(args[2], int) and args[2] & os.O_CREAT:
            effect("create")

    _wrap(effect, tell)
    sys.addaudithook(hear)


def _place(frame: FrameType | None) -> str:
    """The innermost function of passloop, as `store/backup.py:copy_store`; "" if there is none."""
    found = ""
    while frame is not None:
        code = frame.f_code
        if code.co_filename.startswith(PACKAGE):
            found = f"{code.co_filename.removeprefix(PACKAGE)}:{code.co_qualname}".replace(".<locals>", "")
            if not found.startswith(PASSED_THROUGH):
                return found
        frame = frame.f_back
    return found


def _wrap(effect: Callable[[str], None], tell: Callable[[str, str], None]) -> None:
    """What Python does not audit. Must come before passloop is imported, but for what is named here."""
    by_descriptor = signal.pidfd_send_signal

    def pidfd_send_signal(*args: Any) -> None:
        effect("signal")
        by_descriptor(*args)

    signal.pidfd_send_signal = pidfd_send_signal
    rename = ctypes.CDLL(None, use_errno=True).renameat2

    def renameat2(*args: Any) -> int:
        effect("rename")
        return int(rename(*args))

    class Library(ctypes.CDLL):
        def __getattr__(self, name: str) -> Any:
            return renameat2 if name == "renameat2" else super().__getattr__(name)

    ctypes.CDLL = Library  # type: ignore[misc]
    records: Any = sys.modules.get("passloop.drivers.processes.keeper.records")
    if records is not None:
        records._renameat2 = renameat2
    launcher: Any = sys.modules.get("passloop.drivers.processes.launcher")
    if launcher is not None:
        _trace_keeper(launcher)
    if "passloop.store.connection" in sys.modules:
        _trace_commits(effect, tell)


def _trace_keeper(launcher: Any) -> None:
    """The zygote and its shims begin with a file of the tests."""
    launcher._BOOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "traced_boot.py")
    launcher.handed_on = lambda: {TRACE: os.environ[TRACE]}


def _trace_commits(effect: Callable[[str], None], tell: Callable[[str, str], None]) -> None:
    """SQLite calls the hook for whatever makes a write durable: COMMIT, a released savepoint, a lone statement. It does
    so before it writes: what did not fit on the disk is undone.
    """
    import apsw

    def committed() -> bool:
        effect("commit")
        return False

    def watch(connection: apsw.Connection) -> None:
        connection.set_commit_hook(committed)
        connection.set_rollback_hook(lambda: tell("undone", "commit"))

    apsw.connection_hooks.append(watch)
