"""What `report` and `export` share: which run is meant, and its tasks with attempts and logs, from the store.

The store is read directly, with an engine or without; nothing is changed.
"""

from __future__ import annotations

import os
import time
from typing import Any

from passloop.apps.queue.report import Report, build_report
from passloop.cli.exits import CliError, Exit
from passloop.cli.logfiles import attempt_folder, last_lines
from passloop.cli.reads import Ask
from passloop.cli.store_reads import StoreReads

__all__ = ["report_of"]

_LOG_LINES = 30
_LOG_BYTES = 8_000


def report_of(home: str, text: str) -> Report:
    """The report of the run that `text` means: its id or name, with or without @, or `last`."""
    reads = StoreReads(home)
    tasks = reads.shown(Ask((_selector(reads, text),)))
    if not tasks:
        raise CliError(f"there is no run {text!r}", hint="passloop ls", exit_code=Exit.NOT_FOUND)
    return build_report(tasks, made_at=time.time_ns() // 1_000_000, log_of=lambda task: _tail(home, task))


def _selector(reads: StoreReads, text: str) -> str:
    if text != "last":
        return text if text.startswith("@") else f"@{text}"
    newest = reads.tasks(Ask(limit=1))["tasks"]
    if not newest:
        raise CliError("there are no runs yet", hint="passloop submit SPEC.yaml", exit_code=Exit.NOT_FOUND)
    return f"@{newest[0]['run']['id']}"


def _tail(home: str, task: Any) -> str:
    """The last lines of a failed task: of its stderr, else of its stdout."""
    folder = attempt_folder(home, task["run"]["id"], task["id"], task["attempt"])
    for stream in ("stderr", "stdout"):
        data = b"".join(last_lines(os.path.join(folder, f"{stream}.log"), _LOG_LINES))
        if data.strip():
            return data[-_LOG_BYTES:].decode("utf-8", "replace")
    return ""
