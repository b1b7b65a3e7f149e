"""The penalty scorer: an objective's value made worse by what it misses of the SLOs, instead of ruling it out.

`base x (1 + sum(weight x (exp(violation / steepness) - 1)))`, after the ancestor's formula, whose factor jumped from 1
to 1 + weight at the limit; this one is continuous there. A value that is to be large is divided by the factor, so that
a miss makes it smaller. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from passloop.apps.tune.records import Document, Objective, Slo

from .objectives import objective_value
from .slo import Check, checks

__all__ = ["STEEPNESS", "penalised", "penalty_factor"]

STEEPNESS = 0.1
"""A miss by this share of the limit costs `weight x (e - 1)`."""
STEEPEST = 60.0
"""The exponent ends here: beyond, all are as bad, and still finite for a sampler."""


def penalty_factor(found: Sequence[Check], *, steepness: float = STEEPNESS) -> float | None:
    """1 where every limit is kept, above that what misses cost; None for a hard miss or one that was not measured."""
    if any(check.hard for check in found):
        return None
    missed = [(check.slo.weight, check.excess) for check in found if check.excess is not None and check.excess > 0]
    return 1 + sum(weight * math.expm1(min(excess / steepness, STEEPEST)) for weight, excess in missed)


def penalised(
    document: Document, objective: Objective, slo: Sequence[Slo], *, steepness: float = STEEPNESS
) -> float | None:
    """The objective's value with its penalty, in the objective's own direction; None if it is infeasible or unknown."""
    value = objective_value(document, objective)
    factor = penalty_factor(tuple(checks(document.points, slo)), steepness=steepness)
    if value is None or factor is None:
        return None
    return value * factor if objective.direction == "minimize" else value / factor
