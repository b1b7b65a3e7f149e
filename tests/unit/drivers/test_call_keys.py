"""The key of a call reaches its endpoint and no text: not an error that comes with 200, not one that is cut."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from passloop.drivers.calls.answers import StreamedAnswer
from passloop.drivers.calls.endpoints import Endpoint, Model
from passloop.drivers.calls.errors import MOST_WORDS, Broken, outcome_of_trouble, words_of
from passloop.drivers.calls.secrets import redacted
from passloop.testing.script import Fault
from tests.support.calls import faults, standing

KEY = "sk-canary-7f3a9b"
HIDE = partial(redacted, key=KEY)


async def test_a_key_in_an_error_that_comes_with_200_is_told_to_nobody(tmp_path: Path) -> None:
    script = faults(Fault(status=200, body="Incorrect API key provided: {key}"))
    async with standing(tmp_path, script, api_key="env:CANARY") as stand:
        stand.environ["CANARY"] = KEY
        ended = await stand.end()
    assert ended.outcome.message == "m: what came is no answer (KeyError): Incorrect API key provided: ***"


@pytest.mark.parametrize("text", [KEY, KEY.replace("-", "\\u002d")])
def test_a_key_in_an_error_within_a_stream_is_told_to_nobody(text: str) -> None:
    with pytest.raises(Broken) as broken:
        StreamedAnswer().feed(b'data: {"error": {"message": "no, %s"}}\n' % text.encode())
    outcome = outcome_of_trouble(broken.value, Model(Endpoint("http://127.0.0.1:9/v1"), "m"), HIDE)
    assert outcome.message == "m: the stream broke: no, ***"


@pytest.mark.parametrize("form", ['{"error": "%s"}', "%s"])
@pytest.mark.parametrize("most", [MOST_WORDS, 4 * MOST_WORDS])
def test_no_part_of_a_key_is_told_where_an_error_is_cut(form: str, most: int) -> None:
    said = form % (" " * (most - MOST_WORDS) + "x" * (MOST_WORDS - 10) + KEY + "y" * MOST_WORDS)
    words, _ = words_of(said.encode(), HIDE)
    assert "***" in words
    assert KEY[:4] not in words
