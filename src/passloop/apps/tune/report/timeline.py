"""Trials over time as lanes: one for each GPU, or one for each of the trials at once where there are none. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from passloop.apps.figures import span_text
from passloop.apps.markup import Markup, element
from passloop.apps.tune.study_view import Trial

from .standing import Standing

__all__ = ["lanes_of", "timeline"]

WIDTH, HEIGHT = 1_000, 16
LOADING = ("warm-up", "measuring")
TONES = {"complete": "good", "infeasible": "odd", "pruned": "odd", "failed": "bad", "running": "busy"}


class Bar(NamedTuple):
    """One trial on a lane; times in engine ms. `loaded` is when its server was ready."""

    start: int
    end: int
    loaded: int
    trial: Trial


def timeline(standing: Standing) -> Markup | None:
    """The lanes of each run over its own span of time, since days may lie between two; None if nothing was started."""
    runs = sorted({trial.run for trial in standing.trials if trial.started_at is not None})
    if not runs:
        return None
    parts = [_of_run(standing, run, named=len(runs) > 1) for run in runs]
    note = element("p", "Light: the server starts. Full: it is under load, or ends.", class_="note")
    return element("div", note, *parts)


def _of_run(standing: Standing, run: int, *, named: bool) -> Markup:
    bars = [_bar(trial) for trial in standing.trials if trial.run == run and trial.started_at is not None]
    start, end = min(bar.start for bar in bars), max(bar.end for bar in bars)
    rows = [_lane(standing, label, lane, (start, max(end, start + 1))) for label, lane in lanes_of(bars).items()]
    busy = sum(bar.end - bar.start for bar in bars)
    trials = "1 trial" if len(bars) == 1 else f"{len(bars)} trials"
    facts = f"{trials} in {span_text((end - start) / 1000)}; {busy / max(1, end - start):.2f} at once"
    head = f"Run {run}: {facts}." if named else f"{facts[0].upper()}{facts[1:]}."
    return element("div", element("p", head, class_="note"), element("div", *rows, class_="lanes"))


def lanes_of(bars: Sequence[Bar]) -> Mapping[str, list[Bar]]:
    """Bars by the GPU that they had; without GPUs in as few lanes as hold them."""
    lanes: dict[str, list[Bar]] = {}
    for bar in sorted(bars, key=lambda each: (each.start, each.trial.number)):
        for uuid in bar.trial.gpus:
            lanes.setdefault(uuid, []).append(bar)
        if not bar.trial.gpus:
            place = next(n for n in range(1, len(bars) + 1) if _is_free(lanes.get(f"lane {n}", ()), bar))
            lanes.setdefault(f"lane {place}", []).append(bar)
    return dict(sorted(lanes.items()))


def _is_free(lane: Sequence[Bar], bar: Bar) -> bool:
    return not lane or lane[-1].end <= bar.start


def _bar(trial: Trial) -> Bar:
    start = trial.started_at or 0
    end = trial.ended_at if trial.ended_at is not None else start
    spans = trial.document.spans if trial.document is not None else {}
    before = sum(span for phase, span in spans.items() if phase in ("leased", "downloading", "starting"))
    return Bar(start, max(end, start), min(end, start + round(before)) if spans else end, trial)


def _lane(standing: Standing, label: str, bars: Sequence[Bar], span: tuple[int, int]) -> Markup:
    busy = sum(bar.end - bar.start for bar in bars) / (span[1] - span[0])
    shapes = [shape for bar in bars for shape in _shapes(standing, bar, span)]
    drawing = element(
        "svg", *shapes, viewBox=f"0 0 {WIDTH} {HEIGHT}", preserveAspectRatio="none", class_="lane", height=HEIGHT
    )
    name = element("div", element("b", label), element("span", f"{100 * busy:.0f} %"), class_="label")
    return element("div", name, drawing, class_="row")


def _shapes(standing: Standing, bar: Bar, span: tuple[int, int]) -> Iterator[Markup]:
    state = standing.state_of(bar.trial)
    title = f"trial {bar.trial.number} {state}, {span_text((bar.end - bar.start) / 1000)}"
    tone = TONES.get(state, "calm")
    for start, end, part in ((bar.start, bar.loaded, "start"), (bar.loaded, bar.end, "")):
        if end > start:
            x, width = _places(start, end, span)
            rect = element("rect", element("title", title), x=f"{x:.1f}", width=f"{width:.1f}", height=HEIGHT)
            yield element("g", rect, class_=f"bar {tone} {part}".strip())


def _places(start: int, end: int, span: tuple[int, int]) -> tuple[float, float]:
    whole = span[1] - span[0]
    return WIDTH * (start - span[0]) / whole, max(1.0, WIDTH * (end - start) / whole)
