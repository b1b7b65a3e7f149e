"""P6: a cancel and a time limit leave no process and no device memory, whatever shape a tree takes and whoever dies.

Trees of many shapes run at once under a real engine. All their processes hold a pipe open, so that one that is left is
seen without a name. Not covered: a process in uninterruptible sleep, which is told as a stray (`unit/drivers`).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from passloop.drivers.identity import open_process, process_from_json, send
from passloop.kernel.tasks import TaskState
from tests.support.attempts import TREE_SIZES, Lifeline, tree_command
from tests.support.killing import SECONDS, Field, Nursery
from tests.support.promises import record

GRACE = 300
LATEST = GRACE / 1000 + 10.0
LIMIT = 5_000
"""Time limit in ms: long enough for 25 trees to come up whole on a busy machine, which the test asks for."""
SHIM_KILLED = "shim_killed"
SHAPES = {
    "fork": TREE_SIZES["fork"],
    "double_fork": TREE_SIZES["double_fork"],
    "setsid": TREE_SIZES["setsid"],
    "stubborn": TREE_SIZES["stubborn"],
    "leaves_stubborn_daemon": 1,
    SHIM_KILLED: TREE_SIZES["setsid"],
}
"""Shapes of trees, and how many processes of each stay. The last one's shim is killed with -9 before the cancel."""


@pytest.fixture
def wide(tmp_path: Path) -> Iterator[Field]:
    with Field.on(tmp_path, gpus="32x80GiB", cpus="64") as field:
        yield field


class Trees:
    """Trees of all shapes, some of each, that run as tasks of an engine."""

    def __init__(self, field: Field, folder: Path, *, each: int, shapes: list[str], **spec: int) -> None:
        self._field = field
        folder.mkdir()
        self.shapes = [shape for shape in shapes for _ in range(each)]
        self.pipes = [Lifeline(folder / str(number)) for number in range(len(self.shapes))]
        tasks = [
            {"command": tree_command("setsid" if shape == SHIM_KILLED else shape, pipe)}
            for shape, pipe in zip(self.shapes, self.pipes, strict=True)
        ]
        self.tasks = field.submit_tasks(tasks, spec={"grace": GRACE, **spec})

    def wait_up(self) -> None:
        """Until every process of every tree is there."""
        for shape, pipe in zip(self.shapes, self.pipes, strict=True):
            pipe.wait(SHAPES[shape])

    def kill_shims(self) -> None:
        """kill -9 of the shims of those trees that are for that."""
        victims = [task for task, shape in zip(self.tasks, self.shapes, strict=True) if shape == SHIM_KILLED]
        self._field.wait_running(victims)
        ledger = self._field.ledger()
        for task in victims:
            held = open_process(process_from_json(ledger[task][1][-1].process))
            assert held is not None
            send(held, signal.SIGKILL)
            os.close(held)

    def check_gone(self) -> None:
        """Every tree came up whole, nothing of it is left, and no device is held."""
        assert [shape for shape, pipe in zip(self.shapes, self.pipes, strict=True) if pipe.survivors()] == []
        assert [pipe.came_up() for pipe in self.pipes] == [SHAPES[shape] for shape in self.shapes]
        self._field.assert_everything_is_free_and_whole()
        for pipe in self.pipes:
            pipe.close()

    def durations(self) -> list[int]:
        """How long each attempt ran until it was proven over, in ms."""
        ledger = self._field.ledger()
        attempts = [one for task in self.tasks for one in ledger[task][1]]
        times = [(one.started_at, one.ended_at) for one in attempts]
        return [ended - started for started, ended in times if started is not None and ended is not None]

    def states(self) -> dict[str, set[TaskState]]:
        """How the tasks of each shape ended."""
        ledger = self._field.ledger()
        found: dict[str, set[TaskState]] = {}
        for task, shape in zip(self.tasks, self.shapes, strict=True):
            found.setdefault(shape, set()).add(ledger[task][0].state)
        return found


