"""An engine that is killed in a commit leaves either all of the batch or nothing, and the next one goes on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from passloop import crashpoints
from passloop.store.database import Store
from passloop.store.home import Home
from tests.support.store_rows import a_submission

COMMIT = """
import sys
from pathlib import Path
from passloop.store.database import Store
from passloop.store.home import Home
from tests.support.store_rows import a_submission
Store.open(Home(Path(sys.argv[1]))).commit(a_submission(3))
"""


@pytest.mark.parametrize(("point", "kept"), [("before_commit", 0), ("after_commit", 3)])
def test_a_batch_is_kept_whole_or_not_at_all(home: Home, point: str, kept: int) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", COMMIT, str(home.path)],
        env={crashpoints.VARIABLE: point},
        cwd=Path(__file__).parents[3],
        timeout=30,
        check=False,
    )
    assert ended.returncode == -9
    store = Store.open(home)
    assert len(store.load().tasks) == kept
    store.commit(a_submission(3, run=2, first=10))
    assert store.last_seq == (2 if kept else 1)
    store.close()


def test_a_place_that_is_not_listed_cannot_be_named() -> None:
    with pytest.raises(LookupError, match="CRASHPOINTS"):
        crashpoints.crashpoint("somewhere")


def test_nothing_dies_unless_it_is_asked_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(crashpoints.VARIABLE, "after_commit")
    crashpoints.crashpoint("before_commit")
