"""The scripted server says what each of its options does."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest

from passloop.testing.server_script import ServerScript, script_of


def test_each_option_has_words_and_its_default(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        script_of(["--help"])
    said = capsys.readouterr().out
    assert "fixed times and scripted faults" in said
    for field in fields(ServerScript):
        assert re.search(rf"\n  --{field.name.replace('_', '-')}( [A-Z]+)?\s+[a-zA-Z]", said), field.name
    assert "to the first token of an answer (20)" in said
