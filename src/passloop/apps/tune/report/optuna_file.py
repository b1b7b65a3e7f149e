"""A study as Optuna keeps studies, in one SQLite file, for optuna-dashboard. A copy: nothing reads it back."""

from __future__ import annotations

import logging
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from passloop.apps.tune.search.samplers import MissingPart, check_parts
from passloop.apps.tune.search.told import told_of
from passloop.apps.tune.space import Parameter
from passloop.apps.tune.study_view import Trial
from passloop.crashpoints import crashpoint

from .document import objective_name
from .standing import Standing

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.storages import RDBStorage

__all__ = ["MissingPart", "write_optuna"]


def write_optuna(standing: Standing, path: Path) -> int:
    """Write all trials with their true values; gives how many. The name means a whole file: it is written aside. Raises
    `MissingPart` without optuna.
    """
    check_parts("random")
    aside = path.with_name(f".{path.name}.new")
    aside.unlink(missing_ok=True)  # of a command that was killed
    try:
        _write(standing, aside)
        crashpoint("before_optuna_file")
        os.replace(aside, path)
        crashpoint("after_optuna_file")
    finally:
        aside.unlink(missing_ok=True)
    return len(standing.trials)


def _write(standing: Standing, path: Path) -> None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    logging.getLogger("alembic").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        storage = optuna.storages.RDBStorage(f"sqlite:///{path}")
        try:
            _fill(standing, storage)
        finally:
            storage.remove_session()
            storage.engine.dispose()


def _fill(standing: Standing, storage: RDBStorage) -> None:
    import optuna

    study = optuna.create_study(
        study_name=standing.study.name,
        storage=storage,
        directions=[objective.direction for objective in standing.aims.objectives],
    )
    study.set_metric_names([objective_name(objective) for objective in standing.aims.objectives])
    distributions = {each.name: _distribution(each) for each in standing.study.space.parameters}
    for trial in standing.trials:
        study.add_trial(_frozen(standing, trial, distributions))


def _frozen(standing: Standing, trial: Trial, distributions: dict[str, BaseDistribution]) -> Any:
    from optuna.trial import TrialState, create_trial

    told = told_of(trial, standing.aims)
    states = {
        "running": TrialState.RUNNING,
        "complete": TrialState.COMPLETE,
        "pruned": TrialState.PRUNED,
        "failed": TrialState.FAIL,
    }
    failure = trial.failure
    about = {"trial": trial.number, "state": standing.state_of(trial), "command": list(standing.command(trial))}
    return create_trial(
        state=states[told.state],
        values=list(told.values) or None,
        params=dict(told.params),
        distributions={name: distributions[name] for name in told.params},
        constraints=dict(told.constraints),
        user_attrs=about | ({"failure": f"{failure.kind}: {failure.message}"} if failure is not None else {}),
    )


def _distribution(parameter: Parameter) -> BaseDistribution:
    """What a parameter can be, in its own values."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if parameter.kind == "int" and parameter.values is not None:
        step = int(parameter.values[1]) - int(parameter.values[0]) if len(parameter.values) > 1 else 1
        low, high = int(parameter.values[0]), int(parameter.values[-1])
        return IntDistribution(low, high, log=parameter.log, step=1 if parameter.log else step)
    if parameter.kind == "float":
        return FloatDistribution(float(parameter.low), float(parameter.high), log=parameter.log)
    return CategoricalDistribution(tuple(parameter.values or ()))
