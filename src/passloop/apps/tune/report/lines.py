"""A study in lines for a terminal: which columns a table of trials has, what stands in them, and the words at its end.

It knows no terminal: cells are text, and a colour is a name. Pure.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from passloop.apps.figures import span_text, value_text
from passloop.apps.tune.study_view import Trial

from .document import objective_name
from .standing import Standing
from .units import bare_text, figure_text, gain_text, short_name, slo_text

__all__ = [
    "COLOURS",
    "TableCell",
    "closing_lines",
    "headings",
    "params_text",
    "rivals_text",
    "trial_cells",
    "unlike_text",
    "why_not",
]

COLOURS = {
    "complete": "green",
    "infeasible": "yellow",
    "pruned": "yellow",
    "failed": "red",
    "rejected": "red",
    "cancelled": "yellow",
    "running": "cyan",
    "queued": "dim",
}
MOST_REASONS = 3
LONGEST_LINE = 160
MOST_NAMED = 10
OWN = "all as the engine has it"
"""What a baseline without any parameter is."""


class TableCell(NamedTuple):
    """Text and the name of its colour."""

    text: str
    colour: str = ""


class Heading(NamedTuple):
    """A column; `right` aligns numbers, `shrinks` may be cut."""

    text: str
    right: bool = False
    shrinks: bool = False


def headings(standing: Standing) -> list[Heading]:
    """The columns of the table of trials."""
    found = [Heading("trial", right=True)]
    found += [Heading(name, right=True) for name in standing.study.space.names]
    if any(trial.gpus for trial in standing.trials):
        found.append(Heading("gpus", right=True))
    found += [Heading(short_name(each), right=True) for each in standing.aims.objectives]
    if standing.study.baseline is not None:
        found.append(Heading("gain", right=True))
    return [*found, Heading("time", right=True), Heading("state"), Heading("", shrinks=True)]


def trial_cells(standing: Standing, trial: Trial, *, note: str = "", now: int | None = None) -> list[TableCell]:
    """The row of a trial. `note` says what it does, of one that is not over; `now` is engine time in ms."""
    best = standing.best is trial
    bold = "bold" if best else ""
    cells = [TableCell(str(trial.number), bold)]
    cells += [TableCell(value_text(trial.params.get(name)), bold) for name in standing.study.space.names]
    if any(each.gpus for each in standing.trials):
        cells.append(TableCell(str(len(trial.gpus)) if trial.gpus else ""))
    for objective in standing.aims.objectives:
        cells.append(TableCell(bare_text(objective.metric, standing.value(trial, objective)), bold))
    if standing.study.baseline is not None:
        cells.append(TableCell(_gain(standing, trial), bold))
    cells.append(TableCell(span_text(_seconds(trial, now))))
    state = standing.state_of(trial)
    cells.append(TableCell("best" if best else state, COLOURS.get(state, "")))
    told = filter(None, (why_not(standing, trial), standing.unlike.get(trial.number, "")))
    cells.append(TableCell(note or "; ".join(told)))
    return cells


def _gain(standing: Standing, trial: Trial) -> str:
    if trial is standing.baseline:
        return "baseline"
    found = standing.gain(trial, standing.aims.objectives[0])
    return "" if found is None else f"{100 * found.value:+.1f} %"


def _seconds(trial: Trial, now: int | None) -> float | None:
    if trial.millis is not None:
        return trial.millis / 1000
    if trial.started_at is None or now is None or trial.is_final:
        return None
    return max(0, now - trial.started_at) / 1000


def why_not(standing: Standing, trial: Trial) -> str:
    """Why a trial is no candidate for the best."""
    failure = trial.failure
    if failure is not None:
        last = failure.lines[-1][:LONGEST_LINE] if failure.lines else ""
        return f"{failure.kind}: {failure.message}" + (f": {last}" if last and last not in failure.message else "")
    if trial.document is not None and trial.document.pruned:
        aims = standing.study.slo, standing.study.objectives
        same = (trial.order.slo, trial.order.objectives) == aims
        return trial.document.pruned if same else f"under other limits: {trial.document.pruned}"
    missed = standing.judged[trial.number].violations if trial.number in standing.judged else ()
    told = [(check, figure_text(check.slo.metric, check.actual) or "not measured") for check in missed]
    return ", ".join(f"{check.slo.metric} {check.slo.stat} {figure} at {check.at}" for check, figure in told)


def closing_lines(standing: Standing) -> Iterator[str]:
    """What came of it: the best trial, what it gains, its command; or why there is none."""
    counts = ", ".join(f"{count} {state}" for state, count in sorted(standing.counts.items()))
    number = len(standing.trials)
    trials = f"{number} trial{'' if number == 1 else 's'}: {counts}" if number else "no trial"
    yield trials + (f"; {standing.stop}" if standing.stop else "")
    for reason, count in standing.unable.most_common(MOST_REASONS):
        yield f"{count} of the space cannot run here: {reason}"
    if standing.unfinished:
        yield _unfinished(standing.unfinished)
    if standing.unlike:
        yield unlike_text(standing)
    best = standing.best
    if best is None:
        yield from _no_best(standing)
        return
    if len(standing.aims.objectives) > 1:
        yield f"front: trials {', '.join(str(trial.number) for trial in standing.front)}"
    yield f"best: trial {best.number} ({params_text(best)})"
    for objective in standing.aims.objectives:
        value = figure_text(objective.metric, standing.value(best, objective))
        found = standing.gain(best, objective)
        against = f", {gain_text(*found)} against the baseline" if found is not None else ""
        yield f"  {objective_name(objective)}: {value}{against}"
    if standing.rivals:
        yield f"  {rivals_text(standing)}"
    yield f"  {shlex.join(standing.command(best))}"


def unlike_text(standing: Standing) -> str:
    """Which trials were not measured like the last one, and how they are."""
    trials = [trial for trial in standing.trials if trial.number in standing.unlike]
    hows = "; ".join(dict.fromkeys(standing.unlike.values()))
    tasks = " ".join(str(trial.task) for trial in trials[:MOST_NAMED])
    forget = f"forget them: `passloop rm {tasks}`, then the same command"
    return f"measured otherwise: {_numbers(trials)} ({hows}); no gain is told between the two; {forget}"


def rivals_text(standing: Standing) -> str:
    """Which trials may be as good as the best, by chance."""
    return f"not told apart by its repeats (95 %): {_numbers(standing.rivals)}"


def params_text(trial: Trial) -> str:
    """The parameters of a trial."""
    return ", ".join(f"{name}={value_text(value)}" for name, value in trial.params.items()) or OWN


def _unfinished(trials: Sequence[Trial]) -> str:
    """What is left to do, so that the exit code is 1."""
    again = f"the same command tries {'them' if len(trials) > 1 else 'it'} again"
    return f"not measured: {_numbers(trials)}; {again}, `constraints` leave out what cannot work"


def _numbers(trials: Sequence[Trial]) -> str:
    """`trial 3`, `trials 1, 2, 5 and 4 more`."""
    numbers = ", ".join(str(trial.number) for trial in trials[:MOST_NAMED])
    more = f" and {len(trials) - MOST_NAMED} more" if len(trials) > MOST_NAMED else ""
    return f"trial{'s' if len(trials) > 1 else ''} {numbers}{more}"


def _no_best(standing: Standing) -> Iterator[str]:
    limits: Sequence[str] = [slo_text(limit) for limit in standing.aims.slo]
    yield "no trial is feasible" + (f": none keeps {', '.join(limits)}" if limits and standing.judged else "")
    if standing.nearest is not None:
        yield f"nearest: trial {standing.nearest.number} ({why_not(standing, standing.nearest)})"
