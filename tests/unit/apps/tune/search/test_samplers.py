"""What samplers are asked and told: exact parameters, running trials, failures, limits; and that nothing repeats."""

from __future__ import annotations

from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from passloop.apps.tune.records import Params
from passloop.apps.tune.search.axes import Axes
from passloop.apps.tune.search.expander import aims_of, budgets_of
from passloop.apps.tune.search.memory import GENERATION, Memory, Way
from passloop.apps.tune.search.samplers import MissingPart, check_parts
from passloop.apps.tune.search.told import Told, told_of
from passloop.apps.tune.study import Study
from passloop.apps.tune.study_view import Trial
from passloop.kernel.tasks import TaskState
from tests.support.study_trials import failed, measured, pruned, running, searched, trial_of
from tests.support.trial_documents import point
from tests.unit.apps.tune.studies import GOOD, study

LIMITED = {"slo": [{"metric": "ttft", "stat": "p95", "max": "800ms", "at": {"concurrency": 4}}]}
WIDE: dict[str, Any] = {
    **GOOD,
    "engine": {"argv": ["server", "--port", "{port}", "--a", "{a}", "--b", "{b}", "--c", "{c}"]},
    "space": {"a": [1, 2, 3, 4, 5], "b": {"type": "int", "low": 0, "high": 5}, "c": ["x", "y", "z", "w"]},
    "search": {"baseline": False},
}
"""120 points."""


def remembered(made: Study, trials: list[Trial], sampler: str = "tpe") -> list[optuna.trial.FrozenTrial]:
    memory = Memory(made.space, made.objectives, Way(sampler), number=len(trials))
    memory.remember(told_of(trial, aims_of(made)) for trial in trials)
    return memory._study.get_trials(deepcopy=False)


def decoded(made: Study, frozen: optuna.trial.FrozenTrial) -> Params:
    axes = Axes(made.space)
    return {name: axes._axes[name].decoded(told) for name, told in frozen.params.items()}


def test_a_study_made_anew_has_every_score_under_the_parameters_it_was_measured_with() -> None:
    made = study(**LIMITED)
    points = [params for params in made.space.grid() if made.candidate(params).invalid is None]
    trials = [measured(made, number, params, 100.0 + number, ttft_p95=100.0) for number, params in enumerate(points)]
    for _ in range(2):  # again, as after a restart
        frozen = remembered(made, trials)
        assert [decoded(made, each) for each in frozen] == points
        assert [each.value for each in frozen] == [100.0 + number for number in range(len(points))]


def test_running_trials_are_told_as_running() -> None:
    made = study()
    states = [each.state for each in remembered(made, [running(made, 0, {"batch": 64, "slots": 1})])]
    assert states == [TrialState.RUNNING]


def test_several_questions_may_be_open_at_once() -> None:
    made = study(WIDE)
    trials: list[Trial] = []
    for number in range(6):  # nobody has answered the ones before
        params = searched(made, "tpe", trials)
        assert params is not None
        trials.append(running(made, number, params))
    assert len({trial.hash for trial in trials}) == 6


def test_a_failure_has_no_value_and_is_never_better_than_a_success() -> None:
    made = study(**LIMITED)
    params = {"batch": 64, "slots": 1}
    for bad in (
        failed(made, 1, params),
        failed(made, 1, params, kind="time_limit"),
        trial_of(made, 1, params, TaskState.CANCELLED),
    ):
        told = told_of(bad, aims_of(made))
        assert (told.state, told.values) == ("failed", ())
    frozen = remembered(
        made, [measured(made, 0, {"batch": 128, "slots": 1}, 0.001, ttft_p95=1.0), failed(made, 1, params)]
    )
    assert [each.state for each in frozen] == [TrialState.COMPLETE, TrialState.FAIL]
    assert frozen[1].values is None


def test_memory_that_ran_out_is_a_limit_and_not_a_value() -> None:
    made = study()
    told = told_of(failed(made, 0, {"batch": 64, "slots": 1}, kind="out_of_memory"), aims_of(made))
    assert (told.state, told.values, dict(told.constraints)) == ("pruned", (), {"out_of_memory": 1.0})
    (frozen,) = remembered(made, [failed(made, 0, {"batch": 64, "slots": 1}, kind="out_of_memory")])
    assert frozen.constraints == {"out_of_memory": 1.0}


def test_a_missed_slo_is_told_by_how_much_and_keeps_its_value() -> None:
    made = study(**LIMITED)
    late = measured(made, 0, {"batch": 64, "slots": 1}, 500.0, ttft_p95=1_000.0)
    told = told_of(late, aims_of(made))
    assert (told.state, told.values) == ("complete", (500.0,))
    assert dict(told.constraints) == {"ttft p95 at concurrency=4": pytest.approx(0.25)}


def test_what_a_trial_that_was_given_up_did_not_measure_is_no_limit_missed() -> None:
    made = study(**LIMITED)
    told = told_of(
        pruned(made, 0, {"batch": 64, "slots": 1}, points=(point("concurrency=1", ttft_p95=1.0),)), aims_of(made)
    )
    assert (told.state, dict(told.constraints)) == ("pruned", {})


def test_the_penalty_scorer_tells_worse_values_in_the_objectives_own_direction() -> None:
    made = study(scorer="penalty", **LIMITED)
    fine, late = (
        measured(made, n, {"batch": 64, "slots": n + 1}, 500.0, ttft_p95=ttft) for n, ttft in ((0, 800.0), (1, 840.0))
    )
    values = [told_of(trial, aims_of(made)).values[0] for trial in (fine, late)]
    assert values[0] == 500.0
    assert 0 < values[1] < 500.0
    gentle = study(scorer="penalty", steepness=10.0, **LIMITED)
    assert values[1] < told_of(late, aims_of(gentle)).values[0] < 500.0


