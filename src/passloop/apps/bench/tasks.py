"""Cells that are not complete -> what is asked of the engine for each: request, rank, budgets, and the order it gets.

It submits nothing. A request has further variants: after running out of memory a cell comes once more with its estimate
doubled and the device to itself.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from passloop.kernel.ids import CPU, MEMORY

from .cell_order import CellOrder, OrderedBenchmark, OrderedMethod, OrderedModel, encode_order
from .invocation import Invocation
from .learned import Learned, tokens_of
from .matrix import Cell, Matrix
from .memory import Device, bucket_of, estimate, gpu_request
from .order import ranks
from .own_code import code_of
from .policy import Budgets, budgets_of, one_less_of_memory, retries_of
from .spec import Resources
from .spec_checks import AUTO, SHARE

__all__ = ["BenchTask", "Box", "Form", "TaskMaker"]

CPU_MILLI = 1_000
LONGEST_CLASS = 200
VERSION = 1


@dataclass(frozen=True, slots=True)
class Box:
    """What the machine has, for requests that say `auto`. Memory in MiB; None is not known."""

    devices: tuple[Device, ...] = ()
    mem_mib: int | None = None


@dataclass(frozen=True, slots=True)
class Form:
    """One form of a request: whole GPUs or a share (1/10,000), VRAM in MiB, amounts by pool."""

    gpus: int = 0
    share: int = 0
    vram_mib: int | None = None
    amounts: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class BenchTask:
    """What is asked of the engine for one cell. Times in ms."""

    cell: Cell
    key: str
    name: str
    order: str
    params: Mapping[str, Any]
    rank: int
    forms: tuple[Form, ...]
    time_limit: int | None
    budgets: Budgets
    warm_key: str | None
    task_class: str
    cpus_milli: int


class TaskMaker:
    """Makes the tasks of one invocation. Cells that ran `out_of_memory` (hashes) at the last start begin with twice as
    much and alone, and have one try less: they had it with less.
    """

    def __init__(
        self,
        matrix: Matrix,
        *,
        box: Box,
        learned: Learned,
        invocation: Invocation,
        out_of_memory: frozenset[str] = frozenset(),
    ) -> None:
        self._matrix = matrix
        self._box = box
        self._learned = learned
        self._invocation = invocation
        self._out_of_memory = out_of_memory
        self._retries = retries_of(matrix.spec.retries)
        self._budgets = budgets_of(self._retries)
        self._spent = one_less_of_memory(self._retries)
        self._budgets_spent = budgets_of(self._spent)
        self._root = hashlib.sha256(matrix.out.encode()).hexdigest()[:16]
        parameters = [entry.parameters for entry in matrix.spec.sparse_attention.values()]
        self._parameters = tuple(dict.fromkeys(name for each in parameters for name in each))
        self._code = code_of({"python": matrix.spec.python}, Path(matrix.cwd))
        self._widest: dict[str, int] = {}
        self._ordered: dict[int, tuple[OrderedModel, OrderedMethod, dict[str, Any]]] = {}

    def tasks(self, cells: Sequence[Cell]) -> list[BenchTask]:
        """A task for each cell, in their order."""
        spec = self._matrix.spec
        for cell in cells:
            self._widen(cell)
        placed = ranks([self._learned.millis(cell) for cell in cells], [cell.point.dense for cell in cells], spec.first)
        return [self.task(cell, rank) for cell, rank in zip(cells, placed, strict=True)]

    def task(self, cell: Cell, rank: int) -> BenchTask:
        """The task of one cell."""
        forms = tuple(self._forms(cell))
        names = cell.names
        spec = self._matrix.spec
        params = {
            "model": names.model,
            "sparse_attention": names.sparse_attention,
            "benchmark": names.benchmark,
            "subset": names.subset,
            "seed": cell.seed,
            "cell": cell.hash,
        }
        return BenchTask(
            cell=cell,
            key=f"bench:{self._root}:{cell.hash}",
            name=cell.label[:LONGEST_CLASS],
            order=self._order(cell),
            params=params,
            rank=rank,
            forms=forms,
            time_limit=cell.settled.time_limit,
            budgets=self._budgets_spent if cell.hash in self._out_of_memory else self._budgets,
            warm_key=":".join(filter(None, (cell.point.needs.key, self._code))) if self._is_warm(cell) else None,
            task_class=f"bench {spec.bench} {names.model} {names.benchmark} {names.subset}"[:LONGEST_CLASS].strip(),
            cpus_milli=_cpus(cell.settled.resources),
        )

    def estimate_mib(self, cell: Cell) -> int | None:
        """Memory on a device that the cell is thought to take, in MiB. Cells that share a warm worker ask the same: as
        much as the largest of them.
        """
        own = self._estimate(cell, self._learned.peaks)
        return max(own, self._widest.get(cell.point.needs.key, own)) if own is not None else None

    def _is_warm(self, cell: Cell) -> bool:
        return self._matrix.spec.warm and cell.point.adapter.kind.warm

    def _widen(self, cell: Cell) -> None:
        own = self._estimate(cell, self._learned.peaks) if self._is_warm(cell) else None
        if own is not None:
            key = cell.point.needs.key
            self._widest[key] = max(own, self._widest.get(key, own))

    def _estimate(self, cell: Cell, peaks: Mapping[tuple[str, str, int], int]) -> int | None:
        tokens = tokens_of(cell)
        bucket = bucket_of(cell.names.model, cell.names.sparse_attention, tokens)
        found = estimate(cell.point.model.shape, tokens=tokens, observed=peaks, bucket=bucket)
        return None if found is None else found.mib

    def _forms(self, cell: Cell) -> Iterator[Form]:
        said = cell.settled.resources
        mem: int | str | None = said.mem
        if mem == AUTO:
            mem = self._estimate(cell, self._learned.host_peaks)
        told: list[Form] = []
        for number, form in enumerate(_twice(self._device_form(cell, said), self._box.devices)):
            held = dict(said.need)
            if said.cpus is not None or not (form.gpus or form.share):  # as of every task: none beside a GPU
                held[CPU] = _cpus(said)
            if memory := _doubled(mem, number, self._box.mem_mib):
                held[MEMORY] = memory
            told.append(Form(form.gpus, form.share, form.vram_mib, tuple(sorted(held.items()))))
        yield from dict.fromkeys(told[1:] if cell.hash in self._out_of_memory else told)

    def _device_form(self, cell: Cell, said: Resources) -> Form:
        devices = self._box.devices
        wanted = AUTO if said.gpus is None and not cell.point.adapter.kind.free_names else said.gpus
        if wanted in (None, AUTO, SHARE):
            there = [each for each in devices if wanted == SHARE or not each.virtual]
            if not there or wanted is None:
                return Form()
            mib = said.vram if isinstance(said.vram, int) else self.estimate_mib(cell)
            gpus, share, vram = gpu_request(mib, min(there))
            return Form(gpus, share, vram)
        assert not isinstance(said.gpus, str)
        assert said.gpus is not None
        wants = said.gpus.whole or said.gpus.share
        mib = said.vram if isinstance(said.vram, int) else self.estimate_mib(cell) if said.vram == AUTO else None
        return Form(said.gpus.whole, said.gpus.share, mib if wants else None)

    def _order(self, cell: Cell) -> str:
        point = cell.point
        model, method, options = self._shared(cell)
        return encode_order(
            CellOrder(
                version=VERSION,
                cell=cell.hash,
                identity=json.loads(cell.identity),
                folder=f"{self._matrix.out}/{cell.path}",
                adapter=point.adapter.name,
                model=model,
                sparse_attention=method,
                benchmark=self._ordered_benchmark(cell),
                options=options,
                generation=dict(cell.settled.generation),
                samples=cell.settled.samples,
                seed=cell.seed,
                cpus_milli=_cpus(cell.settled.resources),
                retries=self._spent if cell.hash in self._out_of_memory else self._retries,
                blank=[name for name in self._parameters if name not in point.method.parameters],
                invocation=self._invocation,
            )
        )

    def _shared(self, cell: Cell) -> tuple[OrderedModel, OrderedMethod, dict[str, Any]]:
        point = cell.point
        found = self._ordered.get(id(point))
        if found is None:
            needs, method = point.needs, point.method
            found = self._ordered[id(point)] = (
                OrderedModel(needs.key, needs.model, needs.source, needs.weights, dict(needs.load)),
                OrderedMethod(
                    cell.names.sparse_attention,
                    method.method,
                    dict(method.parameters),
                    dict(method.load),
                    method.mutates_model,
                    method.kept,
                    method.version,
                ),
                dict(point.adapter.options),
            )
        return found

    def _ordered_benchmark(self, cell: Cell) -> OrderedBenchmark:
        found = cell.point.benchmark
        return OrderedBenchmark(
            name=cell.names.benchmark,
            subset=cell.names.subset,
            options={**found.resolved.options, **found.resolved.places},
            data=cell.subset.data,
            looked_up=found.kind is not None,
            metric=metric_of(self._matrix, cell),
        )


def metric_of(matrix: Matrix, cell: Cell) -> str | None:
    """The metric that tables show of a cell, where the spec or the benchmark says."""
    entry = matrix.spec.benchmarks[cell.names.benchmark]
    return entry.metric or matrix.spec.metric or cell.point.benchmark.resolved.metric


def _cpus(said: Resources) -> int:
    return CPU_MILLI if said.cpus is None else said.cpus


def _twice(first: Form, devices: Iterable[Device]) -> Iterator[Form]:
    """The form, and the one after running out of memory: twice the memory, alone on a device."""
    yield first
    largest = max((each.vram_mib for each in devices), default=None)
    if first.gpus + first.share == 0 or first.vram_mib is None:
        yield first
    elif first.share or largest is None or first.vram_mib * 2 <= largest:
        yield Form(max(1, first.gpus), 0, min(first.vram_mib * 2, largest or first.vram_mib * 2))
    else:
        yield Form(first.gpus, 0, largest)


def _doubled(mem: int | str | None, number: int, most: int | None) -> int | None:
    if not isinstance(mem, int):
        return None
    return mem if number == 0 else max(mem, min(mem * 2, most or mem * 2))
