"""The records an attempt leaves in its folder: start.json, exit.json and the wish to stop. Written by the
shim.

start.json comes into being whole and once (its rename refuses an existing name), before the command is run;
whoever makes it first decides whether the attempt runs. exit.json's bytes are reserved at the start, so that
a full disk can still say how an attempt ended. Both carry a checksum, so that a record that is not as it was written
is known for that. This file must never decide how an attempt ended.
"""

from __future__ import annotations

import ctypes
import errno
import os
import time
import zlib

from .crashpoints import crashpoint

__all__ = [
    "DISK_FULL",
    "EXIT_FILE",
    "NO_ROOM",
    "RESERVED",
    "START_FILE",
    "STOP_LINK",
    "TOMBSTONE",
    "claim_start",
    "own_ticks",
    "quote",
    "read_stop",
    "reserve_exit",
    "sealed",
    "store_exit",
    "sync_exit",
    "to_json",
    "unsealed",
]

START_FILE = b"start.json"
EXIT_FILE = b"exit.json"
STOP_LINK = b"stop"
"""A link to "GRACE REASON": made whole in one step, and on a full disk too, for its text lies in the inode."""

RESERVED_FILE = b"exit.json.tmp"
RESERVED = 4096
"""Bytes kept for the exit record."""

DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""What the system says where nothing more fits on the disk or in a quota."""

NO_ROOM = DISK_FULL | {errno.EFBIG}
"""The same and a file at its limit: as good as a full disk to a process that has its limit from whoever started the
engine, as the engine and the shims do. A warm worker asks for `DISK_FULL`: a function of a task may have set its limit
(RLIMIT_FSIZE), and one task must not pause the engine."""

TOMBSTONE = "tombstone"
"""The key in a start record that an engine wrote to forbid the start."""

_RENAME_NOREPLACE = 1
_renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)

_PLAIN = frozenset(range(0x20, 0x7F)) - {0x22, 0x5C}


def quote(text: str) -> str:
    """`text` as a JSON string, in ASCII; what is no character becomes U+FFFD."""
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    text = text.encode("utf-8", "replace").decode("utf-8")
    parts = []
    for char in text:
        code = ord(char)
        if code in _PLAIN:
            parts.append(char)
        elif code > 0xFFFF:
            code -= 0x10000
            parts.append(f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}")
        else:
            parts.append(f"\\u{code:04x}")
    return '"' + "".join(parts) + '"'


def to_json(fields: dict[str, str | int | bool | None]) -> bytes:
    """A flat JSON object; the bare interpreter has no json module, for its forks must stay cheap."""
    parts = []
    for key, value in fields.items():
        if isinstance(value, str):
            text = quote(value)
        elif value is None:
            text = "null"
        elif isinstance(value, bool):
            text = "true" if value else "false"
        else:
            text = str(value)
        parts.append(f'"{key}": {text}')
    return ("{" + ", ".join(parts) + "}\n").encode()


def sealed(record: bytes) -> bytes:
    """A JSON object with the checksum of its text as its last member."""
    body = record.removesuffix(b"\n").removesuffix(b"}")
    return b'%s, "check": "%08x"}\n' % (body, zlib.crc32(body))


def unsealed(text: bytes) -> bytes | None:
    """The JSON object that was sealed; None if it is not as it was written."""
    body, _, check = text.rpartition(b', "check": ')
    return body + b"}" if check == b'"%08x"}\n' % zlib.crc32(body) else None


def own_ticks() -> int:
    """When this process started, in clock ticks since boot; with the pid it names a process for ever."""
    fd = os.open("/proc/self/stat", os.O_RDONLY | os.O_CLOEXEC)
    try:
        text = os.read(fd, 1024)
    finally:
        os.close(fd)
    return int(text[text.rindex(b")") + 2 :].split(b" ", 20)[19])


def claim_start(folder: int, record: bytes) -> bool:
    """Make start.json in the open `folder`, whole and only if there is none. False: another was first."""
    temporary = b"start.%d" % os.getpid()
    _write(folder, temporary, sealed(record))
    crashpoint("shim_start_record_unnamed")
    try:
        _rename_to_free_name(folder, temporary, START_FILE)
    except FileExistsError:
        os.unlink(temporary, dir_fd=folder)
        return False
    return True


def _rename_to_free_name(folder: int, old: bytes, new: bytes) -> None:
    """Rename, refusing an existing name. Where the file system cannot, by a second link.

    A link and an unlink for every attempt would be the simple way; ext4 then searches past the inodes of all
    files deleted in the last seconds whenever one is made.
    """
    if _renameat2 is not None:
        if _renameat2(folder, old, folder, new, _RENAME_NOREPLACE) == 0:
            return
        if ctypes.get_errno() not in (errno.EINVAL, errno.ENOSYS):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    os.link(old, new, src_dir_fd=folder, dst_dir_fd=folder)
    os.unlink(old, dir_fd=folder)


def reserve_exit(folder: int) -> int:
    """Reserve the bytes of the exit record; the descriptor to write it to."""
    fd = os.open(RESERVED_FILE, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600, dir_fd=folder)
    os.posix_fallocate(fd, 0, RESERVED)
    return fd


def store_exit(folder: int, fd: int, record: bytes) -> None:
    """Write the exit record and give it its name. Whether it is on the disk is for `sync_exit`."""
    text = sealed(record)
    os.pwrite(fd, text, 0)
    os.ftruncate(fd, len(text))
    crashpoint("shim_exit_record_unnamed")
    os.rename(RESERVED_FILE, EXIT_FILE, src_dir_fd=folder, dst_dir_fd=folder)


def sync_exit(folder: int, fd: int) -> None:
    """Bring the exit record and its name to the disk."""
    os.fsync(fd)
    os.fsync(folder)


def read_stop(folder: int) -> tuple[int | None, str]:
    """(grace in ms, reason) of the engine's wish to stop this attempt, or (None, "") if there is none."""
    try:
        text = os.readlink(STOP_LINK, dir_fd=folder)
    except FileNotFoundError:
        return None, ""
    grace, _, reason = text.decode().partition(" ")
    return int(grace), reason


def wall_ms() -> int:
    """Wall-clock time in ms, for people to read."""
    return time.time_ns() // 1_000_000


def _write(folder: int, name: bytes, text: bytes) -> None:
    fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600, dir_fd=folder)
    try:
        os.write(fd, text)
    finally:
        os.close(fd)
