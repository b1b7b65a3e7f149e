"""The mixed load: what arrives when, what it needs and how long it runs. Seeded; the same for every policy.

Eight GPUs and 64 CPUs; seven kinds of request; log-normal run times (median 10 min, sigma 0.8) capped at 4 h;
arrivals at random, stretched so that the GPU work offered until the last arrival is exactly `load` of what
the GPUs can do.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

__all__ = [
    "CPUS",
    "GPUS",
    "HOUR",
    "MINUTE",
    "SHAPES",
    "USUAL",
    "WHOLE",
    "Arrival",
    "RunTimes",
    "Shape",
    "endless_stream",
    "mixed_load",
]

GPUS = 8
CPUS = 64
WHOLE = 10_000
SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
LONGEST = 4 * HOUR
LOAD = 0.9


@dataclass(frozen=True, slots=True)
class Shape:
    """A kind of request: `share` of GPUs in 1/10,000 (over 10,000: whole devices) and `cpus`; `weight` of
    100.
    """

    name: str
    share: int
    cpus: int
    weight: int


SHAPES = (
    Shape("cpu", 0, 4, 25),
    Shape("quarter", 2_500, 1, 10),
    Shape("half", 5_000, 2, 10),
    Shape("one", WHOLE, 4, 30),
    Shape("two", 2 * WHOLE, 8, 12),
    Shape("four", 4 * WHOLE, 16, 8),
    Shape("eight", 8 * WHOLE, 32, 5),
)


@dataclass(frozen=True, slots=True)
class Arrival:
    """One task: it arrives at `at`, and runs for `millis` once started. Engine time in ms."""

    at: int
    shape: Shape
    millis: int


@dataclass(frozen=True, slots=True)
class RunTimes:
    """Log-normal run times: `median` in ms, `sigma` of the logarithm; capped."""

    median: int = 10 * MINUTE
    sigma: float = 0.8

    def draw(self, chance: random.Random) -> int:
        """One run time in ms."""
        drawn = self.median * chance.lognormvariate(0.0, self.sigma)
        return max(10 * SECOND, min(LONGEST, int(drawn)))


USUAL = RunTimes()


def _stretched(gaps: list[float], shapes: list[Shape], spans: list[int], load: float) -> list[Arrival]:
    work = sum(shape.share * span for shape, span in zip(shapes, spans, strict=True)) / WHOLE
    factor = work / (GPUS * load) / sum(gaps)
    at = 0.0
    arrivals = []
    for gap, shape, span in zip(gaps, shapes, spans, strict=True):
        at += gap * factor
        arrivals.append(Arrival(at=int(at), shape=shape, millis=span))
    return arrivals


def mixed_load(seed: int, tasks: int, times: RunTimes = USUAL, load: float = LOAD) -> list[Arrival]:
    """`tasks` arrivals of all shapes, in order of arrival."""
    chance = random.Random(seed)
    shapes = chance.choices(SHAPES, [shape.weight for shape in SHAPES], k=tasks)
    spans = [times.draw(chance) for _ in range(tasks)]
    gaps = [chance.expovariate(1.0) for _ in range(tasks)]
    return _stretched(gaps, shapes, spans, load)


def endless_stream(seed: int, hours: int, times: RunTimes = USUAL, load: float = LOAD) -> tuple[list[Arrival], int]:
    """One-GPU tasks for `hours`, and one task for all eight GPUs after the first hour; also gives its
    index."""
    chance = random.Random(seed)
    one = next(shape for shape in SHAPES if shape.name == "one")
    eight = next(shape for shape in SHAPES if shape.name == "eight")
    tasks = int(hours * HOUR * GPUS * load / (times.median * 1.4))
    spans = [times.draw(chance) for _ in range(tasks)]
    gaps = [chance.expovariate(1.0) for _ in range(tasks)]
    stream = _stretched(gaps, [one] * tasks, spans, load)
    large = Arrival(at=HOUR, shape=eight, millis=HOUR)
    index = sum(1 for arrival in stream if arrival.at <= large.at)
    return [*stream[:index], large, *stream[index:]], index
