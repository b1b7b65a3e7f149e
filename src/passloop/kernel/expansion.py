"""Sources come in, are asked for units and parts, and answer. For what, and when, is `sources.py`'s rule, not this
file's."""

from __future__ import annotations

from .changes import Refusal, RunAdded, SourceAnswer
from .closures import give_another_chance
from .events import Expanded, ExpansionFailed, SourceDeclared, SourceRetried, UnitResized
from .fitting import could_ever_fit
from .ids import RunId
from .instructions import Expand
from .misfits import explain_misfit
from .records import Shape
from .source_records import Source, Unit
from .source_rows import Part, SourcePlan, SourceRow, SourceState, UnitRow
from .sources import next_part, next_refill
from .state import State
from .submission import Intake, bad_dependency, take_in
from .tasks import RunRow, TaskSpec
from .units import end_source, leave_unit

__all__ = [
    "ask",
    "forget_over",
    "on_expanded",
    "on_expansion_failed",
    "on_source_declared",
    "on_source_retried",
    "on_unit_resized",
    "shapes_of",
]


def on_source_declared(state: State, event: SourceDeclared) -> SourceAnswer | Refusal:
    """Make a run whose tasks come from a source, or answer why not."""
    refusal = _malformed(event.plan) or _misfit(state, event)
    if refusal is not None:
        return refusal
    run = RunId(state.next_run)
    state.next_run += 1
    group = state.group(event.group)
    state.turn.added.append(RunAdded(RunRow(run, event.name or f"run-{run}", group.name, state.now), event.about))
    row = SourceRow(
        run,
        event.kind,
        group.name,
        event.priority,
        SourceState.OPEN,
        group.keeper() is not None,
        0,
        0,
        0,
        "",
        state.now,
        None,
    )
    source = state.sources[run] = Source(row, event.plan, shapes_of(state, event.plan))
    state.turn.declared[run] = event.spec, event.unit_specs
    state.touch_source(source)
    _chance(state, source)
    _exhaust(state, source)
    state.stir()
    return SourceAnswer(run)


def shapes_of(state: State, plan: SourcePlan) -> list[Shape]:
    """The shapes of a template's nodes, in order."""
    return [state.shape(TaskSpec(node.request, driver=node.driver, on_dead=node.on_dead)) for node in plan.template]


def _malformed(plan: SourcePlan) -> Refusal | None:
    if not plan.template:
        return Refusal("invalid", "a source's template has at least one node")
    for number, node in enumerate(plan.template):
        if any(not 0 <= before < number for before in node.after):
            return Refusal("invalid", f"node {number} of the template can only come after an earlier node")
    guard = plan.guard
    if min(plan.ahead, plan.units or 0, plan.tasks or 0, guard.bytes or 0, guard.units or 0) < 0:
        return Refusal("invalid", "a source's numbers cannot be negative")
    if not any(node.completes or not node.is_local for node in plan.template):
        return Refusal("invalid", "no node of the template completes an output")
    return None


def _misfit(state: State, event: SourceDeclared) -> Refusal | None:
    shapes = shapes_of(state, event.plan)
    misfits = [shape for shape in shapes if not could_ever_fit(state, shape)]
    if misfits and (event.refuse_impossible or len(misfits) == len(shapes)):
        return Refusal("never_fits", explain_misfit(state, misfits[0]))
    return None


def _chance(state: State, source: Source) -> None:
    for node in source.nodes:
        give_another_chance(state, node.shape)


def ask(state: State) -> None:
    """After a pass: ask each source for what it wants now, if anything. Nothing is asked while nothing could start."""
    if state.draining or state.paused:
        return
    for source in state.sources.values():
        if source.held or not _may_be_asked(source):
            continue
        if _exhaust(state, source):
            continue
        part = next_part(state, source)
        if part is not None:
            source.state, source.asked = SourceState.ASKED, part
            source.asked_with = source.final_tasks
            state.touch_source(source)
            begun = part.unit < source.unit
            state.turn.instructions.append(Expand(source.run, source.kind, part.unit, part.nodes, begun))
            continue
        refill = next_refill(state, source)
        if refill is not None:
            state.wakeups.plan_pass(refill)


def _may_be_asked(source: Source) -> bool:
    """Whether it waits for nothing. One that rests can give what lags."""
    return source.state is SourceState.OPEN or (source.state is SourceState.RESTING and bool(source.lags))


def _answered(state: State, event: Expanded | ExpansionFailed) -> Source | None:
    """The source that waits for this answer and no longer does; None for any other answer, which changes nothing."""
    source = state.sources.get(event.source)
    if source is None or source.asked != Part(event.unit, event.nodes):
        return None
    source.asked = None
    return source


