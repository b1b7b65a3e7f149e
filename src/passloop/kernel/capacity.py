"""What is there changes: pools declared, opened and due; devices seen, released; the whole engine drains or pauses."""

from __future__ import annotations

import json

from .changes import Refusal, SettingChanged
from .closures import on_pool_due, open_pool
from .device_pool import DeviceState
from .events import (
    DevicesSeen,
    DrainChanged,
    PauseChanged,
    PoolDeclared,
    PoolOpened,
    QuarantineReleased,
)
from .instructions import WatchDevices
from .lifecycle import RECALL, fail_parked, finish, make_ready, stop_attempt
from .state import PoolPolicy, State
from .tasks import LEASES, TaskState
from .transitions import Verb
from .wakeups import WakeUp

__all__ = [
    "on_devices_seen",
    "on_drain_changed",
    "on_due",
    "on_pause_changed",
    "on_pool_declared",
    "on_pool_opened",
    "on_quarantine_released",
    "watch_devices",
]


def on_pool_declared(state: State, event: PoolDeclared) -> Refusal | None:
    """A pool exists, or has another size or place now."""
    above = event.parent
    while above is not None:
        if above == event.name:
            return Refusal("invalid", f"pool {event.name} cannot be inside itself: name another parent of it")
        known = state.pools.get(above)
        above = None if known is None or known.parent is None else known.parent.name
    state.declare_pool(event.name, event.kind, event.capacity, event.parent)
    state.policies[event.name] = PoolPolicy(event.dead_after, event.on_dead)
    state.touch_pool(event.name)
    state.stir()
    return None


def on_pool_opened(state: State, event: PoolOpened) -> Refusal | None:
    """A user opens a closed pool."""
    if event.name not in state.pools:
        return Refusal("not_found", f"there is no pool named {event.name}")
    if not open_pool(state, event.name):
        return Refusal("invalid", f"pool {event.name} is not closed")
    return None


def on_devices_seen(state: State, event: DevicesSeen) -> None:
    """Devices were looked at: some may be vetoed, quarantined, lost or back."""
    state.see(event.devices, complete=event.complete)


def on_quarantine_released(state: State, event: QuarantineReleased) -> Refusal | None:
    """A user vouches for a quarantined device; the next look decides again."""
    device = state.devices.devices.get(event.uuid)
    if device is None:
        return Refusal("not_found", f"there is no device {event.uuid}")
    if device.state is not DeviceState.QUARANTINED:
        return Refusal("invalid", f"device {event.uuid} is not quarantined, it is {device.state}")
    device.fault = ""
    device.strays = ()
    device.settle()
    state.touch_pool(state.devices.name)
    state.stir()
    return None


def on_drain_changed(state: State, event: DrainChanged) -> None:
    """Claim nothing more, or go on; with `stop_running`, end what runs and keep it for later.

    A lease is left: who holds it is no process of ours, would go on, and must not meet another on its devices.
    """
    state.draining = event.draining
    state.turn.facts.append(SettingChanged("draining", "true" if event.draining else "false"))
    if event.stop_running:
        for task in list(state.tasks.values()):
            is_recalled = task.state is TaskState.STOPPING and task.stop_reason == RECALL
            is_live = task.state in (TaskState.ADMITTED, TaskState.RUNNING) or is_recalled
            if is_live and task.shape.spec.driver != LEASES:
                stop_attempt(state, task, "down")
    state.stir()


def on_pause_changed(state: State, event: PauseChanged) -> None:
    """Starts cannot be recorded (a full disk), or can again."""
    state.paused = (event.reason or "paused") if event.paused else ""
    state.turn.facts.append(SettingChanged("paused", json.dumps(state.paused)))
    state.stir()


def on_due(state: State) -> None:
    """Handle all that is due by time alone; workers are looked at in each turn."""
    if state.wakeups.take_pass(state.now):
        state.stir()
    for kind, name in state.wakeups.due(state.now):
        if kind is WakeUp.POOL:
            dead = on_pool_due(state, name)
            if dead is not None:
                fail_parked(state, dead)
        elif kind is not WakeUp.WORKER:
            _on_task_due(state, kind, int(name))


def _on_task_due(state: State, kind: WakeUp, task_id: int) -> None:
    task = state.tasks.get(task_id)
    if task is None or task.final:
        return
    if kind is WakeUp.BACKOFF:
        if task.state is TaskState.BACKOFF and task.not_before is not None and task.not_before <= state.now:
            make_ready(state, task)
        return
    if task.state not in (TaskState.ADMITTED, TaskState.RUNNING, TaskState.STOPPING):
        task.message = "its deadline passed before it could start"
        finish(state, task, Verb.FAIL)


def watch_devices(state: State) -> None:
    """While somebody waits for devices, say which unusable ones are worth a look at a low rate.

    An open source waits with its template: there may be no task yet, and without the device there never would be.
    """
    bit = 1 << state.devices.bit
    open_sources = (source for source in state.sources.values() if source.is_open and not source.held)
    names = []
    if any(lane.shape.mask & bit for lane in state.queue.lanes()) or any(
        node.shape.mask & bit for source in open_sources for node in source.nodes
    ):
        names = [
            d.uuid for d in state.devices.devices.values() if d.state is not DeviceState.AVAILABLE or d.usable < d.vram
        ]
    watched = tuple(sorted(names))
    if watched != state.watched:
        state.watched = watched
        state.turn.instructions.append(WatchDevices(watched))
