"""Maskers replace attention while an answer is made, and only then; through a stand-in with the public interface of
sparse-attention-hub, which is on no index. Skips where torch is not installed (`make test-bench` has it).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="the extra bench is not installed: make test-bench")
pytest.importorskip("kvpress", reason="the extra bench is not installed: make test-bench")

from passloop.apps.bench.adapters.base import Granted, ResolvedMethod
from passloop.apps.bench.errors import ConfigError, DependencyMissing
from passloop.apps.bench.transformer.adapter import TransformerAdapter
from tests.support.cells import Kept, found_model, method_of, needle_cell, needs_of
from tests.support.tiny_llama import save_tiny_llama

pytestmark = pytest.mark.filterwarnings("ignore")

ATTENTION = """
from dataclasses import dataclass
from transformers.models.llama.modeling_llama import eager_attention_forward
from .maskers.fixed import SinkMaskerConfig

CALLS = []

@dataclass
class ResearchAttentionConfig:
    masker_configs: list

class ResearchAttention:
    def __init__(self, maskers):
        self.maskers = maskers

    @classmethod
    def create_from_config(cls, config):
        return cls([each for each in config.masker_configs if each.sink_size != 13])

    def custom_attention(self, module, queries, keys, values, attention_mask, scaling, dropout, sparse_meta_data, **kw):
        CALLS.append((queries.shape[2], kw["layer_idx"], sparse_meta_data))
        kept = self.maskers[0].sink_size
        return eager_attention_forward(
            module, queries, keys, values * (1 if kept else 0), attention_mask, scaling=scaling, dropout=dropout
        )
"""
FIXED = """
from dataclasses import dataclass

@dataclass
class SinkMaskerConfig:
    sink_size: int
    def __post_init__(self):
        assert self.sink_size >= 0, "sink_size is 0 or more"
        self.sink_size = min(self.sink_size, 100)
"""


@pytest.fixture(scope="module", autouse=True)
def _stand_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    root = tmp_path_factory.mktemp("site")
    folder = root / "sparse_attention_hub" / "sparse_attention" / "research_attention"
    (folder / "maskers").mkdir(parents=True)
    for each in (folder.parents[1], folder.parent, folder / "maskers"):
        (each / "__init__.py").touch()
    (folder / "__init__.py").write_text(ATTENTION)
    (folder / "maskers" / "fixed.py").write_text(FIXED)
    sys.path.insert(0, str(root))
    yield
    sys.path.remove(str(root))
    for name in [name for name in sys.modules if name.startswith("sparse_attention_hub")]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_llama(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def warm(folder: Path) -> Iterator[TransformerAdapter]:
    made = TransformerAdapter({})
    made.load(needs_of(found_model(folder, dtype="float32")), Granted(threads=1))
    yield made
    made.unload()


def masked(folder: Path, **masker: Any) -> ResolvedMethod:
    return method_of(found_model(folder), "sparse_attention_hub", maskers=[{"masker": "sink", **masker}])


def answers(adapter: TransformerAdapter, method: ResolvedMethod | None = None) -> dict[str, str]:
    kept = Kept()
    adapter.run_cell(needle_cell(method) if method else needle_cell(), kept)
    adapter.reset()
    return kept.texts


def test_only_answers_go_through_the_maskers(warm: TransformerAdapter, folder: Path) -> None:
    from sparse_attention_hub.sparse_attention import research_attention

    dense, mark = answers(warm), warm.fingerprint()
    assert answers(warm, masked(folder, sink_size=4)) == dense
    widths = {width for width, _, _ in research_attention.CALLS}
    assert widths
    assert max(widths) < 200, "the context of 200 tokens was read densely"
    assert {layer for _, layer, _ in research_attention.CALLS} == {0, 1}
    assert len({id(gathered) for _, _, gathered in research_attention.CALLS}) == 2, "what is gathered is one answer's"
    assert answers(warm, masked(folder, sink_size=0)) != dense
    assert warm.fingerprint() == mark
    assert answers(warm) == dense


def test_a_masker_that_is_dropped_is_no_run(warm: TransformerAdapter, folder: Path) -> None:
    with pytest.raises(ConfigError, match="0 of 1"):
        answers(warm, masked(folder, sink_size=13))


def test_a_masker_with_another_parameter_is_no_run(warm: TransformerAdapter, folder: Path) -> None:
    with pytest.raises(ConfigError, match="100"):
        answers(warm, masked(folder, sink_size=400))
    with pytest.raises(ConfigError, match="cannot be built"):
        answers(warm, masked(folder, sink_size=-1))
    with pytest.raises(ConfigError, match="cannot be built"):
        answers(warm, masked(folder, sinksize=1))


def test_a_masker_that_the_package_lacks_is_a_missing_dependency(warm: TransformerAdapter, folder: Path) -> None:
    method = method_of(found_model(folder), "sparse_attention_hub", maskers=[{"masker": "local", "window_size": 4}])
    with pytest.raises(DependencyMissing, match="local"):
        answers(warm, method)
