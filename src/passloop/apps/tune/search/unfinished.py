"""Which stored trials are not over for good: those that the next run of their study measures again. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from passloop.apps.tune.study_view import Trial

if TYPE_CHECKING:
    from passloop.apps.tune.study import Study

__all__ = ["comes_again"]

AGAIN = frozenset({"failed", "cancelled", "rejected"})


def comes_again(study: Study, trial: Trial) -> bool:
    """Whether the next run measures a trial again: one that failed and may go otherwise then (memory that ran out will
    run out again: that is a finding), or one that was given up for limits or objectives that are others now.
    """
    if trial.state == "pruned":
        return (trial.order.slo, trial.order.objectives) != (study.slo, study.objectives)
    return trial.state in AGAIN and (trial.failure is None or trial.failure.kind != "out_of_memory")
