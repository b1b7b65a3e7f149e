"""`python -m benchmarks.kernel_rate`: what a decision costs, on one core, without store, drivers or
processes.

100,000 ready tasks in 100 shapes over 8 devices, 64 CPUs and 4 endpoints. Counted are admissions and
completions per second of CPU time inside the machine; then the cost of one event at 1,000 to 1,000,000 tasks;
then a full pass that starts nobody, by shapes and by tasks.
"""

from __future__ import annotations

import argparse
import cProfile
import gc
import pstats
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from passloop.kernel.changes import Turn
from passloop.kernel.events import (
    DeviceSeen,
    DevicesSeen,
    Event,
    Exited,
    PoolDeclared,
    PoolKind,
    Started,
    Submitted,
)
from passloop.kernel.ids import PoolName
from passloop.kernel.instructions import Start
from passloop.kernel.machine import Machine
from passloop.kernel.resources import CPU, DeviceAsk, Request, Variant
from passloop.kernel.tasks import NewTask, Outcome, OutcomeKind, TaskSpec

from .support.machine import RESULTS, described, write_results

ENDPOINTS = tuple(PoolName(f"endpoint-{index}") for index in range(4))
VRAM = 81_920
SUCCESS = Outcome(kind=OutcomeKind.SUCCESS, exit_code=0)


def specs(count: int) -> list[TaskSpec]:
    """`count` different shapes: a third each of devices, CPUs and endpoint calls."""
    made = []
    for index in range(count):
        kind, step = index % 3, index // 3
        if kind == 0:
            devices = DeviceAsk(count=1 + step % 2) if step % 4 else DeviceAsk(share=2_500)
            variant = Variant(devices=devices, amounts=((CPU, 100 + step),))
        elif kind == 1:
            variant = Variant(amounts=((CPU, 1_000 + step),))
        else:
            variant = Variant(amounts=((CPU, 10 + step), (ENDPOINTS[step % 4], 1)))
        made.append(TaskSpec(request=Request((variant,)), task_class=f"class-{index}", program="program"))
    return made


@dataclass
class Load:
    """A machine under load, what runs on it, and the time spent inside it in ns."""

    machine: Machine = field(default_factory=Machine)
    open: list[Start] = field(default_factory=list)
    now: int = 1_000_000
    spent: int = 0
    handled: int = 0
    longest: int = 0

    def send(self, events: Sequence[Event]) -> Turn:
        """Hand over a batch and time it."""
        before = time.process_time_ns()
        turn = self.machine.handle(events, self.now)
        spent = time.process_time_ns() - before
        self.spent += spent
        self.longest = max(self.longest, spent)
        self.open.extend(order for order in turn.instructions if isinstance(order, Start))
        return turn


