"""What kept a lane out in the past, from looks at devices and the gates of limits; and a gap cut by it."""

from __future__ import annotations

import json

from passloop.apps.queue.gaps import Gap
from passloop.store.limits import LimitStep
from passloop.web.models.past import Kept, closed, cut, seen_away


def look(*devices: dict[str, object], complete: bool = True) -> str:
    told = [{"foreign": [], "strays": [], "fault": "", **device} for device in devices]
    return json.dumps([{"type": "DevicesSeen", "devices": told, "complete": complete}])


def spans(kept: list[Kept]) -> list[tuple[int, int, str]]:
    return [each[:3] for each in kept]


def test_a_fault_lasts_until_a_look_sees_none_and_one_that_goes_on_is_one() -> None:
    broken = look({"uuid": "a", "fault": "off the bus"})
    found = seen_away([(10, broken), (20, broken), (30, look({"uuid": "a"}))], until=100)
    assert found["a"] == [Kept(10, 30, "quarantined", "it was quarantined: off the bus")]


def test_a_users_word_ends_a_quarantine_and_the_end_of_the_time_ends_all() -> None:
    stray, word = look({"uuid": "a", "strays": [3]}), json.dumps([{"type": "QuarantineReleased", "uuid": "a"}])
    assert spans(seen_away([(10, stray), (20, word), (40, stray)], until=100)["a"]) == [
        (10, 20, "quarantined"),
        (40, 100, "quarantined"),
    ]


def test_a_device_that_a_complete_look_does_not_name_was_gone() -> None:
    both, one = look({"uuid": "a"}, {"uuid": "b"}), look({"uuid": "a"})
    looks = [(10, both), (20, look({"uuid": "a"}, complete=False)), (30, one), (50, both)]
    assert {uuid: spans(kept) for uuid, kept in seen_away(looks, until=100).items()} == {"b": [(30, 50, "lost")]}


def test_an_endpoint_is_closed_while_its_gate_or_that_of_a_model_was() -> None:
    gates = [("m", 0, "open"), ("m", 10, "cooling"), ("e", 15, "dead"), ("m", 30, "half_open"), ("m", 40, "open")]
    kept = closed([LimitStep(pool, at, gate, 4) for pool, at, gate in gates], until=100)
    assert spans(kept) == [(10, 30, "cooling"), (15, 100, "cooling"), (30, 40, "cooling")]
    assert [each.sentence.split(" was ")[1] for each in kept] == [
        "closed after it refused a call",
        "dead",
        "tried with one call after it had refused some",
    ]


def test_a_refusal_that_closed_nothing_explains_no_gap() -> None:
    assert closed([LimitStep("m", 0, "open", 4), LimitStep("m", 10, "open", 3)], until=100) == []


def test_a_gap_is_cut_and_a_pause_explains_only_where_somebody_waited() -> None:
    kept = [Kept(5, 10, "vetoed", "bob"), Kept(12, 30, "cooling", "429")]
    assert spans(list(cut(Gap(0, 20, "blocked"), "why", kept))) == [
        (0, 5, "blocked"),
        (5, 10, "vetoed"),
        (10, 12, "blocked"),
        (12, 20, "cooling"),
    ]
    assert spans(list(cut(Gap(11, 20, "idle"), "why", kept))) == [(11, 20, "idle")]
    assert spans(list(cut(Gap(40, 50, "idle"), "why", kept))) == [(40, 50, "idle")]
