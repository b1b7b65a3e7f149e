"""How tasks look to people: state colours, requests, results in a few words. JSON is untouched by this."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from passloop.apps.counting import counted

__all__ = [
    "COMING",
    "ENDING",
    "FINAL",
    "STATE_COLOURS",
    "amount_text",
    "command_text",
    "counted",
    "ids_text",
    "is_run_over",
    "plain_text",
    "request_text",
    "result_text",
    "state_text",
]

ENDING = "the engine is ending and starts nothing more: passloop up waits for its end and starts the next one"
"""What is said to whoever hands work to an engine that was told to go down."""
FINAL = frozenset({"succeeded", "failed", "cancelled", "aborted", "rejected"})
COMING = frozenset({"open", "asked", "resting"})
"""States of a run's source from which more tasks come."""
STATE_COLOURS = {
    "running": "cyan",
    "admitted": "cyan",
    "stopping": "yellow",
    "ready": "blue",
    "waiting": "dim",
    "held": "magenta",
    "backoff": "yellow",
    "succeeded": "green",
    "failed": "red",
    "aborted": "red",
    "rejected": "red",
    "cancelled": "yellow",
}


def is_run_over(run: Mapping[str, Any]) -> bool:
    """Whether nothing of a run (JSON shape) is to come and all of it is final."""
    source = run.get("source") or {}
    return source.get("state") not in COMING and all(state in FINAL for state, n in run["counts"].items() if n)


def request_text(request: Sequence[Mapping[str, Any]]) -> str:
    """`2 gpus x 20 GiB, 4 cpus or 16 cpus`."""
    return " or ".join(_variant_text(variant) for variant in request)


def result_text(task: Mapping[str, Any]) -> str:
    """What came out, in a few words."""
    state, outcome, code = task.get("state"), task.get("outcome"), task.get("exit_code")
    if state == "succeeded":
        return " ".join(f"{name}={_short(value)}" for name, value in _figures(task.get("results") or {})[:4])
    if outcome == "failure":
        return f"exit {code}" if code is not None else str(task.get("message") or outcome)
    if state in FINAL or state == "backoff":
        return str(outcome or task.get("message") or "").replace("_", " ")
    return ""


def state_text(state: str) -> str:
    """`has failed`, `is running`."""
    return f"{'has' if state in ('succeeded', 'failed') else 'is'} {state}"


def ids_text(ids: Iterable[int]) -> str:
    """Ids with runs of neighbours folded: `12-14 20`."""
    folded: list[list[int]] = []
    for one in sorted(ids):
        if folded and one == folded[-1][1] + 1:
            folded[-1][1] = one
        else:
            folded.append([one, one])
    return " ".join(str(first) if first == last else f"{first}-{last}" for first, last in folded)


def command_text(words: Sequence[str]) -> str:
    """The command as a shell would take it."""
    import shlex

    return shlex.join(words)


def _variant_text(variant: Mapping[str, Any]) -> str:
    parts = []
    gpus = variant.get("gpus") or variant.get("share")
    if gpus:
        vram = variant.get("vram_mib")
        size = f" x {_size_text(vram)}" if vram else ""
        parts.append(f"{gpus:g} gpu{'s' if gpus > 1 else ''}{size}")
    if variant.get("cpus_milli"):
        cpus = variant["cpus_milli"] / 1000
        parts.append(f"{cpus:g} cpu{'s' if cpus > 1 else ''}")
    if variant.get("mem_mib"):
        parts.append(_size_text(variant["mem_mib"]))
    need = variant.get("need") or {}
    parts += [f"{n} {name}" for name, n in need.items() if not _is_our_own(name) and not _goes_with(name, need)]
    return ", ".join(parts) or "nothing"


def _is_our_own(pool: str) -> bool:
    """Whether it is the pool behind the `max_parallel` of a run, a pool or a study: nobody asked for it by name."""
    if pool.startswith("leases-"):
        return pool.removeprefix("leases-").isdecimal()
    return pool.startswith(("trials:", "parallel/"))


def _goes_with(pool: str, need: Mapping[str, int]) -> bool:
    """Whether it is the rate of an endpoint at which a place is asked, too: the place says it all."""
    name, _, kind = pool.rpartition(":")
    return kind in ("requests", "tokens") and name in need


def amount_text(pool: str, amount: int | None) -> str:
    """An amount of a pool. CPUs are counted in thousandths and memory in MiB; people read CPUs and GiB."""
    if amount is None:
        return ""
    if pool == "cpu":
        return f"{amount / 1000:g}"
    return f"{amount / 1024:.1f} GiB" if pool == "memory" else f"{amount:,}"


def _size_text(mib: int) -> str:
    return f"{mib} MiB" if mib < 1024 else f"{mib / 1024:.5g} GiB"


def _figures(results: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Results that a few words can say: no lists and mappings, but the parameters that they belong to."""
    found: list[tuple[str, Any]] = []
    for name, value in results.items():
        found += value.items() if name == "params" and isinstance(value, dict) else [(name, value)]
    return [(name, value) for name, value in found if not isinstance(value, dict | list)]


def plain_text(value: object) -> str:
    """A result or parameter as it would be written in a spec: `true`, `4`, `[1, 2]`."""
    if isinstance(value, str):
        return value
    import json

    return json.dumps(value, ensure_ascii=False)


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else plain_text(value)[:20]
