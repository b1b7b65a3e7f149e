"""How a study stands: each trial judged, the best, the front, what is gained against the baseline. Pure.

Everything is computed from stored documents; another SLO or objective judges the same trials anew and needs no GPU.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING

from passloop.apps.secrecy import looks_secret
from passloop.apps.tune.records import Document, Failure, Objective
from passloop.apps.tune.scoring.gain import Gain, gain
from passloop.apps.tune.scoring.likeness import unlike
from passloop.apps.tune.scoring.objectives import objective_value
from passloop.apps.tune.scoring.slo import Judgement, judge
from passloop.apps.tune.search.told import Aims
from passloop.apps.tune.search.unfinished import comes_again
from passloop.apps.tune.study_view import Trial

if TYPE_CHECKING:
    from passloop.apps.tune.study import Study

__all__ = ["Standing"]

PORT_FLAGS = frozenset({"--port", "-p"})
MOST_WALKED = 2_000
"""Points of a space that are looked at to tell what cannot run here."""
JOINED_PORT = re.compile(r"^(--port=)\d+$")


@dataclass(frozen=True)
class Standing:
    """A study and its trials by number. `stop` says why the search ended, where it did; `paused` that it waits for a
    person.
    """

    study: Study
    aims: Aims
    trials: Sequence[Trial]
    stop: str = ""
    paused: bool = False

    @cached_property
    def judged(self) -> Mapping[int, Judgement]:
        """Each measured trial, by number, against the SLOs."""
        return {trial.number: judge(trial.document, self.aims.slo) for trial in self.trials if trial.document}

    @cached_property
    def best(self) -> Trial | None:
        """The best feasible trial."""
        found = next(iter(self.aims.ranked(self._documents)), None)
        return None if found is None else self._by_number[found.trial]

    @cached_property
    def nearest(self) -> Trial | None:
        """Where nothing is feasible, the trial that misses its limits by the least share of one; of one that was given
        up, or broke, by what was measured until then.
        """
        if self.best is not None:
            return None
        missed = [
            (farthest, trial.document is not None and trial.document.state != "complete", trial.number, trial)
            for trial in self.trials
            if not self.is_feasible(trial) and (farthest := self._farthest(trial)) is not None
        ]
        return min(missed, key=lambda told: told[:3], default=(0.0, False, 0, None))[3]

    def _farthest(self, trial: Trial) -> float | None:
        """By how much of a limit a trial misses the one that it misses most; None if it was measured nowhere, or misses
        none as far as it was measured.
        """
        if trial.number not in self.judged or trial.document is None or not trial.document.points:
            return None
        found = [check.excess for check in self.judged[trial.number].violations]
        known = [excess for excess in found if excess is not None]
        if trial.document.state != "complete":
            return max(known, default=None)
        return max(known, default=0.0) if len(known) == len(found) else math.inf

    @cached_property
    def front(self) -> tuple[Trial, ...]:
        """The feasible trials that no other one beats in every objective, best in the first one first."""
        return tuple(self._by_number[document.trial] for document in self.aims.front(self._documents))

    @cached_property
    def baseline(self) -> Trial | None:
        """The trial of the engine's own settings."""
        candidate = self.study.baseline
        if candidate is None:
            return None
        return next((trial for trial in self.trials if trial.hash == candidate.hash), None)

    @cached_property
    def counts(self) -> Counter[str]:
        """Trials by state."""
        return Counter(self.state_of(trial) for trial in self.trials)

    @cached_property
    def unable(self) -> Counter[str]:
        """Why points of the space cannot run on this machine, with their number; of a large space, of its beginning."""
        space = self.study.space
        points = islice(space.grid(), MOST_WALKED) if space.points is not None else ()
        made = (self.study.candidate(params) for params in points)
        return Counter(each.invalid for each in made if each.invalid is not None and not each.excluded)

    def state_of(self, trial: Trial) -> str:
        """A trial's state in one word; one that was measured and misses an SLO is infeasible."""
        if trial.state == "complete" and not self.is_feasible(trial):
            return "infeasible"
        return trial.state

    def is_feasible(self, trial: Trial) -> bool:
        """Whether a trial may be the best: it has a score for every objective."""
        if trial.document is None:
            return False
        aims = self.aims
        return all(aims.score(trial.document, each) is not None for each in aims.objectives)

    def failure(self, trial: Trial) -> Failure | None:
        """Why a trial broke, or, of one that was measured and is not feasible, the limits that it missed (`slo`).

        That is no fault of its server, and is judged anew with other limits.
        """
        if trial.failure is not None or trial.number not in self.judged or self.is_feasible(trial):
            return trial.failure
        missed = [str(check) for check in self.judged[trial.number].violations if check.actual is not None]
        return Failure(kind="slo", message="; ".join(missed), phase="measuring") if missed else None

    def value(self, trial: Trial, objective: Objective) -> float | None:
        """What was measured of an objective, feasible or not."""
        return None if trial.document is None else objective_value(trial.document, objective)

    def gain(self, trial: Trial, objective: Objective) -> Gain | None:
        """What a trial gains against the baseline; None where the two were not measured alike."""
        base = self.baseline
        if trial.document is None or base is None or base.document is None or trial is base:
            return None
        if unlike(trial.document, base.document):
            return None
        return gain(trial.document, base.document, objective)

    @cached_property
    def unlike(self) -> Mapping[int, str]:
        """Measured trials, by number, that had another version of the server or other devices than the one that was
        measured last, and which.
        """
        measured = [trial for trial in self.trials if trial.document is not None and trial.document.points]
        last = max(measured, key=lambda trial: (trial.ended_at or 0, trial.task), default=None)
        if last is None or last.document is None:
            return {}
        told = ((trial.number, unlike(trial.document, last.document)) for trial in measured if trial.document)
        return {number: how for number, how in told if how}

    @cached_property
    def rivals(self) -> tuple[Trial, ...]:
        """Feasible trials that the best is not told apart from: its gain over each has an interval (95 %, of repeats on
        one server) around zero. Empty where points were not repeated, since nothing is known of chance then.
        """
        best = self.best
        if best is None or best.document is None:
            return ()
        first = self.aims.objectives[0]
        gains = [
            (trial, gain(best.document, trial.document, first))
            for trial in self.trials
            if trial is not best and trial.document is not None and self.is_feasible(trial)
            if not unlike(trial.document, best.document)
        ]
        return tuple(trial for trial, found in gains if found and found.low is not None and not found.certain)

    def command(self, trial: Trial) -> tuple[str, ...]:
        """The words that started its server, as they were, after the variables that it was given; of one that never
        started, with its braces.
        """
        engine = trial.order.engine
        said = [f"{name}={'***' if looks_secret(name) else value}" for name, value in engine.env.items()]
        said += [f"{name}=***" for name in engine.secrets]
        measured = trial.document.argv if trial.document is not None else ()
        return (*(["env", *said] if said else ()), *(measured or engine.argv))

    def comparable(self, trial: Trial) -> tuple[str, ...]:
        """The same words, but a port, of which every start has another one, as it is written in a spec."""
        words = self.command(trial)
        pairs = zip(("", *words), words, strict=False)
        return tuple(
            "{port}" if before in PORT_FLAGS and word.isdecimal() else JOINED_PORT.sub(r"\1{port}", word)
            for before, word in pairs
        )

    @cached_property
    def unfinished(self) -> tuple[Trial, ...]:
        """The trials that ended and that the same command measures again: failures that are no findings."""
        return tuple(trial for trial in self.trials if trial.is_final and comes_again(self.study, trial))

    @cached_property
    def exit_code(self) -> int:
        """0 if the search came to its end, found something feasible, and left nothing that the same command would
        measure again; else 1.
        """
        partial = self.paused or self.unfinished or not all(trial.is_final for trial in self.trials)
        return 1 if partial or self.best is None else 0

    @cached_property
    def _documents(self) -> list[Document]:
        return [trial.document for trial in self.trials if trial.document is not None]

    @cached_property
    def _by_number(self) -> Mapping[int, Trial]:
        return {trial.number: trial for trial in self.trials}
