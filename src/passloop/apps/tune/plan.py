"""What a study would do, without doing it: its candidates with their exact argv, which of them cannot run and why,
GPUs, and about how long it takes. Nothing is asked of a sampler and nothing is started.
"""

from __future__ import annotations

import itertools
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from passloop.apps.errors import Problem
from passloop.apps.figures import span_text
from passloop.apps.secrecy import looks_secret
from passloop.apps.text import UNSAFE

from .candidates import Candidate
from .examining import around
from .records import Params, Point
from .space import Parameter, Space
from .study import Study

__all__ = ["TunePlan", "plan_of"]

FIRST = 10
MOST_COUNTED = 20_000
"""Points that are looked at; of a larger space the first of them, and that is said."""
MOST_REASONS = 20
HOUR_MS = 3_600_000
START_MS = 60_000
TOKEN_MS = 30
"""Guesses, where nothing is learned yet: of a start, and of a token of an answer."""
FEWEST = {"p90": 10, "p95": 20, "p99": 100}
"""From so many requests on a percentile does not lie between the two slowest."""


@dataclass(frozen=True, slots=True)
class TunePlan:
    """What would happen. `points` is the most that the space has (None: no end of them), `looked_at` how many were
    looked at; of these `excluded` are left out by constraints, `reasons` tell why others cannot run and how often, and
    `able` can. `each_ms` is what a trial is thought to take, by `basis`; `gpus` the least and most of one. `missing` is
    what is not on this machine and every trial would fail without.
    """

    study: Study
    points: int | None
    looked_at: int
    able: int
    excluded: int
    reasons: tuple[tuple[str, int], ...]
    gpus: tuple[int, int]
    first: tuple[Candidate, ...]
    invalid: tuple[Candidate, ...]
    baseline: Candidate | None
    each_ms: int
    basis: str
    warnings: tuple[str, ...]
    impossible: tuple[str, ...] = ()
    missing: tuple[Problem, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether all points were looked at."""
        return self.points is not None and self.points <= MOST_COUNTED

    @property
    def trials(self) -> int:
        """How many trials there are at most."""
        return min(self.study.max_trials, self.able) if self.whole else self.study.max_trials

    @property
    def wall_ms(self) -> int:
        """What they take, `max_parallel` at once."""
        return -(-self.trials // self.study.spec.search.max_parallel) * self.each_ms

    @property
    def gpu_hours(self) -> float:
        """Of all trials, if each needs the most; at most the budget."""
        hours = self.trials * self.each_ms * self.gpus[1] / HOUR_MS
        return round(min(hours, self.study.spec.search.max_gpu_hours or hours), 3)

    def as_json(self) -> dict[str, Any]:
        """The document of `plan --json`."""
        return {
            "schema_version": 1,
            "tune": self.study.name,
            "study": self.study.id,
            "points": self.points,
            "looked_at": self.looked_at,
            "candidates": self.able,
            "excluded": self.excluded,
            "invalid": [{"reason": reason, "count": count} for reason, count in self.reasons],
            "invalid_candidates": [_view(each) for each in self.invalid],
            "trials": self.trials,
            "sampler": self.study.spec.search.sampler,
            "max_parallel": self.study.spec.search.max_parallel,
            "gpus": {"least": self.gpus[0], "most": self.gpus[1]},
            "baseline": None if self.baseline is None else _view(self.baseline),
            "first": [_view(each) for each in self.first],
            "estimate": {
                "each_ms": self.each_ms,
                "wall_ms": self.wall_ms,
                "gpu_hours": self.gpu_hours,
                "basis": self.basis,
            },
            "never_fits": list(self.impossible),
            "warnings": list(self.warnings),
        }

    def as_text(self) -> str:
        """The same for people."""
        lines = [f"tune {self.study.name}: {self._count()}", f"  {self._search()}", f"  estimate: {self._estimate()}"]
        if self.baseline is not None:
            lines.append(f"  baseline: {_line(self.baseline)}")
        lines += [f"  {place}: {_line(each)}" for place, each in enumerate(self.first)]
        if self.able > len(self.first):
            lines.append(f"  ... and {self.able - len(self.first):,} more")
        lines += [f"cannot run ({count:,}): {_safe(reason)}" for reason, count in self.reasons]
        lines += [f"warning: {_safe(warning)}" for warning in self.warnings]
        lines += [f"never fits here: {_safe(sentence)}" for sentence in self.impossible]
        return "\n".join(lines)

    def _count(self) -> str:
        said = f"{self.able:,} candidates" if self.whole else f"{self.able:,} candidates among {self._beginning()}"
        left_out = f", {self.excluded:,} left out by constraints" if self.excluded else ""
        cannot = sum(count for _, count in self.reasons)
        return said + left_out + (f", {cannot:,} cannot run" if cannot else "")

    def _beginning(self) -> str:
        of = "a space without end" if self.points is None else f"{self.points:,} points"
        return f"{self.looked_at:,} that were looked at, of {of}"

    def _search(self) -> str:
        search = self.study.spec.search
        least, most = self.gpus
        span = f"{least} to {most}" if least < most else f"{most}"
        gpus = f"{span} {'GPU' if most == 1 else 'GPUs'} each" if most else "no GPU"
        return f"at most {self.trials:,} trials by {search.sampler}, {search.max_parallel} at once, {gpus}"

    def _estimate(self) -> str:
        each, wall = span_text(self.each_ms / 1000), span_text(self.wall_ms / 1000)
        hours = f", {self.gpu_hours:g} GPU-hours" if self.gpus[1] else ""
        return f"about {each} a trial, {wall} in all{hours} ({self.basis})"


def plan_of(study: Study, *, learned: Mapping[str, int] | None = None, first: int | None = FIRST) -> TunePlan:
    """Plan `study`, on the machine of its box. `learned` has mean run times in ms by task class; the `first` candidates
    are listed (None: all that were looked at).
    """
    points = study.space.points
    able: list[Candidate] = []
    invalid: list[Candidate] = []
    excluded = 0
    for params in _points(study.space):
        candidate = study.candidate(params)
        if candidate.excluded:
            excluded += 1
        else:
            (able if candidate.invalid is None else invalid).append(candidate)
    each, basis = _each(study, learned or {})
    needs = [candidate.gpus for candidate in able]
    reasons = Counter(candidate.invalid or "" for candidate in invalid)
    return TunePlan(
        study=study,
        points=points,
        looked_at=len(able) + len(invalid) + excluded,
        able=len(able),
        excluded=excluded,
        reasons=tuple(reasons.most_common(MOST_REASONS)),
        gpus=(min(needs, default=0), max(needs, default=0)),
        first=tuple(able[:first]),
        invalid=tuple(invalid[:first]),
        baseline=study.baseline,
        each_ms=each,
        basis=basis,
        warnings=tuple(_warnings(study, able)),
        impossible=() if able else ("no candidate can run here: " + _most_common(reasons),),
    )


def _points(space: Space) -> Iterator[Params]:
    if space.points is not None:
        return itertools.islice(space.grid(), MOST_COUNTED)
    return around(space, space.suggest(_lowest))


def _lowest(parameter: Parameter) -> Any:
    return float(parameter.low) if parameter.values is None else parameter.values[0]


def _each(study: Study, learned: Mapping[str, int]) -> tuple[int, str]:
    """What a trial is thought to take, in ms, and why."""
    if study.task_class in learned:
        return learned[study.task_class], "what its trials took so far"
    load = study.load
    start = min(START_MS, study.limits.start)
    points = sum(min(study.limits.point, _point_ms(point, load.max_tokens)) for point in load.points)
    return start + points, "a rough guess: a minute to start, 30 ms a token"


def _point_ms(point: Point, tokens: int) -> int:
    """A guess of a point: its requests one after another, or at its rate."""
    answer = tokens * TOKEN_MS
    requests = (point.requests + point.warmup) * point.repeats
    each = answer / point.concurrency if point.concurrency is not None else 1_000 / (point.rate or 1.0)
    whole = int(requests * each) + answer
    return whole if point.seconds is None else min(whole, int(point.seconds * 1_000) * point.repeats + answer)


def _warnings(study: Study, able: list[Candidate]) -> Iterator[str]:
    """What is allowed and is yet most likely a slip."""
    yield from study.notes
    search, points, box = study.spec.search, study.space.points, study.box
    whole = points is not None and points <= MOST_COUNTED
    if whole and search.max_trials is not None and search.max_trials > len(able) > 0:
        yield f"max_trials is {search.max_trials:,} and there are {len(able):,} candidates: it ends with the last one"
    least = min((each.gpus for each in able), default=0)
    if box.gpus is not None and least and search.max_parallel > box.gpus // least:
        yield f"{search.max_parallel} trials at once never fit on {box.gpus} GPUs: at most {box.gpus // least} do"
    yield from _few_requests(study)


def _few_requests(study: Study) -> Iterator[str]:
    """Percentiles that lie between the two slowest requests of a repeat, which chance decides."""
    asked = {(each.stat, each.at) for each in study.objectives} | {(each.stat, each.at) for each in study.slo}
    for stat, at in sorted(asked, key=str):
        for point in study.load.points:
            many = point.requests
            if point.seconds is not None and point.rate is not None:
                many = min(many, int(point.seconds * point.rate))
            fewest = FEWEST.get(stat, 0)
            if at in (None, point.name) and many < fewest:
                yield f"{stat} of {many} requests at {point.name} is about their slowest one: say {fewest} or more"


def _most_common(reasons: Counter[str]) -> str:
    return reasons.most_common(1)[0][0] if reasons else "constraints leave out all of them"


def _view(candidate: Candidate) -> dict[str, Any]:
    found = {
        "params": candidate.params,
        "argv": list(candidate.argv),
        "env": _shown(candidate),
        "gpus": candidate.gpus,
        "vram_mib": candidate.vram_mib,
        "hash": candidate.hash,
    }
    return found if candidate.invalid is None else {**found, "invalid": candidate.invalid}


def _line(candidate: Candidate) -> str:
    variables = "".join(f"{name}={shlex.quote(value)} " for name, value in _shown(candidate).items())
    vram = f", {candidate.vram_mib:,} MiB each" if candidate.vram_mib else ""
    gpus = f"  ({candidate.gpus} {'GPU' if candidate.gpus == 1 else 'GPUs'}{vram})" if candidate.gpus else ""
    return _safe(variables + shlex.join(candidate.argv)) + gpus


def _shown(candidate: Candidate) -> dict[str, str]:
    """The variables, without what looks like a secret."""
    return {name: "***" if looks_secret(name) else value for name, value in (candidate.env or {}).items()}


def _safe(text: str) -> str:
    return UNSAFE.sub("?", text)
