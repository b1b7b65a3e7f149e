"""What parked workers take of a place where others start: who is served by one, who is evicted, whose start waits.

What a worker holds while it lies is free in the pools. Two laws tie it to them:
  - promised: charges and what is parked fit together; what does not is evicted, least recently used first;
  - present: charges of attempts whose start was given and all that lies, until it is proven gone, fit together; a
    start that does not is kept back. By the first law it comes as soon as the evicted ones are gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .device_pool import Device
from .ids import MEMORY
from .instructions import Evict, Start
from .records import Attempt, Shape, ShapeVariant, Task
from .resources import Grant
from .state import State
from .workers import WORKERS, Worker

__all__ = [
    "evict",
    "forget",
    "give_starts",
    "in_the_way",
    "lay_down",
    "make_room",
    "order_start",
    "parked_grants",
    "serve",
]


def parked_grants(state: State, run: int, shape: Shape, variant: ShapeVariant) -> Iterator[tuple[Grant, ...]]:
    """The devices of the parked workers that could serve a task of that run and shape, latest used first."""
    for worker in reversed(_able(state, run, shape, variant)):
        yield worker.devices


def serve(state: State, task: Task, variant: ShapeVariant, grants: Iterable[Grant]) -> Worker | None:
    """Take up the parked worker of these devices that serves the task, if there is one; it is no longer parked."""
    if task.shape.spec.warm_key is None:
        return None
    devices = tuple(grants)
    worker = next((w for w in reversed(_able(state, task.run, task.shape, variant)) if w.devices == devices), None)
    if worker is None:
        return None
    _take_up(state, worker)
    worker.spent, worker.overtakes = worker.overtakes, 0
    return worker


def _able(state: State, run: int, shape: Shape, variant: ShapeVariant) -> list[Worker]:
    """Parked workers of this run, key and request, least recently used first."""
    if not state.workers.by_id:
        return []
    wanted = (run, shape.spec.warm_key, state.workers.request(variant))
    return [w for w in state.workers.parked() if (w.run, w.warm_key, w.request) == wanted]


def lay_down(state: State, worker: Worker) -> None:
    """The worker lies from now on: what it holds is noted on its devices."""
    for grant in worker.devices:
        device = state.devices.devices.get(grant.uuid)
        if device is not None:
            device.parked[worker.id] = (grant, worker.since)
    state.touch_pool(WORKERS)


def _take_up(state: State, worker: Worker) -> None:
    for grant in worker.devices:
        state.devices.devices[grant.uuid].parked.pop(worker.id, None)
    worker.devices, worker.memory = (), 0
    state.touch_pool(WORKERS)


def forget(state: State, worker: Worker) -> None:
    """The worker is proven gone."""
    for grant in worker.devices:
        device = state.devices.devices.get(grant.uuid)
        if device is not None:
            device.parked.pop(worker.id, None)
    state.workers.remove(worker)
    state.touch_pool(WORKERS)


def order_start(state: State, attempt: Attempt, worker: Worker | None) -> None:
    """Give the start of an attempt that was charged, or keep it back until what lies in its way is gone."""
    known = state.workers
    spec = attempt.shape.spec
    if worker is None and spec.warm_key is not None:
        request = known.request(attempt.shape.variants[attempt.allocation.variant])
        worker = Worker(attempt.id, attempt.driver, attempt.run, spec.warm_key, request)
        known.add(worker)
    if worker is not None:
        known.give(worker, attempt.id)
        state.touch_pool(WORKERS)
    if known.by_id and (worker is None or worker.id == attempt.id):
        make_room(state, (grant.uuid for grant in attempt.allocation.devices))
        known.kept_back[attempt.id] = None
        if in_the_way(state, attempt):
            state.touch_pool(WORKERS)
            return
        del known.kept_back[attempt.id]
    state.turn.instructions.append(_start(state, attempt, worker))


def give_starts(state: State) -> None:
    """Give the starts that were kept back and that nothing is in the way of any more."""
    known = state.workers
    for attempt_id in list(known.kept_back):
        attempt = state.attempts[attempt_id]
        if not in_the_way(state, attempt):
            del known.kept_back[attempt_id]
            state.touch_pool(WORKERS)
            state.turn.instructions.append(_start(state, attempt, known.of(attempt_id)))


def _start(state: State, attempt: Attempt, worker: Worker | None) -> Start:
    spec = attempt.shape.spec
    ask = attempt.shape.variants[attempt.allocation.variant].devices
    grants = attempt.allocation.devices
    usable = () if ask is None else tuple(state.devices.devices[grant.uuid].least_usable(ask) for grant in grants)
    return Start(
        attempt.id,
        attempt.epoch,
        attempt.run,
        attempt.task,
        attempt.driver,
        attempt.allocation,
        spec.time_limit,
        spec.grace,
        usable,
        spec.warm_key,
        None if worker is None or worker.id == attempt.id else worker.id,
    )


def in_the_way(state: State, attempt: Attempt) -> list[Worker]:
    """The evicted workers that an attempt kept back waits for; [] if it may start. Parked ones never are for long."""
    lying = list(state.workers.lying())
    if not lying:
        return []
    found: dict[int, Worker] = {}
    for grant in attempt.allocation.devices:
        device = state.devices.devices[grant.uuid]
        if device.parked and _is_crowded(state, device, grant):
            found |= {number: state.workers.by_id[number] for number in device.parked}
    memory = dict(attempt.allocation.amounts).get(MEMORY, 0)
    if memory and _is_memory_short(state, memory, sum(worker.memory for worker in lying)):
        found |= {worker.id: worker for worker in lying if worker.memory}
    return [worker for _, worker in sorted(found.items())]


def _is_crowded(state: State, device: Device, grant: Grant) -> bool:
    """Whether a grant has no place beside what is on the device; who is kept back is not there yet."""
    share, vram = device.free_share, device.free_vram
    for attempt in state.workers.kept_back:
        waiting = device.holders.get(attempt)
        if waiting is not None:
            share, vram = share + waiting.share, vram + waiting.vram_mib
    for lying, _ in device.parked.values():
        share, vram = share - lying.share, vram - lying.vram_mib
    return share < grant.share or vram < grant.vram_mib


def _is_memory_short(state: State, wanted: int, lying: int) -> bool:
    """Whether `wanted` MiB have no place beside what attempts that were started and `lying` workers hold."""
    pool = state.pool(MEMORY)
    started = pool.used - sum(pool.holders.get(attempt, 0) for attempt in state.workers.kept_back)
    return bool(lying) and started + lying + wanted > pool.capacity


def make_room(state: State, uuids: Iterable[str]) -> None:
    """Evict parked workers until charges and what stays parked fit together on these devices and in memory."""
    if not state.workers.by_id:
        return
    for uuid in uuids:
        device = state.devices.devices[uuid]
        while (worker := _oldest_on(state, device)) is not None and _is_over_promised(state, device):
            evict(state, worker)
    pool = state.pools.get(MEMORY)
    for worker in state.workers.parked():
        staying = sum(other.memory for other in state.workers.lying() if not other.evicted)
        if pool is None or pool.used + staying <= pool.capacity:
            return
        if worker.memory:
            evict(state, worker)


def _oldest_on(state: State, device: Device) -> Worker | None:
    staying = [state.workers.by_id[number] for number in device.parked]
    return min((w for w in staying if not w.evicted), key=lambda w: (w.since, w.id), default=None)


def _is_over_promised(state: State, device: Device) -> bool:
    staying = [grant for number, (grant, _) in device.parked.items() if not state.workers.by_id[number].evicted]
    return device.free_share < sum(g.share for g in staying) or device.free_vram < sum(g.vram_mib for g in staying)


def evict(state: State, worker: Worker) -> None:
    """Tell a parked worker to end; what it holds is there until it is proven gone."""
    worker.evicted = True
    state.touch_pool(WORKERS)
    state.turn.instructions.append(Evict(worker.id, worker.driver))
