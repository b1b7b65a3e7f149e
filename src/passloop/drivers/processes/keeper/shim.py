"""The shim: the small process that stands over one attempt, from its start record to the proof that its tree
is gone.

It lives in its own session, adopts every orphan of its tree (subreaper) and is bound to nothing that can die
with the engine. It enforces time limit and grace by the monotonic clock with or without an engine. It must
never run the command when another has made the start record, and never say "ended" while something of the
tree lives, except for what even SIGKILL does not end: that is reported as a stray.

When the command's own process has ended, what is left of its tree is asked to end (SIGTERM) and after the
attempt's grace killed (SIGKILL): an attempt that wants to leave something running behind cannot.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import time
from collections.abc import Callable

from . import commands, records, tree
from .crashpoints import crashpoint
from .frames import Order
from .memory import Group, enter_group
from .reports import Reporter

__all__ = ["MOST_ATTEMPTS", "Shim", "run", "settle_in"]

MOST_ATTEMPTS = 1000
"""Attempts one shim stands over, one after the other, before it gives way to a fresh one."""

STRAY_AFTER = 10.0
"""Seconds that a killed tree gets to vanish before the attempt is reported ended with a stray."""

ROUND = 0.05
"""Seconds between two rounds of SIGKILL against a tree that forks while it is killed."""

PATIENCE = 10.0
"""Seconds for which a step that a want that passes keeps back (no process, memory or descriptor is left) is tried again
before the attempt is given back to the engine at no cost; it is known there why then, and held up no longer here."""

AGAIN = 1.0
"""Seconds between two such tries."""

MEMORY_TICK = 1.0
"""Seconds between two looks at the tree's memory, only where a limit has no control group to hold it."""

_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36
_AWAITED = {signal.SIGCHLD, signal.SIGTERM}
_libc = ctypes.CDLL(None)

_STOPPED = {
    "cancelled": ("cancelled", "stopped on request"),
    "timeout": ("timeout", "stopped at its time limit"),
    "down": ("lost", "stopped because the engine was shut down"),
}


def settle_in(open_files: int) -> None:
    """Make this fork of the zygote a shim: its own session, a name in the process table, parent of all
    orphans below, and the soft limit of open files that its commands are to have (0 leaves it).
    """
    os.setsid()
    if open_files:
        _limit_open_files(open_files)
    _libc.prctl(_PR_SET_NAME, b"passloop-shim", 0, 0, 0)
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _limit_open_files(soft: int) -> None:
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    except (ValueError, OSError):
        return  # a hard limit that the system does not take any more: nobody could have raised the soft one


def run(order: Order, environment: dict[bytes, bytes], reporter: Reporter, boot: str, lock_fds: list[int]) -> bool:
    """Carry out `order` in this process; False if it must end now for the engine to find out how things
    stand.

    So must it if an error reaches the caller: once the command was started, only the engine can prove the
    tree gone.
    """
    reporter.failed = False
    for fd in lock_fds:
        os.set_inheritable(fd, True)
    shim = Shim(order, reporter, boot, lock_fds)
    try:
        if shim.claim():
            shim.stand_over(environment)
    except OSError as error:
        if shim.running:
            raise
        shim.refuse(error)
        return False
    finally:
        shim.close()
    return not (reporter.failed or shim.stray)


