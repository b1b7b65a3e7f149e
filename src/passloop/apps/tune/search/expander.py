"""Writes out a study's next trial: reads the store, asks the sampler, gives the trial as one task.

A function of the study, of the number of the unit and of what is committed. The sampler runs in a thread. Trials that
failed before this run come again first; a configuration that is known is never measured again.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING

from passloop.apps.tune.candidates import Box, Candidate
from passloop.apps.tune.examining import has_baseline_beside
from passloop.apps.tune.identity import digest
from passloop.apps.tune.scoring.best import Scorer
from passloop.apps.tune.scoring.objectives import objective_value
from passloop.apps.tune.study import Study, study_of_text
from passloop.apps.tune.study_view import Trial, trials_of
from passloop.apps.tune.vram import Peak
from passloop.engine.expanding import ExpandAsk, Expansion
from passloop.kernel.events import PoolDeclared, PoolKind, SourceDeclared
from passloop.kernel.source_rows import ResidentGuard, SourcePlan, TemplateNode
from passloop.kernel.tasks import TaskState

from .budgets import Budgets, alike, enough
from .memory import Way
from .proposing import Proposer
from .tasks import environment_id, parallel_pool, request_of, task_of
from .told import Aims
from .unfinished import comes_again

if TYPE_CHECKING:
    from passloop.kernel.resources import Request

__all__ = [
    "KIND",
    "StudyPaused",
    "TuneExpander",
    "aims_of",
    "budgets_of",
    "declared_of",
    "own_trials",
    "parallel_of",
    "peaks_of",
    "spec_hash",
]

KIND = "tune"
MOST_WEIGHED = 2_000
"""Candidates that are looked at to find the least that any of them asks."""
PEAKS = "vram_peak_mib"
"""Where a trial notes what it was seen to take: MiB by GPU."""


class StudyPaused(Exception):
    """The last trials failed in the same way: a person should look before more of them do."""


class TuneExpander:
    """Writes out the trials of studies."""

    async def expand(self, ask: ExpandAsk) -> Expansion:
        """The next trial, or the end of the study. Raises `StudyPaused`."""
        study = await asyncio.to_thread(_study, ask.spec)
        trials, now = await ask.read(lambda reader: (trials_of(reader, study.id), reader.last_now()))
        return await asyncio.to_thread(_expanded, ask, study, trials, now)


def _expanded(ask: ExpandAsk, study: Study, trials: Sequence[Trial], now: int) -> Expansion:
    own = own_trials(study, trials)
    aims, budgets = aims_of(study), budgets_of(study)
    _pause_if_alike(own, budgets, run=ask.run)
    again = next((trial for trial in own if trial.run != ask.run and comes_again(study, trial)), None)
    if again is not None:
        return _unit(ask, study, study.candidate(again.params), number=again.number, own=own, before=again)
    if enough(budgets, own, aims, now=now) is not None:
        return Expansion(exhausted=True)
    number = max((trial.number for trial in trials), default=-1) + 1
    candidate = _proposer(ask.spec).propose(own, number=number)
    if candidate is None:
        return Expansion(exhausted=True)
    return _unit(ask, study, candidate, number=number, own=own)


def _unit(
    ask: ExpandAsk,
    study: Study,
    candidate: Candidate,
    *,
    number: int,
    own: Sequence[Trial],
    before: Trial | None = None,
) -> Expansion:
    """One trial. The key of a task that succeeded means that task, so a trial that is measured anew has another."""
    aims = aims_of(study)
    best = next(iter(aims.ranked(trial.document for trial in own if trial.document is not None)), None)
    value = objective_value(best, aims.objectives[0]) if best is not None and len(aims.objectives) == 1 else None
    text = _environment(ask.spec)
    environment = environment_id(text)
    seen = study.candidate(candidate.params, peaks_of(study, own))
    if seen.invalid is None:
        candidate = seen
    order = study.order(candidate, trial=number, best=value)
    task = task_of(study, candidate, order, environment=environment)
    if before is not None and before.task_state is TaskState.SUCCEEDED:
        task = replace(task, key=f"{task.key}:{before.task}")
    return Expansion(tasks=(task,), environments=((environment, text),))


def peaks_of(study: Study, trials: Sequence[Trial]) -> list[Peak]:
    """What the trials were seen to take of a GPU at most, for candidates whose memory is estimated."""
    found = []
    for trial in trials:
        told = trial.document.provenance.get(PEAKS) if trial.document is not None else None
        sizes = [mib for mib in told.values() if isinstance(mib, int)] if isinstance(told, dict) else []
        if sizes:
            found.append(Peak(study.candidate(trial.params).values, max(sizes)))
    return found


def _pause_if_alike(own: Sequence[Trial], budgets: Budgets, *, run: int) -> None:
    last = alike([trial for trial in own if trial.run == run], budgets.same_failures)
    if not last:
        return
    failure = last[-1].failure
    assert failure is not None
    tasks = ", ".join(str(trial.task) for trial in last)
    raise StudyPaused(
        f"paused: {len(last)} trials in a row failed the same way ({failure.kind}: {failure.message}), tasks {tasks}; "
        f"look: passloop logs {last[-1].task}; go on: passloop retry @{run}"
    )


def declared_of(study: Study, *, environment: Mapping[str, str]) -> SourceDeclared:
    """The run of a study, as the kernel's event. `environment` is what trials run in. What the machine of the study's
    `box` cannot hold is never asked for.
    """
    spec = study.spec
    about = {"kind": KIND, "study": study.id, "hash": spec_hash(study), "axes": list(study.space.names)}
    return SourceDeclared(
        name=spec.tune,
        kind=KIND,
        plan=SourcePlan(
            template=(TemplateNode(_least(study), completes=True),),
            guard=ResidentGuard(units=spec.search.max_parallel),
            ahead=0,
        ),
        group=spec.group,
        priority=spec.priority,
        refuse_impossible=True,
        about=json.dumps(about),
        spec=json.dumps(
            {
                "study": study.wire(),
                "box": [study.box.gpus, study.box.largest_mib],
                "environment": dict(environment),
            }
        ),
    )


def spec_hash(study: Study) -> str:
    """Of all that the spec says: two starts of one hash are the same."""
    return digest(json.loads(study.wire())["spec"])


def parallel_of(study: Study) -> PoolDeclared:
    """The pool of places among a study's trials, to be declared before its run."""
    return PoolDeclared(parallel_pool(study), PoolKind.AMOUNT, study.spec.search.max_parallel)


