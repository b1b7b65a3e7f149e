"""The ancestor's `benchmark`, `optimization` and `slo` -> load, search, objectives and limits of a spec. Nothing is
averaged over loads here, so an objective names the highest one, and says so.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from passloop.apps.text import shown

__all__ = ["imported_load"]

SCENARIO = re.compile(r"([DNU])\(([0-9.]+),([0-9.]+)\)(?:/\(([0-9.]+),([0-9.]+)\))?")
SAMPLERS = {"grid_search": "grid", "grid": "grid", "bayesian": "tpe", "random": "random", "random_search": "random"}
OBJECTIVES = {
    "minimize_latency": ("e2e", "minimize"),
    "maximize_throughput": ("total_tokens_per_second_per_gpu", "maximize"),
    "minimize_ttft": ("ttft", "minimize"),
    "minimize_tpot": ("tpot", "minimize"),
}
STRATEGY_KEYS = frozenset(
    {
        *("strategy", "objective", "max_iterations", "timeout_per_iteration", "n_initial_random", "seed"),
        "max_parallel_experiments",
    }
)
LOAD_KEYS = frozenset(
    {
        *("model_name", "traffic_scenarios", "num_concurrency", "max_time_per_iteration", "max_requests_per_iteration"),
    }
)
ITERATIONS = 100
REQUESTS = 50
MOST = 1_000_000


def imported_load(task: Mapping[str, Any], space: Mapping[str, Any], dropped: list[str]) -> dict[str, Any]:
    """The keys `load`, `objectives`, `slo`, `scorer` and `search` of the spec."""
    benchmark, wanted = task.get("benchmark") or {}, task.get("optimization") or {}
    load = _load(benchmark, dropped)
    at = load["points"][-1]
    metric, direction = _objective(wanted, dropped)
    if len(load["points"]) > 1:
        dropped.append(f"optimization.objective: it was an average over all loads; here it is of {_told(at)}")
    spec: dict[str, Any] = {
        "load": load,
        "objectives": [{"metric": metric, "at": at, "direction": direction}],
    }
    spec |= _slo(task.get("slo") or {}, dropped)
    spec["search"] = _search(wanted, space, dropped)
    return spec


def _load(benchmark: Mapping[str, Any], dropped: list[str]) -> dict[str, Any]:
    words, tokens = _scenario(benchmark.get("traffic_scenarios"), dropped)
    levels = _whole_numbers(benchmark.get("num_concurrency"), dropped) or [1]
    load: dict[str, Any] = {"points": [{"concurrency": each} for each in levels]}
    load |= {"prompts": f"builtin:{words}", "max_tokens": tokens}
    load["requests"] = _count(benchmark.get("max_requests_per_iteration"), REQUESTS)
    minutes = benchmark.get("max_time_per_iteration")
    if _is_number(minutes) and minutes:
        load["seconds"] = float(minutes) * 60
    name = benchmark.get("model_name")
    if isinstance(name, str) and name not in ("", "unknown"):
        load["model"] = name
    for key in benchmark:
        if key not in LOAD_KEYS:
            why = DROPPED.get(str(key), "it is not known")
            dropped.append(f"benchmark.{shown(str(key))[1:-1]}: {why}")
    return load


DROPPED = {
    "task": "every load is text to text",
    "model_tokenizer": "the server counts tokens",
    "additional_params": "they were of genai-bench",
    "dataset_url": "nothing is fetched; save it and name it in load.prompts",
    "dataset_deduplicate": "it belonged to the dataset",
}


def _scenario(said: Any, dropped: list[str]) -> tuple[int, int]:
    """Words of a prompt, and tokens of an answer, by the first scenario."""
    scenarios = said if isinstance(said, list) and said else ["D(100,100)"]
    dropped += [f"benchmark.traffic_scenarios: {shown(each)}, because a study has one load" for each in scenarios[1:]]
    match = SCENARIO.fullmatch(str(scenarios[0]).replace(" ", ""))
    if match is None:
        dropped.append(f"benchmark.traffic_scenarios: {shown(scenarios[0])} is not readable; it is D(100,100) here")
        return 100, 100
    kind, first, second, third, fourth = match.groups()
    if kind == "D" or third is None:
        given, answer = float(first), float(second)
    elif kind == "N":
        given, answer = float(first), float(third)
    else:
        given, answer = (float(first) + float(second)) / 2, (float(third) + float(fourth)) / 2
    if kind != "D":
        dropped.append(f"benchmark.traffic_scenarios: the lengths of {shown(scenarios[0])} are all the mean here")
    dropped.append("benchmark.traffic_scenarios: prompts are counted in words, not in tokens")
    return _bounded(given, 100_000), _bounded(answer, MOST)


def _bounded(number: float, most: int) -> int:
    return max(1, min(most, int(number)))


def _objective(wanted: Mapping[str, Any], dropped: list[str]) -> tuple[str, str]:
    said = str(wanted.get("objective") or "minimize_latency")
    if said not in OBJECTIVES:
        dropped.append(f"optimization.objective: {shown(said)} is not known; it is minimize_latency here")
    return OBJECTIVES.get(said, OBJECTIVES["minimize_latency"])


def _search(wanted: Mapping[str, Any], space: Mapping[str, Any], dropped: list[str]) -> dict[str, Any]:
    said = str(wanted.get("strategy") or "grid_search")
    if said not in SAMPLERS:
        dropped.append(f"optimization.strategy: {shown(said)} is not known; it is grid_search here")
    sampler, most = SAMPLERS.get(said, "grid"), _count(wanted.get("max_iterations"), ITERATIONS)
    points = _points(space)
    if sampler == "grid" and (points is None or points > most):
        told = "without end" if points is None else f"of {points:,} points"
        fate = f"was cut to its first {most:,}; here {most:,} are drawn at random"
        dropped.append(f"optimization.max_iterations: the grid {told} {fate}")
        sampler = "random"
    search: dict[str, Any] = {"sampler": sampler}
    if sampler != "grid":
        search["max_trials"] = most
    for key, name in (("max_parallel_experiments", "max_parallel"), ("n_initial_random", "startup"), ("seed", "seed")):
        if isinstance(wanted.get(key), int) and not isinstance(wanted[key], bool) and wanted[key] >= 0:
            search[name] = wanted[key] if name == "seed" else max(1, min(wanted[key], 1_000))
    others = [shown(str(key))[1:-1] for key in wanted if key not in STRATEGY_KEYS]
    dropped += [f"optimization.{key}: the engine's own store is the only one" for key in others]
    return search


def _points(space: Mapping[str, Any]) -> int | None:
    """How many points the grid has; None if there is no end of them."""
    counts: list[int] = []
    for entry in space.values():
        if isinstance(entry, list):
            counts.append(len(entry))
        elif entry["type"] == "float":
            return None
        elif entry["type"] == "int":
            low, high = entry.get("low"), entry.get("high")
            counts.append(max(0, int(high - low)) + 1 if _is_number(low) and _is_number(high) else 1)
        else:
            counts.append(len(entry.get("values", ())) or 2)
    return math.prod(counts)


def _slo(said: Mapping[str, Any], dropped: list[str]) -> dict[str, Any]:
    limits = []
    latencies = said.get("latency") if isinstance(said.get("latency"), dict) else {}
    assert isinstance(latencies, dict)
    for key, metric, stat, entry in (
        *((f"latency.{stat}", "e2e", str(stat), entry) for stat, entry in latencies.items()),
        *((each, each, "mean", said[each]) for each in ("ttft", "tpot") if each in said),
    ):
        threshold = entry.get("threshold", 0) if isinstance(entry, dict) else 0
        if stat not in ("mean", "p50", "p90", "p99") or not _is_number(threshold) or not 0 < threshold <= MOST:
            dropped.append(f"slo.{shown(key)[1:-1]}: it has no threshold that can be kept")
            continue
        kept = {name: entry[name] for name in ("weight", "hard_fail", "fail_ratio") if name in entry}
        limits.append({"metric": metric, "stat": stat, "max": f"{threshold * 1_000:.6g}ms", **kept})
    others = [shown(str(key))[1:-1] for key in said if key not in ("latency", "ttft", "tpot", "steepness")]
    dropped += [f"slo.{key}: it is not known" for key in others]
    if not limits:
        return {}
    dropped.append("slo: the penalty grows from 0 at the limit, and each load has to keep every limit")
    steepness = said.get("steepness")
    return {"slo": limits, "scorer": "penalty"} | ({"steepness": steepness} if _is_number(steepness) else {})


def _whole_numbers(said: Any, dropped: list[str]) -> list[int]:
    found: list[int] = []
    for each in said if isinstance(said, list) else []:
        if isinstance(each, int) and not isinstance(each, bool) and 1 <= each <= MOST and each not in found:
            found.append(each)
        else:
            dropped.append(f"benchmark.num_concurrency: {shown(each)} is there twice, or is no number of requests")
    return sorted(found)


def _count(said: Any, otherwise: int) -> int:
    good = isinstance(said, int) and not isinstance(said, bool) and 1 <= said <= MOST
    return int(said) if good else otherwise


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _told(point: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in point.items())
