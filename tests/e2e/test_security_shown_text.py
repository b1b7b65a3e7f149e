"""Whatever a store holds as names, messages and results, no code in it reaches a terminal or becomes part of a page.

The rows are written as no client may write them today: what another version let through must not harm either.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
from pathlib import Path

import pytest

from passloop.cli.main import main
from passloop.kernel.changes import AttemptChanged, TaskAdded
from passloop.kernel.tasks import Outcome, OutcomeKind, TaskState
from passloop.store.database import Store
from passloop.store.home import Home
from tests.support.store_rows import SPEC, a_batch, a_run, a_task, an_attempt

EVIL = "\x1b]0;owned\x07\x1b[2J\u009b31m\u202efdp.exe\r<script>alert(1)</script>'\"&"
TRICKS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
WORDS = [["ls"], ["show", "1"], ["show", "2"], ["why", "2"], ["why", "3"], ["report", "1"], ["ls", "key:*"]]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A failed task, a queued and a succeeded one with the worst of texts in every field, and no engine."""
    home = Home(tmp_path / "home")
    home.prepare()
    store = Store.open(home)
    ended = {"state": TaskState.FAILED, "outcome": OutcomeKind.FAILURE, "attempts": 1, "started_at": 1, "ended_at": 2}
    good = ended | {"state": TaskState.SUCCEEDED, "outcome": OutcomeKind.SUCCESS}
    rows = [a_task(1, key=EVIL, group=EVIL, message=EVIL, **ended), a_task(2, group=EVIL, message=EVIL)]
    rows += [a_task(3, group=EVIL, **good)]
    payload = {"name": EVIL, "command": [EVIL, EVIL], "cwd": f"/{EVIL}", "params": {EVIL: EVIL}, "env": {EVIL: EVIL}}
    about = json.dumps({"kind": EVIL, "axes": [EVIL]})
    outcome = Outcome(OutcomeKind.FAILURE, 1, message=EVIL)
    changes = [a_run(name=EVIL, group=EVIL, about=about)]
    changes += [TaskAdded(row, SPEC, json.dumps(payload | {"index": 1, "line": EVIL}), ()) for row in rows]
    changes += [AttemptChanged(an_attempt(1, state="ended", ended_at=2, outcome=outcome))]
    store.commit(a_batch(changes, results=tuple((task, json.dumps({EVIL: EVIL})) for task in (1, 3))))
    store.close()
    folder = home.runs / "1" / "1" / "1"
    folder.mkdir(parents=True)
    (folder / "stderr.log").write_text(EVIL)
    monkeypatch.setenv("PASSLOOP_HOME", str(home.path))
    monkeypatch.chdir(tmp_path)
    return home


def told(words: list[str]) -> str:
    """All that a command says, as where nothing is a terminal."""
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(words)
    assert code in (0, 1), err.getvalue()
    return out.buffer.getvalue().decode() + err.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_no_code_in_the_store_reaches_a_terminal(home: Home, words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)  # a table that nobody's screen limits shows the text whole
    said = told(words)
    assert "script" in said or words[0] == "why", "the text itself is shown"
    assert not TRICKS.search(said), TRICKS.findall(said)


@pytest.mark.parametrize("words", [["ls", "--json"], ["show", "1", "--json"]], ids=" ".join)
def test_json_holds_the_text_as_it_is(home: Home, words: list[str]) -> None:
    found = json.loads(told(words))
    assert found.get("task", (found.get("tasks") or [{}])[0])["message"] == EVIL


def test_a_report_shows_text_as_text(home: Home, tmp_path: Path) -> None:
    told(["report", "1", "-o", "page.html"])
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert not TRICKS.search(page), sorted(set(TRICKS.findall(page)))
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "default-src &#x27;none&#x27;" in page