def aims_of(study: Study) -> Aims:
    """What a study is after."""
    scorer: Scorer = "penalty" if study.spec.scorer == "penalty" else "objective"
    return Aims(study.objectives, study.slo, scorer, study.spec.steepness)


def budgets_of(study: Study) -> Budgets:
    """What ends a study's search. A baseline that is no point of the space comes beside all of its points."""
    search = study.spec.search
    beside = search.max_trials is None and has_baseline_beside(study)
    return Budgets(
        max_trials=study.max_trials + beside,
        max_gpu_hours=search.max_gpu_hours,
        patience=search.patience,
        same_failures=search.same_failures,
    )


def own_trials(study: Study, trials: Sequence[Trial]) -> tuple[Trial, ...]:
    """Those of what was measured that are of this space: another one may share the engine and the load."""
    return tuple(trial for trial in trials if study.candidate(trial.params).hash == trial.hash)


def _least(study: Study) -> Request:
    """The least that any candidate asks, so that the sampler is asked as soon as some trial could start."""
    points = study.space.points
    found = [study.baseline] if study.baseline is not None else []
    if points is not None:
        found += [study.candidate(params) for params in islice(study.space.grid(), MOST_WEIGHED)]
    able = [candidate for candidate in found if candidate.invalid is None]
    if not able:
        return request_of(study, study.candidate({}))
    return request_of(study, min(able, key=lambda each: (each.gpus, each.vram_mib or 0, each.cpus_milli)))


@lru_cache(maxsize=4)
def _study(spec: str) -> Study:
    told = json.loads(spec)
    return study_of_text(told["study"]).on(Box(*told["box"]))


@lru_cache(maxsize=4)
def _proposer(spec: str) -> Proposer:
    study = _study(spec)
    search = study.spec.search
    population = max(4, min(50, study.max_trials // 4))
    way = Way(search.sampler, search.seed, search.startup, population)
    return Proposer.of(study, way, aims_of(study))


@lru_cache(maxsize=4)
def _environment(spec: str) -> str:
    return json.dumps(json.loads(spec).get("environment", {}), sort_keys=True, separators=(",", ":"))
