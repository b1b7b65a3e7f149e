"""Carries out committed instructions: turns each into a call of its driver, in order. Decides nothing.

Called on the loop thread after the commit. A start on a real device waits for one more look at it; a stop that comes
meanwhile waits behind it, so that the instructions of one attempt are always carried out in their order.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from passloop.crashpoints import crashpoint
from passloop.drivers import descriptors
from passloop.drivers.base import Driver, Launch, Report, WarmDriver
from passloop.drivers.calls.secrets import KeyMissing, resolve
from passloop.kernel.events import Exited, WorkerGone
from passloop.kernel.ids import AttemptId
from passloop.kernel.instructions import Evict, Start, Stop, WatchDevices
from passloop.kernel.resources import MEMORY
from passloop.kernel.tasks import Outcome, OutcomeKind

from .writer import Loaded

__all__ = ["DeviceGate", "Dispatch"]


class DeviceGate(Protocol):
    """Stands between the machine's decision and a start on real devices."""

    def guards(self, order: Start) -> bool:
        """Whether the order's devices must be looked at once more."""
        ...

    def pass_or_refuse(self, order: Start, go: Callable[[], None], refused: Callable[[], None]) -> None:
        """Look once more, then call `go` on the loop thread, or report `StartRefused` and call `refused`."""
        ...

    def watch(self, uuids: tuple[str, ...]) -> None:
        """Look at these devices at a low rate from now on, at no others."""
        ...


class Dispatch:
    """Calls drivers. `place` gives the folder and the name of an attempt."""

    def __init__(
        self,
        drivers: Mapping[str, Driver],
        *,
        gate: DeviceGate | None,
        report: Report,
        place: Callable[[Start], tuple[Path, str]],
    ) -> None:
        self._drivers = drivers
        self._gate = gate
        self._report = report
        self._place = place
        self._at_gate: dict[AttemptId, list[Stop]] = {}

    def carry_out(self, instructions: Sequence[object], loaded: Loaded) -> None:
        """Carry out what a committed turn returned, in its order."""
        for order in instructions:
            if isinstance(order, Start):
                crashpoint("before_launch")
                self._start(order, loaded)
                crashpoint("after_launch")
            elif isinstance(order, Stop):
                crashpoint("before_stop")
                self._stop(order)
                crashpoint("after_stop")
            elif isinstance(order, Evict):
                crashpoint("before_evict")
                self._evict(order)
                crashpoint("after_evict")
            elif isinstance(order, WatchDevices) and self._gate is not None:
                self._gate.watch(order.uuids)

    def _start(self, order: Start, loaded: Loaded) -> None:
        driver = self._drivers.get(order.driver)
        if driver is None:
            self._fail(order, f"this engine has no driver named {order.driver!r}")
            return
        try:
            launch = self._launch_of(order, loaded)
        except KeyMissing as missing:
            self._fail(order, str(missing))
            return
        except OSError as error:
            if not descriptors.lacks_descriptor(error):
                raise
            self._give_back(order, f"a secret cannot be looked up now: {error}")
            return
        if self._gate is None or not self._gate.guards(order):
            driver.launch(launch)
            return
        self._at_gate[order.attempt] = []

        def go() -> None:
            stops = self._at_gate.pop(order.attempt, [])
            driver.launch(launch)
            for stop in stops:
                driver.halt(stop.attempt, stop.epoch, grace=stop.grace, reason=stop.reason)

        self._gate.pass_or_refuse(order, go, lambda: self._refused(driver, order))

    def _refused(self, driver: Driver, order: Start) -> None:
        """Nothing was started; a stop that came meanwhile forbids the attempt all the same."""
        for stop in self._at_gate.pop(order.attempt, []):
            driver.halt(stop.attempt, stop.epoch, grace=stop.grace, reason=stop.reason)

    def _stop(self, order: Stop) -> None:
        waiting = self._at_gate.get(order.attempt)
        if waiting is not None:
            waiting.append(order)
            return
        driver = self._drivers.get(order.driver)
        if driver is not None:
            driver.halt(order.attempt, order.epoch, grace=order.grace, reason=order.reason)

    def _evict(self, order: Evict) -> None:
        driver = self._drivers.get(order.driver)
        if isinstance(driver, WarmDriver):
            driver.evict(order.worker)
        else:
            self._report(WorkerGone(order.worker))

    def _launch_of(self, order: Start, loaded: Loaded) -> Launch:
        folder, name = self._place(order)
        payload = loaded.payloads.get(order.task, {})
        environment_id, environment = _environment_of(payload, loaded)
        return Launch(
            attempt=order.attempt,
            epoch=order.epoch,
            run=order.run,
            task=order.task,
            name=name,
            directory=folder,
            allocation=order.allocation,
            time_limit=order.time_limit,
            grace=order.grace,
            memory_limit=_memory_of(order),
            payload=payload,
            environment=environment,
            environment_id=environment_id,
            warm_key=order.warm_key,
            worker=order.worker,
            left=loaded.left.get(order.task),
        )

    def _give_back(self, order: Start, message: str) -> None:
        """Nothing began, for a want that passes: the attempt costs nothing, and its task comes again later."""
        again = descriptors.WANTED_AGAIN_MS
        outcome = Outcome(kind=OutcomeKind.LOST, message=message, engine_lost=True, retry_after=again)
        self._report(Exited(attempt=order.attempt, epoch=order.epoch, outcome=outcome))

    def _fail(self, order: Start, message: str) -> None:
        outcome = Outcome(kind=OutcomeKind.FAILURE, message=message, final=True)
        self._report(Exited(attempt=order.attempt, epoch=order.epoch, outcome=outcome))


def _memory_of(order: Start) -> int | None:
    return next((amount for name, amount in order.allocation.amounts if name == MEMORY), None)


def _environment_of(payload: Mapping[str, Any], loaded: Loaded) -> tuple[str, Mapping[str, str]]:
    """The submitter's environment with the task's own variables applied, and an id that is equal for equal ones.

    Secrets are looked up now, and are stored nowhere. Raises `KeyMissing`, and `OSError` where none can be opened.
    """
    name = str(payload.get("environment", ""))
    stored = loaded.environments.get(name, {})
    secrets = {key: resolve(reference, what=key) for key, reference in (payload.get("secrets") or {}).items()}
    own = {**(payload.get("env") or {}), **secrets}
    if not own:
        return name, stored
    text = json.dumps(own, sort_keys=True).encode("utf-8", "surrogatepass")
    return f"{name}+{hashlib.sha256(text).hexdigest()[:16]}", {**stored, **own}
