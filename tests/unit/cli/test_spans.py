"""Times for people name their zone: a table that is sent to somebody else is read on another clock."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest

from passloop.cli.spans import clock_in, local_time


@pytest.fixture(autouse=True)
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The user's clock is in a zone with summer time, told by a rule that needs no files."""
    with monkeypatch.context() as changed:
        changed.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize(
    ("iso", "text"),
    [
        ("2026-01-15T11:00:00.000Z", "2026-01-15 12:00:00 CET"),
        ("2026-07-15T11:00:00.000Z", "2026-07-15 13:00:00 CEST"),
        (None, ""),
    ],
)
def test_a_local_time_names_its_zone(iso: str | None, text: str) -> None:
    assert local_time(iso) == text


def test_a_time_of_day_names_its_zone() -> None:
    assert re.fullmatch(r"\d\d:\d\d:\d\d CES?T", clock_in(60_000))
