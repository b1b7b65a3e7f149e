"""The ancestor's `parameters`, `quant_config` and `parallel_config` -> the space of a spec. What the engine cannot do
is dropped with the reason; what changed nothing there changes the argv here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from passloop.apps.errors import BadValue
from passloop.apps.text import shown

from .families import Family, common_presets, family_of
from .parameters import expanded

__all__ = ["imported_space"]

NAME = re.compile(r"[^A-Za-z0-9_]")
QUANTISATION = {
    "gemm_dtype": "weights",
    "kvcache_dtype": "kv_cache",
    "attention_dtype": "attention",
    "moe_dtype": "moe",
}
PARALLEL = {
    "tp": "tp",
    "pp": "pp",
    "dp": "dp",
    "dcp": "dcp",
    "enable_expert_parallel": "expert_parallel",
    "moe_ep": "ep",
    "moe_dense_tp": "moe_dense_tp",
}
FLAGS = {
    "vllm": {"tensor_parallel_size": "tp", "pipeline_parallel_size": "pp", "data_parallel_size": "dp"},
    "sglang": {"tp_size": "tp", "pp_size": "pp", "dp_size": "dp", "ep_size": "ep", "tp": "tp", "dp": "dp"},
}
"""Flags that mean a setting, so that GPUs are counted by them."""


def imported_space(task: Mapping[str, Any], family: str, dropped: list[str]) -> dict[str, Any]:
    """The keys `space` and `fixed` of the spec."""
    space: dict[str, Any] = {}
    fixed: dict[str, Any] = {}
    for said, entry in task["parameters"].items():
        name = _name(str(said), family)
        made = _parameter(str(said), entry, dropped)
        if made is not None:
            space[name] = _flagged(name, str(said), made)
    known = family_of(family)
    for key, names in (("quant_config", QUANTISATION), ("parallel_config", PARALLEL)):
        for path, name, values in _settings(key, task.get(key) or {}, names, dropped):
            kept = list(_possible(path, name, values, known, dropped))
            if name in space:
                dropped.append(f"{path}: `parameters` says it, too, and goes first")
            elif kept:
                space[name] = kept
    for path, name, presets in _presets(task, known, dropped):
        if presets:
            space[name] = {"type": "preset", "values": presets}
            _without_double(path, space, presets, dropped)
    return {"space": space, **({"fixed": fixed} if fixed else {})}


def _name(said: str, family: str) -> str:
    name = NAME.sub("_", said.lstrip("-"))
    name = FLAGS[family].get(name, name)
    return name if name[:1].isalpha() else f"p_{name}"


def _flagged(name: str, said: str, made: Any) -> Any:
    """The parameter, with its flag where its name does not give it."""
    flag = "--" + said.lstrip("-")
    if name in PARALLEL.values() or flag == "--" + name.replace("_", "-") or not re.fullmatch(r"--[^ =]+", flag):
        return made
    return {**(made if isinstance(made, dict) else {"type": "choice", "values": made}), "flag": flag}


def _parameter(name: str, entry: Any, dropped: list[str]) -> Any:
    """A parameter as a spec says it; None if there is nothing of it."""
    path = f"parameters.{shown(name)[1:-1]}"
    if isinstance(entry, dict):
        kind = entry.get("type")
        if kind in ("continuous", "integer"):
            bounds = {key: entry[key] for key in ("low", "high", "log") if entry.get(key) not in (None, False)}
            return {"type": "float" if kind == "continuous" else "int", **bounds}
        if kind in ("choice", "categorical"):
            return _parameter(name, entry.get("values") or entry.get("choices") or [], dropped)
        dropped.append(f"{path}: its type {shown(kind)} is not known")
        return None
    values = entry if isinstance(entry, list) else [entry]
    kept = [each for each in _distinct(values) if _is_value(each)]
    if len(kept) < len(values):
        dropped.append(f"{path}: {len(values) - len(kept)} values that are there twice, or are no values")
    if not kept:
        dropped.append(f"{path}: it has no values")
        return None
    if all(isinstance(each, bool) for each in kept) and len(kept) > 1:
        return {"type": "bool"}
    return kept


def _settings(
    key: str, config: Mapping[str, Any], names: Mapping[str, str], dropped: list[str]
) -> Iterator[tuple[str, str, list[Any]]]:
    """Each setting of a configuration: where it stood, its name here, its values."""
    for said, entry in config.items():
        path = f"{key}.{shown(str(said))[1:-1]}"
        if said == "presets":
            continue
        if said not in names:
            dropped.append(f"{path}: no engine here has it")
            continue
        values = [each for each in _distinct(entry if isinstance(entry, list) else [entry]) if _is_value(each)]
        yield path, names[said], values


def _possible(path: str, name: str, values: list[Any], family: Family, dropped: list[str]) -> Iterator[Any]:
    """The values that the engine can be started with."""
    setting = family.settings.get(name)
    if setting is None:
        dropped.append(f"{path}: {family.name} has no such setting")
        return
    for value in values:
        try:
            setting.words(value)
            yield value
        except BadValue as bad:
            dropped.append(f"{path}: {bad.what}")


def _presets(task: Mapping[str, Any], family: Family, dropped: list[str]) -> Iterator[tuple[str, str, list[str]]]:
    """The presets of each configuration that the engine can be started with."""
    for key, name in (("quant_config", "quantisation"), ("parallel_config", "parallelism")):
        said = (task.get(key) or {}).get("presets")
        kept = []
        for preset in dict.fromkeys(str(each) for each in (said if isinstance(said, list) else [])):
            why = _refusal(preset, family)
            if why is None:
                kept.append(preset)
            else:
                dropped.append(f"{key}.presets: {shown(preset)}: {why}")
        yield f"{key}.presets", name, kept


def _refusal(preset: str, family: Family) -> str | None:
    """Why the engine cannot be started with a preset; None if it can."""
    try:
        settings = expanded(preset, common_presets())
        missing = settings.keys() - family.settings.keys()
        if missing:
            return f"{family.name} has no {min(missing)}"
        for setting, value in settings.items():
            family.settings[setting].words(value)
    except BadValue as bad:
        return bad.what
    return None


def _without_double(path: str, space: dict[str, Any], presets: list[str], dropped: list[str]) -> None:
    """Take out parameters that the presets set: two that set the same are refused."""
    sets = {name for preset in presets for name in expanded(preset, common_presets())}
    for name in [name for name in space if name in sets]:
        del space[name]
        dropped.append(f"{name}: {path} set it, too; write presets of your own to compare both")


def _distinct(values: list[Any]) -> list[Any]:
    seen: list[tuple[type, Any]] = []
    for each in values:
        if (type(each), each) not in seen:
            seen.append((type(each), each))
    return [each for _, each in seen]


def _is_value(value: Any) -> bool:
    if isinstance(value, float) and not math.isfinite(value):
        return False
    return isinstance(value, str | int | float | bool) and value != ""
