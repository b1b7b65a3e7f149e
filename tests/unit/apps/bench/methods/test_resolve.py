"""A method is what the spec says with everything it left out, or an error with the place and the fix."""

from __future__ import annotations

from typing import Any

import pytest

from passloop.apps.bench.adapters.base import MethodAsk, ResolvedMethod, ResolvedModel
from passloop.apps.bench.methods import resolve
from passloop.apps.bench.methods.table import BLOCKED, METHODS, RATIO, SCORERS
from passloop.apps.errors import BadValue

SDPA = ResolvedModel(weights="w", load={"attn_implementation": "sdpa"})
EAGER = ResolvedModel(weights="w", load={"attn_implementation": "eager"})
USABLE = [name for name in METHODS if name not in BLOCKED]


@pytest.fixture(autouse=True)
def _library(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library counts as installed: nothing of it is imported here."""
    monkeypatch.setattr(resolve, "version", lambda _: "0.5.5")


def resolved(method: str | None, model: ResolvedModel = SDPA, **parameters: Any) -> ResolvedMethod:
    return resolve.resolved_method(MethodAsk(name="a", method=method, parameters=parameters), model)


def refused(method: str | None, model: ResolvedModel = SDPA, **parameters: Any) -> BadValue:
    with pytest.raises(BadValue) as caught:
        resolved(method, model, **parameters)
    return caught.value


@pytest.mark.parametrize("method", USABLE)
def test_a_method_is_resolved_with_every_parameter(method: str) -> None:
    wrapping = {"base": "knorm"} if METHODS[method].wraps else {}
    found = resolved(method, **wrapping)
    assert found.method == method
    assert set(found.parameters) == {*METHODS[method].parameters, *wrapping}
    assert found.version == "kvpress 0.5.5"


def test_what_the_spec_says_is_kept() -> None:
    found = resolved("snapkv", compression_ratio=0.25, window_size=32)
    assert found.parameters == {"compression_ratio": 0.25, "window_size": 32, "kernel_size": 5}
    assert found.kept == 0.75


def test_a_whole_number_stands_for_a_number() -> None:
    assert resolved("knorm", compression_ratio=0).parameters == {RATIO: 0.0}


def test_no_method_is_dense_and_keeps_everything() -> None:
    assert resolved(None) == ResolvedMethod(kept=1.0)


def test_a_parameter_without_a_method_is_no_dense_run() -> None:
    assert refused(None, compression_ratio=0.5).path == ("compression_ratio",)


def test_an_unknown_method_is_told_with_the_nearest() -> None:
    bad = refused("knrom")
    assert bad.path == ("method",)
    assert "knorm" in bad.fix


def test_an_unknown_parameter_is_told_with_the_nearest() -> None:
    bad = refused("knorm", compresion_ratio=0.5)
    assert bad.path == ("compresion_ratio",)
    assert bad.fix == "did you mean `compression_ratio`?"


@pytest.mark.parametrize("value", [1.0, 1, -0.1, 50])
def test_a_ratio_out_of_its_range_is_refused(value: float) -> None:
    assert "under 1" in refused("knorm", compression_ratio=value).fix


@pytest.mark.parametrize("value", ["0.5", True, None, [0.5]])
def test_a_ratio_of_another_type_is_refused(value: object) -> None:
    assert refused("knorm", compression_ratio=value).path == ("compression_ratio",)


def test_a_truth_is_no_number_and_a_number_no_truth() -> None:
    refused("lagkv", lag_size=True)
    refused("lagkv", cross_scoring=1)


def test_a_choice_is_one_of_the_known() -> None:
    assert "kv_product" in refused("cur", leverage_type="kv_produkt").fix


@pytest.mark.parametrize("method", BLOCKED)
def test_what_cannot_run_says_why_and_what_else_to_take(method: str) -> None:
    bad = refused(method)
    assert method in bad.what
    assert bad.fix


def test_pyramidkv_says_which_versions_do_not_go_together() -> None:
    assert "kvpress 0.5.5" in refused("pyramidkv").what
    assert "transformers 5.2" in refused("pyramidkv").what


def test_observed_attention_imposes_eager_attention() -> None:
    assert resolved("observed_attention").load == {"attn_implementation": "eager"}


@pytest.mark.parametrize("method", ["adakv", "critical_adakv", "dms"])
def test_a_method_that_masks_heads_refuses_eager_attention(method: str) -> None:
    assert "sdpa" in refused(method, EAGER, base="knorm").fix


def test_a_wrapping_method_holds_the_wrapped_one_whole() -> None:
    found = resolved("adakv", compression_ratio=0.5, base={"method": "snapkv", "window_size": 16})
    assert found.parameters["base"] == {"method": "snapkv", "window_size": 16, "kernel_size": 5}


@pytest.mark.parametrize("base", [None, "dense", "adakv", "observed_attention", {"window_size": 3}, 7])
def test_a_wrapping_method_wants_a_scoring_one(base: object) -> None:
    assert refused("adakv", base=base).path[:1] == ("base",)


def test_the_ratio_of_a_wrapped_method_is_the_wrappers() -> None:
    bad = refused("adakv", base={"method": "snapkv", "compression_ratio": 0.5})
    assert bad.path == ("base", "compression_ratio")


def test_a_wrong_parameter_of_a_wrapped_method_is_told_where_it_stands() -> None:
    assert refused("chunk", base={"method": "snapkv", "window": 3}).path == ("base", "window")


def test_a_missing_library_is_told_with_the_install_command(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise resolve.PackageNotFoundError(name)

    monkeypatch.setattr(resolve, "version", missing)
    assert "pip install" in refused("knorm").fix


def test_maskers_are_checked_before_the_package_is_missed() -> None:
    assert refused("sparse_attention_hub").path == ()
    assert refused("sparse_attention_hub", maskers=[{"masker": "snk"}]).path == ("maskers", 0, "masker")
    two = [{"masker": "random_sampling"}, {"masker": "magic_pig"}]
    assert refused("sparse_attention_hub", maskers=two).path == ("maskers", 1)
    assert "pip install" in refused("sparse_attention_hub", maskers=[{"masker": "sink", "sink_size": 4}]).fix


def test_every_scorer_has_a_ratio() -> None:
    assert all(RATIO in method.parameters for method in SCORERS.values())
