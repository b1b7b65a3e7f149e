"""The memory asked of a GPU follows from the candidate's settings, and then from what trials were seen to take."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from passloop.apps.tune.facts import Facts, facts_of
from passloop.apps.tune.spec import ModelEntry
from passloop.apps.tune.study import Study
from passloop.apps.tune.vram import Peak
from tests.unit.apps.tune.studies import FAMILY, study

AUTO = {"vram": "auto"}
LOAD = {"points": [{"concurrency": 64}], "max_tokens": 4032, "prompts": "builtin:short"}
"""64 sequences of 4,096 tokens."""


def asked(params: dict[str, Any] | None = None, peaks: list[Peak] | None = None, **changes: Any) -> int | None:
    space = {"tp": [1, 2, 4], "max_num_seqs": [1, 64], "kv_cache": ["auto", "fp8"], "weights": ["auto", "fp8"]}
    made = study(FAMILY, **{"load": LOAD, "resources": AUTO, "space": space, **changes})
    return made.candidate({"tp": 1, **(params or {})}, peaks or []).vram_mib


def test_weights_and_cache_are_added_with_a_margin() -> None:
    weights, cache = 16_384, 2 * 32 * 8 * 128 * 2 * 64 * 4_096 // 2**20
    assert cache == 32_768
    assert asked() == pytest.approx((weights + cache) * 1.1 + 1_024, abs=2)


@pytest.mark.parametrize(
    ("params", "weights", "cache"),
    [
        ({"tp": 2}, 8_192, 16_384),
        ({"tp": 4}, 4_096, 8_192),
        ({"max_num_seqs": 1}, 16_384, 512),
        ({"kv_cache": "fp8"}, 16_384, 16_384),
        ({"weights": "fp8"}, 8_192, 32_768),
    ],
)
def test_the_estimate_follows_the_candidates_settings(params: dict[str, Any], weights: int, cache: int) -> None:
    assert asked(params) == pytest.approx((weights + cache) * 1.1 + 1_024, abs=2)


def test_a_context_that_is_shorter_than_the_load_counts() -> None:
    assert asked(fixed={"max_model_len": 2_048}) == pytest.approx((16_384 + 16_384) * 1.1 + 1_024, abs=2)


def test_an_observed_peak_of_the_same_settings_comes_first() -> None:
    seen = Peak({"tp": 1}, 30_000)
    assert asked(peaks=[seen, Peak({"tp": 1}, 20_000)]) == 30_000


def test_an_estimate_is_raised_as_much_as_others_took_more() -> None:
    alone, other = asked({"tp": 4}), asked({"tp": 2})
    assert alone is not None
    assert other is not None
    assert asked({"tp": 4}, [Peak({"tp": 2}, other * 2)]) == pytest.approx(alone * 2, rel=0.01)
    assert asked({"tp": 1}, [Peak({"tp": 2}, other * 2)]) == other * 2
    assert asked({"tp": 4}, [Peak({"tp": 2}, other // 2)]) == alone


def test_peaks_are_all_there_is_where_weights_are_not_known() -> None:
    assert asked(model="some/model") is None
    assert asked(model="some/model", peaks=[Peak({"tp": 2}, 10_000)]) == 10_000


def test_memory_that_the_spec_says_is_asked_for_as_it_is() -> None:
    assert asked(resources={"vram": "20GiB"}, peaks=[Peak({"tp": 1}, 30_000)]) == 20_480
    assert asked(resources={}) is None


def test_a_server_without_a_gpu_asks_for_none() -> None:
    assert asked(resources={"vram": "auto", "gpus": 0}) is None


def test_peaks_do_not_change_what_a_candidate_is() -> None:
    made: Study = study(FAMILY, resources=AUTO)
    assert made.candidate({"tp": 1}).hash == made.candidate({"tp": 1}, [Peak({"tp": 1}, 30_000)]).hash


def test_the_shape_of_a_model_is_read_from_its_configuration(tmp_path: Path) -> None:
    config = {"num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3, "hidden_size": 576}
    (tmp_path / "config.json").write_text(json.dumps({**config, "torch_dtype": "float32"}))
    (tmp_path / "a.safetensors").write_bytes(b"0" * (3 * 2**20 + 1))
    (tmp_path / "b.safetensors").write_bytes(b"0" * 2**20)
    facts = facts_of(ModelEntry(source=str(tmp_path)), Path("/"))
    assert facts == Facts(
        source=str(tmp_path), weights_mib=5, layers=30, heads=9, kv_heads=3, head_dim=64, experts=0, width=4
    )
    assert facts.names == {"experts": 0, "heads": 9, "kv_heads": 3, "layers": 30}


def test_what_the_spec_says_of_a_model_comes_first(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"text_config": {"num_hidden_layers": 30, "num_experts": 8}}))
    facts = facts_of(ModelEntry(source=".", layers=12, weights="100MiB"), tmp_path)
    assert (facts.layers, facts.weights_mib, facts.experts, facts.heads) == (12, 100, 8, None)


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"num_hidden_layers": "many"}', '{"num_hidden_layers": -1}', "[" * 9_999]
)
def test_a_configuration_that_cannot_be_read_says_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    assert facts_of(ModelEntry(source="."), tmp_path).layers is None


def test_a_model_that_is_not_here_is_a_hub_id() -> None:
    assert facts_of(ModelEntry(source="some/model"), Path("/")) == Facts(source="some/model")
    assert facts_of(None, Path("/")) == Facts()


def test_a_file_of_weights_is_measured(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(b"0" * 2**20)
    facts = facts_of(ModelEntry(source="m.gguf"), tmp_path)
    assert (facts.weights_mib, facts.source) == (1, str(tmp_path / "m.gguf"))
