"""The next candidate of a study that nobody has measured or measures: the baseline, else what the sampler suggests.

A suggestion that is known is answered at once from what is known of it, and the sampler is asked again, so and so many
times at most; then a finite space gives its next point that is new. So no configuration is measured twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from passloop.apps.tune.candidates import Candidate
from passloop.apps.tune.study_view import Trial

from .listing import Listing
from .memory import Memory, Way
from .samplers import LISTED, MOST_LISTED, check_parts, listed
from .told import Aims, told_of

if TYPE_CHECKING:
    from passloop.apps.tune.study import Study

__all__ = ["Proposer"]

MOST_ASKED = 40
"""Questions to the sampler for one trial."""
MOST_SORTED = 2_000
"""Points that are put in an order that packs well: the most GPUs first, among equals by chance."""
MOST_DRAWN = 400
"""Points drawn by chance, in a space without end, once the sampler only repeats itself."""


@dataclass(frozen=True)
class Proposer:
    """Proposes candidates of one study. `any_point` and `in_order` list a finite space; None where there is no end."""

    study: Study
    way: Way
    aims: Aims
    any_point: Listing | None
    in_order: Listing | None

    @classmethod
    def of(cls, study: Study, way: Way, aims: Aims) -> Proposer:
        """The proposer of a study. Raises `MissingPart` if its sampler is not installed."""
        check_parts(way.sampler)
        points = study.space.points
        if points is None or points > MOST_LISTED:
            return cls(study, way, aims, None, None)
        mixed = listed(study.space, "bruteforce", seed=way.seed)
        if points <= MOST_SORTED:
            mixed = iter(sorted(mixed, key=lambda params: -study.candidate(params).gpus))
        any_point = Listing(mixed, study.candidate)
        return cls(study, way, aims, any_point, Listing(study.space.grid(), study.candidate))

    def propose(self, trials: Sequence[Trial], *, number: int) -> Candidate | None:
        """A candidate for the trial of this number; None if the space has no other."""
        known = {trial.hash: trial for trial in trials}
        baseline = self.study.baseline
        if baseline is not None and baseline.invalid is None and baseline.hash not in known:
            return baseline
        if self.way.sampler in LISTED:
            listing = self.in_order if self.way.sampler == "grid" else self.any_point
            return None if listing is None else listing.first_unseen(known.keys())
        return self._suggested(trials, known, number) or self._any(known, number)

    def _suggested(self, trials: Sequence[Trial], known: Mapping[str, Trial], number: int) -> Candidate | None:
        if self.any_point is not None and self.any_point.first_unseen(known.keys()) is None:
            return None
        memory = Memory(self.study.space, self.aims.objectives, self.way, number=number)
        memory.remember(told_of(trial, self.aims) for trial in trials)
        for _ in range(MOST_ASKED):
            asked = memory.ask()
            candidate = self.study.candidate(asked.params)
            if candidate.invalid is None and candidate.hash not in known:
                return candidate
            same = known.get(candidate.hash) if candidate.invalid is None else None
            memory.answer(asked, None if same is None or not same.is_final else told_of(same, self.aims))
        return None

    def _any(self, known: Mapping[str, Trial], number: int) -> Candidate | None:
        """A point that is new, whatever the sampler thinks of it."""
        if self.any_point is not None:
            return self.any_point.first_unseen(known.keys())
        way = self.way._replace(sampler="random", seed=self.way.seed + 1)
        memory = Memory(self.study.space, self.aims.objectives, way, number=number)
        for _ in range(MOST_DRAWN):
            asked = memory.ask()
            candidate = self.study.candidate(asked.params)
            if candidate.invalid is None and candidate.hash not in known:
                return candidate
            memory.answer(asked, None)
        return None
