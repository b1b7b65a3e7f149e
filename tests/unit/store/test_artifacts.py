"""Files of an attempt are opened by name only if they are its own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from passloop.store.artifacts import attempt_directory, open_artifact, task_directory
from passloop.store.errors import ArtifactRefused
from passloop.store.home import Home


@pytest.fixture
def root(home: Home) -> Path:
    root = attempt_directory(home, run=1, task=2, epoch=3)
    (root / "out").mkdir(parents=True)
    (root / "stdout.log").write_bytes(b"hello")
    (home.path / "secret").write_text("canary")
    return root


def test_paths_are_made_of_ids(home: Home) -> None:
    assert task_directory(home, run=1, task=2) == home.runs / "1" / "2"
    assert attempt_directory(home, run=1, task=2, epoch=3) == home.runs / "1" / "2" / "3"


@pytest.mark.parametrize("number", [0, -1, "../..", "1", None, 1.0])
def test_only_ids_become_paths(home: Home, number: object) -> None:
    with pytest.raises(ArtifactRefused):
        attempt_directory(home, run=1, task=number, epoch=1)  # type: ignore[arg-type]


def test_a_plain_file_is_opened(root: Path) -> None:
    descriptor = open_artifact(root, "stdout.log")
    assert os.read(descriptor, 10) == b"hello"
    os.close(descriptor)


def test_a_link_inside_the_attempt_is_followed(root: Path) -> None:
    (root / "out" / "latest").symlink_to("../stdout.log")
    os.close(open_artifact(root, "out/latest"))


def test_what_leads_outside_is_refused(root: Path, home: Home) -> None:
    (root / "link").symlink_to(home.path / "secret")
    (root / "folder").symlink_to(home.path)
    (root / "loop").symlink_to("loop")
    os.mkfifo(root / "pipe")
    names = ["link", "folder/secret", "loop", "pipe", "out", "", ".", "..", "../3/../../secret", "none", "a\0b"]
    for name in [*names, str(home.path / "secret"), "/etc/passwd"]:
        with pytest.raises(ArtifactRefused):
            open_artifact(root, name)


def test_an_attempt_without_a_folder_has_no_files(home: Home) -> None:
    with pytest.raises(ArtifactRefused):
        open_artifact(attempt_directory(home, run=9, task=9, epoch=9), "stdout.log")