def cancels_leave_nothing(field: Field, nursery: Nursery, *, batches: int) -> None:
    engine = nursery.engine(field.home.path, field.environ)
    assert engine.wait_ready()
    latest, ended = 0.0, 0
    for batch in range(batches):
        trees = Trees(field, field.folder / f"cancel-{batch}", each=5, shapes=list(SHAPES))
        trees.wait_up()
        trees.kill_shims()
        asked = time.monotonic()
        field.cancel(trees.tasks)
        field.wait_final(trees.tasks)
        latest = max(latest, time.monotonic() - asked)
        assert latest < LATEST
        trees.check_gone()
        ended += len(trees.tasks)
        states = trees.states()
        assert states.pop("leaves_stubborn_daemon") <= {TaskState.SUCCEEDED, TaskState.CANCELLED}
        assert set().union(*states.values()) == {TaskState.CANCELLED}
    engine.kill()
    figure = f"{len(SHAPES)} shapes of trees x {5 * batches} cancelled: 0 survivors, devices free"
    record("P6", figure, cancelled=ended, survivors=0, latest_ms=round(latest * 1000) - GRACE)


def test_p06_cancel_leaves_nothing_of_six_shapes_five_times(wide: Field, nursery: Nursery) -> None:
    cancels_leave_nothing(wide, nursery, batches=1)


@pytest.mark.large
@pytest.mark.timeout(600)
def test_p06_cancel_leaves_nothing_of_six_shapes_thirty_times(wide: Field, nursery: Nursery) -> None:
    cancels_leave_nothing(wide, nursery, batches=6)


def limits_leave_nothing(field: Field, nursery: Nursery, *, each: int) -> None:
    engine = nursery.engine(field.home.path, field.environ)
    assert engine.wait_ready()
    shapes = [shape for shape in SHAPES if shape != SHIM_KILLED]
    trees = Trees(field, field.folder / "limit", each=each, shapes=shapes, time_limit=LIMIT)
    field.wait_final(trees.tasks)
    durations = trees.durations()
    assert len(durations) == len(trees.tasks)
    latest = max(durations) - LIMIT
    assert latest < LATEST * 1000
    trees.check_gone()
    states = trees.states()
    assert states.pop("leaves_stubborn_daemon") == {TaskState.SUCCEEDED}
    assert set().union(*states.values()) == {TaskState.FAILED}
    engine.kill()
    figure = f"{len(shapes)} shapes of trees x {each} at their time limit: 0 survivors, devices free"
    record("P6", figure, timed_out=len(durations), survivors=0, latest_ms=latest - GRACE)


def test_p06_a_time_limit_leaves_nothing_of_any_shape(wide: Field, nursery: Nursery) -> None:
    limits_leave_nothing(wide, nursery, each=5)


@pytest.mark.large
@pytest.mark.timeout(600)
def test_p06_a_time_limit_leaves_nothing_of_any_shape_thirty_times(wide: Field, nursery: Nursery) -> None:
    limits_leave_nothing(wide, nursery, each=30)


def test_p06_a_device_that_a_process_of_an_ended_attempt_holds_is_given_to_nobody(
    tmp_path: Path, nursery: Nursery
) -> None:
    """It got away from its attempt's tree, as one that a service started; only its environment tells whose it is."""
    with Field.on(tmp_path, gpus="1x80GiB") as field:
        on_devices = tmp_path / "on-devices.json"
        on_devices.write_text("{}")
        engine = nursery.engine(field.home.path, field.environ | {"PASSLOOP_VIRTUAL_FOREIGN": str(on_devices)})
        assert engine.wait_ready()
        first = field.submit("gate")
        field.wait_lines("start", 1)
        name = field.lines()[0].name
        with subprocess.Popen(["sleep", "600"], env={**os.environ, "PASSLOOP_ATTEMPT_ID": name}) as holder:
            on_devices.write_text(json.dumps({"GPU-virtual-0": {"processes": [holder.pid]}}))
            field.open_gate()
            field.wait_final(first)
            second = submit_and_wait_for_quarantine(field)
            why = field.client.get(f"/tasks/{second[0]}/why", timeout=SECONDS)["blockers"]
            assert any("ended attempt" in blocker["sentence"] for blocker in why), why
            assert len(field.lines()) == 2
            holder.kill()
        freed = time.monotonic()
        field.wait_final(second)
        late = time.monotonic() - freed
        assert late < LATEST
        field.assert_everything_is_free_and_whole()
        engine.kill()
    record(
        "P6",
        "a device held by an ended attempt's process: quarantined until it was gone",
        quarantined=1,
        free_after_ms=round(late * 1_000),
    )


def submit_and_wait_for_quarantine(field: Field) -> list[int]:
    """A task that wants the device; it is looked at before the start, and refused."""
    with field.client.events() as events:
        second = field.submit(0)
        while not any(gpu["strays"] for gpu in field.client.get("/gpus", timeout=SECONDS)["gpus"]):
            events.ready()
    return second
