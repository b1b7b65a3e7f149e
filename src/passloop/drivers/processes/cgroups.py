"""Where a control group with a memory limit can be made, found by trying: below this process's own group.

Handles cgroup v2 (where its memory controller is delegated to us) and the v1 memory hierarchy. Must never
change the group this process is in.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from .keeper.memory import limit_file

__all__ = ["memory_parent"]


@cache
def memory_parent() -> Path | None:
    """The folder below which groups with a memory limit can be made and entered, None where there is none."""
    return next((folder for folder in _candidates() if _usable(folder)), None)


def _candidates() -> list[Path]:
    """Folders of the groups this process is in, that with the memory controller of v1 first."""
    own: dict[str, str] = {}
    for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines():
        _, controllers, path = line.split(":", 2)
        own.update(dict.fromkeys(controllers.split(","), path))
    folders: list[Path] = []
    for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines():
        _, mount, kind, options, *_ = line.split(" ")
        if kind == "cgroup" and "memory" in options.split(",") and "memory" in own:
            folders.insert(0, Path(mount + own["memory"]))
        elif kind == "cgroup2" and "" in own:
            folders.append(Path(mount + own[""]))
    return folders


def _usable(folder: Path) -> bool:
    limit = limit_file(os.fsencode(folder))
    if limit is None:
        return False
    probe = folder / f"passloop-probe-{os.getpid()}"
    try:
        probe.mkdir()
    except OSError:
        return False
    try:
        return os.access(probe / os.fsdecode(limit), os.W_OK) and os.access(folder / "cgroup.procs", os.W_OK)
    finally:
        probe.rmdir()
