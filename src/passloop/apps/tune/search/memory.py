"""The sampler's study: made anew from what the store holds for each question, and forgotten after it.

So there is nothing that could be lost, saved too late or filed under other parameters. Only Optuna's ask and tell are
used. It is slow for a loop (a question to a model takes milliseconds): ask it in a thread.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from passloop.apps.tune.records import Objective, Params
from passloop.apps.tune.space import Space

from .axes import Axes
from .samplers import sampler_of
from .told import Told

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import Trial

__all__ = ["Asked", "Memory", "Way"]

GENERATION = "NSGAIISampler:generation"
"""Where Optuna notes the generation of a trial."""


class Way(NamedTuple):
    """How to search: the sampler's name and its settings."""

    sampler: str
    seed: int = 0
    startup: int = 5
    population: int = 16


class Asked(NamedTuple):
    """A question that was put to the sampler, and the parameters it answered."""

    trial: Trial
    params: Params


class Memory:
    """A sampler that knows all trials there are. `number` is that of the trial to come."""

    def __init__(self, space: Space, objectives: Sequence[Objective], way: Way, *, number: int) -> None:
        seed = random.Random(f"{way.seed}:{number}").randrange(2**32)
        sampler = sampler_of(way.sampler, seed=seed, startup=way.startup, population=way.population)
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._axes = Axes(space)
        self._way = way
        self._complete = 0
        self._study: Study = optuna.create_study(
            directions=[objective.direction for objective in objectives], sampler=sampler
        )

    def remember(self, told: Iterable[Told]) -> None:
        """Take in trials, with exactly their parameters; those that are no part of the space are left out."""
        for each in told:
            frozen = self._frozen(each)
            if frozen is not None:
                self._study.add_trial(frozen)

    def ask(self) -> Asked:
        """Parameters that the sampler suggests."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            trial = self._study.ask()
            return Asked(trial, self._axes.draw(trial))

    def answer(self, asked: Asked, told: Told | None) -> None:
        """Tell at once what came of a question: what is known of the same configuration, or None if nothing is."""
        from optuna.trial import TrialState

        state = "failed" if told is None else told.state
        if told is not None and state in ("complete", "pruned"):
            for name, excess in told.constraints.items():
                asked.trial.set_constraint(name, excess)
        if told is not None and state == "complete":
            self._study.tell(asked.trial, list(told.values))
        else:
            self._study.tell(asked.trial, state=TrialState.PRUNED if state == "pruned" else TrialState.FAIL)

    def _frozen(self, told: Told) -> Any:
        """A trial as Optuna's record; None for parameters of another space."""
        from optuna.trial import TrialState, create_trial

        try:
            params, distributions = self._axes.coded(told.params)
        except ValueError:
            return None
        states = {
            "running": TrialState.RUNNING,
            "complete": TrialState.COMPLETE,
            "pruned": TrialState.PRUNED,
            "failed": TrialState.FAIL,
        }
        return create_trial(
            state=states[told.state],
            values=list(told.values) or None,
            params=params,
            distributions=distributions,
            constraints=dict(told.constraints),
            system_attrs=self._generation(told),
        )

    def _generation(self, told: Told) -> dict[str, int]:
        """Generations of nsga2 are filled in the order of numbers."""
        if told.state != "complete":
            return {}
        self._complete += 1
        return {GENERATION: (self._complete - 1) // self._way.population}
