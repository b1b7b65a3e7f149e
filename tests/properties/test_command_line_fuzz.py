"""Whatever words follow a verb, the answer is one of the documented exit codes and never a traceback (P17)."""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passloop.cli.catalogue import VERBS
from passloop.cli.main import main

CODES = {0, 2, 3, 5, 6}
STARTING = {"run", "submit", "up", "serve", "doctor", "completion", "config"}
ODD = (
    *("12", "0", "-1", "12-40", "40-12", "1-", "last", "@", "@run", "state:", "state:failed", "stat:failed", "key:["),
    *("99999999999999999999", "1-99999999999999999999", "\udcff", "\u202eabc", "x" * 700, "", ",", "1,,2", "class:"),
    *("--json", "--failed", "--limit", "--group", "--timeout", "-n", "-f", "--attempt", "--out", "--format", "--nope"),
)
WORDS = st.lists(
    st.one_of(st.sampled_from(ODD), st.text(st.characters(exclude_characters="\0"), max_size=8)), max_size=4
)


@pytest.fixture(scope="module", autouse=True)
def empty_home() -> Iterator[None]:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PASSLOOP_HOME", os.path.join(folder, "home"))
        patch.setattr("tempfile.tempdir", folder)
        patch.chdir(folder)
        yield


@settings(max_examples=300, deadline=1_000)
@given(st.sampled_from(sorted(set(VERBS) - STARTING)), WORDS)
def test_no_words_break_a_verb(verb: str, words: list[str]) -> None:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([verb, *words])
    assert code in CODES, err.getvalue()
    assert "Traceback" not in err.getvalue()
    if code:
        assert err.getvalue().startswith("error: ")
