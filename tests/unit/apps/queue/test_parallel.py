"""A submission that says how many of it may run at once asks for a place of a limit that has its name."""

from __future__ import annotations

import pytest

from passloop.apps.queue.parallel import limited
from passloop.apps.queue.wire import WireSpec, WireSubmission, WireTask, WireVariant
from passloop.kernel.events import PoolDeclared, PoolKind
from passloop.kernel.ids import PoolName


def test_without_a_limit_nothing_is_changed() -> None:
    wire = WireSubmission(tasks=(WireTask(("true",)),), name="folds")
    assert limited(wire) == (wire, None)


def test_every_variant_of_every_task_asks_for_a_place() -> None:
    own = WireSpec(request=(WireVariant(gpus=1), WireVariant(amounts={"cpu": 4_000})))
    tasks = (WireTask(("true",)), WireTask(("true",), spec=own))
    wire, limit = limited(WireSubmission(tasks=tasks, name="folds", max_parallel=3))
    assert limit == PoolDeclared(PoolName("parallel/folds"), PoolKind.LIMIT, 3)
    assert wire.spec.request[0].amounts == {"cpu": 1_000, "parallel/folds": 1}
    assert wire.tasks[0].spec is None
    assert wire.tasks[1].spec is not None
    assert [one.amounts for one in wire.tasks[1].spec.request] == [
        {"parallel/folds": 1},
        {"cpu": 4_000, "parallel/folds": 1},
    ]


@pytest.mark.parametrize(
    ("name", "program", "pool"),
    [(None, "train.py", "parallel/train.py"), ("漢字", "x", "parallel/command"), ("a b/c", "x", "parallel/a-b-c")],
)
def test_the_limit_has_the_name_of_the_run_else_of_the_program(name: str | None, program: str, pool: str) -> None:
    spec = WireSpec(program=program)
    _, limit = limited(WireSubmission(tasks=(WireTask(("x",)),), name=name, spec=spec, max_parallel=1))
    assert limit is not None
    assert limit.name == pool
