"""Starting the daemon: what it says before it can say anything, and what it must not inherit."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from passloop.cli.exits import CliError
from passloop.cli.launching import engine_environment, start_daemon


def test_daemon_that_dies_silently_leaves_its_last_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    broken = tmp_path / "path"
    (broken / "passloop").mkdir(parents=True)
    (broken / "passloop" / "__init__.py").write_text("raise ImportError('a broken installation')\n")
    environment = {**os.environ, "PYTHONPATH": str(broken)}
    with pytest.raises(CliError, match="a broken installation") as raised:
        start_daemon(str(tmp_path / "home"), environment)
    assert raised.value.exit_code == 5
    (file,) = tmp_path.glob("passloop-crash-*.txt")
    assert "Traceback" in file.read_text()


def test_daemon_that_refuses_says_why(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    home.chmod(0o777)
    with pytest.raises(CliError, match="can be changed by others") as raised:
        start_daemon(str(home), dict(os.environ))
    assert raised.value.exit_code == 6


def test_engine_does_not_inherit_what_marks_an_attempt(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for name in ("PASSLOOP_ATTEMPT_ID", "PASSLOOP_IDEMPOTENCY_KEY"):
        monkeypatch.setenv(name, "abc-1")
    monkeypatch.setenv("PASSLOOP_VIRTUAL_GPUS", "1x1GiB")
    environment = engine_environment({"virtual_gpus": "2x2GiB", "cpus_total": None})
    assert not {"PASSLOOP_ATTEMPT_ID", "PASSLOOP_IDEMPOTENCY_KEY"} & environment.keys()
    assert environment["PASSLOOP_VIRTUAL_GPUS"] == "2x2GiB"


def test_settings_of_files_reach_the_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("PASSLOOP_CPUS", raising=False)
    (tmp_path / "passloop.toml").write_text("cpus_total = 3\n")
    assert engine_environment()["PASSLOOP_CPUS"] == "3"
