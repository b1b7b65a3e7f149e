"""Hold an attempt's tree to a memory limit: by a control group where one can be made, else by its resident
memory.

A group is made below the folder the engine probed, v2 or v1, and removed when the tree is gone. Must never
be given the shim itself for longer than the start of the command.
"""

from __future__ import annotations

import os

__all__ = ["Group", "enter_group", "group_name", "limit_file"]

_LIMIT_V1 = b"memory.limit_in_bytes"
_LIMIT_V2 = b"memory.max"
_MEMBERS = b"cgroup.procs"
_MIB = 1 << 20


def limit_file(parent: bytes) -> bytes | None:
    """The name of the file that limits memory in groups below `parent`, None where there is none."""
    if os.path.exists(os.path.join(parent, _LIMIT_V1)):
        return _LIMIT_V1
    try:
        with open(os.path.join(parent, b"cgroup.subtree_control"), "rb") as file:
            return _LIMIT_V2 if b"memory" in file.read().split() else None
    except OSError:
        return None


def group_name(name: bytes) -> bytes:
    """The group's folder for the attempt called `name`."""
    return b"passloop-" + name


def enter_group(parent: bytes, name: bytes, limit_mib: int) -> Group | None:
    """Make a group with `limit_mib` below `parent` and move this process in; None where that cannot be done."""
    limit = limit_file(parent) if parent else None
    if limit is None:
        return None
    group = Group(parent, os.path.join(parent, group_name(name)), limit)
    try:
        os.mkdir(group.path)
        _put(group.path, limit, b"%d" % (limit_mib * _MIB))
        _put(group.path, _MEMBERS, b"0")
    except OSError:
        group.remove()
        return None
    return group


class Group:
    """The control group of one attempt at `path`, limited through the file called `limit`."""

    __slots__ = ("_limit", "_parent", "path")

    def __init__(self, parent: bytes, path: bytes, limit: bytes) -> None:
        self._parent = parent
        self._limit = limit
        self.path = path

    def leave(self) -> None:
        """Move this process back to where the group was made; what it started stays inside."""
        _put(self._parent, _MEMBERS, b"0")

    def kills(self) -> int:
        """How many processes of the group were killed for lack of memory."""
        name = b"memory.events" if self._limit == _LIMIT_V2 else b"memory.oom_control"
        with open(os.path.join(self.path, name), "rb") as file:
            counts = dict(line.split() for line in file)
        return int(counts.get(b"oom_kill", 0))

    def remove(self) -> None:
        """Remove the group, if it is empty."""
        try:
            os.rmdir(self.path)
        except OSError:
            return


def _put(folder: bytes, name: bytes, value: bytes) -> None:
    with open(os.path.join(folder, name), "wb", buffering=0) as file:
        file.write(value)
