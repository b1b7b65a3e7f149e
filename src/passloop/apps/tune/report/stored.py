"""How a study stands by the store: its trials, and why the search ended or waits. Reads only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from passloop.apps.text import without_unit
from passloop.apps.tune.search.budgets import enough
from passloop.apps.tune.search.expander import aims_of, budgets_of, own_trials
from passloop.apps.tune.study_view import Trial, trials_of
from passloop.kernel.source_rows import SourceState

from .standing import Standing

if TYPE_CHECKING:
    from passloop.apps.tune.study import Study
    from passloop.store.reader import Reader

__all__ = ["standing_of"]


def standing_of(reader: Reader, study: Study, *, run: int | None = None) -> Standing:
    """How a study stands; with a run, whether its search ended or waits, too."""
    trials = own_trials(study, trials_of(reader, study.id))
    stop, paused = _ending(reader, study, trials, run)
    return Standing(study, aims_of(study), trials, stop, paused)


def _ending(reader: Reader, study: Study, trials: tuple[Trial, ...], run: int | None) -> tuple[str, bool]:
    source = reader.source(run if run is not None else max((trial.run for trial in trials), default=0))
    if source is None:
        return "", False
    state = source.row.state
    if state is SourceState.FAILED:
        return without_unit(source.row.message), True
    if state is SourceState.CANCELLED:
        return "cancelled", True
    if state is not SourceState.EXHAUSTED:
        return "", False
    latest = max((trial.ended_at or 0 for trial in trials), default=0)
    why = enough(budgets_of(study), trials, aims_of(study), now=latest)
    return why or "no point that can run here is left", False
