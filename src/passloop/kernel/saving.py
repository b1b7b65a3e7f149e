"""Between the machine and its rows: the changes of a turn, and the machine rebuilt from what the store kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from .changes import (
    AttemptChanged,
    Change,
    GroupChanged,
    PoolChanged,
    SourceAdded,
    SourceChanged,
    TaskAdded,
    TaskChanged,
    UnitChanged,
)
from .cooldowns import Closure, Gate
from .device_pool import Device
from .events import DeviceSeen, Foreign, PoolKind
from .expansion import shapes_of
from .ids import AttemptId, PoolName
from .ledger import charge
from .lessons import LESSONS
from .lifecycle import STRAY
from .parking import restore_workers
from .pools import RatePool, ScalarPool
from .records import Attempt, Shape, Task
from .resources import GPU
from .saved import Saved, SavedTask
from .source_records import LiveCell, Source
from .source_rows import Cell
from .state import DEFAULT_POLICY, PoolPolicy, State
from .tasks import AttemptRow, TaskState
from .wakeups import WakeUp
from .workers import WORKERS

__all__ = ["changes", "forget_final", "restore"]


def forget_final(state: State) -> None:
    """Drop the tasks that became final in the last turn: by now they are committed."""
    for task in state.final:
        state.tasks.pop(task.id, None)
        if task.key is not None and state.keys.get(task.key) == task.id:
            del state.keys[task.key]
    state.final.clear()


def changes(state: State) -> tuple[Change, ...]:
    """What this turn made different, each record once."""
    turn = state.turn
    found: list[Change] = list(turn.added)
    if turn.sources or turn.units:
        found += _source_changes(state)
    for task_id, task in turn.tasks.items():
        fresh = turn.fresh.get(task_id)
        found.append(TaskChanged(task.row()) if fresh is None else TaskAdded(task.row(), *fresh))
    found += [AttemptChanged(a.row()) for a in turn.attempts.values()]
    found += [_pool_row(state, name) for name in turn.pools]
    found += [GroupChanged(g.name, g.virtual_time, g.held) for g in turn.groups.values()]
    found += turn.facts
    return tuple(found)


def _source_changes(state: State) -> Iterator[Change]:
    """Sources first, then units."""
    turn = state.turn
    for run, source in turn.sources.items():
        specs = turn.declared.get(run)
        yield SourceChanged(source.row()) if specs is None else SourceAdded(source.row(), source.plan, *specs)
    for unit in turn.units.values():
        yield UnitChanged(unit.row())


def _pool_row(state: State, name: str) -> PoolChanged:
    if name == GPU:
        devices = [_device_state(device) for device in state.devices.devices.values()]
        return PoolChanged(name, PoolKind.DEVICES, json.dumps(devices))
    if name == WORKERS:
        return PoolChanged(WORKERS, WORKERS, state.workers.text())
    if name == LESSONS:
        return PoolChanged(LESSONS, LESSONS, state.lessons.text())
    pool = state.pools[name]
    policy = state.policies.get(name, DEFAULT_POLICY)
    body: dict[str, object] = {
        "capacity": pool.capacity,
        "parent": pool.parent.name if pool.parent is not None else None,
        "dead_after": policy.dead_after,
        "on_dead": policy.on_dead,
    }
    if pool.closure is not None:
        body["closure"] = _closure_state(pool.closure)
    if isinstance(pool, RatePool) and pool.is_known:
        body["spells"] = pool.draws(state.now)
    return PoolChanged(name, pool.kind, json.dumps(body))


def _closure_state(closure: Closure) -> dict[str, object]:
    return {**{name: getattr(closure, name) for name in Closure.__slots__}, "gate": closure.gate.value}


def _restore_closure(closure: Closure, kept: dict[str, object]) -> None:
    for name, value in kept.items():
        if name == "gate":
            closure.gate = Gate(str(value))
        elif isinstance(value, list):  # stores of before 0.2 have the recent outcomes one by one
            for well in value:
                closure.note(well=well)
        else:
            setattr(closure, name, value)


def _device_state(device: Device) -> dict[str, object]:
    return {
        "uuid": device.uuid,
        "index": device.index,
        "name": device.name,
        "vram_mib": device.vram,
        "usable_mib": device.usable,
        "utilisation": device.utilisation,
        "foreign": [[f.pid, f.user, f.name, f.vram_mib] for f in device.foreign],
        "strays": list(device.strays),
        "fault": device.fault,
        "numa": device.numa,
        "links": device.links,
        "virtual": device.virtual,
        "state": device.state.value,
    }


def restore(state: State, saved: Saved) -> None:
    """Fill an empty state from the store's rows, then charge what live attempts hold."""
    state.now = saved.last_now
    state.next_run, state.next_task, state.next_attempt = saved.next_run, saved.next_task, saved.next_attempt
    for sample in saved.durations:
        state.durations.learn(sample)
    for group in saved.groups:
        known = state.group(group.name)
        known.virtual_time, known.held = group.virtual_time, group.held
    for setting in saved.settings:
        if setting.name == "draining":
            state.draining = json.loads(setting.value)
        elif setting.name == "paused":
            state.paused = json.loads(setting.value)
    _restore_pools(state, saved)
    _restore_sources(state, saved)
    shapes: dict[int, Shape] = {}  # by the identity of specs: many tasks share one, and looking it up by value is dear
    for one in sorted(saved.tasks, key=lambda one: one.row.id):
        shape = shapes.get(id(one.spec))
        if shape is None:
            shape = shapes[id(one.spec)] = state.shape(one.spec)
        _restore_task(state, one, shape)
    for row in sorted(saved.attempts, key=lambda row: row.id):
        _restore_attempt(state, row)
    for restored in state.groups.values():
        state.note_settled(restored)
    for kept in saved.pools:
        if kept.kind == WORKERS:
            restore_workers(state, kept.state)
    _restore_places(state, dict(saved.known))


