"""Every preset changes what a server is started with, or is refused with the reason. The ancestor's presets resolved to
nothing, so that comparing them compared equal servers.
"""

from __future__ import annotations

from typing import Any

import pytest

from passloop.apps.tune.families import FAMILIES, common_presets, family_of
from passloop.apps.tune.parameters import expanded
from tests.unit.apps.tune.studies import FAMILY, argvs, mistakes, study

QUANTISATIONS = ("default", "kv-cache-fp8", "dynamic-fp8", "bf16-stable", "aggressive-moe")
REFUSED = {
    ("vllm", "aggressive-moe"): "`moe` cannot be `w4afp8` here: vLLM does not quantise experts to W4AFP8",
    ("sglang", "long-context"): "`dcp` cannot be `2` here: SGLang has no decode context parallelism",
}


def with_presets(family: str, *names: str, **changes: Any) -> dict[str, Any]:
    space = {"preset": {"type": "preset", "values": list(names)}}
    return {"engine": {"family": family}, "space": space, **changes}


@pytest.mark.parametrize("family", ["vllm", "sglang"])
@pytest.mark.parametrize("name", sorted(common_presets()))
def test_a_preset_changes_the_argv_or_says_why_it_is_refused(family: str, name: str) -> None:
    wrong = mistakes(FAMILY, **with_presets(family, name))
    if (family, name) in REFUSED:
        assert REFUSED[family, name] in wrong
        return
    assert wrong == ""
    made = study(FAMILY, **with_presets(family, name))
    with_it, without = made.candidate({"preset": name}), made.candidate({})
    assert with_it.argv != without.argv
    assert with_it.argv[: len(without.argv)] == without.argv


@pytest.mark.parametrize("family", ["vllm", "sglang"])
def test_presets_that_are_compared_start_different_servers(family: str) -> None:
    names = [name for name in QUANTISATIONS if (family, name) not in REFUSED]
    found = argvs(study(FAMILY, **with_presets(family, *names)))
    assert len(set(found)) == len(names) >= 4


def test_two_presets_that_mean_the_same_are_a_mistake() -> None:
    presets = {"mine": {"use": ["kv-cache-fp8"]}}
    wrong = mistakes(FAMILY, **with_presets("vllm", "kv-cache-fp8", "mine"), presets=presets)
    assert "two candidates have the same argv and would be measured twice" in wrong
    assert "preset=kv-cache-fp8" in wrong
    assert "preset=mine" in wrong


@pytest.mark.parametrize("family", ["vllm", "sglang"])
def test_every_setting_of_a_family_has_words_or_a_reason(family: str) -> None:
    for setting in family_of(family).settings.values():
        if setting.values:
            told = [(words.argv, tuple(words.env.items())) for words in setting.values.values()]
            plain = [each for name, each in zip(setting.values, told, strict=True) if name != "fp8"]
            assert len(set(plain)) == len(plain), setting.name
        else:
            assert setting.flag or setting.refused, setting.name
        assert all(why for why in setting.refused.values())


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_can_be_read_and_told_its_port(family: str) -> None:
    assert "{port}" in family_of(family).argv


@pytest.mark.parametrize(
    ("family", "settings", "words"),
    [
        ("vllm", {"tp": 2}, ["--tensor-parallel-size", "2"]),
        ("vllm", {"pp": 2}, ["--pipeline-parallel-size", "2"]),
        ("vllm", {"dp": 2}, ["--data-parallel-size", "2"]),
        ("vllm", {"expert_parallel": True}, ["--enable-expert-parallel"]),
        ("vllm", {"weights": "fp8"}, ["--dtype", "auto", "--quantization", "fp8"]),
        ("vllm", {"kv_cache": "fp8_e4m3"}, ["--kv-cache-dtype", "fp8_e4m3"]),
        ("vllm", {"kv_cache": "fp8", "attention": "fp8"}, ["--attention-backend", "FLASHINFER"]),
        ("vllm", {"moe": "mxfp4"}, ["--quantization", "mxfp4"]),
        ("vllm", {"max_num_seqs": 64}, ["--max-num-seqs", "64"]),
        ("vllm", {"enable_prefix_caching": False}, ["--no-enable-prefix-caching"]),
        ("sglang", {"tp": 2}, ["--tp-size", "2"]),
        ("sglang", {"pp": 2}, ["--pp-size", "2"]),
        ("sglang", {"dp": 2}, ["--dp-size", "2"]),
        ("sglang", {"dp_attention": True}, ["--enable-dp-attention"]),
        ("sglang", {"tp": 4, "expert_parallel": True}, ["--ep-size", "4"]),
        ("sglang", {"weights": "fp8"}, ["--quantization", "fp8"]),
        ("sglang", {"kv_cache": "fp8"}, ["--kv-cache-dtype", "fp8_e5m2"]),
        ("sglang", {"attention": "fp8"}, ["--attention-backend", "flashinfer"]),
        ("sglang", {"moe": "mxfp4"}, ["--quantization", "mxfp4", "--moe-runner-backend", "flashinfer_mxfp4"]),
        ("sglang", {"mem_fraction_static": 0.8}, ["--mem-fraction-static", "0.8"]),
        ("sglang", {"disable_radix_cache": True}, ["--disable-radix-cache"]),
    ],
)
def test_a_setting_has_the_words_of_its_family(family: str, settings: dict[str, Any], words: list[str]) -> None:
    model = {**FAMILY["model"], "experts": 8}
    made = study(FAMILY, model=model, engine={"family": family}, fixed=settings, space={"x": [1]})
    argv = list(made.candidate({"x": 1}).argv)
    assert any(argv[place : place + len(words)] == words for place in range(len(argv)))


