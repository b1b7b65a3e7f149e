"""The plots of a study: how the search went, what stands against what, load curves with their limits, all parameters at
once, and what matters. Points are named, infeasible ones are faint; nothing is averaged over loads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from passloop.apps.figures import value_text
from passloop.apps.markup import Markup, element
from passloop.apps.plots import WIDTH, Frame, Range, picture
from passloop.apps.tune.records import Objective, Point, Slo
from passloop.apps.tune.scoring.objectives import better
from passloop.apps.tune.study_view import Trial

from .standing import Standing
from .units import short_name, slo_text, unit_of

__all__ = ["against", "importance", "load_curves", "parallel", "progress"]

CURVES = (("output_tokens_per_second", "mean"), ("ttft", "p95"), ("tpot", "p90"), ("e2e", "p95"))
MOST_CURVES = 6
MOST_BINS = 4
OTHERS = ("s0", "s3", "s4", "s5", "s6")
"""Colours of trials that are neither the best nor the baseline."""


def progress(standing: Standing) -> Markup:
    """The first objective by trial, and the best so far."""
    objective = standing.aims.objectives[0]
    known = [(trial, value) for trial in standing.trials if (value := standing.value(trial, objective)) is not None]
    frame = Frame(
        Range.around([trial.number for trial in standing.trials]),
        Range.around([value for _, value in known], zero=True),
    )
    shapes = [*frame.axes("trial", short_name(objective))]
    steps = list(_best_so_far(standing, known, objective))
    if steps:
        last = max(trial.number for trial in standing.trials)
        shapes.append(element("path", d=frame.path([*steps, (last, steps[-1][1])]), class_="s2"))
    shapes += [_dot(frame, (trial.number, value), standing, trial) for trial, value in known]
    return _figure("Each trial, and the best so far (line). Faint: infeasible.", picture(shapes, "value by trial"))


def _best_so_far(
    standing: Standing, known: Sequence[tuple[Trial, float]], objective: Objective
) -> Iterator[tuple[float, float]]:
    """The steps of the value of the best feasible trial, as the study judges it: by the penalised value, if so."""
    best: tuple[float, float] | None = None
    for trial, value in known:
        score = standing.aims.score(trial.document, objective) if trial.document is not None else None
        if score is None or not standing.is_feasible(trial):
            continue
        if best is None or better(score, best[0], objective):
            if best is not None:
                yield trial.number, best[1]
            best = score, value
            yield trial.number, value


def against(standing: Standing) -> Markup | None:
    """Two objectives against each other; with one, throughput against its latency. None without two values."""
    across, up = _pair(standing)
    known = [
        (trial, x, y)
        for trial in standing.trials
        if (x := standing.value(trial, across)) is not None and (y := standing.value(trial, up)) is not None
    ]
    if len(known) < 2:
        return None
    frame = Frame(Range.around([x for _, x, _ in known]), Range.around([y for _, _, y in known]))
    shapes = [*frame.axes(short_name(across), short_name(up))]
    front = sorted(_front(standing, known, across, up))
    if len(front) > 1:
        shapes.append(element("path", d=frame.path(front), class_="s2 front"))
    shapes += [_dot(frame, (x, y), standing, trial, named=True) for trial, x, y in known]
    return _figure(
        "Dashed: no feasible trial is better in both.", picture(shapes, f"{up.metric} against {across.metric}")
    )


def _pair(standing: Standing) -> tuple[Objective, Objective]:
    objectives = standing.aims.objectives
    if len(objectives) > 1:
        return objectives[0], objectives[1]
    first = objectives[0]
    if first.metric in ("ttft", "tpot", "e2e"):
        return first, Objective(metric="output_tokens_per_second", at=first.at)
    at = first.at or (standing.study.load.points[-1].name if standing.study.load.points else None)
    return Objective(metric="ttft", stat="p95", at=at, direction="minimize"), first


def _front(
    standing: Standing, known: Sequence[tuple[Trial, float, float]], across: Objective, up: Objective
) -> Iterator[tuple[float, float]]:
    signs = [1 if each.direction == "maximize" else -1 for each in (across, up)]
    able = [(x, y) for trial, x, y in known if standing.is_feasible(trial)]
    for x, y in able:
        beaten = any((a - x) * signs[0] >= 0 and (b - y) * signs[1] >= 0 and (a, b) != (x, y) for a, b in able)
        if not beaten:
            yield x, y


def load_curves(standing: Standing) -> Iterator[Markup]:
    """What the best, the baseline and the front do at each load, with the SLOs as lines."""
    kinds = {"concurrency" if point.concurrency is not None else "rate" for point in standing.study.load.points}
    shown = list({trial.number: trial for trial in _curved(standing)}.values())[:MOST_CURVES]
    for kind in sorted(kinds):
        for metric, stat in CURVES:
            curves = {trial.number: _curve(trial, kind, metric, stat) for trial in shown}
            if any(curves.values()):
                limits = [slo for slo in standing.aims.slo if (slo.metric, slo.stat) == (metric, stat)]
                yield _curve_figure(standing, shown, curves, (kind, metric, stat), limits)


def _curved(standing: Standing) -> Iterator[Trial]:
    if standing.best is not None:
        yield standing.best
    if standing.baseline is not None:
        yield standing.baseline
    yield from standing.front
    yield from (trial for trial in standing.trials if trial.state == "complete")


def _curve(trial: Trial, kind: str, metric: str, stat: str) -> list[tuple[float, float]]:
    results = trial.document.points if trial.document is not None else ()
    found = [
        (load, value)
        for result in results
        if (load := _load(result.point, kind)) is not None
        and (value := result.metrics.get(metric, {}).get(stat)) is not None
    ]
    return sorted(found)


def _load(point: Point, kind: str) -> float | None:
    return point.concurrency if kind == "concurrency" else point.rate


def _curve_figure(
    standing: Standing,
    shown: Sequence[Trial],
    curves: Mapping[int, Sequence[tuple[float, float]]],
    what: tuple[str, str, str],
    limits: Sequence[Slo],
) -> Markup:
    kind, metric, stat = what
    points = [point for curve in curves.values() for point in curve]
    bounds = [bound for slo in limits if (bound := slo.most if slo.most is not None else slo.least) is not None]
    loads = sorted({x for x, _ in points})
    near = [bound for bound in bounds if bound <= 3 * max(y for _, y in points)]
    frame = Frame(
        Range.around(loads),
        Range.around([*(y for _, y in points), *near], zero=True),
        tuple((load, value_text(load)) for load in loads) if len(loads) <= 12 else (),
    )
    shapes = [
        *frame.axes("requests in flight" if kind == "concurrency" else "requests a second", _metric(metric, stat))
    ]
    for slo, bound in zip(limits, bounds, strict=True):
        shapes += frame.limit(bound, slo_text(slo))
    for place, trial in enumerate(shown):
        curve = curves[trial.number]
        if curve:
            dots = [element("circle", cx=f"{x:.1f}", cy=f"{y:.1f}", r=4) for x, y in (frame.place(*at) for at in curve)]
            shapes.append(
                element("g", element("path", d=frame.path(curve)), *dots, class_=_tone(standing, trial, place))
            )
    return element("figure", picture(shapes, f"{metric} {stat} by {kind}"), _legend(standing, shown))


def _legend(standing: Standing, shown: Sequence[Trial]) -> Markup:
    marks = []
    for place, trial in enumerate(shown):
        dot = element("svg", element("circle", cx=7, cy=7, r=6, fill="currentColor"), class_="swatch")
        word = "best" if trial is standing.best else "baseline" if trial is standing.baseline else ""
        tone = _tone(standing, trial, place)
        marks.append(element("li", element("span", dot, class_=tone), f"trial {trial.number} {word}".strip()))
    return element("ul", *marks, class_="legend")


def _tone(standing: Standing, trial: Trial, place: int) -> str:
    """The colour of a trial: green the best, grey the baseline, others by their place."""
    if trial is standing.best:
        return "s2"
    return "s1" if trial is standing.baseline else OTHERS[place % len(OTHERS)]


def parallel(standing: Standing) -> Markup | None:
    """Each measured trial as a line over all parameters and the first objective. None without any."""
    objective = standing.aims.objectives[0]
    known = [(trial, value) for trial in standing.trials if (value := standing.value(trial, objective)) is not None]
    names = list(standing.study.space.names)
    if len(known) < 2 or not names:
        return None
    frame = Frame(Range(-0.35, len(names) + 0.35), Range(-0.05, 1.1))
    shapes: list[Markup] = []
    scales = {name: _scale([trial.params.get(name) for trial, _ in known]) for name in names}
    figures = Range.around([value for _, value in known])
    for column, name in enumerate([*names, short_name(objective)]):
        (x, top), (_, bottom) = frame.place(column, 1.0), frame.place(column, 0.0)
        shapes.append(element("line", x1=f"{x:.1f}", x2=f"{x:.1f}", y1=f"{top:.1f}", y2=f"{bottom:.1f}", class_="axis"))
        if column == len(names):
            shapes.append(element("text", name, x=WIDTH - 4, y=12, text_anchor="end"))
        else:
            shapes.append(element("text", name, x=f"{x:.1f}", y=f"{bottom + 26:.1f}", text_anchor="middle"))
    for trial, value in sorted(known, key=lambda pair: pair[0] is standing.best):
        share = (value - figures.low) / (figures.high - figures.low)
        line = [(at, scales[name][_word(trial.params.get(name))]) for at, name in enumerate(names)]
        tone = "s2" if trial is standing.best else "s0" if standing.is_feasible(trial) else "s1 faint"
        title = element("title", f"trial {trial.number}: {value:.4g}")
        shapes.append(element("g", title, element("path", d=frame.path([*line, (len(names), share)])), class_=tone))
    for column, name in enumerate(names):
        for word, height in scales[name].items():
            x, y = frame.place(column, height)
            shapes.append(element("text", word, x=f"{x + 5:.1f}", y=f"{y - 4:.1f}"))
    return _figure("Each line is a trial, green the best, grey infeasible ones.", picture(shapes, "all parameters"))


def _scale(values: Sequence[object]) -> dict[str, float]:
    """The height of each value, in order; where none was given it is `-`."""
    distinct = {_word(value): value for value in values}
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in distinct.values())
    ordered = sorted(distinct, key=lambda word: (float(str(distinct[word])) if numbers else 0.0, word))
    return {word: place / max(1, len(ordered) - 1) for place, word in enumerate(ordered)}


def _word(value: object) -> str:
    return "-" if value is None else value_text(value) if isinstance(value, str | int | float | bool) else str(value)


def importance(standing: Standing) -> list[tuple[str, float]]:
    """How much of the first objective's variance each parameter alone explains, most first, from four trials on.

    Values are put into at most four groups in their order, and what groups explain by chance is taken off.
    """
    objective = standing.aims.objectives[0]
    known = [(trial, value) for trial in standing.trials if (value := standing.value(trial, objective)) is not None]
    if len(known) < 4:
        return []
    mean = sum(value for _, value in known) / len(known)
    whole = sum((value - mean) ** 2 for _, value in known)
    if whole == 0:
        return []
    found: list[tuple[str, float]] = []
    for name in standing.study.space.names:
        groups: dict[object, list[float]] = {}
        bins = _bins([trial.params.get(name) for trial, _ in known])
        for trial, value in known:
            groups.setdefault(bins[_word(trial.params.get(name))], []).append(value)
        between = sum(len(group) * (sum(group) / len(group) - mean) ** 2 for group in groups.values())
        found.append((name, _beyond_chance(between, whole, groups=len(groups), count=len(known))))
    return sorted(found, key=lambda pair: -pair[1])


def _beyond_chance(between: float, whole: float, *, groups: int, count: int) -> float:
    """The share between groups, less what as many groups explain by chance alone (Kelley's epsilon squared)."""
    if groups >= count:
        return 0.0
    return max(0.0, (between - (groups - 1) * (whole - between) / (count - groups)) / whole)


def _bins(values: Sequence[object]) -> dict[str, int]:
    """The group of each value."""
    heights = _scale(values)
    return {word: min(int(height * MOST_BINS), MOST_BINS - 1) for word, height in heights.items()}


def _dot(frame: Frame, at: tuple[float, float], standing: Standing, trial: Trial, *, named: bool = False) -> Markup:
    x, y = frame.place(*at)
    best, able = trial is standing.best, standing.is_feasible(trial)
    title = element("title", f"trial {trial.number}: {at[1]:.4g} at {at[0]:.4g}")
    shapes = [element("circle", title, cx=f"{x:.1f}", cy=f"{y:.1f}", r=7 if best else 5)]
    if named:
        shapes.append(element("text", str(trial.number), x=f"{x + 8:.1f}", y=f"{y - 6:.1f}"))
    return element("g", *shapes, class_="s2" if best else "s0" if able else "s1 faint")


def _metric(metric: str, stat: str) -> str:
    return f"{metric} {stat} ({unit_of(metric)})"


def _figure(caption: str, drawing: Markup) -> Markup:
    return element("figure", element("figcaption", caption), drawing)
