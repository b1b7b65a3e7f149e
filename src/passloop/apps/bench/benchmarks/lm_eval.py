"""The benchmark `lm_eval`: local tasks of lm-evaluation-harness, each a subset named by its task. Light.

Its cells run on the adapter of the same name, which hands each sample to the task; what the task says of a sample is
stored with the answer, and aggregated here, so that an interrupted cell goes on where it was.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from passloop.apps.errors import BadValue, did_you_mean
from passloop.apps.text import shown

from .base import BenchmarkAsk, Context, DataAsk, ResolvedBenchmark, ResolvedSubset, Scores, StoredAnswer, Tokenizer
from .harness_files import TaskFile, read_task

__all__ = ["AGGREGATION", "KIND", "METRIC", "LmEvalBenchmark", "task_path"]

METRIC = "metric:"
"""Begins the name of a figure that a task gave for a sample."""
AGGREGATION = "|"
"""Separates a metric from the aggregation that it wants, where that is no mean."""
OPTIONS = ("tasks", "chat", "num_fewshot")
EXAMPLE = "name files: tasks: [./tasks/arith.yaml]"
NEW_TOKENS = 32


class LmEvalBenchmark:
    """See `BenchmarkKind`. Options: `tasks` (files), `chat` (write prompts by the chat template), `num_fewshot`."""

    name = "lm_eval"
    version = "1"
    scorer_version = "1"
    adapter: str | None = "lm_eval"

    def resolve(self, ask: BenchmarkAsk) -> ResolvedBenchmark:
        """Read the task files."""
        for name in ask.options:
            if name not in OPTIONS:
                raise BadValue(f"lm_eval has no option {shown(name)}", did_you_mean(name, OPTIONS), path=(name,))
        tasks = _tasks(ask)
        chosen = _chosen(ask.subsets, tasks)
        options = {
            "chat": _flag(ask.options.get("chat", False)),
            "num_fewshot": _shots(ask.options.get("num_fewshot")),
        }
        places = {"tasks": {name: str(path) for name, (path, _) in tasks.items() if name in chosen}}
        subsets = tuple(ResolvedSubset(name=name, data=tasks[name][1].digest, new_tokens=NEW_TOKENS) for name in chosen)
        metrics = {tasks[name][1].metric for name in chosen}
        return ResolvedBenchmark(
            subsets=subsets,
            options=options,
            places=places,
            metric=metrics.pop() if len(metrics) == 1 and "" not in metrics else None,
        )

    def contexts(self, ask: DataAsk, tokenizer: Tokenizer | None) -> Iterator[Context]:
        """The task makes its prompts itself."""
        return iter(())

    def score(self, subset: str, answers: Sequence[StoredAnswer]) -> Scores | None:
        """Aggregate what the task said of each sample, by the task's own aggregations."""
        values: dict[str, list[Any]] = {}
        for answer in answers:
            for name, value in answer.extra.items():
                if name.startswith(METRIC):
                    values.setdefault(name.removeprefix(METRIC), []).append(value)
        metrics = {name.partition(AGGREGATION)[0]: _aggregate(name, each) for name, each in values.items()}
        return Scores(metrics=metrics, samples=tuple(answer.score or 0.0 for answer in answers))


def task_path(options: Mapping[str, Any], subset: str) -> Path:
    """The file of a subset's task, from a cell's options."""
    return Path(options["tasks"][subset])


def _tasks(ask: BenchmarkAsk) -> dict[str, tuple[Path, TaskFile]]:
    named = ask.options.get("tasks")
    files = [named] if isinstance(named, str) else named
    if not isinstance(files, list) or not files or not all(isinstance(each, str) for each in files):
        raise BadValue("lm_eval has no tasks", EXAMPLE, path=("tasks",) if "tasks" in ask.options else ())
    found: dict[str, tuple[Path, TaskFile]] = {}
    for place, name in enumerate(files):
        path = (ask.folder / name).resolve()
        try:
            task = read_task(path)
        except BadValue as bad:
            raise BadValue(bad.what, bad.fix, path=("tasks", place)) from None
        if task.name in found:
            raise BadValue(f"the task {shown(task.name)} is there twice", "name it once", path=("tasks", place))
        found[task.name] = path, task
    return found


def _chosen(subsets: Sequence[str], tasks: Mapping[str, Any]) -> tuple[str, ...]:
    for place, name in enumerate(subsets):
        if name not in tasks:
            raise BadValue(f"no file has the task {shown(name)}", did_you_mean(name, tasks), path=("subsets", place))
    return tuple(subsets) or tuple(tasks)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise BadValue(f"chat is {shown(value)}", "write true or false", path=("chat",))
    return value


def _shots(value: Any) -> int | None:
    if value is not None and (type(value) is not int or not 0 <= value <= 1000):
        raise BadValue(f"num_fewshot is {shown(value)}", "write a whole number from 0", path=("num_fewshot",))
    return value


def _aggregate(name: str, values: Sequence[Any]) -> float:
    _, separator, wanted = name.partition(AGGREGATION)
    if not separator:
        return sum(float(value) for value in values) / len(values)
    from lm_eval.api.registry import get_aggregation

    return float(get_aggregation(wanted)([json.loads(value) for value in values]))


KIND = LmEvalBenchmark()
