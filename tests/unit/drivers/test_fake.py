"""The scripted driver keeps to its script and to the clock it is given."""

from __future__ import annotations

from pathlib import Path

import pytest

from passloop.clock import FakeClock
from passloop.drivers.fake import FakeDriver, FakeWorld, Play
from passloop.kernel.events import Exited, StartRefused, StrayGone
from passloop.kernel.ids import AttemptId
from passloop.kernel.tasks import OutcomeKind
from tests.support.attempts import Heard, order_for


class Scene:
    """A fake driver whose next attempt goes like `play`."""

    def __init__(self, home: Path) -> None:
        self.clock = FakeClock()
        self.play = Play()
        self.world = FakeWorld(self.clock, lambda _order: self.play)
        self.driver, self.heard, self._home = FakeDriver(self.world), Heard(), home

    def launch(self, play: Play, *, time_limit: int | None = None, grace: int = 100) -> None:
        self.play = play
        self.driver.launch(order_for(self._home, 1, [], time_limit=time_limit, grace=grace))

    def after(self, millis: int) -> list[str]:
        self.clock.advance(millis)
        self.driver.catch_up()
        return self.heard.of(1)


@pytest.fixture
async def scene(tmp_path: Path) -> Scene:
    scene = Scene(tmp_path)
    await scene.driver.start(scene.heard)
    return scene


async def test_nothing_happens_before_its_time(scene: Scene) -> None:
    scene.launch(Play(duration=50, start_after=10))
    assert scene.after(9) == []
    assert scene.after(1) == ["Started"]
    assert scene.after(49) == ["Started"]
    assert scene.after(1) == ["Started", "Exited"]


async def test_a_leap_over_several_things_reports_them_in_order(scene: Scene) -> None:
    scene.launch(Play(duration=50, start_after=10, stray_for=5))
    assert scene.after(1000) == ["Started", "Exited", "StrayGone"]
    assert scene.world.next_change() is None


async def test_a_stray_lasts_as_its_script_says(scene: Scene) -> None:
    scene.launch(Play(duration=0, stray_for=30))
    exited = scene.heard.find(Exited, 1)
    assert exited is not None
    assert exited.stray
    assert scene.after(29) == ["Started", "Exited"]
    scene.after(1)
    assert scene.heard.find(StrayGone, 1) is not None


async def test_a_stray_without_end_stays(scene: Scene) -> None:
    scene.launch(Play(duration=0, stray_for=None))
    assert scene.after(10**9) == ["Started", "Exited"]


@pytest.mark.parametrize(("stubborn", "late"), [(False, 0), (True, 100)])
async def test_the_time_limit_ends_it_with_its_grace_if_stubborn(scene: Scene, stubborn: bool, late: int) -> None:
    scene.launch(Play(duration=None, stubborn=stubborn), time_limit=40)
    assert scene.after(39 + late) == ["Started"]
    scene.after(1)
    exited = scene.heard.find(Exited, 1)
    assert exited is not None
    assert exited.outcome.kind is OutcomeKind.TIMEOUT


async def test_a_refused_start_reports_the_reason(scene: Scene) -> None:
    scene.launch(Play(refusal="taken"))
    refused = scene.heard.find(StartRefused, 1)
    assert refused is not None
    assert refused.reason == "taken"


async def test_a_halt_before_its_start_ends_it(scene: Scene) -> None:
    scene.launch(Play(start_after=100))
    scene.driver.halt(AttemptId(1), 1, grace=0, reason="cancelled")
    exited = scene.heard.find(Exited, 1)
    assert exited is not None
    assert exited.outcome.kind is OutcomeKind.CANCELLED
    assert scene.after(1000) == ["Started", "Exited"]


async def test_nothing_is_reported_after_stop(scene: Scene) -> None:
    scene.launch(Play(duration=50))
    await scene.driver.stop()
    assert scene.after(1000) == ["Started"]
