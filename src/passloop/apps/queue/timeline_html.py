"""Draws a timeline as SVG in percent of the width, so that it fits any screen without a script."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from passloop.apps.figures import span_text, value_text
from passloop.apps.markup import Markup, element

from .gaps import REASONS, Gap
from .timeline import Bar, Lane, Timeline

__all__ = ["timeline_section"]

TRACK = 18
MOST_BARS = 20_000
MOST_LANES = 128
STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 43_200, 86_400, 604_800)
MARKS = {None: "running", "success": "good", "cancelled": "odd", "lost": "odd", "rate_limited": "odd"}


def timeline_section(timeline: Timeline) -> Markup:
    """The section with one row for each lane, a ruler, and the meaning of the colours."""
    lanes = timeline.lanes[:MOST_LANES]
    rows = [_lane(lane, timeline) for lane in _within(lanes)]
    left = len(timeline.lanes) - len(rows)
    note = f"{left} more lanes are not drawn." if left else "Point at a bar or a gap for what it is."
    return element(
        "section",
        element("h2", "Where and when"),
        element("p", note, class_="note"),
        element("div", *rows, _ruler(timeline), class_="lanes"),
        _legend(timeline),
    )


def _within(lanes: tuple[Lane, ...]) -> Iterator[Lane]:
    """Lanes until the file would become too large to open."""
    drawn = 0
    for lane in lanes:
        drawn += len(lane.bars)
        if drawn > MOST_BARS:
            return
        yield lane


def _lane(lane: Lane, timeline: Timeline) -> Markup:
    whole = max(1, sum(end - start for start, end in timeline.parts))
    shapes = [*(_gap(gap, timeline) for gap in lane.gaps), *(_bar(bar, timeline) for bar in lane.bars)]
    shapes += _cuts(timeline)
    busy = f"{100 * lane.busy / whole:.0f} %"
    return element(
        "div",
        element("div", element("b", lane.label), element("span", busy), class_="label"),
        element(
            "svg",
            *shapes,
            height=lane.tracks * TRACK,
            class_="lane",
            role="img",
            aria_label=f"{lane.label}: {busy}",
        ),
        class_="row",
    )


def _bar(bar: Bar, timeline: Timeline) -> Markup:
    row, attempt = bar.row, bar.attempt
    params = " ".join(f"{axis}={value_text(value)}" for axis, value in row.params.items())
    took = span_text((bar.end - bar.start) / 1000)
    lines = [
        f"task {row.id} {row.name} {params}".strip(),
        f"attempt {attempt.number}: {attempt.outcome or 'running'}, {took}",
        attempt.message,
    ]
    shape = element("rect", element("title", "\n".join(filter(None, lines))), **_place(bar.start, bar.end, timeline))
    tone = MARKS.get(attempt.outcome, "bad")
    return element("g", shape, class_=f"bar {tone}", transform=f"translate(0 {bar.track * TRACK + 1})")


def _gap(gap: Gap, timeline: Timeline) -> Markup:
    title = element("title", f"{REASONS[gap.reason]}, {span_text((gap.end - gap.start) / 1000)}")
    shape = element("rect", title, **_place(gap.start, gap.end, timeline))
    return element("g", shape, class_=f"gap {gap.reason}")


def _place(start: int, end: int, timeline: Timeline) -> dict[str, str]:
    x = 100 * timeline.place(start)
    return {"x": f"{x:.3f}%", "width": f"{max(0.08, 100 * timeline.place(end) - x):.3f}%"}


def _ruler(timeline: Timeline) -> Markup:
    seconds = sum(end - start for start, end in timeline.parts) / 1000
    step = next((step for step in STEPS if seconds / step <= 6), STEPS[-1])
    marks = [mark for part in timeline.parts for mark in _marks(part, step, timeline)]
    return element(
        "div", element("div", class_="label"), element("svg", *marks, height=20, class_="ruler"), class_="row"
    )


def _marks(part: tuple[int, int], step: int, timeline: Timeline) -> Iterator[Markup]:
    """The marks of one part of the ruler, `step` seconds apart, counted from the start of all."""
    first = -(-(part[0] - timeline.start) // (step * 1000))
    for place in range(first, (part[1] - timeline.start) // (step * 1000) + 1):
        at = timeline.place(timeline.start + place * step * 1000)
        x = f"{100 * at:.3f}%"
        anchor = "start" if place == 0 else "end" if at > 0.94 else "middle"
        yield element("line", x1=x, x2=x, y1=0, y2=5)
        yield element("text", _clock_text(place * step), x=x, y=17, text_anchor=anchor)


def _cuts(timeline: Timeline) -> Iterator[Markup]:
    """A mark over the lanes where a long time of nothing was left out."""
    for before, after in itertools.pairwise(timeline.parts):
        x = 100 * timeline.place(before[1])
        width = 100 * timeline.place(after[0]) - x
        title = element("title", f"nothing of this run ran for {span_text((after[0] - before[1]) / 1000)}")
        yield element("g", element("rect", title, x=f"{x:.3f}%", width=f"{width:.3f}%"), class_="cut")


def _clock_text(seconds: int) -> str:
    if seconds == 0:
        return "0"
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60}:{seconds % 60:02d}"
    return f"{seconds // 3600}:{seconds % 3600 // 60:02d} h"


def _legend(timeline: Timeline) -> Markup:
    reasons = {gap.reason for lane in timeline.lanes for gap in lane.gaps}
    tones = {MARKS.get(bar.attempt.outcome, "bad") for lane in timeline.lanes for bar in lane.bars}
    words = {"good": "succeeded", "bad": "failed", "odd": "cancelled or lost", "running": "running"}
    marks = [
        *(_mark(f"bar {tone}", word) for tone, word in words.items() if tone in tones),
        *(_mark(f"gap {reason}", word) for reason, word in REASONS.items() if reason in reasons),
    ]
    return element("ul", *marks, class_="legend")


def _mark(classes: str, word: str) -> Markup:
    swatch = element("svg", element("g", element("rect", width="100%", height="100%"), class_=classes), class_="swatch")
    return element("li", swatch, word)
