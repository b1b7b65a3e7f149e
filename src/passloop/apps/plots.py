"""The frame of a plot: from values to places in a box of fixed proportions, with axes and round ticks. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from passloop.apps.markup import Markup, element

__all__ = ["STYLE", "WIDTH", "Frame", "Range", "picture"]

WIDTH, HEIGHT = 640, 340
LEFT, RIGHT, TOP, BOTTOM = 66, 18, 16, 46
TICKS = 5
STYLE = """
.chips { margin-bottom: 0.8rem; } h4 { margin: 1rem 0 0.3rem; font-size: 0.92rem; }
.plots { margin-top: 0.9rem; display: grid; grid-template-columns: repeat(auto-fit, minmax(24rem, 1fr)); gap: 1.2rem; }
figure { margin: 0; min-width: 0; } figcaption { font-size: 0.86rem; color: var(--soft); margin-bottom: 0.3rem; }
.plot { width: 100%; height: auto; }
.plot .axis { stroke: var(--rule); } .plot text { fill: var(--soft); font-size: 12px; }
.plot path { fill: none; stroke: currentColor; stroke-width: 2; } .plot circle { fill: currentColor; }
.plot .limit { stroke: var(--bad); stroke-dasharray: 6 4; stroke-width: 1.5; }
.plot text.limit-text { fill: var(--bad); }
.plot .faint { opacity: 0.3; } .plot .front { stroke-dasharray: 4 3; stroke-width: 1.5; }
.s0 { color: #2b67b0; } .s1 { color: #7b848d; } .s2 { color: #2f7d4f; } .s3 { color: #a96e12; }
.s4 { color: #7a4fa3; } .s5 { color: #168a8a; } .s6 { color: #b04f86; } .s7 { color: #b8372f; }
.meter { display: grid; grid-template-columns: minmax(6rem, 14rem) 1fr 4rem; gap: 0.3rem 0.8rem; align-items: center; }
.meter .track { height: 0.8rem; background: var(--shade); border-radius: 3px; }
.meter .fill { display: block; height: 100%; background: var(--busy); border-radius: 3px; }
.diff { font: 0.82rem/1.6 ui-monospace, Menlo, Consolas, monospace; overflow-wrap: anywhere; }
.diff .more { color: var(--good); } .diff .less { color: var(--bad); text-decoration: line-through; }
.lane .start { opacity: 0.45; } td.bold { font-weight: 650; }
pre.wraps { white-space: pre-wrap; overflow-wrap: anywhere; }
"""


@dataclass(frozen=True, slots=True)
class Range:
    """Values of an axis, `low` under `high`."""

    low: float
    high: float

    @classmethod
    def around(cls, values: Sequence[float], *, zero: bool = False) -> Range:
        """All values with some room; with `zero`, from zero on."""
        low, high = min(values, default=0.0), max(values, default=1.0)
        room = (high - low) * 0.06 or max(abs(high) * 0.1, 0.5)
        return cls(0.0 if zero and low >= 0 else low - room, high + room)

    def ticks(self) -> Iterator[float]:
        """About five round values between."""
        raw = (self.high - self.low) / TICKS
        power = 10.0 ** math.floor(math.log10(raw))
        step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw)
        for number in range(math.ceil(self.low / step), math.floor(self.high / step) + 1):
            yield number * step


@dataclass(frozen=True, slots=True)
class Frame:
    """Two axes. `marks` are the ticks of the first where it has its own, each with its text."""

    x: Range
    y: Range
    marks: tuple[tuple[float, str], ...] = ()

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Where a point is drawn."""
        across = (x - self.x.low) / (self.x.high - self.x.low)
        up = (y - self.y.low) / (self.y.high - self.y.low)
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)

    def path(self, points: Sequence[tuple[float, float]]) -> str:
        """A line through points, as an SVG path."""
        places = [self.place(x, y) for x, y in points]
        return "M" + " L".join(f"{across:.1f} {up:.1f}" for across, up in places)

    def axes(self, x: str, y: str) -> Iterator[Markup]:
        """Lines, figures and titles."""
        bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
        for value, text in self.marks or [(value, f"{value:.4g}") for value in self.x.ticks()]:
            at, _ = self.place(value, self.y.low)
            yield element("line", x1=f"{at:.1f}", x2=f"{at:.1f}", y1=TOP, y2=bottom, class_="axis")
            yield element("text", text, x=f"{at:.1f}", y=bottom + 16, text_anchor="middle")
        for value in self.y.ticks():
            _, at = self.place(self.x.low, value)
            yield element("line", x1=LEFT, x2=right, y1=f"{at:.1f}", y2=f"{at:.1f}", class_="axis")
            yield element("text", f"{value:.4g}", x=LEFT - 6, y=f"{at + 4:.1f}", text_anchor="end")
        yield element("text", x, x=(LEFT + right) / 2, y=HEIGHT - 8, text_anchor="middle")
        middle = (TOP + bottom) / 2
        yield element("text", y, transform=f"translate(14 {middle}) rotate(-90)", text_anchor="middle")

    def limit(self, value: float, text: str) -> Iterator[Markup]:
        """A level that must not be passed; nothing if it lies outside."""
        if self.y.low <= value <= self.y.high:
            _, at = self.place(self.x.low, value)
            yield element("line", x1=LEFT, x2=WIDTH - RIGHT, y1=f"{at:.1f}", y2=f"{at:.1f}", class_="limit")
            yield element("text", text, x=WIDTH - RIGHT, y=f"{at - 5:.1f}", text_anchor="end", class_="limit-text")


def picture(shapes: Sequence[Markup], label: str) -> Markup:
    """The drawing."""
    return element("svg", *shapes, viewBox=f"0 0 {WIDTH} {HEIGHT}", class_="plot", role="img", aria_label=label)
