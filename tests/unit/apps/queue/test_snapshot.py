"""A snapshot copies the code and nothing else, and its name is the hash of what it holds."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from passloop.apps.errors import SpecError
from passloop.apps.queue.snapshot import take_snapshot

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


@pytest.fixture
def code(tmp_path: Path) -> Path:
    folder = tmp_path / "code"
    (folder / "pkg").mkdir(parents=True)
    (folder / "train.py").write_text("print(1)")
    (folder / "pkg" / "tool.sh").write_text("echo")
    (folder / "pkg" / "tool.sh").chmod(0o755)
    return folder


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def git(folder: Path, *words: str) -> None:
    subprocess.run(["git", "-C", str(folder), *words], check=True, capture_output=True)


def names(folder: str) -> set[str]:
    return {str(path.relative_to(folder)) for path in Path(folder).rglob("*") if not path.is_dir()}


def test_equal_code_is_kept_once(code: Path, home: Path, tmp_path: Path) -> None:
    first = take_snapshot(str(code), home=home)
    other = tmp_path / "elsewhere"
    shutil.copytree(code, other)
    assert take_snapshot(str(other), home=home) == first
    assert names(first) == {"train.py", "pkg/tool.sh"}
    assert [path.name for path in (home / "snapshots").iterdir()] == [Path(first).name]


@pytest.mark.parametrize("change", ["content", "name", "mode", "more"])
def test_any_change_of_the_code_is_another_snapshot(code: Path, home: Path, change: str) -> None:
    first = take_snapshot(str(code), home=home)
    if change == "content":
        (code / "train.py").write_text("print(2)")
    elif change == "name":
        (code / "train.py").rename(code / "train2.py")
    elif change == "mode":
        (code / "train.py").chmod(0o755)
    else:
        (code / "more.py").touch()
    assert take_snapshot(str(code), home=home) != first


def test_a_copy_is_apart_from_the_code(code: Path, home: Path) -> None:
    copy = take_snapshot(str(code), home=home)
    (code / "train.py").write_text("changed")
    assert (Path(copy) / "train.py").read_text() == "print(1)"
    assert os.access(Path(copy) / "pkg" / "tool.sh", os.X_OK)


@needs_git
def test_in_a_repository_ignored_files_are_left_out_and_untracked_ones_are_not(code: Path, home: Path) -> None:
    git(code, "init", "-q")
    (code / ".gitignore").write_text("*.ckpt\n")
    (code / "big.ckpt").write_text("x")
    (code / "gone.py").write_text("x")
    git(code, "add", "train.py", ".gitignore", "gone.py")
    (code / "gone.py").unlink()
    assert names(take_snapshot(str(code), home=home)) == {"train.py", "pkg/tool.sh", ".gitignore"}
    assert names(take_snapshot(str(code / "pkg"), home=home)) == {"tool.sh"}


def test_a_home_inside_the_code_is_not_copied(code: Path) -> None:
    home = code / ".demo"
    first = take_snapshot(str(code), home=home)
    assert take_snapshot(str(code), home=home) == first
    assert names(first) == {"train.py", "pkg/tool.sh"}


def test_code_that_is_too_large_is_refused_and_leaves_nothing(code: Path, home: Path) -> None:
    (code / "data.bin").write_bytes(b"x" * 2_000)
    with pytest.raises(SpecError, match="too large") as caught:
        take_snapshot(str(code), home=home, most_bytes=1_000)
    assert "data.bin" in str(caught.value)
    assert list((home / "snapshots").iterdir()) == []


def test_links_stay_links_and_pipes_are_left_out(code: Path, home: Path) -> None:
    (code / "link.py").symlink_to("train.py")
    (code / "dangling").symlink_to("/nowhere")
    os.mkfifo(code / "pipe")
    copy = Path(take_snapshot(str(code), home=home))
    assert (copy / "link.py").readlink() == Path("train.py")
    assert (copy / "dangling").is_symlink()
    assert not (copy / "pipe").exists()


def test_a_home_that_cannot_be_written_is_said(code: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SpecError, match="could not be made"):
        take_snapshot(str(code), home=tmp_path / "file")
