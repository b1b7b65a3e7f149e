"""Where attempts leave their files. Paths are made of ids only, and what is opened is proven to lie in its
attempt.

A task's own program writes there, so anything may be a link, a pipe or a device: only plain files are opened.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from .errors import ArtifactRefused
from .home import Home

__all__ = ["attempt_directory", "open_artifact", "task_directory"]


def task_directory(home: Home, *, run: int, task: int) -> Path:
    """`runs/<run>/<task>`: all attempts of a task."""
    return home.runs / _name(run) / _name(task)


def attempt_directory(home: Home, *, run: int, task: int, epoch: int) -> Path:
    """`runs/<run>/<task>/<epoch>`: everything one attempt leaves."""
    return task_directory(home, run=run, task=task) / _name(epoch)


def open_artifact(root: Path, name: str) -> int:
    """A read-only descriptor of the plain file `name` under `root`, after all links are resolved.

    Raises `ArtifactRefused` for what is not there, not a plain file or outside `root`.
    """
    outside = ArtifactRefused(f"{name!r} is not a file of this attempt", hint="passloop show ID names its files")
    if not name or "\0" in name:
        raise outside
    try:
        base = root.resolve(strict=True)
        path = (base / name).resolve(strict=True)
        if not path.is_relative_to(base):
            raise outside
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, RuntimeError) as error:
        raise outside from error
    try:
        _prove(descriptor, base, outside)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _prove(descriptor: int, base: Path, outside: ArtifactRefused) -> None:
    """Look at what was really opened: a link may have been put in the way since its path was resolved."""
    opened = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
    if not opened.is_relative_to(base) or not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise outside


def _name(number: int) -> str:
    if not isinstance(number, int) or number < 1:
        raise ArtifactRefused(f"{number!r} is not an id", hint="passloop ls")
    return str(number)
