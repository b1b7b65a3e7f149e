"""Estimates are means of what tasks of a class took."""

from __future__ import annotations

from pathlib import Path

from passloop.kernel.changes import DurationLearned
from passloop.store.batch import Batch
from passloop.store.database import Store
from passloop.store.estimates import learned_means
from passloop.store.home import Home


def test_means_are_by_class_and_by_program(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    assert learned_means(home) == {}
    home.prepare()
    store = Store.open(home)
    changes = (
        DurationLearned("train", "train.py", 1_000),
        DurationLearned("train", "train.py", 2_001),
        DurationLearned("train.py", "sh", 7),
        DurationLearned("other", "train.py", 6_000),
    )
    try:
        store.commit(Batch(events=(), now=1, seed=0, first_ids=(1, 1, 1), changes=changes, environments=(), at=1))
    finally:
        store.close()
    assert learned_means(home) == {"train": 1_500, "train.py": 7, "other": 6_000, "sh": 7}
