"""The calls of datasets: renders a cell's prompt from committed inputs and says what the answer is worth.

It asks the store, never an endpoint, and keeps no answer: what is not committed does not exist.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from passloop.apps.errors import BadValue
from passloop.drivers.calls.caller import Answer, CallOrder, CallRequest, Failed, Refused, Settled, Usage
from passloop.engine.reading import Reading
from passloop.kernel.ids import RunId

from .answers import CUT_OFF, CellAnswer, answer_text
from .costs import CostGate
from .dataset import Dataset, dataset_of_text
from .inputs import InputsMissing, row_from_store
from .prompts import BadAnswer, messages_for, value_of
from .rows import Row, named, row_of
from .spec import Column
from .templates import TemplateFailed, evaluate

__all__ = ["CALLER", "GenerateCaller"]

CALLER = "generate"
_RUNS_KEPT = 8


class GenerateCaller:
    """The app's side of its calls."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._datasets: dict[RunId, Dataset] = {}
        self._gates: dict[str, CostGate] = {}

    async def prepare(self, order: CallOrder) -> CallRequest | Settled | Failed:
        """What to ask; or the cell's end, if it is skipped, cannot be rendered or would pass the cost limit."""
        dataset = await self._dataset(_run(order))
        column = dataset.columns[str(order.payload["column"])]
        try:
            row = await self._row(dataset, order.payload)
            if column.skip is not None and evaluate(column.skip.when, row.values):
                skipped = CellAnswer({column.name: column.skip.value}, spent=_both(order.spent), skipped=True)
                return Settled(answer_text(skipped))
            messages = messages_for(
                dataset, column, row.values, refused=order.refused, feedback=order.feedback if order.refusals else ""
            )
        except (TemplateFailed, InputsMissing, BadValue) as failed:
            return Failed(f"column {column.name}: {failed}")
        passed = await self._passed(dataset)
        return Failed(passed) if passed else self._request(dataset, column, order, messages)

    async def accept(self, order: CallOrder, answer: Answer) -> Settled | Failed | Refused:
        """What the answer is worth."""
        dataset = await self._dataset(_run(order))
        column = dataset.columns[str(order.payload["column"])]
        usage = answer.usage or Usage()
        try:
            if column.cut_off == "refuse" and answer.finish == CUT_OFF:
                raise BadAnswer("the answer was cut off, since it was too long; say less")
            value = value_of(dataset, column, answer.text)
        except BadAnswer as bad:
            self._count(dataset, column, usage)
            return Refused(str(bad))
        self._count(dataset, column, usage)
        spent = (order.spent.input + usage.input, order.spent.output + usage.output)
        text = "" if column.kind == "llm_text" else answer.text
        made = CellAnswer(named(column, value), None, spent, text, answer.finish, order.refusals)
        return Settled(answer_text(made))

    def _request(
        self, dataset: Dataset, column: Column, order: CallOrder, messages: list[dict[str, str]]
    ) -> CallRequest:
        entry = dataset.spec.models[str(column.model)]
        refusals = dataset.spec.retries.refusal if column.refusals is None else column.refusals
        return CallRequest(
            model=dataset.models[str(column.model)],
            body={"messages": messages, **entry.params},
            key=f"{order.payload['key']}:{order.run}",
            stream=entry.stream,
            refusals_most=refusals,
        )

    async def _row(self, dataset: Dataset, payload: Mapping[str, Any]) -> Row:
        """The row as it is committed; a cell that waits for no other needs nothing of the store."""
        if not payload["cells"]:
            return row_of(dataset, payload["given"], {})
        place = int(payload["row"]) % dataset.spec.row_group
        return await self._reading.run(lambda reader: row_from_store(reader, dataset, payload, place))

    async def _dataset(self, run: RunId) -> Dataset:
        found = self._datasets.get(run)
        if found is None:
            source = await self._reading.run(lambda reader: reader.source(run))
            if source is None:
                raise LookupError(f"the store has no source of run {run}")
            if len(self._datasets) >= _RUNS_KEPT:
                self._datasets.clear()
            found = self._datasets.setdefault(run, dataset_of_text(source.spec))
        return found

    async def _passed(self, dataset: Dataset) -> str:
        """Why no more may be asked, by the cost limit; empty if there is none."""
        if dataset.spec.limits.max_cost is None:
            return ""
        gate = self._gates.get(dataset.root)
        if gate is None:
            read = await self._reading.run(lambda reader: CostGate.of_store(reader, dataset))
            gate = self._gates.setdefault(dataset.root, read)
        return gate.passed(dataset)

    def _count(self, dataset: Dataset, column: Column, usage: Usage) -> None:
        """An answer was judged, and is not asked about again; it was paid for whatever it is worth."""
        gate = self._gates.get(dataset.root)
        if gate is not None:
            gate.add(column.name, _both(usage))


def _run(order: CallOrder) -> RunId:
    """The run whose source the cell comes from; that of a retried cell is another than its own."""
    return RunId(int(order.payload["run"]))


def _both(usage: Usage) -> tuple[int, int]:
    return usage.input, usage.output
