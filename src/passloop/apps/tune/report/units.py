"""Figures of a study for people: each with its unit, latencies in ms or s. Pure."""

from __future__ import annotations

from passloop.apps.tune.records import Objective, Slo

__all__ = ["bare_text", "figure_text", "gain_text", "short_name", "slo_text", "unit_of"]

_LATENCIES = ("ttft", "tpot", "e2e")
_SHARES = ("error_rate", "attainment")


def unit_of(metric: str) -> str:
    """The unit that a metric is told in."""
    if metric in _LATENCIES:
        return "ms"
    if metric in _SHARES:
        return "%"
    if "tokens" in metric:
        return "tok/s"
    return "req/s" if metric.startswith(("requests", "goodput")) else ""


def short_name(objective: Objective) -> str:
    """An objective as a heading: `output tokens/s at concurrency=4`, `ttft p95 (ms) at rate=2`."""
    metric = objective.metric.replace("_per_second", "/s").replace("_per_gpu", " a GPU").replace("_", " ")
    stat = "" if objective.stat == "mean" else f" {objective.stat}"
    unit = unit_of(objective.metric)
    told = f" ({unit})" if unit in ("ms", "%") else ""
    return f"{metric}{stat}{told}" + (f" at {objective.at}" if objective.at else "")


def figure_text(metric: str, value: float | None) -> str:
    """A value with its unit; nothing for None."""
    if value is None:
        return ""
    unit = unit_of(metric)
    if unit == "%":
        return f"{_percent(value)} %"
    if unit == "ms" and value >= 10_000:
        return f"{value / 1000:.1f} s"
    return f"{_digits(value)} {unit}".rstrip()


def bare_text(metric: str, value: float | None) -> str:
    """A value in the unit that `short_name` says in a heading, without it; nothing for None."""
    if value is None:
        return ""
    return _percent(value) if unit_of(metric) == "%" else _digits(value)


def _percent(share: float) -> str:
    """A share in percent. What is not none, or not all, does not look so: one failed request of 10,000 is `<0.1`."""
    if 0 < share < 0.0005:
        return "<0.1"
    return ">99.9" if 0.9995 <= share < 1 else f"{100 * share:.1f}"


def _digits(value: float) -> str:
    """Three digits of what is small, and whole numbers of the rest."""
    return f"{value:.{0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2}f}"


def gain_text(value: float, low: float | None = None, high: float | None = None) -> str:
    """A gain in percent, with its interval where there is one."""
    text = f"{100 * value:+.1f} %"
    return text if low is None or high is None else f"{text} [{100 * low:+.1f}, {100 * high:+.1f}]"


def slo_text(limit: Slo) -> str:
    """A limit in a few words: `ttft p95 <= 800 ms`."""
    bound, sign = (limit.most, "<=") if limit.most is not None else (limit.least, ">=")
    stat = "" if limit.stat == "mean" else f" {limit.stat}"
    is_share = bound is not None and unit_of(limit.metric) == "%"
    said = f"{100 * (bound or 0.0):g} %" if is_share else figure_text(limit.metric, bound)
    return f"{limit.metric}{stat} {sign} {said}" + (f" at {limit.at}" if limit.at else "")
