"""Samplers by name. Those of Optuna are made anew for each question, from the seed and the number of what is asked, so
that nothing but the store has to survive; `grid` and `bruteforce` need no Optuna: the space lists its own points.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

from passloop.apps.presence import has_module
from passloop.apps.tune.records import Params
from passloop.apps.tune.space import Space

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

__all__ = ["LISTED", "MOST_LISTED", "MissingPart", "check_parts", "listed", "sampler_of"]

LISTED = frozenset({"grid", "bruteforce"})
"""Samplers that go through the points of a space; the first in order, the second in any."""
MOST_LISTED = 200_000
"""A space with more points is not listed."""
_PARTS = {"tpe": ("optuna",), "random": ("optuna",), "nsga2": ("optuna",), "gp": ("optuna", "scipy", "torch")}
_INSTALL = {
    "optuna": "pip install 'passloop[tune]'",
    "scipy": "pip install 'passloop[gp]'",
    "torch": "pip install torch",
}


class MissingPart(RuntimeError):
    """Something that a sampler wants is not installed; says what, and the command that installs it."""


def check_parts(name: str) -> None:
    """Raise `MissingPart` if a sampler cannot be used here. Nothing is loaded: torch alone takes seconds."""
    for part in _PARTS.get(name, ()):
        if not has_module(part):
            raise MissingPart(f"the sampler {name} wants {part}, which is not installed: {_INSTALL[part]}")


def sampler_of(name: str, *, seed: int, startup: int, population: int) -> BaseSampler:
    """Optuna's sampler of this name. `startup` random trials come before a model, `population` is nsga2's."""
    check_parts(name)
    from optuna import samplers

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is experimental there is chosen by name here
        if name == "random":
            return samplers.RandomSampler(seed=seed)
        if name == "nsga2":
            return samplers.NSGAIISampler(population_size=population, seed=seed)
        if name == "gp":
            return samplers.GPSampler(seed=seed, n_startup_trials=startup)
        return samplers.TPESampler(seed=seed, n_startup_trials=startup)


def listed(space: Space, name: str, *, seed: int) -> Iterator[Params]:
    """The points of a finite space, `bruteforce` (and whatever asks for any point) in an order made of the seed."""
    if name == "grid":
        return space.grid()
    points = list(space.grid())
    random.Random(seed).shuffle(points)
    return iter(points)
