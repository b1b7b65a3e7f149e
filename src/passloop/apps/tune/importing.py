"""The ancestor's task JSON -> the text of a tune spec, and all that was dropped or means something else here, each with
why. It runs nothing and guesses nothing silently.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from passloop.apps.errors import Problem, SpecError
from passloop.apps.spec_file import parse_spec
from passloop.apps.text import UNSAFE, shown

from .flow import spec_text
from .imported_load import imported_load
from .imported_space import imported_space
from .study import study_of_file

__all__ = ["Imported", "imported"]

LARGEST = 2**20
IMAGES = {"sglang": ("lmsysorg/sglang", "v0.5.2-cu126"), "vllm": ("vllm/vllm-openai", "latest")}
KNOWN = frozenset(
    {
        *("task_name", "description", "model", "base_runtime", "runtime_image_tag", "deployment_mode", "parameters"),
        *("optimization", "benchmark", "slo", "quant_config", "parallel_config"),
    }
)
KUBERNETES = ("clusterbasemodel_config", "clusterservingruntime_config", "storage")


class Imported(NamedTuple):
    """The spec's text, what was dropped or changed, and what is still wrong with the spec, a sentence each."""

    spec: str
    dropped: tuple[str, ...]
    wrong: tuple[str, ...] = ()


def imported(data: bytes, *, name: str = "task.json") -> Imported:
    """The spec that a task means. Raises `SpecError` for what is no task, or of an engine that nobody knows."""
    task = _task(data, name)
    dropped: list[str] = []
    family = _family(task, name)
    spec: dict[str, Any] = {"tune": _name(task, dropped)}
    spec["model"] = _model(task, name, dropped)
    spec["engine"] = _engine(task, family, dropped)
    spec |= imported_space(task, family, dropped)
    spec |= imported_load(task, spec["space"], dropped)
    _limits(task, spec, dropped)
    for key in task:
        if key in KUBERNETES:
            dropped.append(f"{key}: there is no Kubernetes here")
        elif key not in KNOWN:
            dropped.append(f"{_shown(key)}: it is not known")
    text = _head(task) + spec_text(spec)
    return Imported(text, tuple(dropped), _wrong(text))


def _task(data: bytes, name: str) -> Mapping[str, Any]:
    try:
        if len(data) > LARGEST:
            raise ValueError("it is larger than 1 MiB")
        task = json.loads(data, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise _error(f"this is no task: {_shown(str(error))}", "name a task's JSON file", name) from None
    if not isinstance(task, dict) or not isinstance(task.get("parameters"), dict):
        raise _error("this is no task: it has no parameters", "name a task's JSON file", name)
    for key in ("model", "optimization", "benchmark", "slo", "quant_config", "parallel_config"):
        if not isinstance(task.get(key) or {}, dict):
            raise _error(f"this is no task: {key} is no mapping", "name a task's JSON file", name)
    return task


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no number")


def _family(task: Mapping[str, Any], name: str) -> str:
    runtime = str(task.get("base_runtime"))
    family = next((each for each in IMAGES if runtime.startswith(each)), None)
    if family is None:
        what = f"the runtime {_shown(runtime)} is not known here"
        raise _error(what, "sglang and vllm are; write the spec by hand for another", name)
    return family


def _name(task: Mapping[str, Any], dropped: list[str]) -> str:
    said = str(task.get("task_name") or "imported")
    name = UNSAFE.sub("", said).strip()[:200] or "imported"
    if name.isdecimal():
        name = f"task-{name}"
    if name != said:
        dropped.append(f"task_name: it is {name} here")
    return name


def _model(task: Mapping[str, Any], name: str, dropped: list[str]) -> str:
    model = task.get("model") or {}
    source = model.get("id_or_path")
    if not isinstance(source, str) or not source:
        raise _error("the task names no model", "add model: {id_or_path: ...}", name)
    others = [_plain(key) for key in model if key not in ("id_or_path", "quantization", "quantization_config")]
    dropped += [f"model.{key}: nothing here goes by it" for key in others]
    return source


def _engine(task: Mapping[str, Any], family: str, dropped: list[str]) -> dict[str, Any]:
    mode = task.get("deployment_mode") or "ome"
    image, tag = IMAGES[family]
    tag = str(task.get("runtime_image_tag") or tag)
    if mode == "docker":
        options = {"ipc_mode": "host", "shm_size": "16g", "entrypoint": [""]}
        return {"kind": "docker", "family": family, "image": f"{image}:{tag}", "options": options}
    if mode != "local":
        dropped.append(f"deployment_mode: {_shown(mode)} is not there; the engine is started as a process")
    if task.get("runtime_image_tag"):
        dropped.append("runtime_image_tag: the engine that is installed is started")
    return {"family": family}


def _limits(task: Mapping[str, Any], spec: dict[str, Any], dropped: list[str]) -> None:
    """One limit for a whole experiment there, one for each phase here."""
    limit = (task.get("optimization") or {}).get("timeout_per_iteration")
    if not isinstance(limit, int) or isinstance(limit, bool) or not 0 < limit <= 10**7:
        return
    spec["engine"]["ready"] = {"timeout": f"{limit}s"}
    spec["limits"] = {"point": f"{limit}s"}
    dropped.append(
        "optimization.timeout_per_iteration: it is the limit of the start and of each point, not of their sum"
    )


def _head(task: Mapping[str, Any]) -> str:
    about = _plain(task.get("description") or "")
    return f"# {about}\n" if about else ""


def _wrong(text: str) -> tuple[str, ...]:
    """What is still wrong with the spec, for whoever edits it."""
    try:
        study_of_file(parse_spec(text.encode(), name="spec", folder=Path.cwd()), cwd=Path.cwd())
    except SpecError as error:
        return tuple(f"{problem.what}; {problem.fix}" for problem in error.problems)
    return ()


def _error(what: str, fix: str, name: str) -> SpecError:
    return SpecError([Problem(what, fix, _plain(name))], next_command="passloop schema tune")


def _shown(value: object) -> str:
    return shown(value)


def _plain(value: object) -> str:
    """One short line without control characters."""
    return UNSAFE.sub(" ", str(value))[:200].strip()
