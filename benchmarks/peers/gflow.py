"""gflow (`runqd` from PyPI): a daemon that types each task into a tmux session of its own, in a private HOME."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

__all__ = ["absent", "gflow"]

PORT = "59417"
LOOK_EVERY = 0.1
"""Seconds between two looks: its command line has no way to wait."""


def absent(binaries: Path | None) -> str:
    """Why it cannot be measured here; empty if it can. `binaries` is the `bin` of an environment with runqd."""
    if binaries is None or not (binaries / "gflowd").exists():
        return "no gflowd here (a virtual environment with `pip install runqd`, named by --gflow)"
    return "" if shutil.which("tmux") else "gflow runs its tasks in tmux, and there is none"


def gflow(count: int, outstanding: int, folder: Path, binaries: Path) -> float:
    """Milliseconds a task from the submission of an array to the end of the last of it, seen in steps of 0.1 s."""
    environment = _private(folder, binaries)

    def call(*words: str) -> str:
        done = subprocess.run(
            words, env=environment, cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=True
        )
        return done.stdout

    call("gflowd", "init", "--yes", "--port", PORT)
    call("gflowd", "start")
    try:
        began = time.perf_counter()
        call("gbatch", "--array", f"1-{count}", "--max-concurrent", str(outstanding), "--auto-close", "true")
        while (
            sum(task["state"] == "Finished" for task in json.loads(call("gqueue", "-a", "-o", "json"))["jobs"]) < count
        ):
            time.sleep(LOOK_EVERY)
        return (time.perf_counter() - began) * 1e3 / count
    finally:
        call("gflowd", "stop")
        subprocess.run(["tmux", "kill-server"], env=environment, capture_output=True, check=False)


def _private(folder: Path, binaries: Path) -> dict[str, str]:
    """Its own HOME: nothing of the user's is read or written, and its sessions find its commands."""
    path = f"{binaries}:{os.environ['PATH']}"
    places = {
        "HOME": folder,
        "XDG_CONFIG_HOME": folder / "config",
        "XDG_DATA_HOME": folder / "data",
        "XDG_STATE_HOME": folder / "state",
        "XDG_CACHE_HOME": folder / "cache",
        "XDG_RUNTIME_DIR": folder / "runtime",
        "TMUX_TMPDIR": folder / "tmux",
    }
    for place in places.values():
        place.mkdir(mode=0o700, exist_ok=True)
    for name in (".profile", ".bash_profile"):
        (folder / name).write_text(f"PATH={path}\nexport PATH\n", encoding="utf-8")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TMUX")}
    return kept | {name: str(place) for name, place in places.items()} | {"PATH": path}
