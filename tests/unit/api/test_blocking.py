"""The API for code that does not await: the same results, from a loop in a thread."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

import passloop
from passloop import call, command
from tests.support.ledger import pretend


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without an engine."""
    return pretend(monkeypatch, tmp_path, "2x80GiB")


def test_submit_wait_and_look_without_await(home: Path) -> None:
    with passloop.open_sync() as engine:
        assert (engine.embedded, engine.home) == (True, home)
        run = engine.submit([call("math:sqrt", [16]), command("false", gpus=1)], name="two")
        assert [change.task for change in run.watch() if change.state == "succeeded"] == [1]
        result = run.wait(timeout=40)
        assert [task.state for task in result.tasks] == ["succeeded", "failed"]
        assert result.tasks == run.tasks() == engine.tasks("@two") == engine.run("two").tasks()
        assert len(engine.gpus()) == 2
        assert engine.why(1) == ()
        assert (run.cancel(), engine.cancel(2)) == ((), ())
        assert list(run.to_pandas()["id"]) == [1, 2]
        assert "<table>" in run._repr_html_()
        assert "two" in repr(run)


def test_errors_come_through(home: Path) -> None:
    with passloop.open_sync(home) as engine:
        with pytest.raises(passloop.NeverFits):
            engine.submit(command("true", gpus=9))
        run = engine.submit(command("true"), held=True)
        with pytest.raises(TimeoutError):
            run.wait(timeout=0.01)
        with pytest.raises(passloop.PassloopError, match="left no result"):
            run.values()


def test_a_broken_off_watch_leaves_no_thread_behind(home: Path) -> None:
    before = threading.active_count()
    with passloop.open_sync(home) as engine:
        changes = engine.submit(command("true"), held=True).watch()
        assert next(changes).state == "held"
        changes.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before
