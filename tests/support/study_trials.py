"""Trials of a study as the store would give them, in one line each, and a sampler that is asked without an engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from passloop.apps.tune.records import Document, Failure, Params
from passloop.apps.tune.search.expander import aims_of
from passloop.apps.tune.search.memory import Way
from passloop.apps.tune.search.proposing import Proposer
from passloop.apps.tune.study import Study
from passloop.apps.tune.study_view import Trial
from passloop.kernel.tasks import OutcomeKind, TaskState
from tests.support.trial_documents import point

__all__ = ["failed", "measured", "pruned", "running", "searched", "trial_of"]


def trial_of(study: Study, number: int, params: Params, state: TaskState, **facts: Any) -> Trial:
    """A trial in this state; `document` and other fields as they are said. It ended at its number in seconds."""
    order = study.order(study.candidate(params), trial=number)
    ended = 1_000 * (number + 1)
    told: dict[str, Any] = {
        "task": number + 1,
        "run": 1,
        "outcome": None,
        "message": "",
        "gpus": (),
        "attempt": 1,
        "submitted_at": 0,
        "started_at": ended - 500,
        "ended_at": ended,
        "gpu_ms": 0,
        "document": None,
    }
    return Trial(order=order, task_state=state, **(told | facts))


def running(study: Study, number: int, params: Params, **facts: Any) -> Trial:
    """A trial that is being measured."""
    return trial_of(study, number, params, TaskState.RUNNING, ended_at=None, **facts)


def measured(study: Study, number: int, params: Params, value: float, **facts: Any) -> Trial:
    """A trial with so many output tokens a second at concurrency=4; `ttft_p95` and others are metrics, too."""
    metrics = {name: facts.pop(name) for name in list(facts) if name.startswith(("ttft", "tpot", "e2e", "width"))}
    points = (
        point("concurrency=1", output_tokens_per_second=value / 2),
        point("concurrency=4", output_tokens_per_second=value, **metrics),
    )
    document = _document(study, number, params, state="complete", points=points)
    return trial_of(study, number, params, TaskState.SUCCEEDED, document=document, **facts)


def pruned(study: Study, number: int, params: Params, why: str = "cannot win", **facts: Any) -> Trial:
    """A trial that was stopped early."""
    document = _document(study, number, params, state="pruned", pruned=why, points=facts.pop("points", ()))
    return trial_of(study, number, params, TaskState.SUCCEEDED, document=document, **facts)


def failed(
    study: Study, number: int, params: Params, kind: str = "crash", message: str = "it broke", **facts: Any
) -> Trial:
    """A trial that failed."""
    lines = facts.pop("lines", ("a line of the log",))
    failure = Failure(kind=kind, message=message, phase="starting", lines=lines)
    document = _document(study, number, params, state="failed", failure=failure)
    told = {"outcome": OutcomeKind.FAILURE, "document": document} | facts
    return trial_of(study, number, params, TaskState.FAILED, **told)


def _document(study: Study, number: int, params: Params, **facts: Any) -> Document:
    candidate = study.candidate(params)
    argv = tuple(word.replace("{port}", "8000") for word in candidate.argv)
    return Document(trial=number, params=candidate.params, hash=candidate.hash, argv=argv, **facts)


def searched(study: Study, sampler: str, trials: Sequence[Trial] = (), **settings: Any) -> Params | None:
    """The parameters of the next trial; None if there is no other."""
    proposer = Proposer.of(study, Way(sampler, **settings), aims_of(study))
    candidate = proposer.propose(trials, number=len(trials))
    return None if candidate is None else candidate.params
