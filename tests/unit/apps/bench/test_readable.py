"""A spec with mistakes in its form is read as far as it goes, so that wrong names are told together with them."""

from __future__ import annotations

from pathlib import Path

from tests.unit.apps.bench.places import FAKE, complaints_of_text

MODELS = """bench: x
modles: {}
models: {lost: {source: /nowhere}, odd: {sourc: /nowhere}}
sparse_attention: {half: {method: knrom}, more: {method: knorm, compression_ratio: 7}}
benchmarks: {nihah: {}, niah: {subsets: [single_512], samples: 0}}
exclude: [{modle: lost}, {modle: odd}]
"""


def test_unknown_keys_and_unknown_names_are_told_together(tmp_path: Path) -> None:
    told = [each.split(";")[0] for each in complaints_of_text(MODELS, tmp_path)]
    assert told == [
        "m.yaml:2:1 unknown key `modles`",
        "m.yaml:3:25 model_missing: there is no model at `/nowhere`",
        "m.yaml:3:42 unknown key `sourc`",
        "m.yaml:4:35 there is no method `knrom`",
        "m.yaml:4:84 compression_ratio is 7.0",
        "m.yaml:5:21 there is no benchmark `nihah`",
        "m.yaml:5:64 `benchmarks.niah.samples` must be at least 1, not `0`",
        "m.yaml:6:19 `modle` is no axis",
        "m.yaml:6:34 `modle` is no axis",
    ]


def test_without_an_adapter_no_name_is_looked_up(tmp_path: Path) -> None:
    (told,) = complaints_of_text(
        MODELS.split("modles")[0] + "adapter: 3\nmodels: {a: {}}\nbenchmarks: {b: {}}\n", tmp_path
    )
    assert told.startswith("m.yaml:2:10 `adapter` must be text")


def test_what_was_left_out_is_not_complained_about(tmp_path: Path) -> None:
    (told,) = complaints_of_text(FAKE.replace("models: {a: {}, b: {}}", "models: []"), tmp_path)
    assert told.startswith("m.yaml:4:9 ")
    (told,) = complaints_of_text(FAKE + "exclude: [{model: [a, b]}, 3]\n", tmp_path)
    assert told.startswith("m.yaml:7:28 ")


NAMES = """models: {lost: {source: /nowhere}}
sparse_attention: {half: {method: knrom}}
benchmarks: {nihah: {}}
"""
LOST = [
    "model_missing: there is no model at `/nowhere`",
    "there is no method `knrom`",
    "there is no benchmark `nihah`",
]


def told_of(text: str, folder: Path) -> list[str]:
    """The mistakes, without their places."""
    return [each.split(";")[0].partition(" ")[2] for each in complaints_of_text(text, folder)]


def test_a_key_that_is_there_twice_hides_no_wrong_name(tmp_path: Path) -> None:
    twice = "the key `bench` is there twice (first in line 1)"
    assert told_of("bench: x\nbench: y\n" + NAMES, tmp_path) == [twice, *LOST]


def test_wrong_options_and_words_of_another_adapter_hide_no_wrong_name(tmp_path: Path) -> None:
    head = "bench: x\noptions: {chta: 1, more: 2}\ncommand: [a]\npython: a:B\n"
    options, rest = told_of(head + NAMES, tmp_path)[:2], told_of(head + NAMES, tmp_path)[2:]
    assert all("option" in each for each in options)
    assert rest == ["`command` is not for the adapter hf", "`python` is not for the adapter hf", *LOST]


def test_an_adapter_that_is_misspelt_hides_no_wrong_name(tmp_path: Path) -> None:
    assert told_of("bench: x\nadapter: hff\n" + NAMES, tmp_path) == ["there is no adapter `hff`", *LOST]


def test_names_are_free_where_the_adapter_is_one_that_looks_nothing_up(tmp_path: Path) -> None:
    for adapter in ("fakee", "something-else"):
        assert told_of(f"bench: x\nadapter: {adapter}\n" + NAMES, tmp_path) == [f"there is no adapter `{adapter}`"]


def test_every_subset_option_and_parameter_that_is_wrong_is_told(tmp_path: Path) -> None:
    spec = """bench: x
models: {lost: {source: /nowhere}}
sparse_attention: {half: {method: knorm, compression_ratio: 0.5, windwo: 1, size: 2}}
benchmarks: {niah: {subsets: [single_51x, single_512, multi], neeedles: 3}}
exclude: [{subset: multi}]
"""
    assert told_of(spec, tmp_path) == [
        "model_missing: there is no model at `/nowhere`",
        "knorm has no parameter `windwo`",
        "knorm has no parameter `size`",
        "niah has no subset `single_51x`",
        "niah has no subset `multi`",
        "niah has no option `neeedles`",
    ]
