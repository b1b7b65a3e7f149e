"""Descriptors of this process alone: what a forked child has of them, and what closing does in it."""

from __future__ import annotations

import os
from pathlib import Path

from passloop.forking import close_own, dup_own, forget_own, note_own, open_own
from tests.support.forked_child import forked_child, open_files


def test_a_child_has_none_of_them_and_its_parent_has_them_all(tmp_path: Path) -> None:
    file = tmp_path / "lock"
    opened = open_own(file, os.O_RDWR | os.O_CREAT, 0o600)
    another = dup_own(opened)
    with forked_child() as child:
        assert file not in open_files(child)
    for descriptor in (opened, another):
        assert os.fstat(descriptor).st_ino == file.stat().st_ino
        close_own(descriptor)


def test_a_number_that_is_another_files_is_left_alone(tmp_path: Path) -> None:
    """As in a child, whose copies of them are closed, and which may have opened other files since."""
    other, opened = os.open(tmp_path, os.O_RDONLY), open_own(tmp_path, os.O_RDONLY)
    close_own(opened)
    os.dup2(other, opened)
    close_own(opened)
    for descriptor in (opened, other):
        os.close(descriptor)


def test_a_child_has_nothing_that_was_noted_and_what_has_its_number_since(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    kept, closed, other = (os.open(path, os.O_RDWR | os.O_CREAT) for path in (one, one, two))
    note_own(kept)
    note_own(closed)
    os.dup2(other, closed)
    os.close(other)
    with forked_child() as child:
        assert {path for path in open_files(child) if path.parent == tmp_path} == {two}
    for descriptor in (kept, closed):
        forget_own(descriptor)
        os.close(descriptor)