def loaded(tasks: int, shapes: int) -> Load:
    """A machine with so many ready tasks in so many shapes, everything free taken."""
    load = Load()
    pools = [PoolDeclared(CPU, PoolKind.AMOUNT, 64_000)]
    pools += [PoolDeclared(name, PoolKind.LIMIT, 16) for name in ENDPOINTS]
    inventory = tuple(
        DeviceSeen(uuid=f"GPU-{index}", index=index, name="simulated", vram_mib=VRAM, usable_mib=VRAM)
        for index in range(8)
    )
    load.send([*pools, DevicesSeen(inventory)])
    each = max(1, tasks // shapes)
    for spec in specs(shapes):
        new = tuple(NewTask(spec=spec, index=index) for index in range(each))
        load.send([Submitted(name="run", tasks=new)])
    load.spent = load.longest = 0
    return load


def churn(load: Load, events: int, batch: int, seed: int = 1) -> None:
    """Complete `batch` attempts at a time, in any order, until `events` admissions and completions were
    counted.
    """
    chance = random.Random(seed)
    load.handled = load.spent = load.longest = 0
    fresh: list[Event] = [Started(order.attempt, order.epoch) for order in load.open]
    load.send(fresh)
    load.spent = 0
    while load.handled < events and load.open:
        chosen = [load.open.pop(chance.randrange(len(load.open))) for _ in range(min(batch, len(load.open)))]
        ends: list[Event] = [Exited(order.attempt, order.epoch, SUCCESS) for order in chosen]
        load.now += 10
        known = len(load.open)
        load.send(ends)
        begun = load.open[known:]
        if begun:
            load.send([Started(order.attempt, order.epoch) for order in begun])
        load.handled += len(ends) + len(begun)


def rate(load: Load) -> float:
    """Admissions and completions per second of CPU time."""
    return load.handled / (load.spent / 1e9)


def idle_pass(tasks: int, shapes: int, repeats: int = 20) -> float:
    """Microseconds of a full pass in which everything is looked at and nobody can start."""
    load = loaded(tasks, shapes)
    load.send([Started(order.attempt, order.epoch) for order in load.open])
    seen = DeviceSeen(uuid="GPU-0", index=0, name="simulated", vram_mib=VRAM, usable_mib=VRAM)
    best = float("inf")
    for turn in range(repeats):
        load.spent = 0
        load.now += 1
        changed = PoolDeclared(CPU, PoolKind.AMOUNT, 64_000 - turn % 2)
        load.send([changed, DevicesSeen((seen,), complete=False)])
        best = min(best, load.spent / 1e3)
    return best


def _options() -> argparse.Namespace:
    options = argparse.ArgumentParser(prog="python -m benchmarks.kernel_rate", description=__doc__)
    options.add_argument("--tasks", type=int, default=100_000)
    options.add_argument("--most", type=int, default=1_000_000, help="most tasks for the cost per event")
    options.add_argument("--events", type=int, default=20_000)
    options.add_argument("--profile", action="store_true", help="print where the time goes instead")
    options.add_argument("--dry-run", action="store_true", help="print only, write nothing")
    return options.parse_args()


def _profile(tasks: int, events: int) -> None:
    load = loaded(tasks, 100)
    profiler = cProfile.Profile()
    profiler.enable()
    churn(load, events, 16)
    profiler.disable()
    pstats.Stats(profiler).sort_stats("tottime").print_stats(25)


def measured(options: argparse.Namespace) -> dict[str, object]:
    """Every figure, printed as it comes."""
    figures: dict[str, object] = {"machine": described(RESULTS)}
    for batch in (1, 16, 64):
        load = loaded(options.tasks, 100)
        gc.collect()
        churn(load, options.events, batch)
        figures[f"rate_batch_{batch}"] = round(rate(load))
        print(f"{options.tasks:,} tasks, batches of {batch}: {rate(load):,.0f} admissions + completions a second")
        del load
    tasks = 1_000
    while tasks <= options.most:
        load = loaded(tasks, 100)
        gc.collect()
        churn(load, min(options.events, tasks), 16)
        cost = load.spent / 1e3 / max(1, load.handled)
        figures[f"cost_us_{tasks}"] = round(cost, 2)
        print(f"{tasks:,} tasks: {cost:.1f} us an event, longest turn {load.longest / 1e6:.2f} ms")
        del load
        tasks *= 10
    for tasks, shapes in ((1_000, 100), (100_000, 100), (100_000, 10), (100_000, 1_000)):
        cost = idle_pass(tasks, shapes)
        figures[f"idle_pass_us_{tasks}_tasks_{shapes}_shapes"] = round(cost, 1)
        print(f"a pass that starts nobody, {tasks:,} tasks in {shapes:,} shapes: {cost:,.0f} us")
    return figures


def main() -> None:
    """Measure, print, write."""
    options = _options()
    if options.profile:
        _profile(options.tasks, options.events)
        return
    write_results("kernel_rate", measured(options), dry_run=options.dry_run)


if __name__ == "__main__":
    main()
