"""Small studies for the tests of tuning: a good spec, with what a test says otherwise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from passloop.apps.errors import SpecError
from passloop.apps.spec_file import parse_spec
from passloop.apps.tune.study import Study, study_of_file

GOOD: dict[str, Any] = {
    "tune": "small",
    "engine": {"argv": ["server", "--port", "{port}", "--batch", "{batch}", "--slots", "{slots}"]},
    "space": {"batch": {"type": "int", "low": 64, "high": 256, "step": 64}, "slots": [1, 2, 4]},
    "load": {"points": [{"concurrency": 1}, {"concurrency": 4}]},
    "objectives": [{"metric": "output_tokens_per_second", "at": {"concurrency": 4}}],
}
FAMILY: dict[str, Any] = {
    "tune": "family",
    "model": {"source": "some/model", "weights": "16GiB", "layers": 32, "heads": 32, "kv_heads": 8, "head_dim": 128},
    "engine": {"family": "vllm"},
    "space": {"tp": [1, 2]},
    "load": {"points": [{"concurrency": 1}]},
    "objectives": ["minimize_ttft"],
}


def text_of(base: dict[str, Any] = GOOD, **changes: Any) -> bytes:
    """A spec as text: `base` with these keys; None takes a key out."""
    told = {key: value for key, value in {**base, **changes}.items() if value is not None}
    return json.dumps(told).encode()


def study(base: dict[str, Any] = GOOD, folder: Path = Path("/"), **changes: Any) -> Study:
    """The study of such a spec."""
    return study_of_file(parse_spec(text_of(base, **changes), name="s.yaml", folder=folder), cwd=folder)


def mistakes(base: dict[str, Any] = GOOD, folder: Path = Path("/"), **changes: Any) -> str:
    """All that is wrong with such a spec, a line each; "" if nothing is."""
    try:
        study(base, folder, **changes)
    except SpecError as error:
        return "\n".join(f"{problem.what}; {problem.fix}" for problem in error.problems)
    return ""


def read(text: str, folder: Path = Path("/")) -> Study:
    """The study of a spec as it is written."""
    return study_of_file(parse_spec(text.encode(), name="s.yaml", folder=folder), cwd=folder)


def refused(text: str) -> list[str]:
    """The mistakes of a spec as it is written, each with its place."""
    with pytest.raises(SpecError) as caught:
        read(text)
    return [f"{problem.where} {problem.what}" for problem in caught.value.problems]


def argvs(study: Study) -> list[tuple[str, ...]]:
    """The argv of each candidate that can run."""
    made = (study.candidate(params) for params in study.space.grid())
    return [candidate.argv for candidate in made if candidate.invalid is None]
