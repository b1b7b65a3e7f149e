"""Checks of the home: permissions, file system, disk, fsync, lock, socket, ballast, settings. Nothing is changed."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from passloop.cli.checks.finding import Check, Finding, Place, fail, ok, warn
from passloop.cli.client import Client
from passloop.cli.exits import CliError
from passloop.cli.version import version
from passloop.store.errors import HomeRefused
from passloop.store.home import SOCKET_PATH_BYTES, Home, filesystem_magic

__all__ = ["HOME_CHECKS"]

_KNOWN = {
    0xEF53: "ext4",
    0x58465342: "xfs",
    0x9123683E: "btrfs",
    0x01021994: "tmpfs",
    0x794C7630: "overlay",
    0x2FC12FC1: "zfs",
}
_SLOW_FSYNC_MS = 20
_LITTLE_DISK = 2**30
_TRIES = 5
_ANSWERS_WITHIN = 30.0
"""Seconds; an engine that is at work answers in far less."""


def _permissions(place: Place) -> Finding:
    path = Path(place.home)
    if not path.exists():
        return ok(f"{path} is made by the first engine")
    try:
        Home(path).check()
    except HomeRefused as refused:
        return fail(refused.message, refused.hint)
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        return warn(f"{path} can be read by others (mode {mode:04o})", f"chmod 700 {path}")
    return ok(f"{path} is yours alone")


def _filesystem(place: Place) -> Finding:
    magic = filesystem_magic(_nearest(place.home))
    name = _KNOWN.get(magic, f"type 0x{magic:x}")
    if name == "tmpfs":
        return warn("the home is in memory (tmpfs): nothing survives a reboot", "choose a home on a disk: --home")
    return ok(f"the home is on {name}")


def _fsync(place: Place) -> Finding:
    try:
        millis = _fsync_millis(_nearest(place.home))
    except OSError as error:
        return fail(f"a file could not be written: {error.strerror}", "check the disk and the permissions")
    text = f"an fsync takes {millis:.1f} ms; each acknowledged change waits for one, many share one"
    return ok(text) if millis < _SLOW_FSYNC_MS else warn(text, "choose a home on a faster disk: --home")


def _fsync_millis(folder: Path) -> float:
    """The median of a few."""
    taken = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(_TRIES):
            file.write(b"x" * 4096)
            file.flush()
            start = time.perf_counter()
            os.fsync(file.fileno())
            taken.append(time.perf_counter() - start)
    return sorted(taken)[_TRIES // 2] * 1000


def _disk(place: Place) -> Finding:
    usage = shutil.disk_usage(_nearest(place.home))
    text = f"{usage.free / 2**30:.1f} GiB free"
    return ok(text) if usage.free >= _LITTLE_DISK else warn(text, "passloop rm state:succeeded, or free some space")


def _ballast(place: Place) -> Finding:
    from passloop.engine.pause import BALLAST_BYTES

    home = Home(Path(place.home))
    if not home.database.exists():
        return ok("the ballast is laid by the first engine")
    if home.ballast.exists() and home.ballast.stat().st_size >= BALLAST_BYTES:
        return ok("the ballast is there: a full disk can still be recorded")
    return warn("the ballast is gone: the disk was full", "free some space; the engine lays it again by itself")


def _lock(place: Place) -> Finding:
    home = Home(Path(place.home))
    if not home.lock.exists():
        return ok("nobody has owned this home yet")
    with home.lock.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return ok(f"an engine owns the home (pid {file.read(32).decode('ascii', 'replace').strip()})")
    return ok("no engine owns the home now")


def _answering(engine: dict[str, Any]) -> Finding:
    said = f"the engine answers: {engine['state']}"
    if engine["version"] != version():
        what = f"{said}; it is passloop {engine['version']}, this command is {version()}"
        return warn(what, "passloop down --leave && passloop up: what runs goes on meanwhile")
    return ok(said) if engine["state"] == "running" else warn(said)


def _silent(home: Home) -> Finding:
    """An engine that has its socket, and its home's lock, and says nothing."""
    pid = home.lock.read_text(encoding="ascii", errors="replace").strip()
    way = f"kill -9 {pid} && passloop up: what runs goes on, and nothing that was acknowledged is lost"
    return fail(f"the engine (pid {pid}) does not answer: it is stopped (kill -CONT {pid}), or stuck", way)


def _socket(place: Place) -> Finding:
    client = Client(place.home)
    home = Home(Path(place.home))
    if client.alive():
        try:
            return _answering(client.get("/status", timeout=_ANSWERS_WITHIN)["engine"])
        except CliError as unanswered:
            if isinstance(unanswered.__cause__, TimeoutError):
                return _silent(home)
            raise  # told as a check that could not be made
    if home.socket.exists():
        return warn("the socket is a leftover of an engine that died", "passloop up (it takes over)")
    long = len(os.fsencode(home.socket)) > SOCKET_PATH_BYTES
    return ok("no engine runs" + ("; the path is long and is reached through its folder" if long else ""))


def _settings(place: Place) -> Finding:
    from passloop.apps.errors import SpecError
    from passloop.cli.configured import settings_here

    try:
        rows = settings_here().rows()
    except SpecError as wrong:
        return fail(wrong.message.replace("\n", "; "), wrong.hint)
    chosen = [row["name"] for row in rows if row["origin"] != "default"]
    return ok("settings: " + (", ".join(chosen) if chosen else "all as by default"))


def _nearest(path: str) -> Path:
    """The folder itself, or the nearest above it that is there."""
    folder = Path(path)
    while not folder.exists():
        folder = folder.parent
    return folder


HOME_CHECKS = (
    Check("home", _permissions),
    Check("file system", _filesystem),
    Check("fsync", _fsync),
    Check("disk", _disk),
    Check("ballast", _ballast),
    Check("lock", _lock),
    Check("socket", _socket),
    Check("settings", _settings),
)
