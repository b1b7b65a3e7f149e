"""What the engine saw of an attempt lies beside it, and is told with the cell: in flat records, summary and report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from passloop.apps.bench.frame import records_of
from passloop.apps.bench.report_html import report_html
from passloop.apps.bench.results import CellResult
from passloop.apps.bench.session import Session
from passloop.apps.bench.summary import summary_of
from passloop.clock import FakeClock
from tests.unit.apps.bench.places import FAKE, matrix_of_text, order_of, run_one

USE = {"mean_percent": 41, "peak_percent": 97, "peak_mib": 12_345, "reads": 6}
GROWTH = {"mib": 2_300, "cells": 40}


@pytest.fixture
def session(tmp_path: Path) -> Session:
    """A matrix of which the first two cells are complete."""
    matrix = matrix_of_text(FAKE, tmp_path)
    for cell in list(matrix.cells())[:2]:
        run_one(order_of(matrix, cell), tmp_path / "out")
    return Session(matrix, clock=FakeClock())


def settled(session: Session, **seen: Any) -> list[CellResult]:
    """The results once the task of the first cell ended with this seen of it."""
    looked = session.look()
    task = {"id": 1, "state": "succeeded", "params": {"cell": looked.cells[0].hash}, **seen}
    return session.settle(looked, [task])


def test_how_busy_a_device_was_is_kept_with_the_attempt_and_told_with_the_cell(session: Session) -> None:
    first, second, *_ = settled(session, device_use=USE, growth=GROWTH)
    (kept,) = session.root.glob("*/*/*/*/*/attempts/1/seen.json")
    assert json.loads(kept.read_text()) == {"task": 1, "device_use": USE, "growth": GROWTH}
    record = next(iter(records_of([first])))
    told = {name: record[f"usage.{name}"] for name in ("device_mean_percent", "device_peak_percent", "device_peak_mib")}
    assert told == {"device_mean_percent": 41, "device_peak_percent": 97, "device_peak_mib": 12_345}
    planned = session.planned(session.look())
    assert summary_of(planned, [first])["times"][first.cell.cell]["usage"]["worker_grew_mib"] == 2_300
    page = report_html(planned, [first, second], made_at=0)
    assert "device busy" in page
    assert "41 % (at most 97 %)" in page
    assert "2,300 MiB" in page


def test_what_was_not_seen_is_not_told(session: Session) -> None:
    results = settled(session)
    assert list(session.root.glob("*/*/*/*/*/attempts/1/seen.json")) == []
    page = report_html(session.planned(session.look()), results, made_at=0)
    assert "device busy" not in page
    assert "worker grew" not in page


def test_a_cell_is_as_complete_with_a_broken_note_as_without(session: Session) -> None:
    settled(session, device_use=USE)
    (kept,) = session.root.glob("*/*/*/*/*/attempts/1/seen.json")
    kept.write_text('{"device_use": 7, "growth": {"mib": "much"}}')
    assert settled(session)[0].status == "done"