def _restore_pools(state: State, saved: Saved) -> None:
    bodies = {}
    for kept in saved.pools:
        if kept.kind == LESSONS:
            state.lessons.restore(kept.state)
        if kept.kind in (WORKERS, LESSONS):
            continue
        body = json.loads(kept.state)
        if kept.kind == PoolKind.DEVICES:
            _restore_devices(state, body)
        else:
            bodies[kept.name] = (PoolKind(kept.kind), body)
    for name in bodies:
        _declare(state, name, bodies)
    for name, (_, body) in bodies.items():
        pool: ScalarPool = state.pools[name]
        if pool.closure is not None and "closure" in body:
            _restore_closure(pool.closure, body["closure"])
            if pool.closure.until is not None:
                state.wakeups.add(pool.closure.until, WakeUp.POOL, name)
        if isinstance(pool, RatePool) and pool.is_known:
            # stores of before 0.2 have one draw each, with its attempt: (time, amount, attempt)
            single = [(time, time, amount) for time, amount, _ in body.get("draws", ())]
            pool.restore_draws(body.get("spells", single))


def _declare(state: State, name: str, bodies: dict[str, tuple[PoolKind, dict[str, object]]]) -> None:
    """Declare a pool after its parent."""
    kind, body = bodies[name]
    parent = body["parent"]
    if parent is not None and str(parent) in bodies and str(parent) not in state.pools:
        _declare(state, str(parent), bodies)
    above = None if parent is None else PoolName(str(parent))
    state.declare_pool(PoolName(name), kind, int(str(body["capacity"])), above)
    state.policies[name] = PoolPolicy(int(str(body["dead_after"])), str(body["on_dead"]))


def _restore_devices(state: State, kept: list[dict[str, Any]]) -> None:
    for one in kept:
        was_lost = one.pop("state") == "lost"
        foreign = tuple(Foreign(*f) for f in one.pop("foreign"))
        strays: tuple[int, ...] = tuple(one.pop("strays"))
        seen = DeviceSeen(**one, foreign=foreign, strays=strays)
        state.devices.observe([seen], complete=False)
        if was_lost:
            state.devices.devices[seen.uuid].lose()


def _restore_task(state: State, one: SavedTask, shape: Shape) -> None:
    task = Task(one.row, shape, state.group(one.row.group), one.after)
    state.tasks[task.id] = task
    if not task.final and one.spec.warm_key is not None:
        state.workers.unfinished[task.run] += 1
    if task.final:
        state.final.append(task)
    elif one.cell is not None:
        _restore_cell(state, task, one.cell)
    if task.key is not None:
        state.keys[task.key] = task.id


def _restore_sources(state: State, saved: Saved) -> None:
    """Sources with their unfinished units; the tasks that follow count themselves in."""
    for one in saved.sources:
        state.sources[one.row.run] = Source(one.row, one.plan, shapes_of(state, one.plan))
    for row in saved.units:
        state.sources[row.run].add(row)


def _restore_cell(state: State, task: Task, cell: Cell) -> None:
    unit = state.sources[task.run].units[cell.unit]
    task.cell = LiveCell(unit, cell.node)
    unit.count(1)
    unit.source.left += 1
    task.cell.node.live += 1
    if task.state is TaskState.READY:
        task.cell.node.ready += 1


def _restore_attempt(state: State, row: AttemptRow) -> None:
    task = state.tasks.get(row.task)
    assert task is not None, f"attempt {row.id} of task {row.task} is live, its task is not"
    attempt = Attempt(row, run=task.run, shape=task.shape, group=task.group)
    state.attempts[AttemptId(attempt.id)] = attempt
    for group in attempt.group.path:
        group.pending += attempt.charged
    if row.state != "stray" or (task.state is TaskState.STOPPING and task.stop_reason == STRAY):
        task.attempt = attempt
    charge(state, attempt, again=True)


def _restore_places(state: State, known: dict[int, str]) -> None:
    """Put ready tasks in their lanes, in order of place, and the others where they wait."""
    for task in state.tasks.values():
        for dependency in task.after:
            if dependency.task in state.tasks and known.get(dependency.task) is None:
                task.unmet.add(dependency.task)
                state.dependents.setdefault(dependency.task, []).append(task.id)
        deadline = task.shape.spec.deadline
        if deadline is not None:
            state.wakeups.add(task.submitted_at + deadline, WakeUp.DEADLINE, str(task.id))
        if task.state is TaskState.BACKOFF and task.not_before is not None:
            state.wakeups.add(task.not_before, WakeUp.BACKOFF, str(task.id))
    ready = [task for task in state.tasks.values() if task.state is TaskState.READY]
    for task in sorted(ready, key=lambda task: task.place):
        state.gain_work(task.group, asker=None)
        if task.reservation is None:
            state.queue.push(task)
        else:
            state.reserved.append(task)
    state.reserved.sort(key=lambda task: (-task.priority, task.reservation.order if task.reservation else 0))
    state.begin_turn()
