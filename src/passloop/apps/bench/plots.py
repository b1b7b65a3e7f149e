"""Scatter plots as SVG: points of several series, the front of those that no other beats, axes with units.

Drawn in a box of fixed proportions that scales with the page; colours come from the style sheet, by series.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from passloop.apps.markup import Markup, element

__all__ = ["STYLE", "Axis", "Point", "front_of", "scatter"]

WIDTH, HEIGHT = 640, 380
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 14, 46
SERIES = 8
TICKS = 5
STYLE = """
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(22rem, 1fr)); gap: 1.2rem; }
.plot { width: 100%; height: auto; }
.plot .axis { stroke: var(--rule); } .plot text { fill: var(--soft); font-size: 12px; }
.plot .front { fill: none; stroke-width: 1.5; stroke-dasharray: 4 3; }
.s0 { color: #2b67b0; } .s1 { color: #b8372f; } .s2 { color: #2f7d4f; } .s3 { color: #a96e12; }
.s4 { color: #7a4fa3; } .s5 { color: #168a8a; } .s6 { color: #b04f86; } .s7 { color: #6b7078; }
.plot g[class^="s"] circle { fill: currentColor; } .plot g[class^="s"] path { stroke: currentColor; }
.gap-field { color: var(--bad); } .lower { color: var(--bad); } .higher { color: var(--good); }
td small { color: var(--soft); }
"""


@dataclass(frozen=True, slots=True)
class Point:
    """One point: its place, its name, and the series it is of."""

    x: float
    y: float
    name: str
    series: str


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis: what it shows with its unit, and whether more is better."""

    title: str
    more_is_better: bool


def front_of(points: Sequence[Point], x: Axis, y: Axis) -> list[Point]:
    """Points that no other beats on both axes, by x."""
    front = [point for point in points if not any(_beats(other, point, x, y) for other in points)]
    return sorted(front, key=lambda point: (point.x, point.y))


def scatter(points: Sequence[Point], x: Axis, y: Axis) -> Markup:
    """The plot with its legend."""
    frame = _Frame(points)
    names = list(dict.fromkeys(point.series for point in points))
    shapes = [*_axes(frame, x, y)]
    for place, name in enumerate(names):
        own = [point for point in points if point.series == name]
        shapes.append(element("g", *_series(own, frame, x, y), class_=f"s{place % SERIES}"))
    picture = element(
        "svg",
        *shapes,
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        class_="plot",
        role="img",
        aria_label=f"{y.title} against {x.title}",
    )
    return element("figure", picture, _legend(names))


def _beats(one: Point, other: Point, x: Axis, y: Axis) -> bool:
    """Whether `one` is at least as good on both axes and better on one."""
    wider = (one.x - other.x) * (1 if x.more_is_better else -1)
    higher = (one.y - other.y) * (1 if y.more_is_better else -1)
    return wider >= 0 and higher >= 0 and (wider > 0 or higher > 0)


class _Frame:
    """From values to places in the box."""

    def __init__(self, points: Sequence[Point]) -> None:
        self.x = _bounds([point.x for point in points])
        self.y = _bounds([point.y for point in points])

    def place(self, x: float, y: float) -> tuple[float, float]:
        across = (x - self.x[0]) / (self.x[1] - self.x[0])
        up = (y - self.y[0]) / (self.y[1] - self.y[0])
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)


def _bounds(values: Sequence[float]) -> tuple[float, float]:
    """Round values around all of them, with some room."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    room = (high - low) * 0.06 or max(abs(high) * 0.1, 0.5)
    return low - room, high + room


def _ticks(low: float, high: float) -> Iterator[float]:
    """About five round values between."""
    raw = (high - low) / TICKS
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw)
    for number in range(math.ceil(low / step), math.floor(high / step) + 1):
        yield number * step


def _axes(frame: _Frame, x: Axis, y: Axis) -> Iterator[Markup]:
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    for value in _ticks(*frame.x):
        at, _ = frame.place(value, frame.y[0])
        yield element("line", x1=f"{at:.1f}", x2=f"{at:.1f}", y1=TOP, y2=bottom, class_="axis")
        yield element("text", f"{value:.4g}", x=f"{at:.1f}", y=bottom + 16, text_anchor="middle")
    for value in _ticks(*frame.y):
        _, at = frame.place(frame.x[0], value)
        yield element("line", x1=LEFT, x2=right, y1=f"{at:.1f}", y2=f"{at:.1f}", class_="axis")
        yield element("text", f"{value:.4g}", x=LEFT - 6, y=f"{at + 4:.1f}", text_anchor="end")
    yield element("text", x.title, x=(LEFT + right) / 2, y=HEIGHT - 8, text_anchor="middle")
    middle = (TOP + bottom) / 2
    yield element("text", y.title, transform=f"translate(14 {middle}) rotate(-90)", text_anchor="middle")


def _series(points: Sequence[Point], frame: _Frame, x: Axis, y: Axis) -> Iterator[Markup]:
    front = front_of(points, x, y)
    if len(front) > 1:
        places = [frame.place(point.x, point.y) for point in front]
        steps = " L".join(f"{across:.1f} {up:.1f}" for across, up in places)
        yield element("path", d=f"M{steps}", class_="front")
    for point in points:
        across, up = frame.place(point.x, point.y)
        title = element("title", f"{point.series} / {point.name}: {point.y:.4g} at {point.x:.4g}")
        yield element("circle", title, cx=f"{across:.1f}", cy=f"{up:.1f}", r=5)
        end = across > WIDTH - 120
        yield element(
            "text",
            point.name,
            x=f"{across + (-8 if end else 8):.1f}",
            y=f"{up - 7:.1f}",
            text_anchor="end" if end else None,
        )


def _legend(names: Sequence[str]) -> Markup:
    marks = []
    for place, name in enumerate(names):
        dot = element("svg", element("circle", cx=7, cy=7, r=6, fill="currentColor"), class_="swatch")
        marks.append(element("li", element("span", dot, class_=f"s{place % SERIES}"), name))
    front = element("li", "dashed: no other configuration of the model is better on both axes")
    return element("ul", *marks, front, class_="legend")
