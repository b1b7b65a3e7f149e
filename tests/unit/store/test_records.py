"""Rows keep every field on their way through columns."""

from __future__ import annotations

import pytest

from passloop.kernel.ids import PoolName
from passloop.kernel.resources import Allocation
from passloop.kernel.tasks import Outcome, OutcomeKind, TaskRow
from passloop.store.errors import StoreDamaged
from passloop.store.records import (
    attempt_values,
    decode_depends,
    decode_spec,
    encode_depends,
    encode_json,
    read_attempt,
    read_task,
    task_values,
)
from tests.support.store_rows import EVERY_DEPENDENCY, SPEC, a_full_task, a_task, an_attempt


@pytest.mark.parametrize("row", [a_task(), a_full_task()])
def test_a_task_comes_back_with_its_types(row: TaskRow) -> None:
    back = read_task((*task_values(row), 1, "[]"))
    assert back == row
    assert [type(value) for value in back] == [type(value) for value in row]


def test_an_attempt_comes_back_with_its_types() -> None:
    outcome = Outcome(OutcomeKind.FAILURE, 2, message="it failed", used=((a_pool := "tokens", 5),))  # type: ignore[arg-type]
    assert a_pool == "tokens"
    row = an_attempt(outcome=outcome, state="ended", ended_at=3)
    assert read_attempt(attempt_values(row)) == row


def test_an_attempt_is_kept_without_what_tells_nothing() -> None:
    row = an_attempt(outcome=Outcome(OutcomeKind.SUCCESS), state="ended", ended_at=3)
    row = row._replace(allocation=Allocation(0, amounts=((PoolName("tokens"), 5),)))
    values = attempt_values(row)
    assert (values[5], values[12]) == ('{"variant":0,"amounts":[["tokens",5]]}', '{"kind":"success"}')
    assert read_attempt(values) == row


def test_a_spec_comes_back() -> None:
    assert decode_spec(encode_json(SPEC)) == SPEC


def test_dependencies_keep_their_order_and_kind() -> None:
    assert decode_depends(encode_depends(EVERY_DEPENDENCY)) == EVERY_DEPENDENCY
    assert decode_depends(encode_depends(())) == ()


def test_a_state_that_is_not_one_of_ours_is_damage() -> None:
    values = list(task_values(a_task()))
    values[7] = "runnig"
    with pytest.raises(StoreDamaged, match="unknown state"):
        read_task(tuple(values))


def test_text_that_the_store_did_not_write_is_damage() -> None:
    with pytest.raises(StoreDamaged, match="list of dependencies"):
        decode_depends("[[1]]")
