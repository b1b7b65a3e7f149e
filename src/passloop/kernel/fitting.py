"""The predicates of admission: does a task fit now, what does it lack, whom would it delay.

Admission and `why` call the same functions, so a reason is never a guess. They read the state and change nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from .device_pool import Spare
from .events import PoolKind
from .ids import RunId
from .presence import parked_grants
from .records import Shape, ShapeVariant
from .reservations import Room
from .resources import Grant
from .state import State
from .supply import Supply

__all__ = ["Asker", "Fit", "Lack", "all_lack", "could_ever_fit", "fit", "is_able", "lack", "lacks_of", "may_pass"]

Fit = tuple[ShapeVariant, Sequence[Grant]]


class Asker(Protocol):
    """Whoever asks to start: a task, or one that a source would bring."""

    shape: Shape
    variant_from: int
    run: RunId


class Lack(NamedTuple):
    """What a blocked task lacks: the mask of pools over its able variants; `able` could start on an empty box.

    `mask` is 0 if some able variant fits beside what is used: then only reservations stand in the way.
    """

    mask: int
    able: tuple[ShapeVariant, ...]


def fit(state: State, task: Asker, rooms: Sequence[Room], last: frozenset[str], now: int) -> Fit | None:
    """The first variant that fits beside what is used and leaves each reservation in `rooms` what it needs."""
    for variant in task.shape.variants[task.variant_from :]:
        if not _is_there(variant, now):
            continue
        excludes = variant.exclusive or state.node.exclusive
        if excludes and variant.on_node and not state.node.admits(task.run, exclusive=variant.exclusive):
            continue
        grants = _grants(state, task, variant, rooms, last, now)
        if grants is not None:
            return variant, grants
    return None


def _is_there(variant: ShapeVariant, now: int) -> bool:
    """Whether the amounts of a variant could be taken now."""
    for pool, amount in variant.draws:  # noqa: SIM110 - a plain loop, for nothing is asked more often
        if amount > pool.most(now):
            return False
    return True


def _grants(
    state: State, task: Asker, variant: ShapeVariant, rooms: Sequence[Room], last: frozenset[str], now: int
) -> Sequence[Grant] | None:
    """Devices for a variant whose amounts fit; () if it asks none, None if it may not start."""
    if not rooms:
        return () if variant.devices is None else _choose(state, task, variant, last, {})
    bound = task.shape.forecast.bound()
    end = None if bound is None else now + bound[0]
    for room in rooms:
        if _short_amounts(task, variant, room, end):
            return None
    if variant.devices is None:
        return ()
    spare: dict[str, tuple[int, int]] = {}
    for room in rooms:
        if not room.is_passed_by(end):
            for uuid, left in room.devices.items():
                other = spare.get(uuid, left)
                spare[uuid] = (min(left[0], other[0]), min(left[1], other[1]))
    return _choose(state, task, variant, last, spare)


def _choose(
    state: State, task: Asker, variant: ShapeVariant, last: frozenset[str], spare: Spare
) -> Sequence[Grant] | None:
    """Devices for a variant: those of a parked worker that could serve it, else those that suit best."""
    ask = variant.devices
    assert ask is not None
    if task.shape.spec.warm_key is not None:
        for grants in parked_grants(state, task.run, task.shape, variant):
            if all(state.devices.leaves(grant, ask, spare) for grant in grants):
                return grants
    return state.devices.choose(ask, last=last, spare=spare)


def _short_amounts(task: Asker, variant: ShapeVariant, room: Room, end: int | None) -> int:
    """The mask of scalar pools (and the node) in which the variant would delay a reservation; 0 if it would not.

    A draw on a rate outlives the task, so a bound does not help there.
    """
    mask = 0
    passes = room.is_passed_by(end)
    amounts = room.amounts
    for pool, amount in variant.draws:
        left = amounts.get(pool)
        if left is not None and (not passes or pool.kind is PoolKind.RATE) and not left.covers(amount):
            mask |= 1 << pool.bit
    if not passes and variant.on_node and room.excludes(task.run, exclusive=variant.exclusive):
        mask |= 1 << 1
    return mask


def may_pass(state: State, task: Asker, variant: ShapeVariant, room: Room, end: int | None) -> int:
    """The mask of pools in which a variant meets a reservation; 0 if it may pass it."""
    mask = _short_amounts(task, variant, room, end)
    if variant.devices is not None and room.devices and not room.is_passed_by(end):
        mask |= 1 << state.devices.bit
    return mask


def lack(state: State, supply: Supply, asker: Asker, *, lacked: int | None = None) -> Lack:
    """What a task lacks that is not reserved for others, over the variants that could start on an empty box.

    `lacked` is what `all_lack` gave for it, where that was asked just now.
    """
    variants = asker.shape.variants[asker.variant_from :]
    able = tuple([variant for variant in variants if is_able(state, variant)])
    if lacked is not None and len(able) == len(variants):
        return Lack(lacked, able)
    found = 0
    for variant in able:
        mask = supply.lacks(variant, asker.run)
        if not mask:
            return Lack(0, able)
        found |= mask
    return Lack(found, able)


def lacks_of(state: State, variant: ShapeVariant, run: int, now: int) -> int:
    """The mask of pools that have too little free for one variant now."""
    return Supply(state, now).lacks(variant, run)


def all_lack(supply: Supply, shape: Shape, variant_from: int, run: int) -> int:
    """The mask of pools that have too little for any variant now; 0 if some variant lacks nothing."""
    if shape.single:
        return supply.lacks(shape.variants[0], run)
    found = 0
    for variant in shape.variants[variant_from:]:
        mask = supply.lacks(variant, run)
        if not mask:
            return 0
        found |= mask
    return found


def is_able(state: State, variant: ShapeVariant) -> bool:
    """Whether the variant would fit if all our attempts ended now."""
    for pool, amount in variant.draws:
        if not pool.could_admit(amount):
            return False
    return variant.devices is None or state.devices.could_serve(variant.devices)


def could_ever_fit(state: State, shape: Shape) -> bool:
    """Whether some variant fits the box as it is built, whatever is closed, vetoed or quarantined now."""
    for variant in shape.variants:
        amounts = all(amount <= pool.capacity for pool, amount in variant.draws)
        if amounts and (variant.devices is None or state.devices.would_hold(variant.devices)):
            return True
    return False
