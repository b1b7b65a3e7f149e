"""The adapter `fake`: scripted time, memory and faults, for trying a matrix out and for tests. No model is involved.

Each sample gets a score that follows from seed, names and its number alone, so that a run with faults ends with the
same table as one without.

    options:
      seconds: 0.01            a cell's time; also load_seconds
      memory_mib: 40           what a cell really allocates on the host while it runs
      rules:                   the first that names the cell adds its faults
        - where: {model: a, sparse_attention: b, benchmark: c, subset: d}
          fault: run_oom       any class that an adapter can cause, or `exit` (the process dies), or `mutate`
          times: 1             in so many first attempts of the cell; 0: in all; load_oom, model_missing: at each load
          after_samples: 2     how many samples are answered before
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from threading import Event
from typing import Any

from passloop.apps.bench.adapters.base import CellReport, CellWork, Granted, LoadNeeds, Recorder
from passloop.apps.bench.adapters.plain import FreeNames
from passloop.apps.bench.benchmarks.base import Question
from passloop.apps.bench.errors import (
    CellError,
    ConfigError,
    DatasetError,
    DependencyMissing,
    DeviceFault,
    ModelMissing,
    NetworkError,
    OutOfMemory,
)
from passloop.apps.bench.rules import Rule
from passloop.apps.bench.spec_checks import check_row
from passloop.apps.errors import BadValue, did_you_mean
from passloop.apps.text import shown

__all__ = ["KIND", "FakeAdapter", "FakeKind"]

DEFAULTS: Mapping[str, Any] = {"seconds": 0.0, "load_seconds": 0.0, "memory_mib": 0, "samples": 4, "rules": []}
FAULTS: Mapping[str, type[CellError]] = {
    "config": ConfigError,
    "model_missing": ModelMissing,
    "dataset": DatasetError,
    "run_oom": OutOfMemory,
    "load_oom": OutOfMemory,
    "device_fault": DeviceFault,
    "dependency": DependencyMissing,
    "network": NetworkError,
    "bug": CellError,
}
OF_LOADING = frozenset({"load_oom", "model_missing"})
OTHER_FAULTS = ("exit", "mutate", "hang")
COUNTED = frozenset({"memory_mib", "samples", "times", "after_samples"})
FIGURES = COUNTED | {"seconds", "load_seconds"}
MOST = 1_000_000
RULE_KEYS = frozenset({"where", "fault", "times", "after_samples", "seconds", "memory_mib"})


class FakeKind(FreeNames):
    """The light half."""

    name = "fake"
    family = "fake"

    def resolve_options(self, options: Mapping[str, Any], folder: Path) -> Mapping[str, Any]:
        """The script, checked."""
        for name, value in options.items():
            if name not in DEFAULTS:
                what = f"the adapter fake has no option {shown(name)}"
                raise BadValue(what, did_you_mean(name, DEFAULTS), path=("options", name))
            _check_figure(name, value, ("options", name))
        script = {**DEFAULTS, **options}
        if not isinstance(script["rules"], list):
            fix = "write rules: [{where: {model: a}, fault: run_oom}]"
            raise BadValue("rules is no list", fix, path=("options", "rules"))
        for place, rule in enumerate(script["rules"]):
            _check_rule(rule, ("options", "rules", place))
        return script

    def create(self, options: Mapping[str, Any]) -> FakeAdapter:
        """The adapter."""
        return FakeAdapter(options)


def _check_rule(rule: Any, path: tuple[str | int, ...]) -> None:
    if not isinstance(rule, dict):
        raise BadValue("a rule is no mapping", "write {where: {model: a}, fault: run_oom}", path=path)
    for name, value in rule.items():
        if name not in RULE_KEYS:
            raise BadValue(f"a rule has no {shown(name)}", did_you_mean(name, RULE_KEYS), path=(*path, name))
        _check_figure(name, value, (*path, name))
    fault = rule.get("fault")
    known = (*FAULTS, *OTHER_FAULTS)
    if fault is not None and fault not in known:
        raise BadValue(f"{shown(fault)} is no fault", did_you_mean(str(fault), known), path=(*path, "fault"))
    if rule.get("where"):
        try:
            check_row(rule["where"])
        except BadValue as bad:
            raise BadValue(bad.what, bad.fix, path=(*path, "where", *bad.path)) from None


def _check_figure(name: str, value: Any, path: tuple[str | int, ...]) -> None:
    """Numbers of a script: none is negative, and what is counted is whole."""
    if name not in FIGURES:
        return
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 <= value <= MOST or (name in COUNTED and value != int(value)):
        kind = "a whole number" if name in COUNTED else "a number"
        raise BadValue(f"{shown(name)} is {shown(value)}", f"write {kind} from 0 to {MOST:,}", path=path)


class FakeAdapter:
    """Does nothing, for as long and in as much memory as it was told."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = options
        self._rules = [(Rule(_row(each)), each) for each in options["rules"]]
        self._needs: LoadNeeds | None = None
        self._changed = 0

    def load(self, needs: LoadNeeds, granted: Granted) -> None:
        """Take the time of loading."""
        self._needs = needs
        self._changed = 0
        _pass(self._options["load_seconds"])
        for rule, script in self._rules:
            if script.get("fault") in OF_LOADING and rule.matches({"model": needs.model}):
                raise FAULTS[script["fault"]](f"scripted {script['fault']}")

    def run_cell(self, cell: CellWork, record: Recorder) -> CellReport:
        """Answer the samples, and do what the script says."""
        script = {**self._options, **self._rule(cell)}
        memory = _held(int(script["memory_mib"]))
        count = cell.samples or max(1, int(script["samples"]))
        scores = []
        for number in range(count):
            if number == int(script.get("after_samples", 0)):
                self._fault(script, cell)
            scores.append(_score(cell, number))
            question = Question(id=f"s{number}", text="", reference="yes")
            if question.id not in cell.answered:
                _pass(float(script["seconds"]) / count)
                record.answer(question, "yes", score=scores[-1])
        usage = {"peak_mib": float(len(memory) // 2**20)} if memory else {}
        return CellReport(metrics={"score": sum(scores) / count}, usage=usage)

    def reset(self) -> None:
        """Nothing is left over."""

    def fingerprint(self) -> str:
        """What is loaded, and how often it was changed."""
        return f"{self._needs.key if self._needs else ''}:{self._changed}"

    def unload(self) -> None:
        """Forget what was loaded."""
        self._needs = None

    def _rule(self, cell: CellWork) -> Mapping[str, Any]:
        names = cell.names
        by_axis = {
            "model": names.model,
            "sparse_attention": names.sparse_attention,
            "benchmark": names.benchmark,
            "subset": names.subset,
            "seed": str(cell.seed),
        }
        return next((each for rule, each in self._rules if rule.matches(by_axis)), {})

    def _fault(self, script: Mapping[str, Any], cell: CellWork) -> None:
        fault, times = script.get("fault"), int(script.get("times", 1))
        if fault is None or (times and cell.attempt > times):
            return
        if fault == "exit":
            os._exit(9)
        if fault == "hang":
            Event().wait()
        if fault == "mutate":
            self._changed += 1
            return
        device = cell.granted.gpus[0] if fault == "device_fault" and cell.granted.gpus else None
        raise FAULTS[fault](f"scripted {fault}", device=device)


def _row(rule: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    where = rule.get("where") or {}
    return {axis: tuple(map(str, each)) if isinstance(each, list) else (str(each),) for axis, each in where.items()}


def _score(cell: CellWork, number: int) -> float:
    """A score from 0 to 1 in steps of 1/100 that depends on what the sample is, and on nothing else."""
    names = cell.names
    text = f"{names.model}|{names.sparse_attention}|{names.benchmark}|{names.subset}|{cell.seed}|{number}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) % 101 / 100


def _held(mib: int) -> bytearray:
    """Memory that is really there: every page is written."""
    memory = bytearray(mib * 2**20)
    memory[::4096] = b"\1" * len(memory[::4096])
    return memory


def _pass(seconds: float) -> None:
    """Let scripted time pass; it stands for work."""
    if seconds > 0:
        Event().wait(seconds)


KIND = FakeKind()
