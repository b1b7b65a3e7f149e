"""A candidate says what it needs, or why it cannot be; two that are equal are a mistake of the spec."""

from __future__ import annotations

from typing import Any

import pytest

from passloop.apps.tune.candidates import Box
from passloop.apps.tune.search.tasks import parallel_pool, request_of
from passloop.apps.tune.study import Study
from tests.unit.apps.tune.studies import FAMILY, GOOD, mistakes, read, study

SGLANG = {"engine": {"family": "sglang"}}


def invalid(made: Study, **params: Any) -> str:
    return made.candidate(params).invalid or ""


def test_what_a_constraint_leaves_out_is_told_apart_from_what_cannot_run() -> None:
    made = study(constraints=["batch >= 64 * slots"], space={**GOOD["space"]})
    assert made.candidate({"batch": 64, "slots": 2}).excluded
    assert invalid(made, batch=64, slots=2) == "the constraint `batch >= 64 * slots` does not hold"
    assert invalid(made, batch=128, slots=2) == ""


def test_a_constraint_on_what_is_left_out_holds() -> None:
    assert invalid(study(constraints=["slots > 99 or batch == 0 or slots in [1, 2, 4]"]), batch=64) == ""


@pytest.mark.parametrize(
    ("space", "params", "gpus"),
    [
        ({"tp": [1, 2], "pp": [1, 2]}, {"tp": 2, "pp": 2}, 4),
        ({"tp": [1, 2], "dp": [1, 4]}, {"tp": 2, "dp": 4}, 8),
        ({"max_num_seqs": [1, 2]}, {"max_num_seqs": 1}, 1),
    ],
)
def test_gpus_follow_from_the_candidate(space: dict[str, Any], params: dict[str, Any], gpus: int) -> None:
    assert study(FAMILY, space=space).candidate(params).gpus == gpus


def test_gpus_are_what_the_spec_says_before_what_the_family_says() -> None:
    assert study(FAMILY, resources={"gpus": "tp * max(dp, dcp)"}, space={"tp": [2, 4]}, fixed={"dcp": 2}).candidate(
        {"tp": 2}
    ).gpus == 4  # fmt: skip
    assert study(FAMILY, resources={"gpus": 0}).candidate({"tp": 2}).gpus == 0


def test_attention_that_is_data_parallel_needs_no_further_gpus() -> None:
    made = study(FAMILY, **SGLANG, space={"tp": [4], "dp": [2], "dp_attention": {"type": "bool"}})
    assert made.candidate({"tp": 4, "dp": 2, "dp_attention": True}).gpus == 4
    assert made.candidate({"tp": 4, "dp": 2, "dp_attention": False}).gpus == 8


def test_tensor_parallel_ranks_that_dp_does_not_divide_are_invalid() -> None:
    """The ancestor had this check and never called it."""
    made = study(FAMILY, **SGLANG, space={"tp": [2, 4], "dp": [2, 4]}, fixed={"dp_attention": True})
    assert "tp % dp must be 0" in invalid(made, tp=2, dp=4)
    assert invalid(made, tp=4, dp=2) == ""


def test_heads_that_cannot_be_divided_are_invalid_where_they_are_known() -> None:
    assert "heads is 32, tp is 3" in invalid(study(FAMILY, space={"tp": [1, 3]}), tp=3)
    assert invalid(study(FAMILY, model="some/model", space={"tp": [1, 3]}), tp=3) == ""


def test_more_gpus_than_there_are_is_invalid() -> None:
    made = study(FAMILY, space={"tp": [1, 8]}).on(Box(gpus=4))
    assert invalid(made, tp=8) == "it needs 8 GPUs and there are 4"
    assert invalid(made, tp=1) == ""


def test_more_memory_than_the_largest_gpu_has_is_invalid() -> None:
    made = study(FAMILY, resources={"vram": "auto"}).on(Box(gpus=4, largest_mib=16_000))
    assert "MiB of each GPU and the largest has 16,000" in invalid(made, tp=1)
    assert invalid(made, tp=2) == ""


def test_experts_are_parallel_only_where_there_are_some() -> None:
    made = study(FAMILY, model={**FAMILY["model"], "experts": None}, space={"expert_parallel": {"type": "bool"}})
    assert invalid(made, expert_parallel=True) == ""


