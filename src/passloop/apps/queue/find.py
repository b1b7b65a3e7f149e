"""A selection -> the store's filter: looks up run names and the newest task. Reads only; exit 3 if there is
none.

A sweep that was submitted again is one thing to people: its newest run has only the cells that were missing, and
stands for the rest. So its name means all runs of it (`same_sweep.py`), and so does the id of a run without tasks of
its own. Of several sweeps of one name it means the newest.
"""

from __future__ import annotations

from passloop.apps.errors import Problem, SpecError, did_you_mean
from passloop.apps.text import shown
from passloop.engine.errors import NotFound
from passloop.kernel.source_rows import SourceRow, SourceState
from passloop.kernel.tasks import OutcomeKind
from passloop.store.filters import TaskFilter, is_inside
from passloop.store.reader import Reader, RunView

from .same_sweep import is_sweep, runs_of_sweep
from .selectors import Selection

__all__ = ["filter_of", "require_ids", "run_id_of", "runs_of", "sources_in"]

OUTCOMES = frozenset(outcome.value for outcome in OutcomeKind)


def filter_of(selection: Selection, reader: Reader, *, before: int | None = None) -> TaskFilter:
    """The filter of `selection`. Raises `NotFound` for a run that is not there, or `last` without any task, and
    `SpecError` for a class that nothing has.
    """
    _check_classes(selection.classes, reader)
    ids = selection.ids
    if selection.last:
        newest = reader.last_task()
        if newest is None:
            raise NotFound("there are no tasks yet", hint="passloop submit -- COMMAND")
        ids = (*ids, (newest, newest))
    return TaskFilter(
        ids=ids,
        runs=tuple(dict.fromkeys(run for name in selection.runs for run in runs_of(name, reader))),
        states=selection.states,
        classes=selection.classes,
        keys=selection.keys,
        groups=selection.groups,
        before=before,
    )


def _check_classes(classes: tuple[str, ...], reader: Reader) -> None:
    """A class is an outcome's or that of some task; a misspelt one would silently select nothing."""
    unsure = [name for name in classes if name not in OUTCOMES]
    known = frozenset(reader.task_classes()) if unsure else frozenset()
    unknown = [name for name in unsure if name not in known]
    if unknown:
        problems = [
            Problem(f"the selector {shown('class:' + name)} names no class", _near(name, known), "selector")
            for name in unknown
        ]
        raise SpecError(problems, next_command="passloop ls")


def _near(name: str, known: frozenset[str]) -> str:
    fix = did_you_mean(name, known | OUTCOMES)
    return fix if fix.startswith("did you mean") else did_you_mean(name, OUTCOMES) + ", or the class of a task"


def run_id_of(name: str, reader: Reader) -> int:
    """The id of the run with this id, or of the newest with this name. Raises `NotFound`."""
    return _run(name, reader).row.id


def runs_of(name: str, reader: Reader) -> list[int]:
    """The runs that `@name` means. Raises `NotFound`.

    The name of a sweep means all submissions of the newest sweep of this name. A command's name is often only its
    program's, so it means the newest. A run without tasks of its own stands for those that have them: of the same
    sweep, or of its name and the same command.
    """
    run = _run(name, reader)
    sweep = is_sweep(run)
    if (run.counts or run.source is not None) and not (sweep and run.row.name == name):
        return [run.row.id]
    if sweep:
        return [other.row.id for other in runs_of_sweep(run, reader)]
    return [other.row.id for other in reader.runs() if (other.row.name, other.about) == (run.row.name, run.about)]


def sources_in(selection: Selection, reader: Reader, *, over: bool = False) -> list[SourceRow]:
    """The sources that a selection means: those of runs and groups that are named whole and have tasks to come; with
    `over` those that have none, too.
    """
    if selection.states or selection.classes or selection.keys:
        return []
    if selection.runs:
        runs = dict.fromkeys(run for name in selection.runs for run in runs_of(name, reader))
        heads = reader.source_heads(runs)
        found = [heads.get(run) for run in runs]
    elif selection.groups and not selection.ids and not selection.last:
        found = [run.source for run in reader.runs()]
    else:
        return []
    rows = [one.row for one in found if one is not None and _is_chosen(one.row, selection)]
    return rows if over else list(filter(_may_go_on, rows))


def _is_chosen(source: SourceRow, selection: Selection) -> bool:
    return not selection.groups or any(is_inside(source.group, outer) for outer in selection.groups)


def _may_go_on(source: SourceRow) -> bool:
    """A failed one may be retried or given up."""
    return source.ended_at is None or source.state is SourceState.FAILED


def _run(name: str, reader: Reader) -> RunView:
    run = reader.run(name)
    if run is None:
        raise NotFound(f"there is no run {shown(name)}", hint="passloop ls")
    return run


def require_ids(selection: Selection, reader: Reader) -> list[int]:
    """The ids of the tasks selected, ascending. Raises `NotFound` when a task that was named by id is not there."""
    wanted = filter_of(selection, reader)
    single = [low for low, high in wanted.ids if low == high]
    if single:
        there = set(reader.task_ids(TaskFilter(ids=tuple((one, one) for one in single))))
        missing = [one for one in single if one not in there]
        if missing:
            raise NotFound(f"there is no task {missing[0]}", hint="passloop ls")
    return reader.task_ids(wanted)
