"""The tree of processes under one process: find it, signal it. Reads /proc; must never signal what is not
below.

A subreaper's descendants cannot leave it by fork, double fork or setsid: when it has no child left, its tree
is gone.
"""

from __future__ import annotations

import os
from signal import pidfd_send_signal

__all__ = ["descendants", "parent_of", "resident_kib", "signal_all"]

_PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024


def descendants(root: int) -> list[int]:
    """Pids below `root`, parents before children."""
    found: list[int] = []
    waiting = [root]
    while waiting:
        children = _children(waiting.pop())
        found.extend(children)
        waiting.extend(children)
    return found


def signal_all(root: int, *signals: int) -> list[int]:
    """Send `signals` to everything below `root`; the pids that were there. Who is gone by then is left out."""
    pids = descendants(root)
    family = {root, *pids}
    for pid in pids:
        _signal_member(pid, family, signals)
    return pids


def _signal_member(pid: int, family: set[int], signals: tuple[int, ...]) -> None:
    """Signal `pid` if, held by its descriptor, it still has a parent in `family`: a recycled pid has none."""
    try:
        held = os.pidfd_open(pid)
    except OSError:
        return
    try:
        if parent_of(pid) in family:
            for number in signals:
                pidfd_send_signal(held, number)
    except OSError:
        return
    finally:
        os.close(held)


def parent_of(pid: int) -> int:
    """The parent's pid, 0 if the process is gone."""
    text = _read(b"/proc/%d/stat" % pid)
    return int(text[text.rindex(b")") + 4 :].split(b" ", 1)[0]) if text else 0


def resident_kib(root: int) -> int:
    """The sum of the resident memory of everything below `root`, in KiB."""
    pages = 0
    for pid in descendants(root):
        text = _read(b"/proc/%d/statm" % pid)
        if text:
            pages += int(text.split()[1])
    return pages * _PAGE_KIB


def _children(pid: int) -> list[int]:
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []
    children: list[int] = []
    for thread in threads:
        text = _read(b"/proc/%d/task/%s/children" % (pid, thread.encode()))
        if text is None and os.path.exists(f"/proc/{pid}/task/{thread}"):
            return _children_by_parent(pid)
        children.extend(int(child) for child in (text or b"").split())
    return children


def _children_by_parent(parent: int) -> list[int]:
    """For kernels without /proc/.../children: ask every process who its parent is."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and parent_of(int(name)) == parent]


def _read(path: bytes) -> bytes | None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return os.read(fd, 65536)
    except OSError:
        return b""
    finally:
        os.close(fd)
