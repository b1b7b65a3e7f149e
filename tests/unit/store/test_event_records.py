"""Events survive the journal, whatever they hold."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from passloop.kernel.events import (
    DeviceSeen,
    Event,
    Exited,
    Expanded,
    Foreign,
    SourceDeclared,
    Started,
    StartRefused,
    Submitted,
)
from passloop.kernel.ids import AttemptId, PoolName
from passloop.kernel.resources import DeviceAsk, Request, Variant
from passloop.kernel.source_rows import SourcePlan, TemplateNode
from passloop.kernel.tasks import Dependency, NewTask, Outcome, OutcomeKind, TaskSpec
from passloop.store.errors import StoreDamaged
from passloop.store.event_records import EVENT_TYPES, decode_events, encode_events
from tests.support.store_rows import SPEC

_numbers = st.integers(min_value=0, max_value=2**40)
_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_asks = st.builds(DeviceAsk, count=st.integers(1, 8), share=st.just(0), vram_mib=st.none() | _numbers)
_amounts = st.dictionaries(_texts, st.integers(1, 10**9), max_size=3).map(lambda d: tuple(sorted(d.items())))
_variants = st.builds(Variant, devices=st.none() | _asks, amounts=_amounts, exclusive=st.booleans())
_requests = st.builds(Request, st.lists(_variants, min_size=1, max_size=2).map(tuple))
st.register_type_strategy(str, _texts)
st.register_type_strategy(int, _numbers)
st.register_type_strategy(Request, _requests)


def _without_payloads(event: Event) -> Event:
    if isinstance(event, Submitted | Expanded):
        return replace(event, tasks=tuple(replace(task, payload="") for task in event.tasks))
    if isinstance(event, Exited):
        return replace(event, result=None)
    if isinstance(event, SourceDeclared):
        return replace(event, unit_specs=())
    return event


@pytest.mark.parametrize("name", sorted(EVENT_TYPES))
def test_every_type_of_event_comes_back_as_it_was(name: str) -> None:
    @settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow], deadline=None, database=None)
    @given(st.lists(st.from_type(EVENT_TYPES[name]), max_size=3))
    def check(events: list[Event]) -> None:
        assert decode_events(encode_events(events)) == tuple(map(_without_payloads, events))

    check()


def test_payloads_are_not_repeated_in_the_journal() -> None:
    text = encode_events([Submitted("r", (NewTask(SPEC, payload='{"command": ["canary"]}'),))])
    assert "canary" not in text


def test_specs_of_units_are_not_repeated_in_the_journal() -> None:
    plan = SourcePlan((TemplateNode(SPEC.request),))
    assert "canary" not in encode_events([SourceDeclared("r", "units", plan, unit_specs=('["canary"]',))])


def test_results_are_not_repeated_in_the_journal() -> None:
    ended = Exited(AttemptId(1), 1, Outcome(OutcomeKind.SUCCESS), result='{"answer": "canary"}')
    assert "canary" not in encode_events([ended])


def test_a_call_costs_few_bytes_of_the_journal() -> None:
    used = ((PoolName("127.0.0.1:8080/v1@LOCAL_KEY:tokens"), 512),)
    ended = Exited(AttemptId(123_456), 1, Outcome(OutcomeKind.SUCCESS, used=used), result="x" * 10_000)
    assert len(encode_events([Started(AttemptId(123_456), 1), ended])) < 220


def test_a_spec_that_tasks_share_is_written_once_and_stays_shared() -> None:
    tasks = tuple(NewTask(SPEC, index=n, after=(Dependency(n),)) for n in range(3))
    text = encode_events([Submitted("r", tasks)])
    assert text.count("train.py") == 1
    (event,) = decode_events(text)
    assert isinstance(event, Submitted)
    assert len({id(task.spec) for task in event.tasks}) == 1
    assert event.tasks[2] == replace(tasks[2], payload="")


def test_specs_of_one_submission_are_not_mixed_up() -> None:
    other = TaskSpec(SPEC.request, driver="calls")
    (event,) = decode_events(encode_events([Submitted("r", (NewTask(SPEC), NewTask(other), NewTask(SPEC)))]))
    assert isinstance(event, Submitted)
    assert [task.spec.driver for task in event.tasks] == ["processes", "calls", "processes"]


def test_records_inside_records_keep_their_types() -> None:
    device = DeviceSeen("GPU-1", 1, "A", 10, 9, foreign=(Foreign(7, "me", "x", 3),), strays=(4,))
    event = StartRefused(1, 2, (device,), "busy")  # type: ignore[arg-type]
    assert decode_events(encode_events([event])) == (event,)


@pytest.mark.parametrize("text", ["", "[", "{}", '[{"type":"Nothing"}]', '[{"type":"Exited"}]', "[1]"])
def test_text_that_is_no_batch_is_damage(text: str) -> None:
    with pytest.raises(StoreDamaged):
        decode_events(text)
