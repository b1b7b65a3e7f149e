"""Draws the time lines of a dataset's calls: how many ended a second and how, and how many were under way of how many
that were allowed. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from passloop.apps.figures import span_text
from passloop.apps.markup import Markup, element, joined
from passloop.apps.page import grid
from passloop.apps.plots import Frame, Range, picture

from .call_times import FATES, CallTimes, ModelCalls

__all__ = ["calls_section"]

UNITS = ((2 * 3_600_000, 3_600_000, "hours"), (2 * 60_000, 60_000, "minutes"), (0, 1_000, "seconds"))
COLOURS = {"answered": "s2", "refused": "s3", "failed": "s7", "unknown": "s1"}


def calls_section(times: CallTimes) -> Markup:
    """Counts by model, and two plots for each on one time axis."""
    rows = [[element("td", model.name), *_counts(model)] for model in times.models]
    plots = [plot for model in times.models for plot in _plots(model, times)]
    note = f"Not drawn: calls from {span_text(times.left_out / 1000)} before on." if times.left_out else ""
    return element(
        "section",
        element("h2", "Calls"),
        grid(["model", "calls", *FATES, "under way"], rows),
        element("p", note, class_="note"),
        element("div", *plots, class_="plots"),
    )


def _counts(model: ModelCalls) -> list[Markup]:
    numbers = [model.counts.total(), *(model.counts[fate] for fate in (*FATES, "under way"))]
    return [element("td", f"{number:,}", class_="number") for number in numbers]


def _plots(model: ModelCalls, times: CallTimes) -> Iterator[Markup]:
    unit, name = next((unit, name) for least, unit, name in UNITS if times.length >= least)
    places = [(place + 0.5) * times.step / unit for place in range(len(model.steps))]
    across = Range(0.0, times.length / unit)
    seconds = times.step / 1000
    lines = {
        fate: [(x, step.ended[fate] / seconds) for x, step in zip(places, model.steps, strict=True)] for fate in FATES
    }
    shown = {fate: points for fate, points in lines.items() if model.counts[fate]}
    tops = [y for points in shown.values() for _, y in points]
    frame = Frame(across, Range.around([0.0, *tops], zero=True))
    shapes = [*frame.axes(name, "calls a second"), *_lines(frame, shown)]
    drawing = picture(shapes, f"calls of {model.name} a second")
    yield _figure(drawing, f"{model.name}: calls that were", *_words(shown))
    yield _under_way(model, places, across, times=times, unit=(unit, name))


def _under_way(
    model: ModelCalls, places: Sequence[float], across: Range, *, times: CallTimes, unit: tuple[int, str]
) -> Markup:
    """How many were under way, below how many were allowed then, or below what the spec says where that is unknown."""
    busy = [(x, step.under_way) for x, step in zip(places, model.steps, strict=True)]
    most = max(float(model.limit or 1), *(y for _, y in busy))
    top = most if model.limit is not None else 2 * most
    frame = Frame(across, Range.around([0.0, top], zero=True))
    shapes = [*frame.axes(unit[1], "under way")]
    words = []
    if model.allowed:
        shapes.append(element("path", d=frame.path([*_stairs(model.allowed, times, unit[0], top)]), class_="s7 front"))
        words = [joined(" ", element("span", "at most", class_="s7"))]
    elif model.limit is not None:
        shapes += frame.limit(model.limit, f"max_in_flight {model.limit}")
    shapes.append(element("path", d=frame.path(busy), class_="s0"))
    drawing = picture(shapes, f"calls of {model.name} under way, and how many were allowed")
    return _figure(drawing, f"{model.name}: calls", joined(" ", element("span", "under way", class_="s0")), *words)


def _stairs(
    allowed: Sequence[tuple[int, int]], times: CallTimes, unit: int, top: float
) -> Iterator[tuple[float, float]]:
    """A line of steps; what is above the frame runs along its edge."""
    steps = [*allowed, (times.length, allowed[-1][1])]
    for (at, most), (until, _) in pairwise(steps):
        yield at / unit, min(most, top)
        yield until / unit, min(most, top)


def _lines(frame: Frame, lines: dict[str, list[tuple[float, float]]]) -> Iterator[Markup]:
    for fate, points in lines.items():
        yield element("path", d=frame.path(points), class_=COLOURS[fate])


def _words(fates: Iterable[str]) -> Iterator[Markup]:
    """What the lines mean, each word in the colour of its line."""
    for fate in fates:
        yield joined(" ", element("span", fate, class_=COLOURS[fate]))


def _figure(drawing: Markup, *caption: str) -> Markup:
    return element("figure", element("figcaption", *caption), drawing)
