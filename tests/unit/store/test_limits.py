"""Steps of limits: what the store keeps of a pool's gate and adaptive limit, from when on."""

from __future__ import annotations

import json

from passloop.kernel.changes import PoolChanged
from passloop.kernel.events import PoolKind
from passloop.store.database import Store
from passloop.store.home import Home
from passloop.store.limits import LimitStep
from passloop.store.reader import Reader
from passloop.store.repair import repair
from tests.support.store_rows import a_batch, a_submission
from tests.unit.store.test_repair import spoil_table


def told(gate: str, limit: int, *, name: str = "m", kind: PoolKind = PoolKind.LIMIT, **closure: int) -> PoolChanged:
    return PoolChanged(name, kind, json.dumps({"capacity": 8, "closure": {"gate": gate, "limit": limit, **closure}}))


def commit(store: Store, *turns: tuple[int, PoolChanged]) -> None:
    for now, change in turns:
        store.commit(a_batch([change], now=now))


def test_a_step_is_kept_when_gate_or_limit_changes_and_for_no_call_between(store: Store) -> None:
    commit(store, (1, told("open", 8)), (2, told("open", 8, successes=1)), (3, told("cooling", 6)))
    commit(store, (4, told("cooling", 6, cycles=2)), (5, told("half_open", 6)), (9, told("open", 6)))
    with store.reader() as reader:
        steps = reader.limit_steps(["m"])
    assert steps == [
        LimitStep("m", 1, "open", 8),
        LimitStep("m", 3, "cooling", 6),
        LimitStep("m", 5, "half_open", 6),
        LimitStep("m", 9, "open", 6),
    ]


def test_no_more_than_the_pool_holds_is_let_through(store: Store) -> None:
    commit(store, (1, told("open", 12)))
    with store.reader() as reader:
        assert reader.limit_steps(["m"]) == [LimitStep("m", 1, "open", 8)]


def test_only_limits_have_steps(store: Store) -> None:
    commit(store, (1, told("open", 8, kind=PoolKind.RATE)))
    with store.reader() as reader:
        assert reader.limit_steps(["m"]) == []


def test_who_asks_from_a_time_on_is_told_what_held_then(store: Store) -> None:
    commit(store, (1, told("open", 8)), (3, told("cooling", 6)), (9, told("open", 6)), (9, told("open", 4, name="n")))
    with store.reader() as reader:
        assert [step.at for step in reader.limit_steps(["m"], since=5)] == [3, 9]
        assert [step.pool for step in reader.limit_steps(["m", "n"], since=9)] == ["m", "n"]
        assert reader.limit_steps(["nobody"], since=5) == []


def test_steps_outlive_a_repair(home: Home) -> None:
    store = Store.open(home)
    store.commit(a_submission(150))
    commit(store, (1_000, told("open", 8)), (1_003, told("cooling", 6)))
    store.close()
    spoil_table(home, "tasks")
    assert not repair(home).whole
    with Reader.open(home) as reader:
        assert [step.at for step in reader.limit_steps(["m"])] == [1_000, 1_003]
