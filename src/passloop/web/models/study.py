"""A study as the page shows it: its aims and space, every trial judged, the front, the best so far and what it changed.

Everything is computed from stored documents, as the report does; what a running trial does is read from its folder.
"""

from __future__ import annotations

import difflib
import json
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from passloop.apps.queue.views import Json, document
from passloop.apps.tune.candidates import Box
from passloop.apps.tune.records import Objective, PointResult, Slo
from passloop.apps.tune.report.standing import Standing
from passloop.apps.tune.report.stored import standing_of
from passloop.apps.tune.report.units import unit_of
from passloop.apps.tune.scoring.slo import Check
from passloop.apps.tune.search.tasks import parallel_pool
from passloop.apps.tune.space import Parameter
from passloop.apps.tune.study import study_of_text
from passloop.apps.tune.study_view import Trial
from passloop.apps.tune.trial.phases import PHASE_FILE
from passloop.clock import iso_utc
from passloop.engine.attempts import attempt_folder
from passloop.engine.errors import NotFound
from passloop.kernel.overview import DeviceView, PoolView
from passloop.kernel.resources import Request
from passloop.kernel.tasks import TaskSpec
from passloop.store.artifacts import open_artifact
from passloop.store.errors import ArtifactRefused
from passloop.store.home import Home
from passloop.store.reader import Reader, RunView

from .fitting import fits

__all__ = ["one_trial", "study"]

KINDS = {"bool": "choice", "preset": "choice"}
MOST_VALUES = 200


def study(
    reader: Reader, home: Home, run: RunView, *, devices: Sequence[DeviceView], pools: Sequence[PoolView]
) -> Json:
    """The document of the run of a study. Raises `NotFound`."""
    standing = _standing(reader, run)
    made = standing.study
    shown = _metrics_shown(standing)
    return document(
        run={"id": run.row.id, "name": run.row.name},
        study=made.name,
        engine=made.spec.engine.kind,
        out=str(made.out),
        stop=standing.stop,
        paused=standing.paused,
        objectives=[_objective(each) for each in standing.aims.objectives],
        slo=[_limit(each) for each in standing.aims.slo],
        parameters=[_parameter(each) for each in made.space.parameters],
        max_trials=made.max_trials,
        max_parallel={"value": made.spec.search.max_parallel, **_fits(standing, run, devices, pools)},
        counts=dict(standing.counts),
        trials=[
            {**_trial(standing, home, each), "points": [_point(point, shown) for point in _points(each)]}
            for each in standing.trials
        ],
        front=[trial.number for trial in standing.front],
        best=_best(standing),
    )


def one_trial(reader: Reader, home: Home, run: RunView, number: int) -> Json:
    """One trial with its command, all that was measured, and why it failed. Raises `NotFound`."""
    standing = _standing(reader, run)
    trial = next((each for each in standing.trials if each.number == number), None)
    if trial is None:
        raise NotFound(f"there is no trial {number}", hint=f"passloop report {run.row.id}")
    left, failure = trial.document, trial.failure
    return document(
        trial={
            **_trial(standing, home, trial),
            "argv": list(standing.command(trial)),
            "command": shlex.join(standing.command(trial)),
            "argv_diff": _argv_diff(standing, trial),
            "env": sorted(trial.order.engine.env),
            "gain": _gains(standing, trial),
            "spans": {} if left is None else left.spans,
            "notes": [] if left is None else list(left.notes),
            "pruned": None if left is None else left.pruned,
            "lines": [] if failure is None else list(failure.lines),
            "points": [_point(point, None) for point in _points(trial)],
        }
    )


def _standing(reader: Reader, run: RunView) -> Standing:
    source = reader.source(run.row.id)
    if source is None or source.row.kind != "tune":
        raise NotFound(f"run {run.row.id} is no study", hint="passloop ls")
    told = json.loads(source.spec)
    return standing_of(reader, study_of_text(told["study"]).on(Box(*told["box"])), run=run.row.id)


def _fits(standing: Standing, run: RunView, devices: Sequence[DeviceView], pools: Sequence[PoolView]) -> Json:
    """How many trials fit at once, whatever the study itself allows."""
    assert run.source is not None
    own = parallel_pool(standing.study)
    request = run.source.plan.template[0].request
    variants = tuple(
        replace(each, amounts=tuple((name, amount) for name, amount in each.amounts if name != own))
        for each in request.variants
    )
    found = fits(TaskSpec(Request(variants)), devices, pools)
    return {"fits": found["most"], "now": found["now"], "sentence": found["sentence"]}


