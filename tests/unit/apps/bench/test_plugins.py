"""Plugins that cannot be loaded: a sentence, never a traceback."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from passloop.apps.bench import plugins
from passloop.apps.errors import BadValue


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """Look for plugins anew, before and after."""
    plugins.benchmark_kind.cache_clear()
    yield
    plugins.benchmark_kind.cache_clear()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import nothing_of_this_name", "`nothing_of_this_name` is missing"),
        ("", "names `broken_plugin:Kind`, which is not there"),
        ("raise OSError('no such GPU')", "cannot be loaded: OSError: `no such GPU`"),
    ],
)
def test_a_plugin_that_cannot_be_loaded_is_told(
    text: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_plugin.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "broken_plugin", raising=False)
    monkeypatch.setattr(plugins, "BENCHMARKS", {"broken": "broken_plugin:Kind"})
    with pytest.raises(BadValue) as refused:
        plugins.benchmark_kind("broken")
    assert said in str(refused.value)
