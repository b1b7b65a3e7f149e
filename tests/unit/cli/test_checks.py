"""What the doctor makes of an engine that answers."""

from __future__ import annotations

from passloop.cli.checks.home import _answering
from passloop.cli.version import version


def test_an_engine_of_this_version_is_well() -> None:
    found = _answering({"state": "running", "version": version()})
    assert (found.verdict, found.text) == ("ok", "the engine answers: running")
    assert _answering({"state": "paused", "version": version()}).verdict == "warn"


def test_an_engine_of_another_version_is_told_with_the_way_to_renew_it() -> None:
    found = _answering({"state": "running", "version": "0.0.9"})
    assert found.verdict == "warn"
    assert f"it is passloop 0.0.9, this command is {version()}" in found.text
    assert "passloop down --leave && passloop up" in found.hint
