"""Converting a packaged model: once, whole or not at all. The conversion itself is tested where torch is."""

from __future__ import annotations

from pathlib import Path

import pytest

from passloop.apps.bench.models import convert


def test_a_model_that_was_converted_is_taken_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "config.json").write_text("{}")
    monkeypatch.setattr(convert.subprocess, "run", lambda *_, **__: pytest.fail("it was converted again"))
    assert convert.converted(tmp_path / "model.gguf", tmp_path / "made") == tmp_path / "made"


def test_a_file_that_is_no_model_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"no model")
    with pytest.raises(OSError, match=r"model\.gguf cannot be converted"):
        convert.converted(tmp_path / "model.gguf", tmp_path / "home" / "made")
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["made.lock"]
