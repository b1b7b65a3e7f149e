"""A study as one HTML file: the best trial with its launch command, what it gains, how all compare, what failed.

Everything that a user, a program or a server wrote is escaped where it enters; the file loads nothing.
"""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Iterator, Sequence

from passloop.apps.figures import value_text
from passloop.apps.markup import Markup, element, plain_log
from passloop.apps.page import grid, page_of
from passloop.apps.plots import STYLE
from passloop.apps.tune.search.budgets import MS_PER_HOUR
from passloop.apps.tune.study_view import Trial

from .document import objective_name
from .lines import headings, rivals_text, trial_cells, unlike_text, why_not
from .plots import against, importance, load_curves, parallel, progress
from .standing import Standing
from .timeline import timeline
from .units import figure_text, gain_text, slo_text

__all__ = ["report_html"]

OWN = """
th { white-space: normal; vertical-align: bottom; }
.reason { white-space: normal; min-width: 16rem; }
.note + .lanes { margin-bottom: 0.8rem; }
"""
TONES = {
    "complete": "good",
    "infeasible": "odd",
    "pruned": "odd",
    "failed": "bad",
    "rejected": "bad",
    "cancelled": "calm",
    "running": "busy",
    "queued": "calm",
}


def report_html(standing: Standing, *, made_at: int) -> str:
    """The complete file as text. `made_at` is wall time in ms."""
    measured = [trial for trial in standing.trials if trial.document is not None and trial.document.points]
    sections = [_best(standing)]
    if measured:
        sections += [_search(standing), *_curves(standing)]
    drawn = timeline(standing)
    if drawn is not None:
        sections.append(_section("Where and when", drawn))
    failures = [trial for trial in standing.trials if trial.failure is not None]
    if failures:
        sections.append(_failures(failures))
    sections.append(_trials(standing))
    main = element("main", *sections)
    return page_of(f"Study {standing.study.name}", _header(standing), main, made_at=made_at, style=STYLE + OWN)


def _section(title: str, *content: Markup, note: str = "") -> Markup:
    return element("section", element("h2", title), element("p", note, class_="note"), *content)


def _header(standing: Standing) -> Markup:
    study = standing.study
    chips = [
        element("li", element("b", str(standing.counts[state])), f" {state}", class_=f"chip {tone}")
        for state, tone in TONES.items()
        if standing.counts[state]
    ]
    hours = sum(trial.gpu_ms for trial in standing.trials) / MS_PER_HOUR
    facts = [
        ("objective", "; ".join(f"{each.direction} {objective_name(each)}" for each in standing.aims.objectives)),
        ("SLO", "; ".join(slo_text(limit) for limit in standing.aims.slo) or "none"),
        ("sampler", study.spec.search.sampler),
        ("at once", str(study.spec.search.max_parallel)),
        ("load", ", ".join(point.name for point in study.load.points)),
        *([("GPU-hours", f"{hours:.2f}")] if hours else []),
        *([("ended", standing.stop)] if standing.stop else []),
        *([("beware", unlike_text(standing))] if standing.unlike else []),
    ]
    listed = [element("div", element("dt", name), element("dd", text)) for name, text in facts]
    return element(
        "header",
        element("h1", f"Study {study.name}"),
        element("ul", *chips, class_="chips"),
        element("dl", *listed, class_="facts"),
    )


def _best(standing: Standing) -> Markup:
    best = standing.best
    if best is None:
        limits = ", ".join(slo_text(limit) for limit in standing.aims.slo)
        parts = [element("p", f"No trial is feasible{f': none keeps {limits}' if limits else ''}.")]
        if standing.nearest is not None:
            why = why_not(standing, standing.nearest)
            parts.append(element("p", "Nearest: ", element("b", f"trial {standing.nearest.number}"), f" ({why})"))
        return _section("Best", *parts)
    params = ", ".join(f"{name} = {value_text(value)}" for name, value in best.params.items())
    rows = []
    for objective in standing.aims.objectives:
        base = standing.baseline
        before = standing.value(base, objective) if base is not None else None
        found = standing.gain(best, objective)
        rows.append(
            [
                element("td", objective_name(objective)),
                element("td", figure_text(objective.metric, standing.value(best, objective)), class_="number"),
                element("td", figure_text(objective.metric, before), class_="number"),
                element("td", gain_text(*found) if found is not None else "", class_="number"),
            ]
        )
    parts = [
        element("p", element("b", f"Trial {best.number}"), f": {params or 'no parameter set'}"),
        grid(["objective", "best", "baseline", "gain"], rows),
        *([element("p", f"{rivals_text(standing)}.", class_="note")] if standing.rivals else []),
        element("h4", "Launch command"),
        element("pre", shlex.join(standing.command(best)), class_="wraps"),
    ]
    base = standing.baseline
    if base is not None and base is not best:
        parts += [element("h4", f"Against the baseline (trial {base.number})"), _difference(standing, base, best)]
    interval = "the interval is of repeats on one server (95 %)" if _has_interval(standing, best) else ""
    return _section("Best", *parts, note=interval)


