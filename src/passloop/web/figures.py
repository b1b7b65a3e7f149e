"""What `/metrics` says, in the text that Prometheus reads. Pure; a client library would be larger than what it does.

Labels are bounded: states, GPUs and pools. No task, run, group or key is a label.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from passloop.engine.engine import EngineStatus
from passloop.kernel.overview import DeviceView, PoolView
from passloop.kernel.tasks import TaskState

__all__ = ["Figure", "figures_of", "metrics_text"]

MIB = 1024 * 1024
Labels = tuple[tuple[str, str], ...]


class Figure(NamedTuple):
    """One metric: its name without `passloop_`, its type and meaning, and a value for each set of labels."""

    name: str
    kind: str
    about: str
    values: Sequence[tuple[Labels, float]]


def figures_of(
    status: EngineStatus,
    counts: Mapping[str, int],
    seq: int,
    *,
    devices: Iterable[DeviceView],
    pools: Iterable[PoolView],
) -> list[Figure]:
    """Everything there is to tell about an engine."""
    word = status.state.partition(":")[0]
    return [
        Figure("up", "gauge", "1 while the engine takes turns; its state is a label", [((("state", word),), 1)]),
        Figure("start_time_seconds", "gauge", "When the engine started", [((), status.started_at / 1000)]),
        Figure(
            "tasks",
            "gauge",
            "Tasks in the store, by state",
            [((("state", state.value),), counts.get(state.value, 0)) for state in TaskState],
        ),
        Figure("attempts", "gauge", "Attempts under way", [((), status.attempts)]),
        Figure("turns_total", "counter", "Turns since the engine started", [((), status.turns)]),
        Figure("passes_total", "counter", "Admission passes since the engine started", [((), status.passes)]),
        Figure("journal_rows_total", "counter", "Rows of the journal", [((), seq)]),
        *_of_devices(list(devices)),
        *_of_pools(list(pools)),
    ]


def metrics_text(figures: Iterable[Figure]) -> str:
    """The figures in the text format 0.0.4."""
    lines: list[str] = []
    for figure in figures:
        name = f"passloop_{figure.name}"
        lines += [f"# HELP {name} {figure.about}", f"# TYPE {name} {figure.kind}"]
        lines += [f"{name}{_labels(labels)} {value:.17g}" for labels, value in figure.values]
    return "\n".join(lines) + "\n"


def _of_devices(devices: list[DeviceView]) -> list[Figure]:
    def by(value: Mapping[str, float]) -> list[tuple[Labels, float]]:
        return [((("uuid", uuid),), number) for uuid, number in value.items()]

    states = [((("uuid", each.uuid), ("state", each.state)), 1.0) for each in devices]
    return [
        Figure("gpu_state", "gauge", "1 for the state that a GPU is in", states),
        Figure("gpu_holders", "gauge", "Tasks that hold a GPU", by({d.uuid: len(d.holders) for d in devices})),
        Figure("gpu_memory_bytes", "gauge", "Memory of a GPU", by({d.uuid: d.vram_mib * MIB for d in devices})),
        Figure("gpu_free_memory_bytes", "gauge", "Memory not granted", by({d.uuid: d.free_mib * MIB for d in devices})),
        Figure("gpu_utilisation_ratio", "gauge", "How busy it is", by({d.uuid: d.utilisation / 100 for d in devices})),
    ]


def _of_pools(pools: list[PoolView]) -> list[Figure]:
    def by(value: Mapping[str, float]) -> list[tuple[Labels, float]]:
        return [((("pool", name),), number) for name, number in value.items()]

    states = [((("pool", each.name), ("state", each.gate)), 1.0) for each in pools]
    limits = {pool.name: float(pool.limit) for pool in pools if pool.limit is not None}
    return [
        Figure("pool_state", "gauge", "1 for the state that a pool is in", states),
        Figure("pool_capacity", "gauge", "What a pool has, in its unit", by({p.name: p.capacity for p in pools})),
        Figure("pool_used", "gauge", "What is taken of a pool, in its unit", by({p.name: p.used for p in pools})),
        Figure("pool_limit", "gauge", "What a pool gives out at most for now", by(limits)),
    ]


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels) + "}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
