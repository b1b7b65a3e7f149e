"""P8 where nothing may be mounted: a limit of file sizes is a full disk to whom it is set on.

Set on those who begin attempts, there is no room for attempts' folders; set by a task on itself, its log or its
artifact is full. The store is filled so in `test_crash_points.py`. Where disks can be mounted, `test_p08_disk_full.py`
fills real ones.
"""

from __future__ import annotations

import resource
import time
from pathlib import Path

import pytest

from passloop.kernel.tasks import TaskState
from tests.support.killing import Field, Nursery, Victim
from tests.support.promises import record

FILLERS = {"logs": "cat /dev/zero", "artifacts": "cat /dev/zero > $PASSLOOP_OUT/big"}
RESUMES_WITHIN = 5.0
BLOCKS = 64
"""Of 512 bytes, as `ulimit -f` counts."""


def beginners(engine: Victim) -> list[int]:
    """The processes that the engine has for beginning attempts."""
    tasks = Path(f"/proc/{engine.pid}/task").iterdir()
    return [int(pid) for task in tasks for pid in (task / "children").read_text().split()]


def limit_files(pids: list[int], size: int) -> None:
    for pid in pids:
        _, most = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, most))


def wait_for_state(field: Field, wanted: str) -> str:
    """Until the engine's state begins with this; it is asked at each commit."""
    with field.client.events() as events:
        while not (state := str(field.client.get("/status")["engine"]["state"])).startswith(wanted):
            events.ready()
    return state


def check_nothing_is_lost(field: Field, acknowledged: list[int]) -> None:
    field.wait_final(acknowledged)
    field.assert_p01_nothing_acknowledged_is_lost(dict.fromkeys(acknowledged))
    field.assert_p02_no_committed_attempt_runs_again()
    field.assert_everything_is_free_and_whole()
    assert {field.ledger()[task][0].state for task in acknowledged} == {TaskState.SUCCEEDED}


def test_p08_no_room_for_attempts_is_said_and_loses_nothing(field: Field, nursery: Nursery) -> None:
    engine = nursery.engine(field.home.path, field.environ)
    assert engine.wait_ready()
    running = field.submit("gate", count=2)
    field.wait_lines("start", 2)
    field.wait_running(running)
    full = beginners(engine)
    limit_files(full, 0)
    acknowledged = field.submit(0, count=2)
    assert "no room for attempts in " in wait_for_state(field, "paused: disk full: ")
    limit_files(full, resource.RLIM_INFINITY)
    freed = time.monotonic()
    wait_for_state(field, "running")
    late = time.monotonic() - freed
    assert late < RESUMES_WITHIN
    field.open_gate(2)
    check_nothing_is_lost(field, [*running, *acknowledged])
    assert {row.losses for row, _ in field.ledger().values()} == {0}
    engine.kill()
    figure = "no room for attempts' folders: said, 0 acknowledged lost, resumed within 5 s of free space"
    record("P8", figure, full_without_mounts=1, resumed_after_ms=round(late * 1000))


@pytest.mark.parametrize("what", sorted(FILLERS))
def test_p08_what_fills_its_own_file_fails_alone(field: Field, nursery: Nursery, what: str) -> None:
    engine = nursery.engine(field.home.path, field.environ)
    assert engine.wait_ready()
    big = field.submit_tasks([{"command": ["sh", "-c", f"ulimit -f {BLOCKS}; {FILLERS[what]}"]}], gpus=0)
    others = field.submit(0, count=2)
    field.wait_final(big)
    assert field.ledger()[big[0]][0].state is TaskState.FAILED
    sizes = [path.stat().st_size for path in field.home.runs.rglob("*") if path.name in ("stdout.log", "big")]
    assert max(sizes) == BLOCKS * 512
    check_nothing_is_lost(field, others)
    engine.kill()
    record("P8", f"a file filled by {what}: its task fails alone, 0 acknowledged lost", full_without_mounts=1)
