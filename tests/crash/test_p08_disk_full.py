"""P8: a full disk is said, loses nothing, and work goes on alone once there is room.

The disk is a small tmpfs under the store, then under the attempts' folders, which logs and artifacts fill in turn.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from passloop.cli.exits import CliError, Exit
from passloop.engine.pause import BALLAST_BYTES
from passloop.kernel.tasks import TaskState
from tests.support.killing import SECONDS
from tests.support.promises import record
from tests.support.small_disk import SmallDisk, can_mount, small_disk

RESUMES_WITHIN = 5.0
FIGURE = '"paused: disk full" is shown, 0 acknowledged lost, resumed within 5 s of free space'
REFUSED_AND_RUN = 2
"""How many attempts a task has at most that met a full disk once."""
FILLERS = {"logs": "cat /dev/zero", "artifacts": "cat /dev/zero > $PASSLOOP_OUT/big"}

pytestmark = pytest.mark.skipif(not can_mount(), reason="no file system may be mounted here")


def check_nothing_is_lost(disk: SmallDisk, acknowledged: list[int]) -> None:
    field = disk.field
    field.wait_final(acknowledged)
    field.assert_p04_all_devices_are_free()
    disk.bring_home()
    field.assert_p01_nothing_acknowledged_is_lost(dict.fromkeys(acknowledged))
    field.assert_p02_no_committed_attempt_runs_again()
    field.assert_p05_what_ran_was_seen_to_its_end()
    assert {row.state for row, _ in field.ledger().values()} == {TaskState.SUCCEEDED}
    field.assert_whole_and_nobody_lives()


def test_p08_a_full_store_is_said_loses_nothing_and_goes_on_alone(tmp_path: Path) -> None:
    with small_disk(tmp_path, size="16m") as disk, ThreadPoolExecutor(1) as thread:
        field = disk.field
        running = field.submit("gate", count=2)
        field.wait_lines("start", 2)
        field.wait_running(running)
        waiting = field.submit(0, gpus=3)
        disk.fill()
        asked = []
        state = disk.until("paused", lambda: asked.append(thread.submit(field.submit, 0)))
        assert state.startswith("paused: disk full: ")
        assert "paused: disk full" in disk.command("status")
        assert "nothing is started: disk full" in disk.command("why", str(waiting[0]))
        with pytest.raises(CliError, match="disk full") as refused:
            field.submit(0)
        assert refused.value.exit_code == Exit.ENGINE_UNREACHABLE
        field.open_gate(2)
        field.wait_lines("end", 2)
        assert not asked[0].done()
        disk.free()
        freed = time.monotonic()
        acknowledged = asked[0].result(SECONDS)
        late = time.monotonic() - freed
        assert late < RESUMES_WITHIN
        assert disk.state() == "running"
        assert field.home.ballast.stat().st_size == BALLAST_BYTES
        check_nothing_is_lost(disk, [*running, *waiting, *acknowledged])
    record("P8", FIGURE, full_stores=1, lost=0, resumed_after_ms=round(late * 1000))


def test_p08_an_engine_killed_on_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    with small_disk(tmp_path, size="16m") as disk, ThreadPoolExecutor(1) as thread:
        field = disk.field
        running = field.submit("gate", count=2)
        field.wait_lines("start", 2)
        field.wait_running(running)
        disk.fill()
        disk.until("paused", lambda: thread.submit(field.submit, 0))
        disk.engine.kill()
        field.open_gate(2)
        field.wait_lines("end", 2)
        disk.fill()
        disk.start()
        assert disk.state().startswith("paused: disk full: ")
        disk.until("running", disk.free)
        check_nothing_is_lost(disk, [*running, *field.submit(0)])


def test_p08_full_folders_of_attempts_are_said_cost_nothing_and_fill_up_later(tmp_path: Path) -> None:
    with small_disk(tmp_path, size="1m", part="runs") as disk:
        field = disk.field
        running = field.submit("gate", count=2)
        field.wait_lines("start", 2)
        field.wait_running(running)
        disk.fill()
        acknowledged: list[int] = []
        state = disk.until("paused", lambda: acknowledged.extend(field.submit(0, count=3)))
        assert state.startswith("paused: disk full: no room for attempts in ")
        field.open_gate(2)
        field.wait_lines("end", 2)
        disk.wait_tried()
        assert disk.state().startswith("paused: disk full: ")
        freed: list[float] = []
        disk.until("running", lambda: freed.append((disk.free(), time.monotonic())[1]))
        late = time.monotonic() - freed[0]
        assert late < RESUMES_WITHIN
        check_nothing_is_lost(disk, [*running, *acknowledged])
        ledger = field.ledger().values()
        assert {row.losses for row, _ in ledger} == {0}
        assert max(len(attempts) for _, attempts in ledger) <= REFUSED_AND_RUN, "it went on while there was no room"
    record("P8", FIGURE, full_folders=1, lost=0, resumed_after_ms=round(late * 1000))


@pytest.mark.parametrize("what", sorted(FILLERS))
def test_p08_what_fills_its_disk_can_be_removed_and_the_rest_goes_on(tmp_path: Path, what: str) -> None:
    with small_disk(tmp_path, size="1m", part="runs") as disk:
        field = disk.field
        big = field.submit_tasks([{"command": ["sh", "-c", FILLERS[what]]}], gpus=0)
        field.wait_final(big)
        assert field.ledger()[big[0]][0].state is TaskState.FAILED
        acknowledged: list[int] = []
        disk.until("paused: disk full", lambda: acknowledged.extend(field.submit(0, count=2)))
        freed: list[float] = []
        removal = {"select": [str(big[0])]}
        disk.until(
            "running",
            lambda: freed.append((field.client.post("/tasks/rm", removal, timeout=SECONDS), time.monotonic())[1]),
        )
        late = time.monotonic() - freed[0]
        assert late < RESUMES_WITHIN
        check_nothing_is_lost(disk, acknowledged)
    record("P8", FIGURE, filled_disks=1, lost=0, resumed_after_ms=round(late * 1000))
