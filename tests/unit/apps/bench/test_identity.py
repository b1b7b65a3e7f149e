"""What is part of a cell's identity, what is not, and that old identities stay what they were."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from passloop.apps.bench.identity import recomputed
from tests.unit.apps.bench.places import FAKE, cells_of

GOLDEN = """
bench: golden
adapter: fake
models: {a: {source: x, revision: r1}}
sparse_attention: {half: {method: knorm, compression_ratio: 0.5}}
benchmarks: {niah: {subsets: [s1], samples: 3}}
defaults: {generation: {max_new_tokens: 16}, seed: 7}
"""


def one(text: str, folder: Path) -> str:
    (cell,) = cells_of(text, folder)
    return cell.hash


def test_the_first_version_of_the_hash_stays_as_it_is() -> None:
    (cell,) = cells_of(GOLDEN, Path("/"))
    assert json.loads(cell.identity)["version"] == 1
    assert cell.hash == "4f7cabc585217413b91e6b548191a9ef00798b9cd8f2c452868e3d61957ab384"


def test_a_stored_identity_gives_its_hash_and_an_unknown_version_none(tmp_path: Path) -> None:
    for cell in cells_of(FAKE, tmp_path):
        assert recomputed(json.loads(cell.identity)) == cell.hash
    assert recomputed({"version": 99}) is None
    assert recomputed({}) is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("source: x", "source: y"),
        ("revision: r1", "revision: r2"),
        ("source: x", "source: x, load: {dtype: float16}"),
        ("models: {a:", "models: {b:"),
        ("method: knorm", "method: snapkv"),
        ("ratio: 0.5", "ratio: 0.25"),
        ("ratio: 0.5", "ratio: 0.5, window: 4"),
        ("niah:", "words:"),
        ("[s1]", "[s2]"),
        ("samples: 3", "samples: 4"),
        ("samples: 3", "samples: 3, length: 5"),
        ("tokens: 16", "tokens: 17"),
        ("seed: 7", "seed: 8"),
        ("adapter: fake", "adapter: fake\noptions: {seconds: 1}"),
        ("adapter: fake", "adapter: fake\nenv: {A: b}"),
    ],
)
def test_what_determines_answers_changes_the_hash(tmp_path: Path, old: str, new: str) -> None:
    assert old in GOLDEN
    assert one(GOLDEN.replace(old, new), tmp_path) != one(GOLDEN, tmp_path)


@pytest.mark.parametrize(
    "more",
    [
        "resources: {gpus: 1, vram: 1GiB, cpus: 3}",
        "time_limit: 9m",
        "priority: 3",
        "retries: {network: 9}",
        "first: shortest",
        "metric: other",
        "out: elsewhere",
        "env: {MY_TOKEN: secret}",
        "breaker: {model_cells: 9}",
    ],
)
def test_what_does_not_leaves_it(tmp_path: Path, more: str) -> None:
    changed = GOLDEN.replace("bench: golden", f"bench: other\n{more}")
    assert one(changed, tmp_path) == one(GOLDEN, tmp_path)


def test_no_secret_gets_into_what_is_hashed_and_stored(tmp_path: Path) -> None:
    (cell,) = cells_of(GOLDEN + "env: {MY_TOKEN: canary-11}\n", tmp_path)
    assert "canary" not in cell.identity
