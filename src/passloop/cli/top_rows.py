"""What the terminal screen shows, as plain text made from the documents of the page: one row for each GPU, task, pool.

It asks nothing and draws nothing. What tasks say of themselves has no control codes left in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from passloop.cli import streams
from passloop.cli.spans import left, since, span_text, task_span
from passloop.cli.wording import amount_text
from passloop.kernel.pools import NO_RATE

__all__ = [
    "ACROSS",
    "SIGNS",
    "Row",
    "failure_rows",
    "gpu_rows",
    "headline",
    "pool_rows",
    "room_for_names",
    "room_for_strips",
    "running_rows",
    "strip",
    "waiting_rows",
]

ACROSS = 60
"""Characters of a strip at most; each is a part of the time that a timeline covers."""
_LEAST_ACROSS = 15
_LEAST_NAME = 12
_WHERE = 12
"""Characters of what a strip belongs to: of an endpoint its end, the model's name."""
_BETWEEN = 2
"""Blanks about each cell of a table on the screen."""
BUSY, BAD = "█", "▓"
EMPTY = {"idle": "·", "blocked": "▒", "reserved": "▒", "vetoed": "x", "quarantined": "x", "lost": "x"}
OTHERS = "-"
SIGNS = f"{BUSY} ran  {BAD} failed  {EMPTY['blocked']} did not fit  {OTHERS} waited  {EMPTY['vetoed']} kept out"
"""What the characters of a strip mean; a dot is nothing."""
OF_A_RUN = ("parallel/", "trials:", "leases-")
OF_THE_MACHINE = ("cpu", "memory", "disk")
_LIVE = ("running", "admitted", "stopping", "ready", "waiting", "backoff", "held")

Json = Mapping[str, Any]
Row = tuple[str, tuple[str, ...]]
"""The key of a row and its cells."""


def headline(now: Json) -> str:
    """The engine and how many tasks are in which state, on one line; what lives goes first, where it lies last."""
    found = {state: number for state, number in now["counts"].items() if number}
    order = [state for state in _LIVE if state in found] + [state for state in found if state not in _LIVE]
    counts = ", ".join(f"{found[state]:,} {state}" for state in order) or "no tasks"
    pretended = "  virtual GPUs" if any(gpu.get("virtual") for gpu in now["gpus"]) else ""
    return streams.clean(f"{now['engine']['state']}{pretended}  {counts}  {now['engine']['home']}")


def room_for_strips(width: int, now: Json) -> int:
    """How many characters a strip may have on a screen of this width, beside who holds which GPU and how much of it."""
    texts = [("where", "who", "memory"), *((" " * _WHERE, _gpu_state(gpu), _memory(gpu)) for gpu in now["gpus"])]
    before = [max(map(len, column)) + _BETWEEN for column in zip(*texts, strict=True)]
    return max(_LEAST_ACROSS, min(ACROSS, width - sum(before) - 2 * _BETWEEN))


