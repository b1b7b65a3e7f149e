"""What records say counts for the attempt that they name, wherever they lie."""

from __future__ import annotations

import json
import os
from pathlib import Path

from passloop.drivers.identity import boot_id, ticks_of
from passloop.drivers.processes.keeper.records import EXIT_FILE, START_FILE, sealed
from passloop.drivers.processes.reattach import look
from passloop.kernel.tasks import OutcomeKind


def write(folder: Path, file: bytes, **fields: object) -> None:
    (folder / os.fsdecode(file)).write_bytes(sealed(json.dumps(fields).encode()))


def write_start(folder: Path, name: str) -> None:
    """A start record of a process that lives: this one."""
    pid = os.getpid()
    write(folder, START_FILE, name=name, pid=pid, ticks=ticks_of(pid), boot=boot_id())


def test_a_living_process_of_another_attempt_is_not_this_ones(tmp_path: Path) -> None:
    write_start(tmp_path, "mine")
    assert look(tmp_path, "mine").alive
    found = look(tmp_path, "another")
    assert (found.process, found.alive) == (None, False)
    assert found.outcome is not None
    assert found.outcome.kind is OutcomeKind.LOST


def test_the_end_of_another_attempt_is_not_this_ones(tmp_path: Path) -> None:
    write_start(tmp_path, "mine")
    write(tmp_path, EXIT_FILE, name="another", kind="success", exit_code=0)
    found = look(tmp_path, "mine")
    assert (found.alive, found.outcome, found.recorded) == (True, None, False)
    write(tmp_path, EXIT_FILE, name="mine", kind="success", exit_code=0)
    assert look(tmp_path, "mine").recorded
