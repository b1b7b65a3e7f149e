"""What a history must be for its promises to mean anything: one seed is one history, and a broken promise is told."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator

import pytest

from passloop.engine.dispatch import Dispatch
from passloop.kernel import (
    admission,
    blockers,
    closures,
    cooldowns,
    ledger,
    lifecycle,
    machine,
    parking,
    sources,
    warm_order,
)
from passloop.kernel.admission import Admission
from passloop.kernel.blockers import Blocker
from passloop.kernel.cooldowns import Gate
from passloop.kernel.device_pool import DevicePool
from passloop.kernel.ends import Ends
from passloop.kernel.events import DeviceSeen, PoolKind, StartRefused
from passloop.kernel.instructions import Stop
from passloop.kernel.pools import LimitPool
from passloop.kernel.records import Attempt, Group, ShapeVariant, Task
from passloop.kernel.state import State

from . import load
from .history import MODES, command, play
from .homes import SimulatedHome
from .replay import main, many, seeds_of


@pytest.mark.parametrize("mode", MODES)
def test_one_seed_is_one_history(mode: str) -> None:
    assert play(mode, 77, 120) == play(mode, 77, 120)
    assert play(mode, 77, 120).fingerprint != play(mode, 78, 120).fingerprint


def test_one_of_two_workers_that_are_ended_for_a_task_may_be_enough_when_others_end() -> None:
    """Each was named with truth, and neither alone kept the task: what came back meanwhile was what it lacked."""
    play("liveness", 5001, 300)


def test_a_history_that_breaks_a_promise_says_how_to_replay_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def forgets_to_release(_state: State, _attempt: Attempt) -> None:
        """What an attempt held stays taken."""

    monkeypatch.setattr(lifecycle, "discharge", forgets_to_release)
    with pytest.raises(BaseException) as broken:  # whatever it breaks first
        play("safety", 1, 120)
    replays = ".venv/bin/python -m tests.simulation.replay --mode safety --seed 1 --events 120"
    assert any(replays in note for note in notes(broken))
    assert "--mode safety --seed 1" in command("safety", 1, 120)


def test_a_stop_that_is_dropped_while_its_start_waits_at_the_gate_breaks_one_of_a_few_histories(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stop = Dispatch._stop

    def drops(dispatch: Dispatch, order: Stop) -> None:
        if order.attempt not in dispatch._at_gate:
            stop(dispatch, order)

    monkeypatch.setattr(Dispatch, "_stop", drops)
    with pytest.raises(AssertionError, match="was to stop and runs on"):
        play_all(range(60), 150)


def test_a_device_that_is_given_though_it_was_seen_to_be_taken_breaks_one_of_a_few_histories(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def sees_nothing(_pool: DevicePool, _seen: Iterable[DeviceSeen], *, complete: bool) -> None:
        """What a refused start tells of its devices is forgotten."""
        assert not complete

    def refused(state: State, event: StartRefused) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(DevicePool, "observe", sees_nothing)
            lifecycle.on_start_refused(state, event)

    monkeypatch.setitem(machine._HANDLERS, StartRefused, refused)
    with pytest.raises(AssertionError, match="told are not free"):
        play_all(range(20), 150)


def test_a_held_group_that_lets_new_tasks_in_breaks_one_of_a_few_histories(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Group, "keeper", lambda _group: None)
    with pytest.raises(AssertionError, match="not held, and its group is"):
        play_all(range(40), 150)


def test_a_closed_pool_that_wakes_nobody_breaks_one_of_a_few_histories(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closures, "plan_wake_up", lambda _state, _pool, _closure: None)
    with pytest.raises(AssertionError, match="and still is"):
        play_all(range(60), 150)


def test_a_dead_pool_that_is_never_probed_again_breaks_one_of_a_few_histories(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cooldowns, "DEAD_PROBE_EVERY", 1 << 50)
    with pytest.raises(AssertionError, match=r"stranded: .* is dead after"):
        play_all(range(3, 20), 150, "pools")


def test_a_limit_that_is_named_though_it_has_room_breaks_one_of_a_few_histories(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lacks = blockers._scalar_lacks

    def names_more(state: State, variant: ShapeVariant, mask: int, ends: Ends, now: int) -> Iterator[Blocker]:
        limits = sum(1 << pool.bit for pool, _ in variant.draws if pool.kind is PoolKind.LIMIT)
        return lacks(state, variant, mask | limits, ends, now)

    monkeypatch.setattr(blockers, "_scalar_lacks", names_more)
    with pytest.raises(AssertionError, match="starts though nobody freed it of"):
        play_all(range(7, 30), 150, "pools")


def test_who_waits_behind_a_worker_and_is_never_called_back_breaks_one_of_a_few_histories(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(warm_order, "_wake_to_recall", lambda _state: None)
    with pytest.raises(AssertionError, match="is not called back"):
        play_all(range(98, 130), 150, "ahead")


def test_a_worker_that_lies_for_ever_breaks_one_of_a_few_histories(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parking, "IDLE_MOST", 1 << 60)
    with pytest.raises(AssertionError, match="is idle since"):
        play_all(range(4, 60), 150, "ahead")


def test_parts_that_only_fail_and_are_never_written_out_break_one_of_a_few_histories(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sources, "_lost_part", lambda _state, _source, _wanted, *, is_roomy: None)
    with pytest.raises(AssertionError, match="left half though nothing else is to come"):
        play_all(range(22, 60), 150, "ahead")


def test_a_source_that_waits_for_a_dead_provider_by_way_of_a_model_inside_it_is_not_left_half() -> None:
    """Its other column's calls fail, on a pool of their own: units would come for those of the first to wait."""
    assert play("pools", 1045, 300).events >= 300