def room_for_names(width: int) -> int:
    """How many characters of a task's name are shown: beside it there must be room for how it is."""
    return max(_LEAST_NAME, width // 4)


def gpu_rows(now: Json, timeline: Json, *, across: int = ACROSS) -> list[Row]:
    """GPUs with who holds them and a strip of the last time, and then endpoints."""
    strips = {lane["id"]: strip(lane, timeline["from"], timeline["to"], across=across) for lane in timeline["lanes"]}
    empty = EMPTY["idle"] * across
    rows = [
        (gpu["uuid"], (f"GPU {gpu['index']}", _gpu_state(gpu), _memory(gpu), strips.get(gpu["uuid"], empty)))
        for gpu in now["gpus"]
    ]
    others = [lane for lane in timeline["lanes"] if lane["kind"] != "gpu"]
    return [
        *rows,
        *((lane["id"], (_end_of(streams.clean(str(lane["label"]))), "", "", strips[lane["id"]])) for lane in others),
    ]


def running_rows(now: Json) -> list[Row]:
    """What runs: id, name, since when, on what."""
    return [_task_row(line, str(line["state"]), span_text(task_span(dict(line))), _on(line)) for line in now["running"]]


def _end_of(label: str) -> str:
    return label if len(label) <= _WHERE else f"~{label[1 - _WHERE :]}"


def waiting_rows(now: Json) -> list[Row]:
    """What waits: id, name, for how long, and the first reason with what it knows of its end."""
    return [
        _task_row(line, str(line["state"]), span_text(since(line["submitted_at"])), _why(line))
        for line in now["waiting"]
    ]


def failure_rows(now: Json) -> list[Row]:
    """What failed last: id, name, how, how long ago, and what it said."""
    return [
        _task_row(
            line,
            str(line["outcome"] or line["state"]),
            f"{span_text(since(line['ended_at']))} ago",
            streams.clean(str(line["message"])),
        )
        for line in now["failures"]
    ]


def pool_rows(now: Json) -> list[Row]:
    """Pools: how much of what is used, whether it is open, how long a cooldown still takes. Left out are those whose
    limit nobody knows and limits of runs that nothing holds, as long as they are open.
    """
    return [(str(pool["name"]), _pool_cells(pool)) for pool in now["pools"] if _is_telling(pool)]


def strip(lane: Json, first: int, last: int, *, across: int = ACROSS) -> str:
    """A lane as characters: what ran, and why nothing did."""
    size = max(1, last - first) / across
    found = [EMPTY["idle"]] * across
    for gap in lane["gaps"]:
        for place in _places(gap, first, size, across):
            found[place] = EMPTY.get(gap["reason"], OTHERS)
    for bar in lane["bars"]:
        for place in _places(bar, first, size, across):
            found[place] = BAD if bar["bad"] else BUSY
    return "".join(found)


def _places(span: Json, first: int, size: float, across: int) -> Iterator[int]:
    begin = max(0, int((span["start"] - first) / size))
    end = min(across - 1, int((span["end"] - first) / size))
    return iter(range(begin, max(begin, end) + 1) if begin < across else ())


def _gpu_state(gpu: Json) -> str:
    if gpu["holders"]:
        return "task " + ", ".join(map(str, gpu["holders"]))
    if gpu["reserved_for"] is not None:
        return f"kept for {gpu['reserved_for']}"
    foreign: Sequence[Json] = gpu["foreign"]
    if not foreign:
        return str(gpu["state"])
    pid = foreign[0]["pid"]
    return f"used by pid {pid}" if pid else f"used by {foreign[0]['name']}"


def _memory(gpu: Json) -> str:
    return f"{(gpu['vram_mib'] - gpu['free_mib']) / 1024:.0f}/{gpu['vram_mib'] / 1024:.0f} GiB"


def _task_row(line: Json, *cells: str) -> Row:
    return str(line["id"]), (str(line["id"]), _name(line), *cells)


def _pool_cells(pool: Json) -> tuple[str, ...]:
    used = f"{amount_text(pool['name'], pool['used'])} of {amount_text(pool['name'], pool['capacity'])}"
    return streams.clean(str(pool["name"])), used, str(pool["state"]), _until(pool)


def _is_telling(pool: Json) -> bool:
    if pool["state"] != "open":
        return True
    return bool(pool["used"] > 0 if pool["name"].startswith(OF_A_RUN) else pool["capacity"] < NO_RATE)


def _name(line: Json) -> str:
    return streams.clean(str(line["name"] or line["command"]))[:60]


def _on(line: Json) -> str:
    gpus = line["gpus"]
    more = f", {span_text(left(line['until']))} left" if line.get("until") else ""
    others = (str(pool) for pool in line["pools"] if pool not in OF_THE_MACHINE and not pool.startswith(OF_A_RUN))
    model = next((pool.rpartition("/")[2] for pool in others), "CPU")
    return (f"{len(gpus)} GPU{'s' * (len(gpus) > 1)}" if gpus else streams.clean(model)) + more


def _why(line: Json) -> str:
    blockers = line["blockers"]
    if not blockers:
        return "starts with the next turn"
    until = _until(blockers[0])
    return streams.clean(blockers[0]["sentence"]) + (f" ({until})" if until else "")


def _until(about: Json) -> str:
    return f"{span_text(left(about['until']))} left" if about.get("until") else ""