def test_parameters_of_another_space_are_no_candidate() -> None:
    assert "`batch` cannot be `65`: it is 64 to 256 in steps of 64" in invalid(study(), batch=65, slots=1)
    assert "`slots` cannot be `3`: it is 1, 2, 4" in invalid(study(), batch=64, slots=3)


def test_two_values_that_set_one_flag_otherwise_are_invalid() -> None:
    made = study(FAMILY, **SGLANG, space={"weights": ["fp8", "auto"], "moe": ["auto", "mxfp4"]})
    assert invalid(made, weights="fp8", moe="mxfp4") == "both `moe` and `weights` set --quantization"


def test_two_candidates_with_equal_argv_are_a_mistake() -> None:
    engine = {"argv": ["server", "{port}", "{a}{b}"]}
    wrong = mistakes(engine=engine, space={"a": ["x", "xy"], "b": ["yz", "z"]})
    assert "two candidates have the same argv and would be measured twice: `a=x, b=yz` and `a=xy, b=z`" in wrong


def test_equal_argv_is_found_in_a_space_that_is_too_large_to_write_out() -> None:
    engine = {"argv": ["server", "{port}", "{a}", "{b}", "{mode}"]}
    large = {"a": {"type": "int", "low": 1, "high": 10_000}, "b": {"type": "float", "low": 0, "high": 1}}
    wrong = mistakes(engine=engine, space={**large, "mode": {"type": "choice", "values": [1, "1"]}})
    assert "two candidates have the same argv" in wrong
    told = study(engine=engine, space={**large, "mode": [1, 2]}).notes
    assert "were looked at for equal argv, not all of them" in told[0]


def test_a_space_in_which_nothing_can_run_is_a_mistake() -> None:
    assert "no candidate can run: the constraint `batch < 64` does not hold" in mistakes(constraints=["batch < 64"])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"constraints": ["batsh < 64"]}, "the constraint `batsh < 64` names `batsh`, which is no parameter"),
        ({"constraints": "batch <"}, "is not readable"),
        ({"constraints": ["batch < 'x'"]}, "cannot be answered"),
        ({"resources": {"gpus": "tpp * 2"}}, "the number of GPUs `tpp * 2` names `tpp`, which is no parameter"),
        ({"resources": {"gpus": "slots / 8"}}, "no candidate can run: `slots / 8` is 0.125: no number of GPUs"),
        ({"resources": {"gpus": "slots > 2"}}, "is not a number"),
        ({"resources": {"gpus": 0.5}}, "a trial measures, so it has whole GPUs"),
        ({"resources": {"gpus": -1}}, "`-1` GPUs are not possible"),
        ({"resources": {"gpus": "slots // 0"}}, "integer division or modulo by zero; change `resources.gpus`"),
        ({"resources": {"cpus": 0}}, "no candidate can run: it asks for neither GPUs nor CPUs"),
        ({"resources": {"vram": "20G"}}, "could be binary or decimal"),
        ({"resources": {"share": 1}}, "unknown key `share`"),
    ],
)
def test_constraints_and_resources_that_cannot_be_are_told(changes: dict[str, Any], said: str) -> None:
    assert said in mistakes(**changes)


def test_the_spec_of_the_guide_has_the_candidates_that_it_means() -> None:
    made = read(
        """\
tune: guide
engine: {argv: [server, --port, "{port}", --slots, "{slots}", --ubatch, "{ubatch}", --batch, "{batch}"]}
space:
  batch: {type: int, low: 64, high: 128, step: 64}
  ubatch: [16, 256]
  slots: {type: choice, values: [1, 2], when: "batch >= 128"}
constraints: ["ubatch <= batch"]
load: {points: [{concurrency: 1}]}
objectives: [maximize_throughput]
"""
    )
    found = [made.candidate(params) for params in made.space.grid()]
    assert [each.argv[3:] for each in found if not each.excluded] == [
        ("--ubatch", "16", "--batch", "64"),
        ("--slots", "1", "--ubatch", "16", "--batch", "128"),
        ("--slots", "2", "--ubatch", "16", "--batch", "128"),
    ]


def test_beside_gpus_no_cpu_need_be_counted() -> None:
    made = study(resources={"gpus": 1, "cpus": 0})
    candidate = made.candidate({"batch": 64, "slots": 1})
    assert (candidate.invalid, candidate.cpus_milli) == (None, 0)
    assert [name for name, _ in request_of(made, candidate).variants[0].amounts] == [parallel_pool(made)]