def _has_interval(standing: Standing, best: Trial) -> bool:
    gains = (standing.gain(best, each) for each in standing.aims.objectives)
    return any(found is not None and found.low is not None for found in gains)


def _difference(standing: Standing, base: Trial, best: Trial) -> Markup:
    """The words that differ: struck through what the baseline had, in green what the best has."""
    before, after = (standing.comparable(trial) for trial in (base, best))
    parts: list[str] = []
    for what, b0, b1, a0, a1 in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if what == "equal":
            parts += [" ", *(_shortened(before[b0:b1]))]
            continue
        if b1 > b0:
            parts += [" ", element("span", shlex.join(before[b0:b1]), class_="less")]
        if a1 > a0:
            parts += [" ", element("span", shlex.join(after[a0:a1]), class_="more")]
    return element("p", *parts, class_="diff")


def _shortened(words: Sequence[str]) -> Iterator[str]:
    """What is equal, without its middle."""
    if len(words) <= 4:
        yield shlex.join(words)
        return
    yield f"{shlex.join(words[:1])} ... {shlex.join(words[-2:])}"


def _search(standing: Standing) -> Markup:
    plots = [progress(standing), *filter(None, (against(standing), parallel(standing)))]
    parts = [element("div", *plots, class_="plots")]
    weights = importance(standing)
    if weights:
        note = element("p", "How much of the first objective's variance each parameter alone explains.", class_="note")
        parts += [element("h4", "What matters"), note, _meters(weights)]
    return _section("The search", *parts)


def _meters(weights: Sequence[tuple[str, float]]) -> Markup:
    cells: list[Markup] = []
    for name, share in weights:
        cells.append(element("span", name))
        cells.append(element("svg", *_bar(share), class_="track", width="100%", height="12", role="img"))
        cells.append(element("span", f"{100 * share:.0f} %", class_="number"))
    return element("div", *cells, class_="meter")


def _bar(share: float) -> Iterator[Markup]:
    yield element("rect", width=f"{100 * min(1.0, share):.1f}%", height="100%", rx=3, class_="busy")


def _curves(standing: Standing) -> Iterator[Markup]:
    plots = list(load_curves(standing))
    if plots:
        note = "Each point of the load as it was measured. Red, dashed: the limits."
        yield _section("Under load", element("div", *plots, class_="plots"), note=note)


def _failures(failed: Sequence[Trial]) -> Markup:
    groups: dict[str, list[Trial]] = {}
    for trial in failed:
        assert trial.failure is not None
        groups.setdefault(trial.failure.kind, []).append(trial)
    parts: list[Markup] = []
    for kind, some in sorted(groups.items(), key=lambda pair: -len(pair[1])):
        parts.append(element("h3", f"{len(some)} {kind}"))
        parts += [_failure(trial) for trial in some]
    return _section("What failed, and why", *parts)


def _failure(trial: Trial) -> Markup:
    failure = trial.failure
    assert failure is not None
    params = ", ".join(f"{name}={value_text(value)}" for name, value in trial.params.items())
    head = f"trial {trial.number} ({params}){f', {failure.phase}' if failure.phase else ''}: {failure.message}"
    lines = [element("pre", plain_log("\n".join(failure.lines)))] if failure.lines else []
    look = element("p", element("code", f"passloop logs {trial.task}"), class_="why")
    return element("details", element("summary", head), *lines, look)


def _trials(standing: Standing) -> Markup:
    columns = headings(standing)
    rows = [[*_row(standing, trial, [each.right for each in columns])] for trial in standing.trials]
    return _section("Every trial", grid([each.text for each in columns], rows))


def _row(standing: Standing, trial: Trial, right: Sequence[bool]) -> Iterator[Markup]:
    bold = " bold" if trial is standing.best else ""
    *cells, reason = zip(trial_cells(standing, trial), right, strict=True)
    for cell, is_right in cells:
        if cell.text in (standing.state_of(trial), "best"):
            tone = TONES.get(standing.state_of(trial), "calm")
            yield element("td", element("span", cell.text, class_=f"tag {tone}"))
        else:
            yield element("td", cell.text, class_=("number" if is_right else "") + bold)
    yield element("td", reason[0].text, class_="reason")