def on_expanded(state: State, event: Expanded) -> None:
    """What was asked for is written out: its tasks enter, once."""
    source = _answered(state, event)
    if source is None:
        return
    wrong = _wrong(state, source, event)
    if wrong is not None:
        end_source(state, source, SourceState.FAILED, f"unit {event.unit}: {wrong}")
    elif event.rest:
        _rest(state, source)
    else:
        _enter(state, source, event)
    state.stir()


def _wrong(state: State, source: Source, event: Expanded) -> str | None:
    """Why this answer cannot be taken, if so."""
    if event.rest and (event.tasks or event.exhausted):
        return "it says that there is nothing now and gives something"
    if event.rest and event.unit < source.unit:
        return "it says that there is nothing now of a unit that has begun"
    if event.bytes < 0:
        return "it keeps less than nothing in memory"
    if any(not 0 <= task.node < len(source.nodes) for task in event.tasks):
        return "a task names a node that the template does not have"
    if event.nodes and any(task.node not in event.nodes for task in event.tasks):
        return "a task is of a node that was not asked for"
    refusal = bad_dependency(state, event.tasks, event.known)
    return None if refusal is None else refusal.message


def _rest(state: State, source: Source) -> None:
    """There is nothing now. It is asked again once a task is final; one that became so meanwhile counts."""
    if source.final_tasks != source.asked_with:
        source.state = SourceState.OPEN
    elif source.left or source.lags:
        source.state = SourceState.RESTING
    else:
        why = f"unit {source.unit}: it waits for an end of its tasks, but none of them is live"
        end_source(state, source, SourceState.FAILED, why)
    state.touch_source(source)


def _enter(state: State, source: Source, event: Expanded) -> None:
    unit = _unit(state, source, event)
    unit.count(1)  # held open until all of it is in
    source.state = SourceState.OPEN
    if event.exhausted and event.unit == source.unit:
        source.end = event.unit + 1
    source.advance(Part(event.unit, event.nodes))
    source.tasks += len(event.tasks)
    intake = Intake(
        run=source.run,
        groups=tuple(state.group("/".join(filter(None, (source.group, node.group)))) for node in source.nodes),
        priority=source.priority,
        known=dict(event.known),
        known_keys=dict(event.known_keys),
        refusable=False,
        unit=unit,
    )
    take_in(state, intake, event.tasks)
    state.touch_unit(unit)
    state.touch_source(source)
    _exhaust(state, source)
    leave_unit(state, unit)


def _unit(state: State, source: Source, event: Expanded) -> Unit:
    """The unit with this part of it: one that has live tasks has more of them now, any other comes in."""
    unit = source.units.get(event.unit)
    if unit is None:
        return source.add(UnitRow(source.run, event.unit, event.bytes, len(event.tasks), state.now, None))
    unit.extend(size=event.bytes, tasks=len(event.tasks))
    return unit


def _exhaust(state: State, source: Source) -> bool:
    """Whether all units of an open source are there. A repair may leave one that is over in its units alone."""
    if source.has_more or source.lags:
        return False
    end_source(state, source, SourceState.EXHAUSTED, "")
    return True


def on_expansion_failed(state: State, event: ExpansionFailed) -> None:
    """Something could not be written out. Nothing is tried again by itself; the tasks there are go on."""
    source = _answered(state, event)
    if source is not None:
        end_source(state, source, SourceState.FAILED, f"unit {event.unit}: {event.message}")


def on_source_retried(state: State, event: SourceRetried) -> Refusal | None:
    """A user lets a failed source go on."""
    source = state.sources.get(event.source)
    if source is None or source.state is not SourceState.FAILED:
        return Refusal("invalid", f"run {event.source} has no source that failed")
    source.state = SourceState.OPEN
    source.message = ""
    source.ended_at = None
    state.touch_source(source)
    _chance(state, source)
    state.stir()
    return None


def on_unit_resized(state: State, event: UnitResized) -> None:
    """All tasks of an unfinished unit keep another amount in memory; of a finished one it changes nothing."""
    source = state.sources.get(event.source)
    unit = source.units.get(event.unit) if source is not None else None
    if source is None or unit is None or event.bytes < 0:
        return
    unit.resize(event.bytes)
    state.touch_unit(unit)
    state.stir()


def forget_over(state: State) -> None:
    """Drop the sources that are over: by now that is committed. A failed one stays, for it may be retried."""
    for source in state.over:
        if source.ended_at is not None and source.state is not SourceState.FAILED:
            state.sources.pop(source.run, None)
    state.over.clear()