def _objective(objective: Objective) -> Json:
    return {
        "metric": objective.metric,
        "stat": objective.stat,
        "at": objective.at,
        "direction": objective.direction,
        "unit": unit_of(objective.metric),
    }


def _limit(limit: Slo) -> Json:
    return {
        "metric": limit.metric,
        "stat": limit.stat,
        "most": limit.most,
        "least": limit.least,
        "at": limit.at,
        "unit": unit_of(limit.metric),
    }


def _parameter(parameter: Parameter) -> Json:
    values = parameter.values
    is_number = parameter.kind in ("int", "float")
    return {
        "name": parameter.name,
        "kind": KINDS.get(parameter.kind, parameter.kind),
        "values": None if values is None or len(values) > MOST_VALUES else list(values),
        "low": parameter.low if is_number else None,
        "high": parameter.high if is_number else None,
        "log": parameter.log,
    }


def _trial(standing: Standing, home: Home, trial: Trial) -> Json:
    judged = standing.judged.get(trial.number)
    failure = trial.failure
    return {
        "trial": trial.number,
        "task": trial.task,
        "state": trial.task_state.value,
        "status": standing.state_of(trial),
        "phase": None if trial.is_final else _phase(home, trial),
        "baseline": standing.baseline is trial,
        "params": dict(trial.params),
        "values": [standing.value(trial, each) for each in standing.aims.objectives],
        "feasible": standing.is_feasible(trial),
        "violations": [] if judged is None else [_violation(each) for each in judged.violations],
        "message": "" if failure is None else f"{failure.kind}: {failure.message}",
        "gpus": list(trial.gpus),
        "started_at": iso_utc(trial.started_at),
        "ended_at": iso_utc(trial.ended_at),
    }


def _violation(check: Check) -> Json:
    limit = check.slo.most if check.slo.most is not None else check.slo.least
    return {"metric": check.slo.metric, "at": check.at, "value": check.actual, "limit": limit, "sentence": str(check)}


def _best(standing: Standing) -> Json | None:
    trial = standing.best
    if trial is None:
        return None
    argv = standing.command(trial)
    return {
        "trial": trial.number,
        "values": [standing.value(trial, each) for each in standing.aims.objectives],
        "gain": _gains(standing, trial),
        "argv": list(argv),
        "command": shlex.join(argv),
        "argv_diff": _argv_diff(standing, trial),
    }


def _gains(standing: Standing, trial: Trial) -> list[float | None]:
    """What it gains against the baseline in each objective, as a share; None where that is not known."""
    found = [standing.gain(trial, each) for each in standing.aims.objectives]
    return [None if each is None else each.value for each in found]


def _argv_diff(standing: Standing, trial: Trial) -> list[tuple[str, str]]:
    """The words of its command, each with what is said of it beside the baseline's: the same, gone, or new; ports
    are none of these."""
    base = standing.baseline
    before = list(standing.comparable(base)) if base is not None else []
    after = list(standing.comparable(trial))
    found: list[tuple[str, str]] = []
    for kind, a, b, c, d in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind == "equal":
            found += [(" ", word) for word in before[a:b]]
        else:
            found += [("-", word) for word in before[a:b]]
            found += [("+", word) for word in after[c:d]]
    return found


def _metrics_shown(standing: Standing) -> frozenset[str]:
    """What objectives and limits speak of: all that load curves of many trials need."""
    aims = standing.aims
    return frozenset({*(each.metric for each in aims.objectives), *(each.metric for each in aims.slo)})


def _points(trial: Trial) -> Sequence[PointResult]:
    return () if trial.document is None else trial.document.points


def _point(result: PointResult, shown: frozenset[str] | None) -> Json:
    metrics: Mapping[str, Mapping[str, float]] = result.metrics
    return {
        "name": result.point.name,
        "concurrency": result.point.concurrency,
        "rate": result.point.rate,
        "metrics": {name: dict(of) for name, of in metrics.items() if shown is None or name in shown},
        "requests": result.requests,
        "errors": result.errors,
        "saturated": result.saturated,
        "stopped": result.stopped,
    }


def _phase(home: Home, trial: Trial) -> Any:
    """What a trial does just now, by its own word."""
    if not trial.attempt:
        return None
    folder: Path = attempt_folder(home, trial.run, trial.task, trial.attempt) / "out"
    try:
        descriptor = open_artifact(folder, PHASE_FILE)
    except ArtifactRefused:
        return None
    with os.fdopen(descriptor, "rb") as file:
        try:
            found = json.loads(file.read(65_536))
        except ValueError:
            return None
    return found.get("phase") if isinstance(found, dict) else None
