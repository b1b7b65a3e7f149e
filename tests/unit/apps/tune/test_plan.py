"""A plan says what a study would do: how many candidates, their exact argv, which cannot run and why, and how long."""

from __future__ import annotations

import contextlib
import io
import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from passloop.apps.tune.candidates import Box
from passloop.apps.tune.plan import plan_of
from passloop.cli.main import main
from tests.unit.apps.tune.studies import FAMILY, argvs, study, text_of


def test_candidates_are_counted_and_listed_with_their_exact_argv() -> None:
    made = study(constraints=["batch > 64 or slots < 4"])
    plan = plan_of(made, first=None)
    assert (plan.points, plan.looked_at, plan.able, plan.excluded) == (12, 12, 11, 1)
    assert [each.argv for each in plan.first] == argvs(made)
    assert f"  0: {shlex.join(argvs(made)[0])}" in plan.as_text().splitlines()
    assert "11 candidates, 1 left out by constraints" in plan.as_text()
    assert plan.as_json()["first"][3]["argv"] == list(argvs(made)[3])


def test_only_the_first_are_listed_unless_all_are_asked_for() -> None:
    text = plan_of(study(), first=2).as_text()
    assert "  1: server" in text
    assert "  2: server" not in text
    assert "... and 10 more" in text


def test_what_cannot_run_is_told_with_the_reason() -> None:
    made = study(FAMILY, space={"tp": [1, 3, 4], "dp": [1, 4]}).on(Box(gpus=8))
    plan = plan_of(made)
    assert dict(plan.reasons) == {
        "the attention heads cannot be divided among the tensor-parallel ranks; heads is 32, tp is 3": 2,
        "it needs 16 GPUs and there are 8": 1,
    }
    assert "3 candidates, 3 cannot run" in plan.as_text()
    assert [each["invalid"] for each in plan.as_json()["invalid_candidates"]] == [each.invalid for each in plan.invalid]
    assert plan.gpus == (1, 4)
    assert "1 to 4 GPUs each" in plan.as_text()


def test_gpus_and_memory_of_each_candidate_are_told() -> None:
    text = plan_of(study(FAMILY, resources={"vram": "auto"})).as_text()
    assert "--tensor-parallel-size 2  (2 GPUs, 10,050 MiB each)" in text
    assert "at once, 1 GPU each\n" in plan_of(study(resources={"gpus": 1})).as_text()


def test_the_time_is_what_trials_took_or_a_guess() -> None:
    made = study(search={"max_trials": 5, "max_parallel": 2})
    learned = plan_of(made, learned={"tune small": 90_000})
    assert (learned.each_ms, learned.trials, learned.wall_ms) == (90_000, 5, 270_000)
    assert "about 90 s a trial, 4 m 30 s in all (what its trials took so far)" in learned.as_text()
    assert "a rough guess" in plan_of(made).as_text()


def test_gpu_hours_are_told_up_to_the_budget() -> None:
    made = study(FAMILY, search={"max_gpu_hours": 2})
    assert plan_of(made, learned={"tune family": 3_600_000}).gpu_hours == 2
    assert plan_of(study(FAMILY), learned={"tune family": 1_800_000}).gpu_hours == 2 * 0.5 * 2


def test_a_space_without_end_is_looked_at_in_part_and_that_is_said() -> None:
    made = study(space={"batch": {"type": "float", "low": 0, "high": 1}, "slots": [1, 2]})
    plan = plan_of(made)
    assert (plan.points, plan.whole, plan.trials) == (None, False, 50)
    assert "that were looked at, of a space without end" in plan.as_text()


def test_a_baseline_is_told() -> None:
    assert (
        "  baseline: server --port '{port}' --batch 256"
        in plan_of(study(search={"baseline": {"batch": 256}})).as_text()
    )
    assert plan_of(study(search={"baseline": False})).as_json()["baseline"] is None


def test_slips_are_told() -> None:
    plan = plan_of(study(search={"max_trials": 50}))
    assert plan.trials == 12
    assert "max_trials is 50 and there are 12 candidates" in plan.as_text()
    wide = study(FAMILY, search={"max_parallel": 9}).on(Box(gpus=4))
    assert "9 trials at once never fit on 4 GPUs: at most 4 do" in plan_of(wide).as_text()


def test_a_study_of_which_nothing_fits_never_fits() -> None:
    plan = plan_of(study(FAMILY, space={"tp": [4, 8]}).on(Box(gpus=2)))
    assert plan.able == 0
    assert "never fits here: no candidate can run here: it needs" in plan.as_text()


def test_nothing_in_a_plan_plays_tricks_on_a_terminal() -> None:
    made = study(engine={"argv": ["server", "{port}", "{a}"]}, space={"a": ["x\u202ey", "\x1b[2J"]})
    assert "\u202e" not in plan_of(made).as_text()
    assert "\x1b" not in plan_of(made).as_text()


def test_secrets_are_not_shown_and_change_no_hash() -> None:
    def with_token(token: str) -> Any:
        return study(engine={"argv": ["server", "{port}", "{a}"], "env": {"HF_TOKEN": token}}, space={"a": [1]})

    one, other = with_token("file:/canary-1"), with_token("env:CANARY_2")
    plan = plan_of(one)
    assert "canary-1" not in plan.as_text() + json.dumps(plan.as_json())
    assert one.candidate({"a": 1}).env == {"HF_TOKEN": "file:/canary-1"}
    assert one.candidate({"a": 1}).hash == other.candidate({"a": 1}).hash


def planned(folder: Path, *said: str, base: dict[str, Any] = FAMILY, **changes: Any) -> tuple[int, str]:
    here = {"engine": {**base["engine"], "argv": ["{python}", "--port", "{port}"]}}
    (folder / "s.yaml").write_bytes(text_of(base, **(here | changes)))
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        code = main(["plan", "--home", str(folder / "home"), str(folder / "s.yaml"), *said])
    return code, out.getvalue()


def test_the_verb_plans_a_study_on_the_gpus_that_there_are(tmp_path: Path) -> None:
    code, text = planned(tmp_path, "--virtual-gpus", "4x80GiB", "--json", space={"tp": [1, 4, 8]})
    found = json.loads(text)
    assert code == 0
    assert (found["candidates"], found["invalid"]) == (2, [{"reason": "it needs 8 GPUs and there are 4", "count": 1}])
    assert found["gpus"] == {"least": 1, "most": 4}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"space": {"tp": [8]}}, "it needs 8 GPUs and there are 4"),
        ({"resources": {"cpus": 999_999}}, "never fits here"),
    ],
)
def test_the_verb_says_what_never_fits(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    code, text = planned(tmp_path, "--virtual-gpus", "4x80GiB", **changes)
    assert code != 0
    assert said in text


def test_the_verb_tells_mistakes_at_their_places(tmp_path: Path) -> None:
    code, text = planned(tmp_path, space={"tp": [1, 1]})
    assert code == 2
    assert "s.yaml:1:" in text
    assert "the value `1` is there twice" in text
