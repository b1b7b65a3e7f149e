"""Tokens are counted when they come, whatever form the server gives them."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passloop.apps.tune.load.stream import TokenStream


def event(value: object) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def chat(text: str | None, **other: Any) -> bytes:
    return event({"choices": [{"index": 0, "delta": {"content": text, **other}}]})


def plain(text: str) -> bytes:
    return event({"choices": [{"index": 0, "text": text, "finish_reason": None}]})


USAGE = event({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}})
DONE = b"data: [DONE]\n\n"
WHOLE = chat("", role="assistant") + chat("one") + chat(" two") + chat(" three") + USAGE + DONE


def test_first_and_last_token_have_the_time_of_their_piece() -> None:
    stream = TokenStream()
    for at, piece in enumerate(
        [chat("", role="assistant"), plain("a"), plain("b") + plain("c"), plain(""), USAGE, DONE]
    ):
        stream.feed(piece, float(at))
    assert (stream.first, stream.last, stream.chunks) == (1.0, 2.0, 3)
    assert (stream.tokens_in, stream.tokens_out, stream.done, stream.wrong) == (7, 3, True, None)


@given(st.sets(st.integers(1, len(WHOLE) - 1)))
def test_a_stream_is_the_same_however_it_is_cut(cuts: set[int]) -> None:
    stream, places = TokenStream(), [0, *sorted(cuts), len(WHOLE)]
    for start, end in itertools.pairwise(places):
        stream.feed(WHOLE[start:end], float(end))
    assert (stream.chunks, stream.tokens_out, stream.done, stream.wrong) == (3, 3, True, None)


@pytest.mark.parametrize("word", ["reasoning_content", "reasoning"])
def test_what_a_model_thinks_is_text_too(word: str) -> None:
    stream = TokenStream()
    stream.feed(chat(None, **{word: "hm"}), 4.0)
    assert stream.first == 4.0


def test_lines_may_end_as_on_other_systems_and_hold_comments() -> None:
    stream = TokenStream()
    stream.feed(b": ping\r\n\r\nevent: token\r\n" + plain("a").replace(b"\n", b"\r\n"), 1.0)
    assert stream.chunks == 1


def test_usage_with_every_part_counts_as_its_last_word() -> None:
    stream = TokenStream()
    for count in (1, 2, 3):
        text = {"choices": [{"text": "x"}], "usage": {"prompt_tokens": 5, "completion_tokens": count}}
        stream.feed(event(text), 1.0)
    assert stream.tokens_out == 3


def test_an_error_in_the_stream_is_no_answer() -> None:
    stream = TokenStream()
    stream.feed(plain("a") + event({"error": {"message": "out of memory"}}), 1.0)
    assert stream.wrong == "stream_error"
    assert "out of memory" in stream.message


@pytest.mark.parametrize("data", [b"data: {not json\n\n", b'data: {"choices": 5}\n\n', b"data: [1]\n\n"])
def test_what_is_no_event_is_garbage(data: bytes) -> None:
    stream = TokenStream()
    stream.feed(data, 1.0)
    assert stream.wrong == "garbage"


def test_a_line_without_an_end_is_garbage_and_not_kept() -> None:
    stream = TokenStream()
    for _ in range(5):
        stream.feed(b"x" * 1024 * 1024, 1.0)
    assert stream.wrong == "garbage"
