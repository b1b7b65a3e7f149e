"""A task of the ancestor becomes a spec that means it, and all that does not come along is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from passloop.apps.errors import SpecError
from passloop.apps.spec_file import parse_spec
from passloop.apps.tune.importing import Imported, imported
from passloop.apps.tune.records import Objective, Slo
from passloop.apps.tune.study import Study, study_of_file
from tests.unit.apps.tune.studies import argvs

TASK: dict[str, Any] = {
    "task_name": "old",
    "model": {"id_or_path": "some/model"},
    "base_runtime": "vllm",
    "deployment_mode": "local",
    "parameters": {"max-num-seqs": [64, 128], "enable-prefix-caching": [True, False]},
    "optimization": {"strategy": "grid_search", "objective": "minimize_ttft", "max_iterations": 10},
    "benchmark": {"num_concurrency": [8, 1], "max_requests_per_iteration": 20, "traffic_scenarios": ["D(64,32)"]},
}


def task(**changes: Any) -> Imported:
    told = {key: value for key, value in {**TASK, **changes}.items() if value is not None}
    return imported(json.dumps(told).encode())


def read(found: Imported) -> Study:
    assert found.wrong == ()
    return study_of_file(parse_spec(found.spec.encode(), name="s.yaml", folder=Path("/")), cwd=Path("/"))


def test_a_task_becomes_a_study_that_means_it() -> None:
    made = read(task())
    assert (made.name, made.spec.search.sampler, made.max_trials) == ("old", "grid", 4)
    assert [argv[7:] for argv in argvs(made)] == [
        ("--max-num-seqs", "64", "--no-enable-prefix-caching"),
        ("--max-num-seqs", "64", "--enable-prefix-caching"),
        ("--max-num-seqs", "128", "--no-enable-prefix-caching"),
        ("--max-num-seqs", "128", "--enable-prefix-caching"),
    ]
    assert [point.name for point in made.load.points] == ["concurrency=1", "concurrency=8"]
    assert (made.load.max_tokens, made.load.prompts, made.load.points[0].requests) == (32, "builtin:64", 20)
    assert made.objectives == (Objective(metric="ttft", at="concurrency=8", direction="minimize"),)


def test_what_means_something_else_is_told() -> None:
    told = "\n".join(task().dropped)
    assert "it was an average over all loads; here it is of concurrency=8" in told
    assert "prompts are counted in words" in told


def test_parallel_flags_become_settings_so_that_gpus_are_counted() -> None:
    made = read(task(parameters={"tensor-parallel-size": [1, 4], "gpu-memory-utilization": [0.8]}))
    assert [made.candidate(params).gpus for params in made.space.grid()] == [1, 4]
    assert argvs(made)[1][7:] == ("--tensor-parallel-size", "4", "--gpu-memory-utilization", "0.8")


def test_presets_that_changed_nothing_change_the_argv() -> None:
    found = task(parameters={}, quant_config={"presets": ["default", "kv-cache-fp8", "aggressive-moe"]})
    assert len(set(argvs(read(found)))) == 2
    assert any("`aggressive-moe`: `moe` cannot be `w4afp8` here" in line for line in found.dropped)


def test_dtypes_and_parallel_sizes_become_parameters() -> None:
    quant = {"gemm_dtype": ["auto", "fp8"], "kvcache_dtype": "fp8_e5m2", "moe_dtype": "w4afp8"}
    found = task(
        parameters={}, quant_config=quant, parallel_config={"tp": [1, 2], "enable_expert_parallel": True, "cp": 2}
    )
    assert list(read(found).space.names) == ["weights", "kv_cache", "tp", "expert_parallel"]
    assert any(line.startswith("quant_config.moe_dtype: `moe` cannot be") for line in found.dropped)
    assert "parallel_config.cp: no engine here has it" in found.dropped


def test_parameters_go_before_the_configuration_of_quantisation() -> None:
    found = task(
        parameters={"tp": [1]}, base_runtime="sglang", parallel_config={"tp": 8, "presets": ["large-model-tp"]}
    )
    assert "parallel_config.tp: `parameters` says it, too, and goes first" in found.dropped
    assert read(found).space.names == ("parallelism",)
    assert any("parallel_config.presets set it, too" in line for line in found.dropped)


@pytest.mark.parametrize(
    ("entry", "made"),
    [
        ({"type": "integer", "low": 1, "high": 8, "log": True}, {"kind": "int", "low": 1, "high": 8, "log": True}),
        ({"type": "continuous", "low": 0.5, "high": 0.9}, {"kind": "float", "low": 0.5, "high": 0.9, "log": False}),
        ({"type": "categorical", "choices": ["a", "b"]}, {"kind": "choice", "values": ("a", "b")}),
        ([True, False], {"kind": "bool", "values": (False, True)}),
        ([1, 1, 2], {"kind": "choice", "values": (1, 2)}),
    ],
)
def test_each_type_of_parameter_is_known(entry: Any, made: dict[str, Any]) -> None:
    found = read(task(parameters={"x": entry}, optimization={"strategy": "bayesian", "max_iterations": 3}))
    assert {name: getattr(found.space["x"], name) for name in made} == made
    assert (found.spec.search.sampler, found.max_trials) == ("tpe", 3)


def test_a_grid_that_was_cut_is_drawn_at_random_and_that_is_told() -> None:
    found = task(optimization={"strategy": "grid_search", "max_iterations": 3})
    assert (read(found).spec.search.sampler, read(found).max_trials) == ("random", 3)
    assert any("of 4 points was cut to its first 3" in line for line in found.dropped)


def test_limits_become_slos_with_the_penalty() -> None:
    latency = {"p90": {"threshold": 5.0, "weight": 2.0, "hard_fail": True, "fail_ratio": 0.2}, "p42": {"threshold": 1}}
    found = task(slo={"latency": latency, "ttft": {"threshold": 0.5}, "steepness": 0.2, "odd": 1})
    made = read(found)
    assert made.slo == (
        Slo(metric="e2e", stat="p90", most=5000.0, weight=2.0, hard_fail=True, fail_ratio=0.2),
        Slo(metric="ttft", most=500.0),
    )
    assert (made.spec.scorer, made.spec.steepness) == ("penalty", 0.2)
    assert {"slo.latency.p42: it has no threshold that can be kept", "slo.odd: it is not known"} <= {*found.dropped}


def test_a_container_keeps_its_image_and_kubernetes_is_dropped() -> None:
    made = read(task(deployment_mode="docker", runtime_image_tag="v0.9"))
    assert (made.spec.engine.kind, made.spec.engine.image) == ("docker", "vllm/vllm-openai:v0.9")
    dropped = task(deployment_mode="ome", storage={"type": "pvc"}, clusterbasemodel_config={}).dropped
    assert any("`ome` is not there" in line for line in dropped)
    assert {"storage: there is no Kubernetes here", "clusterbasemodel_config: there is no Kubernetes here"} <= {
        *dropped
    }


def test_one_limit_becomes_that_of_each_phase() -> None:
    made = read(task(optimization={"timeout_per_iteration": 900, "max_parallel_experiments": 3, "n_initial_random": 7}))
    assert (made.limits.start, made.limits.point) == (900_000, 900_000)
    assert (made.spec.search.max_parallel, made.spec.search.startup) == (3, 7)


@pytest.mark.parametrize(
    ("scenario", "words", "tokens"),
    [("N(480,240)/(300,150)", 480, 300), ("U(50,100)/(200,250)", 75, 225), ("D(7, 9)", 7, 9)],
)
def test_a_scenario_gives_words_and_tokens(scenario: str, words: int, tokens: int) -> None:
    load = read(task(benchmark={"traffic_scenarios": [scenario]})).load
    assert (load.prompts, load.max_tokens) == (f"builtin:{words}", tokens)


def test_every_key_comes_along_or_is_told() -> None:
    odd = {
        "odd": 1,
        "benchmark": {"dataset_url": "http://127.0.0.1/x", "task": "x", "odd": 1},
        "optimization": {"study_name": "x", "storage": "y", "strategy": "genetic", "objective": "minimize_cost"},
        "model": {"id_or_path": "m", "namespace": "n"},
        "parameters": {"a": {"type": "odd"}, "b": [], "c": [1]},
    }
    assert "`odd`: it is not known" in task(**odd).dropped
    told = "\n".join(task(**odd).dropped)
    for key in (
        "`odd`",
        "dataset_url",
        "benchmark.task",
        "benchmark.odd",
        "study_name",
        "storage",
        "strategy",
        "objective",
    ):
        assert key in told
    for key in ("model.namespace", "parameters.a", "parameters.b"):
        assert key in told


def test_what_is_still_wrong_with_the_spec_is_told() -> None:
    wrong = task(parameters={"weights": ["fp8", "int8"]}).wrong
    assert "`weights` cannot be `int8` here" in wrong[0]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{",
        b"[" * 100_000,
        b"\xff",
        b'{"parameters": []}',
        b'{"parameters": {}, "model": 7, "base_runtime": "vllm"}',
        b'{"parameters": {}, "base_runtime": "vllm"}',
        b'{"parameters": {"a": [NaN]}, "model": {"id_or_path": "m"}, "base_runtime": "vllm"}',
        b'{"parameters": {}, "model": {"id_or_path": "m"}, "base_runtime": "tensorrt_llm"}',
        b" " * (2**20 + 1),
    ],
    ids=lambda data: str(data[:20]),
)
def test_what_is_no_task_gets_an_error(data: bytes) -> None:
    with pytest.raises(SpecError) as caught:
        imported(data)
    assert all(problem.what and problem.fix and problem.where for problem in caught.value.problems)
