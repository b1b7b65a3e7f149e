"""The key of a call reaches its endpoint and no text: not an error that comes with 200, not one that is cut. A word
that is given where no key is wanted stays in answers, which may say it.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import msgspec
import pytest

from passloop.drivers.calls.answers import StreamedAnswer
from passloop.drivers.calls.endpoints import Endpoint, Model
from passloop.drivers.calls.errors import MOST_WORDS, Broken, outcome_of_trouble, words_of
from passloop.drivers.calls.secrets import is_drawn, redacted
from passloop.kernel.events import Exited
from passloop.kernel.tasks import OutcomeKind
from passloop.testing.script import Fault, ModelScript, Script
from tests.support.calls import faults, standing

KEY = "sk-canary-7f3a9b"
HIDE = partial(redacted, keys=(KEY,))


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


async def test_a_header_that_is_a_reference_is_looked_up_and_told_to_nobody(tmp_path: Path) -> None:
    faulty = ModelScript(latency=0, faults=(Fault(status=400, body="no {key}", last=1),), answers=(f"it is {KEY}",))
    headers = (("Authorization", "env:CANARY"), ("X-Plain", "here"))
    async with standing(tmp_path, Script(api_keys=(KEY,), default=faulty), headers=headers) as stand:
        stand.environ["CANARY"] = f"Bearer {KEY}"
        assert (await stand.end(1)).outcome.message == "m answered 400: no ***"
        assert text_of(await stand.end(2)) == "it is ***"
        stand.environ["CANARY"] = ""
        missing = (await stand.end(3)).outcome
        stand.environ["CANARY"] = "Bearer another"
        refused = (await stand.end(4)).outcome
    assert (missing.kind, missing.pool) == (OutcomeKind.RATE_LIMITED, stand.model.endpoint.pool)
    assert "no CANARY: set it and start the engine again, or say Authorization: file:PATH" in missing.message
    assert "(401, key env:CANARY)" in refused.message
    assert str(stand.model.endpoint.pool).endswith("/v1@CANARY")


async def test_a_word_that_is_given_for_a_key_stays_in_answers_and_not_in_errors(tmp_path: Path) -> None:
    script = faults(Fault(status=400, body="no {key}", last=1), answers=("ask ollama",))
    async with standing(tmp_path, script, api_key="env:PLACEHOLDER") as stand:
        stand.environ["PLACEHOLDER"] = "ollama"
        assert (await stand.end(1)).outcome.message == "m answered 400: no ***"
        assert text_of(await stand.end(2)) == "ask ollama"


@pytest.mark.parametrize("key", [KEY, "0123456789abcdef0123456789abcdef", "a" * 32, "hunter2hunter2", "sk-proj-4fQz_x"])
def test_a_key_that_is_drawn_is_known_for_one(key: str) -> None:
    assert is_drawn(key)


@pytest.mark.parametrize(
    "key", ["ollama", "EMPTY", "lm-studio", "sk-no-key-required", "not-needed", "123456789012", "v1"]
)
def test_a_word_or_a_number_is_no_key_that_is_drawn(key: str) -> None:
    assert not is_drawn(key)


def text_of(ended: Exited) -> str:
    assert ended.result is not None
    return str(msgspec.json.decode(ended.result)["text"])
