"""A study means the same wherever it is read, and its ids hold what determines measurements and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from passloop.apps.errors import BadValue
from passloop.apps.spec_file import load_spec
from passloop.apps.tune.load.prompts import prompts_of
from passloop.apps.tune.records import Objective, Order, Point
from passloop.apps.tune.study import study_of_file, study_of_text
from tests.unit.apps.tune.studies import FAMILY, GOOD, mistakes, study

ROOT = Path(__file__).parents[4]
EXAMPLES = sorted((ROOT / "examples" / "tune").glob("*.yaml"))
LIMITED = [{"metric": "ttft", "stat": "p95", "max": "800ms"}]


def test_the_least_spec_has_defaults_for_the_rest() -> None:
    made = study()
    assert made.load.prompts == "builtin:short"
    assert made.load.points == (Point(concurrency=1), Point(concurrency=4))
    assert made.slo == ()
    assert made.objectives == (Objective(metric="output_tokens_per_second", at="concurrency=4"),)
    assert (made.max_trials, made.spec.search.sampler, made.spec.search.max_parallel) == (12, "tpe", 1)
    assert made.candidate({"batch": 64, "slots": 1}).cpus_milli == 1_000


@pytest.mark.parametrize("key", ["engine", "space", "load", "objectives"])
def test_what_is_required_is_asked_for(key: str) -> None:
    assert f"`{key}` is missing" in mistakes(**{key: None})


def test_points_are_required() -> None:
    assert "`load.points` is missing" in mistakes(load={})


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_a_study(path: Path) -> None:
    made = study_of_file(load_spec(path), cwd=ROOT)
    assert made.space.points
    assert any(made.candidate(params).invalid is None for params in made.space.grid())
    assert study_of_text(made.wire()).id == made.id


def test_the_example_of_llama_cpp_has_a_baseline_and_no_surprise() -> None:
    made = study_of_file(load_spec(ROOT / "examples" / "tune" / "smollm2-llamacpp.yaml"), cwd=ROOT)
    assert made.baseline is not None
    assert made.baseline.params == {"batch": 512, "ubatch": 256, "slots": 1}
    assert [(each.metric, each.stat) for each in made.slo] == [("ttft", "p95"), ("tpot", "p90")]
    assert (made.limits.start, made.max_trials, made.notes) == (60_000, 8, ())


def test_the_engine_reads_the_same_study(tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_text("one\ntwo\n")
    load = {"points": [{"rate": 2.5, "requests": 7}], "prompts": "prompts.txt"}
    made = study(FAMILY, folder=tmp_path, load=load, resources={"vram": "auto"})
    told = made.wire()
    (tmp_path / "prompts.txt").unlink()
    again = study_of_text(told)
    candidate = again.candidate({"tp": 2})
    assert candidate == made.candidate({"tp": 2})
    assert (again.id, again.hash, again.out, again.load) == (made.id, made.hash, made.out, made.load)
    assert again.order(candidate, trial=3) == made.order(candidate, trial=3)


def test_an_order_is_json_and_holds_the_exact_candidate() -> None:
    made = study(slo=LIMITED, load={**GOOD["load"], "max_load": {"high": 64}})
    candidate = made.candidate({"batch": 64, "slots": 2})
    order = made.order(candidate, trial=7, best=81.5)
    assert msgspec.json.decode(msgspec.json.encode(order), type=Order) == order
    assert (order.trial, order.best, order.params, order.hash) == (7, 81.5, candidate.params, candidate.hash)
    assert order.engine.argv == candidate.argv
    assert order.search_load == {"of": "concurrency", "low": 1.0, "high": 64.0, "steps": 12}


def test_ready_path_and_reset_come_from_the_family_where_the_spec_is_silent() -> None:
    made = study(FAMILY)
    order = made.order(made.candidate({"tp": 1}), trial=0).engine
    assert (order.ready_path, order.reset, order.env) == (
        "/health",
        "/reset_prefix_cache",
        {"VLLM_SERVER_DEV_MODE": "1"},
    )
    other = study(FAMILY, engine={"family": "vllm", "reset": "/x", "ready": {"path": "/v1/models"}})
    order = other.order(other.candidate({"tp": 1}), trial=0).engine
    assert (order.ready_path, order.reset) == ("/v1/models", "/x")


@pytest.mark.parametrize(
    "changes",
    [
        {"space": {"batch": [64], "slots": [1]}},
        {"constraints": ["batch > 64"]},
        {"search": {"sampler": "random", "seed": 7, "max_trials": 3}},
        {"objectives": [{"metric": "ttft", "stat": "p99", "at": {"concurrency": 1}}]},
        {"slo": LIMITED},
        {"tune": "other"},
        {"limits": {"stop": "5s"}},
        {"priority": 7, "group": "night"},
    ],
)
def test_what_was_measured_is_found_again_by_another_search(changes: dict[str, Any]) -> None:
    one, other = study(), study(**changes)
    params = {"batch": 64, "slots": 1}
    assert one.id == other.id or "limits" in changes
    assert one.candidate(params).hash == other.candidate({**params}).hash or "constraints" in changes


@pytest.mark.parametrize(
    "changes",
    [
        {"load": {"points": [{"concurrency": 1}, {"concurrency": 4}], "requests": 51}},
        {"load": {"points": [{"concurrency": 1}, {"concurrency": 4}], "max_tokens": 7}},
        {"load": {"points": [{"concurrency": 1}, {"concurrency": 4}], "seed": 1}},
        {"load": {"points": [{"concurrency": 4}]}},
        {"engine": {**GOOD["engine"], "reset": "/flush"}},
        {"engine": {"argv": ["another", *GOOD["engine"]["argv"][1:]]}},
        {"model": "some/model"},
    ],
)
def test_what_is_measured_otherwise_is_another_study(changes: dict[str, Any]) -> None:
    assert study().id != study(**changes).id


def test_another_flag_of_the_same_server_is_the_same_study_and_another_measurement() -> None:
    one, other = study(), study(engine={"argv": [*GOOD["engine"]["argv"], "--threads", "4"]})
    params = {"batch": 64, "slots": 1}
    assert one.id == other.id
    assert one.candidate(params).hash != other.candidate(params).hash


def test_limits_count_where_requests_are_counted_by_them() -> None:
    counted = [{"metric": "goodput", "at": {"concurrency": 1}}]
    one = study(objectives=counted, slo=LIMITED)
    other = study(objectives=counted, slo=[{"metric": "ttft", "stat": "p95", "max": "900ms"}])
    assert one.id != other.id


def test_prompts_are_known_by_what_is_in_them(tmp_path: Path) -> None:
    load = {"points": [{"concurrency": 4}], "prompts": "p.txt"}
    (tmp_path / "p.txt").write_text("one\n")
    one = study(folder=tmp_path, load=load).id
    (tmp_path / "p.txt").write_text("two\n")
    assert study(folder=tmp_path, load=load).id != one


def test_no_trial_measures_with_prompts_that_were_edited_since_the_study_began(tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_text("one\n")
    told = study(folder=tmp_path, load={"points": [{"concurrency": 4}], "prompts": "p.txt"}).wire()
    order = study_of_text(told).order(study().candidate({"batch": 64, "slots": 1}), trial=1).load
    asked = prompts_of(order.prompts, seed=0, digest=order.prompts_digest)
    assert asked.prompt("concurrency=4", 0).text == "one"
    (tmp_path / "p.txt").write_text("two\n")
    with pytest.raises(BadValue, match="the study began with"):
        prompts_of(order.prompts, seed=0, digest=order.prompts_digest)


@pytest.mark.parametrize("key", ["argv", "env"])
def test_the_hash_changes_with_what_the_server_is_given(key: str) -> None:
    engine = {**GOOD["engine"], "env": {"X": "1"}}
    changed = {**engine, "argv": [*engine["argv"], "--more"]} if key == "argv" else {**engine, "env": {"X": "2"}}
    params = {"batch": 64, "slots": 1}
    assert study(engine=engine).candidate(params).hash != study(engine=changed).candidate(params).hash


def test_the_hash_does_not_know_where_python_is() -> None:
    made = study(engine={"argv": ["{python}", "{port}", "{batch}", "{slots}"]})
    told = json.loads(made.wire())
    params = {"batch": 64, "slots": 1}
    elsewhere = study_of_text(json.dumps({**told, "python": "/other/bin/python"}))
    assert elsewhere.candidate(params).argv[0] == "/other/bin/python"
    assert elsewhere.candidate(params).hash == made.candidate(params).hash


def test_the_baseline_leaves_out_what_it_does_not_name() -> None:
    made = study(search={"baseline": {"batch": 256}})
    assert made.baseline is not None
    assert made.baseline.argv == ("server", "--port", "{port}", "--batch", "256")
    assert study().baseline is not None
    assert study(search={"baseline": False}).baseline is None


@pytest.mark.parametrize(
    ("search", "said"),
    [
        ({"baseline": {"batch": 65}}, "the baseline: `batch` cannot be `65`"),
        ({"baseline": {"bach": 64}}, "the baseline: `bach` is no parameter of the space"),
        ({"baseline": {"batch": 64, "slots": 4}}, "the baseline cannot run: the constraint"),
        ({"sampler": "tpee"}, "search.sampler"),
        ({"max_trials": 0}, "search.max_trials"),
        ({"max_parallel": 0}, "search.max_parallel"),
        ({"max_gpu_hours": -1}, "search.max_gpu_hours"),
        ({"patience": 1.5}, "must be a whole number"),
        ({"sampler": "grid", "max_trials": 8}, "the grid has 11 candidates and max_trials is 8: it would be cut"),
        ({"tpe": 1}, "unknown key `tpe`"),
    ],
)
def test_a_search_that_cannot_be_is_told(search: dict[str, Any], said: str) -> None:
    assert said in mistakes(search=search, constraints=["batch * slots != 256 or batch == 128 or batch == 256"])


def test_a_grid_is_walked_whole() -> None:
    """The ancestor cut a grid to its first points."""
    made = study(search={"sampler": "grid"})
    assert made.max_trials == len(list(made.space.grid())) == 12
    assert study(search={"sampler": "grid", "max_trials": 12}).max_trials == 12


def test_a_grid_of_which_the_baseline_takes_a_trial_is_told() -> None:
    told = study(search={"sampler": "grid", "max_trials": 12}).notes
    assert "the last of the grid's 12 candidates is not tried; max_trials: 13 tries all" in " ".join(told)
    for search in ({"max_trials": 13}, {"max_trials": 12, "baseline": False}, {}):
        assert not study(search={"sampler": "grid", **search}).notes


def test_a_grid_without_end_is_refused() -> None:
    space = {"batch": {"type": "float", "low": 0, "high": 1}, "slots": [1]}
    for sampler in ("grid", "bruteforce"):
        assert f"a {sampler} has no end over batch" in mistakes(space=space, search={"sampler": sampler})
    assert study(space=space).max_trials == 50


def test_a_baseline_that_cannot_run_is_a_note_unless_it_was_asked_for() -> None:
    resources = {"gpus": "slots"}
    assert (
        "there is no baseline, because without any parameter gpus needs `slots`" in study(resources=resources).notes[0]
    )
    assert "the baseline cannot run: gpus needs `slots`" in mistakes(resources=resources, search={"baseline": True})
