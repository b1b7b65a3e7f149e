"""What was spent at which endpoint: tokens, and what they cost at the prices that the datasets name.

It adds up what stored answers tell; a call whose answer never came is in no sum, and is counted as unknown elsewhere.
"""

from __future__ import annotations

from collections import defaultdict
from functools import lru_cache
from typing import NamedTuple

from passloop.apps.queue.views import Json, document
from passloop.engine.errors import NotFound
from passloop.store.reader import Reader

__all__ = ["DAY", "spend"]

DAY = 86_400_000
KIND = "generate"
PRICED = 64
"""Datasets whose prices are kept: what a run was declared with never changes."""


class Node(NamedTuple):
    """Where the calls of a dataset's column go, and the price of (input, output) tokens in 1/UNIT, if it has one."""

    endpoint: str
    pool: str
    model: str
    price: tuple[int, int] | None


class _Sum:
    """What one model has spent so far: (input, output) tokens and their cost, in all and lately."""

    def __init__(self) -> None:
        self.tokens = {"all": [0, 0], "lately": [0, 0]}
        self.cost: dict[str, int] | None = None

    def add(self, span: str, spent: tuple[int, int], price: tuple[int, int] | None) -> None:
        self.tokens[span] = [have + more for have, more in zip(self.tokens[span], spent, strict=True)]
        if price is not None:
            self.cost = self.cost or {"all": 0, "lately": 0}
            self.cost[span] += sum(tokens * each for tokens, each in zip(spent, price, strict=True))


def spend(reader: Reader, *, now: int) -> Json:
    """A row for each model of each endpoint, the dearest first. `cost` is null where no dataset named a price."""
    found = reader.spent(KIND, since=now - DAY)
    nodes = {run: _nodes_of(reader, run) for run in {each.run for each in found}}
    sums: dict[tuple[str, str, str], _Sum] = defaultdict(_Sum)
    for each in found:
        node = nodes[each.run].get(each.node)
        if node is not None:
            told = sums[node[:3]]
            told.add("all", each.spent, node.price)
            told.add("lately", each.lately, node.price)
    rows = [_row(*place, told) for place, told in sums.items()]
    return document(models=sorted(rows, key=lambda row: (-(row["cost"] or 0), -row["tokens"]["output"], row["pool"])))


def _row(endpoint: str, pool: str, model: str, told: _Sum) -> Json:
    return {
        "endpoint": endpoint,
        "pool": pool,
        "model": model,
        "tokens": _tokens(told.tokens["all"]),
        "cost": _money(told.cost, "all"),
        "lately": {**_tokens(told.tokens["lately"]), "cost": _money(told.cost, "lately")},
    }


def _tokens(pair: list[int]) -> Json:
    return {"input": pair[0], "output": pair[1]}


def _money(cost: dict[str, int] | None, span: str) -> float | None:
    from passloop.apps.generate.costs import UNIT

    return None if cost is None else cost[span] / UNIT


def _nodes_of(reader: Reader, run: int) -> dict[int, Node]:
    """The nodes of a dataset that call a model. Raises `NotFound` where the extra of datasets is not installed."""
    source = reader.source(run)
    try:
        return {} if source is None else _nodes(source.spec)
    except ImportError as missing:
        hint = "pip install 'passloop[generate]'"
        raise NotFound(f"datasets need {missing.name}, which is not installed", hint=hint) from None


@lru_cache(maxsize=PRICED)
def _nodes(spec: str) -> dict[int, Node]:
    from passloop.apps.generate.costs import cost_of
    from passloop.apps.generate.dataset import dataset_of_text

    made = dataset_of_text(spec)
    found: dict[int, Node] = {}
    for place, column in enumerate(made.tasks):
        if column.model is not None:
            model = made.models[column.model]
            has_price = made.spec.models[column.model].price is not None
            price = (cost_of(made, column, (1, 0)), cost_of(made, column, (0, 1))) if has_price else None
            found[place] = Node(str(model.endpoint.pool), str(model.pool), model.name, price)
    return found
