"""A memory limit holds for the whole tree of an attempt, by a control group where one can be made, else by looking."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from passloop.drivers.identity import open_process, process_from_json, send
from passloop.drivers.processes.cgroups import memory_parent
from passloop.drivers.processes.keeper.memory import group_name
from passloop.kernel.events import Started
from passloop.kernel.tasks import OutcomeKind
from tests.support.attempts import Stage, tree_command

MIB = 1 << 20
EAT = f"import os; os.fork(); x = bytearray(200 * {MIB}); import signal; signal.pause()"
LIMITED = [sys.executable, "-I", "-S", "-c"]

groups_can_be_made = pytest.mark.skipif(memory_parent() is None, reason="no memory control group can be made here")


@pytest.fixture
def without_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("passloop.drivers.processes.driver.memory_parent", lambda: None)


@groups_can_be_made
async def test_a_tree_over_its_limit_is_out_of_memory_by_its_control_group(tmp_path: Path) -> None:
    script = f"x = bytearray(200 * {MIB})"
    async with Stage(tmp_path) as stage:
        exited = await stage.run([*LIMITED, script], memory_limit=64)
    assert exited.outcome.kind is OutcomeKind.OUT_OF_MEMORY
    assert exited.outcome.message == "killed: it used more than its 64 MiB of memory"


@groups_can_be_made
async def test_a_child_killed_for_memory_that_its_parent_survives_is_a_success(tmp_path: Path) -> None:
    script = f"import os\nif os.fork() == 0:\n x = bytearray(200 * {MIB})\nos.wait()"
    async with Stage(tmp_path) as stage:
        exited = await stage.run([*LIMITED, script], memory_limit=64)
    assert exited.outcome.kind is OutcomeKind.SUCCESS


@groups_can_be_made
async def test_the_control_group_is_removed_with_its_attempt_and_its_shim_goes_on(tmp_path: Path) -> None:
    async with Stage(tmp_path) as stage:
        parent = memory_parent()
        assert parent is not None
        order = stage.launch(["true"], memory_limit=64)
        await stage.ended()
        assert (await stage.run(["true"], 2)).outcome.kind is OutcomeKind.SUCCESS
        assert not (parent / group_name(order.name.encode()).decode()).exists()


@groups_can_be_made
async def test_the_control_group_of_a_killed_shim_is_removed_with_what_it_left(tmp_path: Path) -> None:
    async with Stage(tmp_path) as stage:
        parent = memory_parent()
        assert parent is not None
        lifeline = stage.lifeline()
        order = stage.launch(tree_command("setsid", lifeline), memory_limit=64)
        await lifeline.until(2)
        group = parent / group_name(order.name.encode()).decode()
        assert group.exists()
        started = stage.heard.find(Started, 1)
        assert started is not None
        held = open_process(process_from_json(started.process))
        assert held is not None
        send(held, signal.SIGKILL)
        os.close(held)
        assert (await stage.ended()).outcome.kind is OutcomeKind.LOST
        assert not group.exists()


@pytest.mark.usefixtures("without_groups")
async def test_without_a_control_group_the_sum_of_the_tree_counts(tmp_path: Path) -> None:
    async with Stage(tmp_path) as stage:
        lifeline = stage.lifeline()
        script = f"pipe = open({str(lifeline.path)!r}, 'w'); pipe.write('x'); pipe.flush(); {EAT}"
        exited = await stage.run([*LIMITED, script], memory_limit=300)
        assert exited.outcome.kind is OutcomeKind.OUT_OF_MEMORY
        assert not lifeline.survivors()


@pytest.mark.usefixtures("without_groups")
async def test_a_tree_within_its_limit_is_left_alone(tmp_path: Path) -> None:
    async with Stage(tmp_path) as stage:
        exited = await stage.run(["sleep", "1.2"], memory_limit=64)
    assert exited.outcome.kind is OutcomeKind.SUCCESS
