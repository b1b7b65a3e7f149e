"""What the doctor makes of an engine that answers, and of one that does not."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from passloop.cli.checks import home as checks
from passloop.cli.checks import store as of_store
from passloop.cli.checks.finding import Place
from passloop.cli.checks.home import _answering, _socket
from passloop.cli.checks.store import _whole
from passloop.cli.version import version
from passloop.store.errors import StoreUnreadable
from passloop.store.home import Home


def test_an_engine_of_this_version_is_well() -> None:
    found = _answering({"state": "running", "version": version()})
    assert (found.verdict, found.text) == ("ok", "the engine answers: running")
    assert _answering({"state": "paused", "version": version()}).verdict == "warn"


def test_an_engine_of_another_version_is_told_with_the_way_to_renew_it() -> None:
    found = _answering({"state": "running", "version": "0.0.9"})
    assert found.verdict == "warn"
    assert f"it is passloop 0.0.9, this command is {version()}" in found.text
    assert "passloop down --leave && passloop up" in found.hint


def test_an_engine_that_is_stopped_is_told_with_its_pid_and_the_way_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "_ANSWERS_WITHIN", 0.05)
    (tmp_path / "lock").write_text("4242\n")
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "socket"))
        silent.listen()
        found = _socket(Place(str(tmp_path), {}))
    assert (found.verdict, "pid 4242" in found.text) == ("fail", True)
    assert found.hint.startswith("kill -9 4242 && passloop up")


def test_a_store_that_cannot_be_read_from_its_disk_is_damage_to_the_doctor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(home: Home) -> None:
        raise StoreUnreadable(f"{home.database} cannot be read: disk I/O error", home=home.path)

    monkeypatch.setattr(of_store, "check_home", fail)
    found = _whole(Place(str(tmp_path), {}))
    assert (found.verdict, found.is_damage) == ("fail", True)
    assert found.text.startswith("could not be checked: ")
    assert found.hint.startswith("The disk may be failing: copy what can be read")