def never_patient_enough(_state: State, _task: Task, _mask: int) -> int:
    """A head never reserves."""
    return 1 << 50


def charges_nobody(_state: State, attempt: Attempt, _millis: int, *, pending: int) -> None:
    """What a group holds costs it nothing."""
    for group in attempt.group.path:
        group.pending += pending


def most_of_what_is_allowed(pool: LimitPool, _now: int) -> int:
    """Who asks more than refusals have left of a limit never goes, though nobody else is there."""
    assert pool.closure is not None
    probed = pool.closure.gate is Gate.HALF_OPEN and pool.closure.probe is None
    limit = pool.closure.limit if pool.closure.gate is Gate.OPEN else pool.capacity if probed else 0
    return min(limit, pool.capacity) - pool.used


@pytest.mark.parametrize(
    ("where", "name", "fault", "seeds"),
    [
        (admission, "patience_of", never_patient_enough, range(1, 5)),
        (Admission, "_reserve", lambda _admission, _task, _blocked: False, range(1, 5)),
        (ledger, "_charge_path", charges_nobody, range(5, 12)),
        (LimitPool, "most", most_of_what_is_allowed, range(3, 4)),
        (admission.Admission, "_wake_at_refill", lambda *_: None, range(1, 2)),
    ],
    ids=["patience without end", "no reservations", "groups for nothing", "low limits", "nobody wakes for a rate"],
)
def test_who_starves_beside_an_endless_load_breaks_one_of_a_few_histories(
    monkeypatch: pytest.MonkeyPatch, where: object, name: str, fault: object, seeds: range
) -> None:
    monkeypatch.setattr(where, name, fault)
    with pytest.raises(AssertionError, match=r"was to start .* ago at the latest"):
        play_all(seeds, 300, "load")


@pytest.mark.parametrize(("crowd", "seed"), [(4, 3), (5, 4), (7, 7)])
def test_who_never_starts_beside_endpoints_that_refuse_breaks_one_history(
    monkeypatch: pytest.MonkeyPatch, crowd: int, seed: int
) -> None:
    """The laws that would tell it sooner are not looked at: it is the bound alone that must be over."""
    fits, begin = Admission._fit, load.Load.__init__

    def fits_all_but_one(walk: Admission, task: Task) -> object:
        return None if (task.key or "").startswith("waits") else fits(walk, task)

    def begin_in_trouble(one: load.Load, home: SimulatedHome, chance: random.Random) -> None:
        begin(one, home, chance)
        one.troubled = True

    monkeypatch.setattr(Admission, "_fit", fits_all_but_one)
    monkeypatch.setattr(load.Load, "__init__", begin_in_trouble)
    monkeypatch.setattr(load, "CROWDS", load.CROWDS[crowd : crowd + 1])
    monkeypatch.setattr("tests.simulation.history._History._watch", lambda *_: None)
    with pytest.raises(AssertionError, match=r"was to start .* ago at the latest"):
        play("load", seed, 300)


def play_all(seeds: range, events: int, mode: str = "safety") -> None:
    """Play them until one breaks a promise."""
    for seed in seeds:
        play(mode, seed, events)


def notes(broken: pytest.ExceptionInfo[BaseException]) -> list[str]:
    """What was added to an error."""
    return list(getattr(broken.value, "__notes__", ()))


def test_many_seeds_are_asked_for_by_number_or_range() -> None:
    assert seeds_of("200") == range(1, 201)
    assert seeds_of("17..17") == range(17, 18)
    (one,) = many(["clocks"], range(3, 4), 100, workers=1)
    assert (one.mode, one.seed, one.broken) == ("clocks", 3, "")
    assert one.told == play("clocks", 3, 100)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--seeds", "abc"], "'abc' names no seeds: give 200 for so many"),
        (["--seeds", "9..3"], "'9..3' names no seeds"),
        (["--seeds", "0"], "'0' names no seeds"),
        (["--events", "0"], "'0' is not a whole number over 0"),
        (["--workers", "x"], "'x' is not a whole number over 0"),
        (["--mode", "foo"], "choose from"),
    ],
)
def test_words_that_name_no_history_are_refused_and_nothing_counts_as_played(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as refused:
        main(words)
    assert refused.value.code == 2
    assert said in capsys.readouterr().err


def test_many_histories_end_with_what_replays_those_that_broke_a_promise(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(lifecycle, "discharge", lambda _state, _attempt: None)
    assert main(["--mode", "safety", "--seeds", "1..2", "--events", "100"]) == 1
    told = capsys.readouterr().out
    assert "2 histories of 100 events" in told
    assert told.splitlines()[-1] == command("safety", 2, 100)
