"""What a task file of lm-eval says, read without lm-eval: its name, its metric, and every file it stands on.

Tags such as `!function module.name` are noted and not followed. It runs nothing of what it reads.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import YAMLError

from passloop.apps.errors import BadValue
from passloop.apps.text import shown

__all__ = ["TaskFile", "read_task"]

LARGEST = 2**20
DEEPEST = 8
"""How far `include` is followed."""
LOCAL = ("json", "csv", "parquet", "text", "arrow")
"""Loaders of datasets that read local files."""


class TaskFile(NamedTuple):
    """A task: its name, the metric named first (empty: the task's default), and a digest of all its files."""

    name: str
    metric: str
    digest: str


class _Plain(SafeConstructor):
    """Reads tags that it does not know as the text behind them."""


def _as_text(constructor: Any, suffix: str, node: Any) -> str:
    return f"{suffix}:{node.value}"


_Plain.add_multi_constructor("!", _as_text)


def read_task(path: Path) -> TaskFile:
    """The task in the file at `path`. Raises `BadValue` for what is no local task of lm-eval."""
    said, files = _read(path, depth=0)
    name = said.get("task")
    if not isinstance(name, str):
        what = "a group" if "group" in said or isinstance(name, list) else "no task"
        raise BadValue(f"{shown(str(path))} is {what}", "name a file that says `task: NAME`")
    if said.get("dataset_path") not in LOCAL:
        fix = f"write dataset_path: json and dataset_kwargs: {{data_files: {{test: {path.stem}.jsonl}}}}"
        raise BadValue(f"the data of {shown(name)} are not local ({shown(said.get('dataset_path'))})", fix)
    metrics = said.get("metric_list")
    first = metrics[0] if isinstance(metrics, list) and metrics and isinstance(metrics[0], Mapping) else {}
    return TaskFile(name, str(first.get("metric", "")), _digest([*files, *_data_files(said, path.parent)]))


def _read(path: Path, *, depth: int) -> tuple[dict[str, Any], list[Path]]:
    """What a file says with what it includes, and the files that say it."""
    text = _text(path)
    reader = YAML(typ="safe", pure=True)
    reader.Constructor = _Plain
    try:
        said = reader.load(text)
    except (YAMLError, ValueError, RecursionError) as wrong:
        raise BadValue(f"{shown(str(path))} is no YAML: {_first_line(wrong)}", "mend it") from None
    if not isinstance(said, dict):
        raise BadValue(f"{shown(str(path))} is no task of lm-eval", "name a file that says `task: NAME`")
    files = [path, *_functions(said, path.parent)]
    included = said.pop("include", None)
    if isinstance(included, str) and depth < DEEPEST:
        outer, more = _read((path.parent / included).resolve(), depth=depth + 1)
        return {**outer, **said}, [*files, *more]
    return said, files


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > LARGEST:
            raise BadValue(f"{shown(str(path))} is larger than 1 MiB", "put the data into a file of its own")
        return path.read_text(encoding="utf-8")
    except OSError as error:
        fix = "name a task file of lm-eval, relative to the spec: tasks: [./tasks/arith.yaml]"
        raise BadValue(f"there is no task at {shown(str(path))}: {error.strerror}", fix) from None
    except UnicodeDecodeError:
        raise BadValue(f"{shown(str(path))} is not UTF-8 text", "save it as UTF-8") from None


def _functions(said: Any, folder: Path) -> Iterator[Path]:
    """The Python files that `!function module.name` means."""
    if isinstance(said, str) and said.startswith("function:"):
        module = said.removeprefix("function:").strip().rpartition(".")[0]
        path = folder / (module.replace(".", "/") + ".py")
        if path.is_file():
            yield path
    elif isinstance(said, Mapping | list):
        for each in said.values() if isinstance(said, Mapping) else said:
            yield from _functions(each, folder)


def _data_files(said: Mapping[str, Any], folder: Path) -> list[Path]:
    arguments = said.get("dataset_kwargs")
    named = arguments.get("data_files") if isinstance(arguments, Mapping) else None
    found = []
    for text in _texts(named):
        path = folder / text
        if not path.is_file():
            raise BadValue(f"the data file {shown(text)} is not in {shown(str(folder))}", "put it beside the task file")
        found.append(path)
    if not found:
        raise BadValue("the task names no data files", "write dataset_kwargs: {data_files: {test: data.jsonl}}")
    return found


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list):
        for each in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(each)


def _digest(files: list[Path]) -> str:
    whole = hashlib.sha256()
    for path in files:
        whole.update(f"{path.name}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return whole.hexdigest()


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
