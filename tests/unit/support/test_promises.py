"""What a test records of its promise: one line, also of when and on which commit; nothing where nobody asks."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.support import promises


def test_nothing_is_recorded_where_nobody_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(promises.FILE, raising=False)
    monkeypatch.chdir(tmp_path)
    promises.record("P1", "200 kills, 0 lost")
    assert not list(tmp_path.iterdir())


def test_a_record_is_one_line_that_says_what_where_and_when(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(promises.FILE, str(tmp_path / "lines"))
    promises.record("P1", "200 kills, 0 lost", kills=200)
    promises.record("P19", "p99 10 ms", p99_ms=10.5)
    first, second = [json.loads(line) for line in (tmp_path / "lines").read_text().splitlines()]
    assert first["test"].endswith("test_promises.py::test_a_record_is_one_line_that_says_what_where_and_when")
    assert (first["promise"], first["figure"], first["numbers"]) == ("P1", "200 kills, 0 lost", {"kills": 200})
    assert first["size"] == "small"
    assert first["date"][:2] == "20"
    assert first["version"]
    assert first["commit"] == promises.commit()
    assert second["numbers"] == {"p99_ms": 10.5}


def test_a_commit_is_named_and_what_differs_from_it(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("no repository", "clean", "changed")]
    for folder in folders:
        (folder / "src").mkdir(parents=True)
        (folder / "src" / "old").touch()
    for folder in folders[1:]:
        git(folder, "init", "-q")
        git(folder, "add", "src")
        git(folder, "commit", "-q", "-m", "first")
    (folders[1] / "notes").touch()
    (folders[2] / "src" / "new").touch()
    nowhere, clean, changed = map(promises.commit, folders)
    assert (nowhere, len(clean), len(changed), changed[-1]) == ("", 8, 9, "+")
    git(folders[1], "commit", "-q", "--allow-empty", "-m", "a page")
    assert promises.commit.__wrapped__(folders[1]) == clean, "what is tested is the same"
    (folders[1] / "pyproject.toml").touch()
    assert promises.commit.__wrapped__(folders[1]) == f"{clean}+", "another SQLite may be installed"
    git(folders[1], "add", "pyproject.toml")
    git(folders[1], "commit", "-q", "-m", "another SQLite")
    assert promises.commit.__wrapped__(folders[1]) not in (clean, f"{clean}+")


def git(folder: Path, *words: str) -> None:
    subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *words], cwd=folder, check=True)


@pytest.mark.large
def test_a_large_test_records_the_large_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(promises.FILE, str(tmp_path / "lines"))
    promises.record("P20", "x")
    assert json.loads((tmp_path / "lines").read_text())["size"] == "large"


@pytest.mark.parametrize("name", ["P0", "P21", "p1", "P01", "1"])
def test_only_promises_that_there_are_can_be_recorded(name: str) -> None:
    with pytest.raises(ValueError, match="a promise is named"):
        promises.record(name, "x")
