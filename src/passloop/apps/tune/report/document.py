"""A study as data: the document that `tune --json` ends with, and one flat record for each trial. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from passloop.apps.tune.measures import MAX_LOAD
from passloop.apps.tune.records import Objective
from passloop.apps.tune.study_view import Trial
from passloop.clock import iso_utc

from .standing import Standing

__all__ = ["metrics_of", "objective_name", "records", "study_document"]


def study_document(standing: Standing, run: Mapping[str, Any] | None) -> dict[str, Any]:
    """The document; `best` is null if no trial is feasible."""
    best = standing.best
    return {
        "schema_version": 1,
        "run": None if run is None else {"id": run["id"], "name": run["name"]},
        "best": None
        if best is None
        else {
            "trial": best.number,
            "params": best.params,
            "metrics": metrics_of(best),
            "command": list(standing.command(best)),
        },
        "trials": [_trial(standing, trial) for trial in standing.trials],
    }


def _trial(standing: Standing, trial: Trial) -> dict[str, Any]:
    failure = standing.failure(trial)
    return {
        "trial": trial.number,
        "params": trial.params,
        "state": standing.state_of(trial),
        "metrics": metrics_of(trial),
        "gpus": list(trial.gpus),
        "started_at": iso_utc(trial.started_at),
        "ended_at": iso_utc(trial.ended_at),
        "failure": None
        if failure is None
        else {
            "class": failure.kind,
            "message": failure.message,
            "phase": failure.phase,
            "lines": list(failure.lines),
        },
    }


def metrics_of(trial: Trial) -> dict[str, Any]:
    """What was measured: point -> metric -> statistic -> value (latencies in ms). The highest load under the SLOs,
    which belongs to no point, is one of its own.
    """
    document = trial.document
    if document is None:
        return {}
    found = {result.point.name: {name: dict(of) for name, of in result.metrics.items()} for result in document.points}
    highest = (document.max_load or {}).get("value")
    return found if highest is None else {**found, MAX_LOAD: {MAX_LOAD: {"mean": highest}}}


def objective_name(objective: Objective) -> str:
    """An objective in a few words: `output_tokens_per_second at concurrency=4`."""
    stat = "" if objective.stat == "mean" else f" {objective.stat}"
    return f"{objective.metric}{stat}" + (f" at {objective.at}" if objective.at else "")


def records(standing: Standing) -> Iterator[dict[str, Any]]:
    """One flat record for each trial, all with the same fields: for CSV, JSON lines and Parquet."""
    params = list(standing.study.space.names)
    figures = sorted({name for trial in standing.trials for name in _figures(trial)})
    for trial in standing.trials:
        failure, known = standing.failure(trial), _figures(trial)
        yield {
            "trial": trial.number,
            "task": trial.task,
            "state": standing.state_of(trial),
            "best": standing.best is trial,
            **{f"params.{name}": trial.params.get(name) for name in params},
            **{objective_name(each): standing.value(trial, each) for each in standing.aims.objectives},
            **{name: known.get(name) for name in figures},
            "gpus": " ".join(trial.gpus),
            "started_at": iso_utc(trial.started_at),
            "ended_at": iso_utc(trial.ended_at),
            "failure": None if failure is None else f"{failure.kind}: {failure.message}",
            "hash": trial.hash,
        }


def _figures(trial: Trial) -> dict[str, float]:
    return {
        f"{point}.{metric}.{stat}": value
        for point, metrics in metrics_of(trial).items()
        for metric, of in metrics.items()
        for stat, value in of.items()
    }
