"""An attempt of which something lives on even after SIGKILL is ended with a stray, and said to be gone when it is.

A process in a frozen control group (v1) does not die of SIGKILL until it is thawed; that is the stray here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from passloop.kernel.events import StrayGone
from passloop.kernel.tasks import OutcomeKind
from tests.support.attempts import Stage


class Freezer:
    """A v1 freezer group below this process's own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()

    def freeze(self) -> None:
        (self.path / "freezer.state").write_text("FROZEN")

    def thaw(self) -> None:
        (self.path / "freezer.state").write_text("THAWED")

    def close(self) -> None:
        self.thaw()
        self.path.rmdir()


def own_freezer() -> Path | None:
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "freezer":
            folder = Path("/sys/fs/cgroup/freezer" + path)
            return folder if os.access(folder / "cgroup.procs", os.W_OK) else None
    return None


@pytest.fixture
def freezer() -> Iterator[Freezer]:
    parent = own_freezer()
    if parent is None:
        pytest.skip("no v1 freezer group can be made here")
    freezer = Freezer(parent / f"passloop-test-{os.getpid()}")
    yield freezer
    freezer.close()


async def test_what_does_not_die_is_a_stray_until_it_is_gone(tmp_path: Path, freezer: Freezer) -> None:
    async with Stage(tmp_path) as stage:
        lifeline = stage.lifeline()
        join = f"echo 0 > '{freezer.path}/cgroup.procs'"
        stage.launch(["sh", "-c", f"{join}; exec 9>'{lifeline.path}'; printf x >&9; exec sleep 600"])
        await lifeline.until(1)
        freezer.freeze()
        stage.driver.halt(stage.order().attempt, 1, grace=0, reason="cancelled")
        exited = await stage.ended()
        assert (exited.outcome.kind, exited.stray) == (OutcomeKind.CANCELLED, True)
        assert "still there after SIGKILL" in exited.outcome.message
        assert stage.driver.statistics()["strays"] == 1
        freezer.thaw()
        await stage.heard.until(StrayGone, 1)
        assert not lifeline.survivors()
        assert stage.driver.statistics()["watched"] == 0
