"""`--snapshot`: a copy of a directory's code, named by the hash of its content, from which tasks run.

Copied are the files git tracks and those it would not ignore; outside a repository every file but a few
folders that hold no code. The copy is made beside its place and renamed, so a snapshot is whole or not there.
Git is only asked for names; nothing is written to the repository.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from passloop.apps.errors import BadValue, Problem, SpecError
from passloop.apps.text import shown
from passloop.crashpoints import crashpoint

__all__ = ["MOST_BYTES", "take_snapshot"]

MOST_BYTES = 100 * 2**20
MOST_FILES = 50_000
GIT_SECONDS = 60
NO_CODE = frozenset({".git", ".hg", ".svn", ".venv", "__pycache__", "node_modules"})
CHUNK = 2**20


def take_snapshot(directory: str, *, home: Path, most_bytes: int = MOST_BYTES) -> str:
    """Copy `directory` into `home/snapshots/HASH/` unless it is there, and return that path. Raises `SpecError`."""
    snapshots = home / "snapshots"
    try:
        snapshots.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".new-", dir=snapshots) as fresh:
            copy = Path(fresh, "copy")
            copy.mkdir(mode=0o700)
            name = _copied(Path(directory), copy, most_bytes, beside=home)
            place = snapshots / name
            if not place.exists():
                _moved(copy, place)
            return str(place)
    except BadValue as bad:
        raise _refusal(bad.what, bad.fix) from None
    except OSError as error:
        what = f"the snapshot of {shown(directory)} could not be made: {error.strerror or error}"
        raise _refusal(what, "check the disk and the permissions") from None


def _copied(source: Path, copy: Path, most_bytes: int, *, beside: Path) -> str:
    """Copy every file that is not in `beside`, and return the hash of names, modes and contents."""
    digest = hashlib.sha256()
    left = most_bytes
    own = _inside(source, beside)
    for count, name in enumerate(sorted(name for name in _names(source) if not name.startswith(own))):
        if count >= MOST_FILES:
            raise BadValue(f"there are more than {MOST_FILES:,} files to copy", "ignore what is not code")
        kind, content, size = _copy_one(source / name, copy / name, left)
        if kind:
            left -= size
            digest.update(os.fsencode(name) + b"\0" + kind.encode() + content)
    return digest.hexdigest()[:32]


def _copy_one(source: Path, target: Path, left: int) -> tuple[str, bytes, int]:
    """Copy one file or link: (kind, hash of its content, size); no kind for what is neither, or is gone."""
    try:
        status = source.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return "", b"", 0
    if stat.S_ISLNK(status.st_mode):
        target.parent.mkdir(parents=True, exist_ok=True)
        text = os.readlink(source)
        target.symlink_to(text)
        return "link", hashlib.sha256(os.fsencode(text)).digest(), 0
    if not stat.S_ISREG(status.st_mode):
        return "", b"", 0
    target.parent.mkdir(parents=True, exist_ok=True)
    runs = bool(status.st_mode & 0o100)
    content, size = _copy_bytes(source, target, left)
    target.chmod(0o700 if runs else 0o600)
    return "program" if runs else "file", content, size


def _copy_bytes(source: Path, target: Path, left: int) -> tuple[bytes, int]:
    digest, size = hashlib.sha256(), 0
    with source.open("rb") as reading, target.open("xb") as writing:
        while chunk := reading.read(CHUNK):
            size += len(chunk)
            if size > left:
                raise BadValue(
                    "the code here is too large to copy (100 MiB at most)",
                    f"ignore what is not code (such as {shown(source.name)}), or leave --snapshot out",
                )
            digest.update(chunk)
            writing.write(chunk)
    return digest.digest(), size


def _moved(copy: Path, place: Path) -> None:
    """Give the copy its name; another process may have been first with the same content."""
    try:
        crashpoint("before_snapshot")
        copy.rename(place)
        crashpoint("after_snapshot")
    except OSError:
        if not place.is_dir():
            raise
        shutil.rmtree(copy)


def _inside(source: Path, home: Path) -> str:
    """How names of files in the home begin, if it lies inside `source`; else what no name begins with."""
    try:
        return f"{home.resolve().relative_to(source.resolve())}/"
    except ValueError:
        return "\0"


def _names(source: Path) -> set[str]:
    """Names of the files to copy, relative to `source`."""
    listed = _asked_of_git(source)
    return set(_walked(source)) if listed is None else listed


def _asked_of_git(source: Path) -> set[str] | None:
    """What git tracks or would not ignore below `source`; None without git or outside a repository."""
    command = ["git", "-C", str(source), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=GIT_SECONDS, check=False, stdin=subprocess.DEVNULL)
    except (FileNotFoundError, PermissionError):
        return None
    except subprocess.TimeoutExpired:
        raise BadValue("git did not list the files in time", "leave --snapshot out") from None
    if done.returncode != 0:
        return None
    return {os.fsdecode(name) for name in done.stdout.split(b"\0") if name}


def _walked(source: Path) -> Iterator[str]:
    for folder, folders, files in os.walk(source):
        folders[:] = [name for name in folders if name not in NO_CODE]
        for name in files:
            yield os.path.relpath(os.path.join(folder, name), source)


def _refusal(what: str, fix: str) -> SpecError:
    return SpecError([Problem(what, fix, "--snapshot")], next_command="passloop submit --help")
