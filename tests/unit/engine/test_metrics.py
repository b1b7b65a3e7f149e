"""Whatever an attempt leaves as metrics.json, reading it never fails and is bounded."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from passloop.engine.metrics import MOST_BYTES, read_metrics


def test_no_file_is_no_result(tmp_path: Path) -> None:
    assert read_metrics(tmp_path) is None
    assert read_metrics(tmp_path / "never made") is None


def test_one_object_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text('{"a": [1, 2.5, "ä"]}', encoding="utf-8")
    assert json.loads(read_metrics(tmp_path) or "") == {"a": [1, 2.5, "ä"]}


def test_numbers_that_json_cannot_say_become_null(tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text('{"a": NaN, "b": [Infinity], "c": 1e999}')
    assert json.loads(read_metrics(tmp_path) or "") == {"a": None, "b": [None], "c": None}


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[1]", b"3", b"\xff\xfe", b'{"a": ' + b"[" * 50_000 + b"]" * 50_000 + b"}",
        b'{"a":"' + b"x" * MOST_BYTES + b'"}', b'{"a": "\\ud800"}',
    ],
)  # fmt: skip
def test_what_cannot_be_taken_says_so(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "metrics.json").write_bytes(content)
    assert "metrics.json" in json.loads(read_metrics(tmp_path) or "")["_error"]


def test_a_link_a_pipe_and_a_folder_are_not_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text('{"password": 1}')
    for make in (
        lambda path: path.symlink_to(secret),
        lambda path: os.mkfifo(path),
        lambda path: path.mkdir(),
    ):
        out = tmp_path / f"out{len(list(tmp_path.iterdir()))}"
        out.mkdir()
        make(out / "metrics.json")
        assert "_error" in json.loads(read_metrics(out) or "")