def test_what_a_family_cannot_do_is_told_with_the_reason() -> None:
    wrong = mistakes(FAMILY, space={"weights": ["fp8", "int8"], "kv_cache": ["int4"]})
    assert "`weights` cannot be `int8` here: it cannot be made while loading" in wrong
    assert "`kv_cache` cannot be `int4` here" in wrong
    assert "`kv_cache` has no value `fp9`; use one of: auto" in mistakes(FAMILY, fixed={"kv_cache": "fp9"})


def test_presets_stand_on_presets_and_their_own_settings_come_last() -> None:
    presets = {"a": {"tp": 1, "weights": "fp8"}, "b": {"use": ["a"], "tp": 2}, "c": {"use": ["b", "kv-cache-fp8"]}}
    known = {**common_presets(), **presets}
    assert expanded("c", known) == {"tp": 2, "weights": "fp8", "kv_cache": "fp8_e5m2"}
    made = study(FAMILY, **with_presets("vllm", "a", "c"), presets=presets)
    assert made.candidate({"preset": "c"}).values == {"preset": "c", "tp": 2, "weights": "fp8", "kv_cache": "fp8_e5m2"}


@pytest.mark.parametrize(
    ("presets", "said"),
    [
        ({"a": {"use": ["b"]}, "b": {"use": ["a"]}}, "the preset `a` uses itself"),
        ({"a": {"use": ["none"]}}, "there is no preset `none`"),
        ({"a": {"use": "b"}}, "use is no list of presets"),
        ({"a": 1}, "the preset is `1`"),
        ({"a": {"weights": ["fp8"]}}, "this is a list"),
        ({"a": {"we ights": "fp8"}}, "`we ights` is no name"),
        ({"a": {"weights": "int8"}}, "the preset `a`: `weights` cannot be `int8` here"),
        ([1], "presets is a list"),
    ],
)
def test_a_preset_that_cannot_be_is_told(presets: Any, said: str) -> None:
    assert said in mistakes(FAMILY, **with_presets("vllm", "a", "default"), presets=presets)


def test_one_setting_is_set_in_one_place() -> None:
    told = mistakes(FAMILY, **with_presets("vllm", "dynamic-fp8"), fixed={"weights": "bfloat16"})
    assert "a preset of `preset` sets `weights`, and so does `fixed` `weights`" in told
    both = {"preset": {"type": "preset", "values": ["kv-cache-fp8"]}, "kv_cache": ["fp8", "auto"]}
    assert "a preset of `preset` sets `kv_cache`" in mistakes(FAMILY, space=both)


def test_a_preset_needs_words_of_its_settings_where_the_engine_is_not_known() -> None:
    engine = {"argv": ["server", "{port}", "{tp}"]}
    wrong = mistakes(FAMILY, **{**with_presets("vllm", "single-gpu"), "engine": engine})
    assert "the preset `single-gpu` sets `dp`, which is nowhere in the argv: it changes nothing" in wrong


def test_presets_fill_the_argv_of_any_engine() -> None:
    engine = {"argv": ["server", "{port}", "--tp={tp}", "{mode}"]}
    presets = {"a": {"tp": 1, "mode": "x"}, "b": {"tp": 2, "mode": "y"}}
    made = study(FAMILY, **{**with_presets("vllm", "a", "b"), "engine": engine}, presets=presets)
    assert [argv[2:] for argv in argvs(made)] == [("--tp=1", "x"), ("--tp=2", "y")]


def test_a_model_is_named_in_the_argv_or_by_requests() -> None:
    llama = {"engine": {"family": "llamacpp"}, "space": {"parallel": [1, 2]}}
    assert argvs(study(FAMILY, **llama))[0][-4:] == ("--model", "some/model", "--parallel", "1")
    assert "--model" not in argvs(study(FAMILY, model=None, **llama))[0]
    asking = study(FAMILY, engine={"family": "transformers"}, space={"dtype": ["float32"]})
    assert (asking.load.model, argvs(asking)[0][2:]) == (
        "some/model",
        ("--host", "{host}", "--port", "{port}", "--dtype", "float32"),
    )
    assert study(FAMILY).load.model is None
