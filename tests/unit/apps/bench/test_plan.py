"""Figures of a plan: how many cells at once fit on a machine, and what the missing ones take with so many."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from passloop.apps.bench.memory import Device
from passloop.apps.bench.plan import BenchPlan, plan_of
from passloop.apps.bench.session import Session
from passloop.apps.bench.tasks import Box
from passloop.clock import FakeClock
from tests.unit.apps.bench.places import FAKE, matrix_of_text

GIB = 1024
TWO = Box(devices=(Device(80 * GIB, virtual=True),) * 2, mem_mib=64 * GIB)


def planned(text: str, folder: Path, cpus: int = 64) -> BenchPlan:
    """The plan of six cells that nobody has run, on a machine with two GPUs."""
    session = Session(matrix_of_text(FAKE + text, folder), clock=FakeClock())
    return plan_of(session, session.look(), TWO, cpus_milli=1_000 * cpus)


@pytest.mark.parametrize(
    ("resources", "cpus", "at_once"),
    [
        ("{cpus: 1}", 5, 5),
        ("{cpus: 1, mem: 20GiB}", 64, 3),
        ("{gpus: 1}", 64, 2),
        ("{gpus: 0.4}", 64, 4),
        ("{gpus: share, vram: 20GiB}", 64, 8),
        ("{gpus: share, vram: 20GiB, cpus: 1}", 3, 3),
    ],
)
def test_as_many_at_once_as_fit(tmp_path: Path, resources: str, cpus: int, at_once: int) -> None:
    assert planned(f"resources: {resources}\n", tmp_path, cpus).at_once == at_once


@pytest.mark.parametrize(("millis", "at_once", "wall"), [(10_000, 4, 2_500), (10_001, 4, 2_501), (7, 0, 7)])
def test_the_time_is_the_work_by_how_many_at_once_rounded_up(
    tmp_path: Path, millis: int, at_once: int, wall: int
) -> None:
    assert replace(planned("", tmp_path), millis=millis, at_once=at_once).wall_ms == wall


def test_a_path_that_would_play_tricks_on_a_terminal_is_shown_escaped(tmp_path: Path) -> None:
    text = planned('out: "a\\u202eb"\n', tmp_path).as_text()
    assert "a\\u{202e}b\n" in text
