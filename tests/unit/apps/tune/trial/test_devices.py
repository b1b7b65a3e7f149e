"""The devices of a trial: sampled while it is measured, clean after it, and never made up."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from pathlib import Path

import pytest

from passloop.apps.tune.trial.devices import DEVICES_FILE, DeviceWatch, granted_gpus
from passloop.apps.tune.trial.phases import PHASE_FILE, Phase, PhaseBoard
from passloop.clock import FakeClock
from passloop.devices.base import Sample
from passloop.kernel.events import DeviceSeen


class Figures:
    """An inventory whose figures are said by the test: one for each look, the last one for ever.

    `looks` is set once the last one was asked for again, so that what was made of it the first time is there.
    """

    virtual = False
    absent_reason = ""

    def __init__(self, *mib: int | None) -> None:
        self._mib = list(mib)
        self.looks = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._last_looks = 0
        self.closed = False

    def look(self, uuids: Collection[str] | None = None) -> tuple[DeviceSeen, ...]:
        return ()

    def samples(self, uuids: Sequence[str]) -> tuple[Sample, ...]:
        if len(self._mib) > 1:
            value = self._mib.pop(0)
        else:
            value = self._mib[0]
            self._last_looks += 1
            if self._last_looks > 1:
                self._loop.call_soon_threadsafe(self.looks.set)
        return tuple(Sample(uuid, 55, value, None) for uuid in uuids)

    def close(self) -> None:
        self.closed = True


def watch(tmp_path: Path, figures: Figures) -> DeviceWatch:
    return DeviceWatch(("GPU-a",), tmp_path, FakeClock(), inventory=figures, period=0.001)


def test_the_granted_devices_are_those_of_the_attempt() -> None:
    assert granted_gpus({"PASSLOOP_GPUS": "GPU-a,GPU-b"}) == ("GPU-a", "GPU-b")
    assert granted_gpus({"PASSLOOP_GPUS": ""}) == granted_gpus({}) == ()


@pytest.mark.parametrize(
    ("gpus", "why"), [((), "no GPUs"), (("GPU-virtual-0",), "virtual GPUs have nothing to sample")]
)
async def test_what_has_no_figures_says_so(tmp_path: Path, gpus: tuple[str, ...], why: str) -> None:
    devices = DeviceWatch(gpus, tmp_path, FakeClock())
    await devices.begin()
    devices.start_sampling()
    await devices.stop_sampling()
    assert devices.silence == why
    assert await devices.wait_clean(0) == ""
    assert (tmp_path / DEVICES_FILE).exists() is bool(gpus)


async def test_each_second_has_a_line_and_the_peak_is_beyond_what_was_before(tmp_path: Path) -> None:
    figures = Figures(1_000, 41_000)
    devices = watch(tmp_path, figures)
    await devices.begin()
    devices.start_sampling()
    async with asyncio.timeout(20):
        await figures.looks.wait()
    await devices.stop_sampling()
    devices.close()
    lines = (tmp_path / DEVICES_FILE).read_text().splitlines()
    assert lines[0] == "at,uuid,utilisation_percent,memory_mib,power_w"
    assert all(line.endswith(",GPU-a,55,41000,") for line in lines[1:])
    assert devices.peaks == {"GPU-a": 40_000}
    assert figures.closed


async def test_a_device_is_clean_once_its_memory_is_back(tmp_path: Path) -> None:
    devices = watch(tmp_path, Figures(1_000, 41_000, 1_200))
    await devices.begin()
    assert await devices.wait_clean(20_000) == ""


async def test_a_device_that_stays_dirty_is_told(tmp_path: Path) -> None:
    devices = watch(tmp_path, Figures(1_000, 41_000))
    await devices.begin()
    assert await devices.wait_clean(0) == (
        "after the server had ended, GPU-a still had 40000 MiB more in use than before"
    )


async def test_a_device_that_tells_no_memory_is_not_waited_for(tmp_path: Path) -> None:
    devices = watch(tmp_path, Figures(None))
    await devices.begin()
    assert await devices.wait_clean(0) == ""


def test_phases_are_shown_whole_and_their_spans_add_up(tmp_path: Path) -> None:
    clock = FakeClock()
    board = PhaseBoard(tmp_path, clock)
    clock.advance(5)
    board.enter(Phase.STARTING, limit=100)
    clock.advance(20)
    board.enter(Phase.MEASURING, point=1, points=2, name="concurrency=1")
    clock.advance(7)
    board.enter(Phase.WARMUP)
    clock.advance(1)
    board.enter(Phase.MEASURING, point=2, points=2, name="concurrency=2")
    clock.advance(3)
    assert board.spans() == {"leased": 5, "starting": 20, "measuring": 10, "warm-up": 1}
    shown = (tmp_path / PHASE_FILE).read_text()
    assert '"phase": "measuring"' in shown
    assert '"point": 2' in shown


def test_a_phase_that_cannot_be_shown_stops_nothing(tmp_path: Path) -> None:
    board = PhaseBoard(tmp_path / "gone", FakeClock())
    board.enter(Phase.READY)
    assert board.phase is Phase.READY
