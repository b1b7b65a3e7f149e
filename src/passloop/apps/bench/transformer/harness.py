"""Runs one local task of lm-eval on the loaded model, sample by sample, so that each is stored before the next.

Prompts, filters and metrics are lm-eval's own; few-shot examples are drawn with the cell's seed. It aggregates nothing:
what the task says of a sample goes with its answer (see `benchmarks.lm_eval`).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import chdir
from pathlib import Path
from typing import Any

from passloop.apps.bench.adapters.base import CellWork, Recorder, Scalar
from passloop.apps.bench.benchmarks.base import Question
from passloop.apps.bench.benchmarks.lm_eval import AGGREGATION, METRIC, task_path
from passloop.apps.bench.errors import DatasetError
from passloop.apps.bench.methods.presses import Applied

from .loading import LoadedModel
from .torch_edge import importing
from .usage import Usage

__all__ = ["run_task"]

PLAIN_FILTER = "none"
"""What lm-eval calls answers that no filter touched."""
LONGEST_ANSWER = 10_000


def run_task(cell: CellWork, record: Recorder, *, loaded: LoadedModel, method: Applied, usage: Usage) -> None:
    """Answer every sample of the cell's task that has no answer yet. Raises `DatasetError`."""
    with importing():
        from .harness_model import HarnessModel
    task = _task(task_path(cell.options, cell.names.subset), cell)
    model = HarnessModel(loaded, method, cell, usage=usage)
    names = _aggregations(task)
    for number in _missing(task, cell):
        instances = _instances(task, number, cell, model)
        for instance in instances:
            instance.resps.append(getattr(model, instance.request_type)([instance])[0])
        _record(task, number, instances, names, record)


def _task(path: Path, cell: CellWork) -> Any:
    """The task as lm-eval loads it, from its own folder: data files are relative to it."""
    from lm_eval.tasks import TaskManager

    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    _silence_bars()
    try:
        with chdir(path.parent):
            tasks = TaskManager(include_defaults=False).load([str(path)])["tasks"]
    except (OSError, ValueError, KeyError, TypeError) as wrong:
        raise DatasetError(f"lm-eval cannot load {path}: {wrong}") from wrong
    task = tasks[cell.names.subset]
    shots = cell.options.get("num_fewshot")
    if shots is not None:
        task.set_config(key="num_fewshot", value=shots)
    task.set_fewshot_seed(seed=cell.seed)
    return task


def _silence_bars() -> None:
    """Bars of the data's loader are no log."""
    import datasets

    datasets.disable_progress_bars()


def _missing(task: Any, cell: CellWork) -> Iterator[int]:
    count = len(task.eval_docs)
    wanted = count if cell.samples is None else min(cell.samples, count)
    return (number for number in range(wanted) if str(number) not in cell.answered)


def _instances(task: Any, number: int, cell: CellWork, model: Any) -> list[Any]:
    chat = bool(cell.options.get("chat"))
    task.build_all_requests(
        samples=[number],
        rank=0,
        world_size=1,
        apply_chat_template=chat,
        chat_template=model.apply_chat_template if chat else None,
        tokenizer_name=model.tokenizer_name if chat else "",
    )
    return sorted(task.instances, key=lambda each: each.idx)


def _record(task: Any, number: int, instances: Sequence[Any], names: dict[str, str], record: Recorder) -> None:
    """Store the answer with what the task says of it, for each of its filters."""
    task.apply_filters()
    doc = task.eval_docs[number]
    figures: dict[str, Scalar] = {}
    score: float | None = None
    for key in instances[0].filtered_resps:
        said = task.process_results(doc, [each.filtered_resps[key] for each in instances])
        for metric, value in said.items():
            name = metric if key == PLAIN_FILTER else f"{metric},{key}"
            plain = isinstance(value, int | float) and metric not in names
            figures[METRIC + name + names.get(metric, "")] = float(value) if plain else json.dumps(value, default=str)
            score = float(value) if plain and score is None else score
    question = Question(id=str(number), text="", reference=_plain(task.doc_to_target(doc)))
    record.answer(question, _answer(instances), score=score, **figures)


def _answer(instances: Sequence[Any]) -> str:
    """What the model said: its text, or the log-likelihoods of the choices."""
    said = [each.resps[0] for each in instances]
    text = said[0] if len(said) == 1 and isinstance(said[0], str) else json.dumps(said, default=str)
    return str(text)[:LONGEST_ANSWER]


def _aggregations(task: Any) -> dict[str, str]:
    """For each metric that is not averaged what its figures' names end in: the aggregation's name."""
    from lm_eval.api import registry

    known = {id(registry.get_aggregation(name)): name for name in ("mean", "median", "perplexity", "bits_per_byte")}
    found: dict[str, str] = {}
    for metric, function in task.aggregation().items():
        name = known.get(id(function), getattr(function, "__name__", "mean"))
        if name != "mean":
            found[metric] = AGGREGATION + name
    return found


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool | None) else str(value)