@pytest.mark.parametrize("sampler", ["tpe", "random", "nsga2", "grid", "bruteforce"])
def test_of_forty_parallel_trials_in_120_points_none_repeats(sampler: str) -> None:
    made = study(WIDE)
    known: list[Trial] = []
    for number in range(40):
        params = searched(made, sampler, known, seed=3)
        assert params is not None
        known.append(running(made, number, params))
        if number >= 4:  # four are always open
            ended = number - 4
            known[ended] = measured(made, ended, known[ended].params, float(hash(str(known[ended].params)) % 100))
    assert len({trial.hash for trial in known}) == 40


def test_a_suggestion_that_is_known_is_answered_from_what_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    made = study(search={"baseline": False})
    points = list(made.space.grid())
    known = [measured(made, number, params, 10.0) for number, params in enumerate(points[:-1])]
    answered: list[Told | None] = []
    answer = Memory.answer
    monkeypatch.setattr(
        Memory, "answer", lambda self, asked, told: (answered.append(told), answer(self, asked, told))[1]
    )
    assert searched(made, "tpe", known) == points[-1]
    assert answered
    assert all(told is not None and told.values == (10.0,) for told in answered)


def test_a_space_that_was_gone_through_gives_no_other_trial() -> None:
    made = study(search={"baseline": False})
    known = [measured(made, number, params, 10.0) for number, params in enumerate(made.space.grid())]
    for sampler in ("tpe", "random", "grid", "bruteforce"):
        assert searched(made, sampler, known) is None


def test_the_baseline_comes_first_and_once() -> None:
    made = study(search={"baseline": {"batch": 128, "slots": 2}})
    for sampler in ("tpe", "grid"):
        assert searched(made, sampler) == {"batch": 128, "slots": 2}
        known = [running(made, 0, {"batch": 128, "slots": 2})]
        assert searched(made, sampler, known) != {"batch": 128, "slots": 2}
        others = [running(made, 0, {"batch": 64, "slots": 1})]
        assert searched(made, sampler, others) == {"batch": 128, "slots": 2}


def test_a_grid_goes_in_the_order_of_the_spec_and_bruteforce_in_another() -> None:
    made = study(search={"baseline": False})
    points = list(made.space.grid())
    orders = {}
    for sampler in ("grid", "bruteforce"):
        known: list[Trial] = []
        while (params := searched(made, sampler, known, seed=1)) is not None:
            known.append(measured(made, len(known), params, 1.0))
        orders[sampler] = [trial.params for trial in known]
    assert orders["grid"] == points
    assert orders["bruteforce"] != points
    assert sorted(map(str, orders["bruteforce"])) == sorted(map(str, points))


def test_bruteforce_asks_for_the_largest_trials_first_because_they_pack_best() -> None:
    made = study({**WIDE, "resources": {"gpus": "a"}})
    known: list[Trial] = []
    while len(known) < 30:
        params = searched(made, "bruteforce", known)
        assert params is not None
        known.append(running(made, len(known), params))
    assert [trial.params["a"] for trial in known] == [5] * 24 + [4] * 6


def test_the_same_question_has_the_same_answer_and_another_seed_another() -> None:
    made = study(WIDE)
    answers = {seed: [searched(made, "random", [], seed=seed) for _ in range(2)] for seed in range(4)}
    assert all(first == again for first, again in answers.values())
    assert len({str(first) for first, _ in answers.values()}) > 1


def test_numbers_to_choose_from_are_told_by_their_place_and_words_as_they_are() -> None:
    axes = Axes(study(WIDE).space)
    told, distributions = axes.coded({"a": 5, "b": 3, "c": "w"})
    assert told == {"a": 4, "b": 3, "c": "w"}
    assert isinstance(distributions["a"], optuna.distributions.IntDistribution)
    assert isinstance(distributions["c"], optuna.distributions.CategoricalDistribution)


def test_parameters_of_another_space_are_not_told() -> None:
    made = study(WIDE)
    other = Told({"a": 77, "b": 1, "c": "x"}, "complete", (1.0,))
    memory = Memory(made.space, made.objectives, Way("tpe"), number=0)
    memory.remember([other, Told({"z": 1}, "failed")])
    assert memory._study.get_trials(deepcopy=False) == []


def test_the_engines_own_settings_are_no_point_of_the_space() -> None:
    made = study()
    assert remembered(made, [measured(made, 0, {}, 10.0)]) == []
    assert budgets_of(made).max_trials == 12 + 1


def test_nsga2_breeds_from_what_the_store_holds() -> None:
    made = study(
        WIDE,
        objectives=[
            {"metric": "output_tokens_per_second", "at": {"concurrency": 4}},
            {"metric": "ttft", "at": {"concurrency": 4}},
        ],
    )
    points = list(made.space.grid())
    trials = [measured(made, number, points[number * 5], 10.0 + number, ttft=float(number)) for number in range(8)]
    memory = Memory(made.space, made.objectives, Way("nsga2", population=4), number=8)
    memory.remember(told_of(trial, aims_of(made)) for trial in trials)
    generations = [each.system_attrs[GENERATION] for each in memory._study.get_trials(deepcopy=False)]
    assert generations == [0, 0, 0, 0, 1, 1, 1, 1]
    asked = memory.ask()
    assert memory._study.get_trials(deepcopy=False)[-1].system_attrs[GENERATION] == 2
    assert made.candidate(asked.params).invalid is None


def test_a_sampler_whose_part_is_missing_says_so_in_one_sentence() -> None:
    with pytest.raises(MissingPart, match=r"the sampler gp wants \w+, which is not installed: pip install") as caught:
        check_parts("gp")
    assert "\n" not in str(caught.value)