class Shim:
    """Stands over one attempt."""

    __slots__ = (
        "_began",
        "_boot",
        "_cpu_ms",
        "_exit",
        "_folder",
        "_group",
        "_kill_at",
        "_leader",
        "_limit_at",
        "_lock_fds",
        "_max_rss",
        "_memory_at",
        "_message",
        "_order",
        "_over_memory",
        "_reporter",
        "_status",
        "_stop_reason",
        "_stray_at",
        "stray",
    )

    def __init__(self, order: Order, reporter: Reporter, boot: str, lock_fds: list[int]) -> None:
        self._order = order
        self._lock_fds = lock_fds
        self._reporter = reporter
        self._boot = boot
        self._folder = -1
        self._exit = -1
        self._leader = 0
        self._began: float | None = None
        self._status: int | None = None
        self._message = ""
        self._stop_reason: str | None = None
        self._limit_at: float | None = None
        self._kill_at: float | None = None
        self._stray_at: float | None = None
        self._memory_at: float | None = None
        self._over_memory = False
        self.stray = False
        self._max_rss = 0
        self._cpu_ms = 0
        self._group: Group | None = None

    @property
    def running(self) -> bool:
        """Whether the command was started; then only the proof that its tree is gone may end the attempt."""
        return self._leader != 0

    def claim(self) -> bool:
        """Make the attempt's folder and its start record; False if somebody else made that first."""
        self._folder = self._patiently(lambda: _open_folder(self._order.directory))
        crashpoint("shim_before_start_record")
        record = records.to_json(
            self._identity()
            | {
                "pid": os.getpid(),
                "ticks": self._patiently(records.own_ticks),
                "boot": self._boot,
                "started_at": records.wall_ms(),
            }
        )
        if not self._patiently(lambda: records.claim_start(self._folder, record)):
            self._reporter.send(b"taken", record)
            return False
        crashpoint("shim_after_start_record")
        self._exit = self._patiently(lambda: records.reserve_exit(self._folder))
        self._reporter.send(b"started", record)
        crashpoint("shim_after_start_report")
        return True

    def stand_over(self, environment: dict[bytes, bytes]) -> None:
        """Run the command, see its tree to the end, and record how it ended."""
        try:
            if not self._patiently(lambda: self._begin(environment)):
                return
        except commands.CannotStartError as refusal:
            self._finish("failure", refusal.exit_code, refusal.sentence)
            return
        except OSError as want:
            if self.running or want.errno not in commands.PASSING:
                raise
            self._finish("lost", None, _short_of(want), passing=True)
            return
        self._watch()
        verdict = self._verdict()
        if self._group is not None:
            self._group.remove()
        if not self.stray:
            self._finish(*verdict)

    def _patiently(self, make: Callable[[], int]) -> int:
        """What a step makes, tried again for a while as long as a want that passes keeps it back; raises the last one.

        A wish to stop cuts the wait short, and the step looks for it.
        """
        until = time.monotonic() + PATIENCE
        while True:
            try:
                return make()
            except OSError as error:
                if self.running or error.errno not in commands.PASSING or time.monotonic() >= until:
                    raise
            signal.sigtimedwait(_AWAITED, AGAIN)

    def _begin(self, environment: dict[bytes, bytes]) -> bool:
        """Start the command; False if it is to be stopped before, which is recorded then."""
        grace, reason = records.read_stop(self._folder)
        if grace is not None:
            self._stop_reason = reason
            self._finish(_stopped(reason)[0], None, "stopped before it started")
            return False
        try:
            self._spawn(environment)
        finally:
            if self._group is not None and not self.running:
                self._group.remove()
                self._group = None
        return True

    def close(self) -> None:
        """Close what was open for the attempt."""
        self._drop_locks()
        for fd in (self._folder, self._exit):
            if fd >= 0:
                os.close(fd)

    def _drop_locks(self) -> None:
        """The tree is gone: from here on only the engine's own locks say that its devices are ours."""
        for fd in self._lock_fds:
            os.close(fd)
        self._lock_fds.clear()

    def refuse(self, error: OSError) -> None:
        """Tell the engine that nothing could be recorded here and nothing was run: `full` if for want of room,
        `passing` if for another one that passes.
        """
        passing = error.errno in commands.PASSING
        unusable = f"the attempt's folder is not usable: {error.strerror}: {os.fsdecode(self._order.directory)}"
        record = self._identity() | {
            "kind": "lost",
            "message": _short_of(error) if passing else unusable,
            "ended_at": records.wall_ms(),
            "full": error.errno in records.NO_ROOM,
            "passing": passing,
        }
        self._reporter.send(b"exited", records.to_json(record))

    def _identity(self) -> dict[str, str | int | bool | None]:
        order = self._order
        return {"attempt": order.attempt, "epoch": order.epoch, "name": os.fsdecode(order.name)}

    def _spawn(self, environment: dict[bytes, bytes]) -> None:
        order = self._order
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        logs: list[int] = []
        try:
            logs += [os.open(b"stdout.log", flags, 0o600, dir_fd=self._folder)]
            logs += [os.open(b"stderr.log", flags, 0o600, dir_fd=self._folder)]
            commands.enter(order.cwd)
            if order.memory_limit:
                self._group = enter_group(order.cgroup, order.name, order.memory_limit)
            limited = self._group is not None
            self._leader = commands.spawn(order.argv, environment, out=logs[0], err=logs[1], limited=limited)
            crashpoint("shim_after_spawn")
        finally:
            for fd in logs:
                os.close(fd)
            if self._group is not None:
                self._group.leave()
            os.chdir("/")
        now = self._began = time.monotonic()
        if order.time_limit:
            self._limit_at = now + order.time_limit / 1000
        if order.memory_limit and self._group is None:
            self._memory_at = now + MEMORY_TICK

    def _watch(self) -> None:
        """Return when no process of the tree is left."""
        while self._reap():
            number = self._next_signal()
            if number == signal.SIGTERM:
                self._asked_to_stop()
            elif number is None:
                self._on_time(time.monotonic())

    def _next_signal(self) -> int | None:
        times = [self._limit_at, self._kill_at, self._stray_at, self._memory_at]
        due = min((at for at in times if at is not None), default=None)
        if due is None:
            return signal.sigwaitinfo(_AWAITED).si_signo
        found = signal.sigtimedwait(_AWAITED, max(0.0, due - time.monotonic()))
        return None if found is None else found.si_signo

    def _reap(self) -> bool:
        """Take in every process that has ended; True while any is left."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                if self._status is not None and not self._ending():
                    self._end_tree(self._order.grace)
                return True
            self._max_rss = max(self._max_rss, usage.ru_maxrss)
            self._cpu_ms += int((usage.ru_utime + usage.ru_stime) * 1000)
            if pid == self._leader:
                self._status = status
                self._limit_at = None

    def _ending(self) -> bool:
        return self.stray or self._kill_at is not None

    def _asked_to_stop(self) -> None:
        if self.stray:
            tree.signal_all(os.getpid(), signal.SIGKILL)
            return
        grace, reason = records.read_stop(self._folder)
        if grace is None:
            return  # meant for an earlier attempt, or from somebody else
        if self._status is None and self._stop_reason is None:
            self._stop_reason = reason
        self._end_tree(grace)

    def _on_time(self, now: float) -> None:
        if self._limit_at is not None and now >= self._limit_at:
            self._limit_at = None
            self._stop_reason = self._stop_reason or "timeout"
            self._end_tree(self._order.grace)
        elif self._memory_at is not None and now >= self._memory_at:
            self._look_at_memory(now)
        elif self._stray_at is not None and now >= self._stray_at:
            self._report_stray()
        elif self._kill_at is not None and now >= self._kill_at:
            self._kill_tree(now)

    def _end_tree(self, grace: int) -> None:
        """Ask everything in the tree to end; what is left after `grace` ms is killed."""
        tree.signal_all(os.getpid(), signal.SIGTERM, signal.SIGCONT)
        at = time.monotonic() + grace / 1000
        self._kill_at = at if self._kill_at is None else min(self._kill_at, at)

    def _kill_tree(self, now: float) -> None:
        tree.signal_all(os.getpid(), signal.SIGKILL)
        if self._stray_at is None:
            self._stray_at = now + STRAY_AFTER
        self._kill_at = now + ROUND

    def _look_at_memory(self, now: float) -> None:
        if tree.resident_kib(os.getpid()) > self._order.memory_limit * 1024:
            self._over_memory = True
            self._memory_at = None
            self._kill_tree(now)
        else:
            self._memory_at = now + MEMORY_TICK

    def _report_stray(self) -> None:
        """Something does not die even of SIGKILL: say how the attempt ended, and go on waiting for it."""
        left = tree.descendants(os.getpid())
        self._stray_at = self._kill_at = self._memory_at = None
        self.stray = True
        kind, code, message = self._verdict()
        names = ", ".join(str(pid) for pid in left[:8])
        self._finish(kind, code, f"{message}; still there after SIGKILL: process {names}".lstrip("; "))

    def _verdict(self) -> tuple[str, int | None, str]:
        """(kind, exit code, message) of the ended command."""
        status = self._status
        ended = status is not None and os.WIFEXITED(status)
        code = os.WEXITSTATUS(status) if status is not None and ended else None
        if self._over_memory or (code != 0 and self._group is not None and self._group.kills()):
            limit = self._order.memory_limit
            return "out_of_memory", code, f"killed: it used more than its {limit} MiB of memory"
        if self._stop_reason is not None:
            kind, message = _stopped(self._stop_reason)
            return kind, code, message
        if code == 0:
            return "success", 0, ""
        if code is not None:
            return "failure", code, f"exit code {code}"
        number = self._signal() or 0
        name = signal.Signals(number).name if number in signal.Signals._value2member_map_ else str(number)
        return "failure", None, f"killed by signal {number} ({name})"

    def _signal(self) -> int | None:
        status = self._status
        return os.WTERMSIG(status) if status is not None and os.WIFSIGNALED(status) else None

    def _finish(self, kind: str, code: int | None, message: str, *, passing: bool = False) -> None:
        """Write the exit record, tell the engine, then bring the record to the disk. `passing`: it was kept from its
        start by a want that passes.
        """
        if not self.stray:
            self._drop_locks()
        record = self._identity() | {
            "kind": kind,
            "exit_code": code,
            "signal": self._signal(),
            "message": message[:400],
            "stop": self._stop_reason,
            "stray": self.stray,
            "passing": passing,
            "ended_at": records.wall_ms(),
            "max_rss_kib": self._max_rss,
            "cpu_ms": self._cpu_ms,
            "wall_us": None if self._began is None else int((time.monotonic() - self._began) * 1e6),
        }
        text = records.to_json(record)
        crashpoint("shim_before_exit_record")
        try:
            records.store_exit(self._folder, self._exit, text)
            crashpoint("shim_before_exit_report")
        finally:
            self._reporter.send(b"exited", text)
        crashpoint("shim_after_exit_report")
        records.sync_exit(self._folder, self._exit)
        crashpoint("shim_after_exit_sync")


def _stopped(reason: str) -> tuple[str, str]:
    return _STOPPED.get(reason, _STOPPED["cancelled"])


def _short_of(want: OSError) -> str:
    return f"the system was short of processes, memory or descriptors: {want.strerror}"


def _open_folder(directory: bytes) -> int:
    """Make the attempt's folder and open it."""
    _make_folder(directory)
    return os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def _make_folder(directory: bytes) -> None:
    out = os.path.join(directory, b"out")
    try:
        os.mkdir(directory, 0o700)
    except FileNotFoundError:
        os.makedirs(directory, 0o700, exist_ok=True)
    except FileExistsError:
        pass
    try:
        os.mkdir(out, 0o700)
    except FileExistsError:
        return
