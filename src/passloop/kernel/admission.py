"""Which ready tasks start now. One pass, a function of the state alone; it never waits and never repeats itself.

A pass walks the first task of each lane, in order (`3-kernel.md`, "Admission"):
  1. those that hold a reservation come first within their priority, in the order they reserved;
  2. a task is admitted if it fits beside what is used and leaves each reservation before it what that needs;
  3. a blocked task is a head if no pool it asks is lacked, and no pool it lacks reserved, by a task before it;
  4. a head whose patience is over reserves;
  5. a task that would not fit even on an empty box delays nobody.
The walk is complete on each pass; lanes that ask an exhausted pool and cannot be heads cost one comparison.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .ends import Ends
from .events import PoolKind
from .fitting import Fit, Lack, all_lack, fit, is_able, lack, may_pass
from .group_order import Cursor, GroupOrder
from .ready_queue import Lane, Lanes
from .records import Place, ShapeVariant, Task
from .reservations import Room, last_resort, plan, refill_beside, renew, room_for
from .resources import Grant
from .source_rows import SourceState
from .state import State
from .supply import Supply
from .warm_order import is_parked_for, note_overtaking, overtaking_lane

__all__ = ["Admission", "patience_of"]

Admit = Callable[[Task, ShapeVariant, Sequence[Grant]], None]


@dataclass(slots=True)
class _Walk:
    """What a pass has met so far: pools lacked and reserved by tasks before, and the room they leave."""

    lacked: int
    reserved: int
    rooms: list[Room]
    last: frozenset[str]


class Admission:
    """One pass over the ready tasks. `admit` charges the ledger and gives the order to start."""

    def __init__(self, state: State, admit: Admit) -> None:
        self._state = state
        self._now = state.now
        self._admit = admit
        self._ends = Ends(state, state.now)
        self._walk = _Walk(0, 0, [], frozenset())
        self._supply = Supply(state, state.now)
        self._node_in_play = state.node_in_play()
        self._runs_parked = {worker.run for worker in state.workers.by_id.values() if worker.parked}
        self._charged = False
        self._is_to_be_repeated = False
        self._in_the_way: list[Room] = []

    def run(self) -> bool:
        """Walk all priorities, highest first.

        True if the walk must be repeated: what it charged may put another group's tasks first, a pool that got its
        probe is closed to those before, and who met but a reservation may lack something since somebody after it
        started. A walk that starts nobody changes none of that, so the repetition ends.
        """
        state = self._state
        state.wakeups.forget_pass()
        if state.draining or state.paused:
            return False
        priorities = set(state.queue.priorities)
        priorities.update(task.priority for task in state.reserved)
        for priority in sorted(priorities, reverse=True):
            for task in [task for task in state.reserved if task.priority == priority]:
                self._try_reserved(task)
            level = state.queue.levels.get(priority)
            if level:
                self._walk_level(level)
        self._plan_wake_ups()
        return self._is_to_be_repeated or (
            self._charged and len(state.queue.groups_with_work()) > 1 and not self._who_is_left_can_only_wait()
        )

    def _who_is_left_can_only_wait(self) -> bool:
        """Whether no other order could start or reserve anything: all that is ready asks a place that is not there."""
        exhausted = self._supply.exhausted
        waiting = (lane.shape.in_line and lane.shape.single & exhausted for lane in self._state.queue.lanes())
        return not self._state.reserved and all(waiting)

    def _walk_level(self, level: dict[str, Lanes]) -> None:
        """Walk the lanes of one priority: the group with the least virtual time first, its lanes in order."""
        cursors = [Cursor(lanes) for lanes in level.values()]
        if len(cursors) == 1:  # mostly
            while cursors[0].place is not None:
                self._walk_lanes(cursors[0], None)
            return
        order = GroupOrder(cursors)
        while (turn := order.first()) is not None:
            self._walk_lanes(*turn)
            order.step()

    def _walk_lanes(self, cursor: Cursor, until: Place | None) -> None:
        """Walk the lanes of one group until somebody started, which changes the order, or another group comes first."""
        walk, supply, lanes, parked = self._walk, self._supply, cursor.lanes, self._runs_parked
        while cursor.at < len(lanes.ordered):
            lane = lanes.ordered[cursor.at]
            shape = lane.shape
            if parked and lanes.heads[cursor.at][0] in parked and self._serve_first(lanes, cursor.at):
                return
            # what follows is true of most lanes: it can neither start, nor be a head, nor add to what is lacked
            hopeless = not shape.mask & ~(walk.lacked & ~supply.refilling) and shape.single & supply.exhausted
            if not (hopeless and not (self._node_in_play and shape.on_node)) and self._try_lane(lane):
                return
            cursor.at += 1
            if until is not None and (place := cursor.place) is not None and place > until:
                return

    def _try_reserved(self, task: Task) -> None:
        """A task with a reservation: start it, renew what it keeps, or let it drop what it can never use."""
        walk, state = self._walk, self._state
        found = self._fit(task)
        if found is not None:
            self._start(task, found, reserved=True)
            return
        blocked = lack(state, self._supply, task)
        self._wake_at_refill(blocked, blocked.mask or self._conflicts(task, blocked))
        renewed = renew(state, task, walk.rooms, self._ends) if blocked.able else None
        if renewed is None or not any(v.index == renewed.allocation.variant for v in blocked.able):
            state.drop_reservation(task)
            return
        if renewed is not task.reservation:
            task.reservation = renewed
            state.touch(task)
        self._keep(task)
        walk.lacked |= blocked.mask

    def _serve_first(self, lanes: Lanes, at: int) -> bool:
        """Serve a later task of the run by a worker that is parked for it, before the lane at `at`, if it may be."""
        state = self._state
        lane = overtaking_lane(state, lanes, at)
        if lane is None or lane.head is None:
            return False
        task = state.tasks[lane.head[3]]
        found = None if all_lack(self._supply, task.shape, task.variant_from, task.run) else self._fit(task)
        if found is None or not is_parked_for(state, task, found[0].index, found[1]):
            return False
        self._start(task, found, reserved=False)
        note_overtaking(state, task)
        return True

    def _try_lane(self, lane: Lane) -> bool:
        """Try the first task of a lane. True if it left the lane: started, or took a reservation."""
        walk, supply = self._walk, self._supply
        assert lane.head is not None
        mask = all_lack(supply, lane.shape, lane.variant_from, lane.head[0])
        if mask and not mask & ~(walk.lacked & ~supply.refilling):
            return False  # it lacks nothing new: so it is no head, and tells those after it nothing
        if mask and lane.shape.in_line and not mask & supply.refilling:
            # order alone serves it, so it is no head: it only tells those after it what it lacks
            if is_able(self._state, lane.shape.variants[0]):
                walk.lacked |= mask
            return False
        task = self._state.tasks[lane.head[3]]
        found = None if mask else self._fit(task)
        if found is None:
            return self._note_blocked(task, mask)
        self._start(task, found, reserved=False)
        return True

    def _note_blocked(self, task: Task, lacked: int) -> bool:
        """A task cannot start: what it lacks counts for those after it. True if it took a reservation."""
        blocked = lack(self._state, self._supply, task, lacked=lacked)
        if not blocked.able:
            return False
        mask = blocked.mask or self._conflicts(task, blocked)
        self._wake_at_refill(blocked, mask)
        asks = task.shape.mask | (1 << self._state.node.bit if self._node_in_play and task.shape.on_node else 0)
        is_head = not asks & self._walk.lacked and not mask & self._walk.reserved and not task.shape.in_line
        reserves = is_head and self._patience_is_over(task, mask) and self._reserve(task, blocked)
        self._walk.lacked |= mask
        return reserves

    def _fit(self, task: Task) -> Fit | None:
        return fit(self._state, task, self._walk.rooms, self._walk.last, self._now)

    def _conflicts(self, task: Task, blocked: Lack) -> int:
        """The pools in which a task that fits beside what is used meets reservations; those are noted."""
        mask = 0
        end = self._end_of(task)
        for room in self._walk.rooms:
            met = 0
            for variant in blocked.able:
                met |= may_pass(self._state, task, variant, room, end)
            if met:
                self._in_the_way.append(room)
            mask |= met
        return mask

    def _end_of(self, task: Task) -> int | None:
        bound = task.shape.forecast.bound()
        return None if bound is None else self._now + bound[0]

    def _start(self, task: Task, found: Fit, *, reserved: bool) -> None:
        variant, grants = found
        if reserved:
            self._state.reserved.remove(task)
        else:
            self._state.queue.remove(task)
        if self._in_the_way or variant.mask & self._supply.probed:
            self._is_to_be_repeated = True
        self._admit(task, variant, grants)
        self._supply.take(variant, grants)
        self._charged = True
        if self._walk.rooms:
            end = self._end_of(task)
            for room in self._walk.rooms:
                if not room.is_passed_by(end):
                    room.take(variant, grants)

    def _patience_is_over(self, task: Task, mask: int) -> bool:
        state = self._state
        if task.head_since is None:
            task.head_since = self._now
            task.patience = patience_of(state, task, mask)
            state.touch(task)
        assert task.patience is not None
        over = task.head_since + task.patience
        if over > self._now:
            state.wakeups.plan_pass(over)
        return over <= self._now

    def _reserve(self, task: Task, blocked: Lack) -> bool:
        """The head reserves for the variant with the earliest shadow time; it now goes before those not reserved."""
        state = self._state
        reservation = plan(state, task, blocked.able, self._walk.rooms, self._ends, self._now)
        if reservation is None:
            return False
        state.queue.remove(task)
        task.reservation = reservation
        insort(state.reserved, task, key=_turn)
        state.touch(task)
        self._keep(task)
        return True

    def _keep(self, task: Task) -> None:
        """Note what a reservation takes from the tasks after it."""
        walk = self._walk
        room = room_for(self._state, task, walk.rooms, self._ends, self._now)
        walk.rooms.append(room)
        walk.last = last_resort(walk.rooms)
        assert task.reservation is not None
        variant = task.shape.variants[task.reservation.allocation.variant]
        walk.reserved |= variant.mask
        if variant.exclusive or self._node_in_play:
            walk.reserved |= 1 << self._state.node.bit

    def _wake_at_refill(self, blocked: Lack, mask: int) -> None:
        """A rate refills by time alone: look again when it has what is lacked, or met, beside what is kept of it."""
        if not mask & self._supply.refilling:
            return
        draws = (draw for variant in blocked.able for draw in variant.draws)
        lacked = (draw for draw in draws if draw[0].kind is PoolKind.RATE and mask >> draw[0].bit & 1)
        for pool, amount in lacked:
            refill = refill_beside(self._walk.rooms, pool, amount, self._now)
            if refill is not None:
                self._state.wakeups.plan_pass(refill)

    def _plan_wake_ups(self) -> None:
        """Look again at the shadow time of each reservation that keeps somebody out who else would start, and when a
        holder outruns its bound, which moves that time: to whoever lacks what is used, it makes no difference.
        """
        rooms = self._walk.rooms if self._keeps_units_out() else self._in_the_way
        for shadow in {room.shadow for room in rooms if room.shadow_time is not None}:
            for time in (shadow[1], self._ends.changes_before(shadow)):
                if time is not None and time > self._now:
                    self._state.wakeups.plan_pass(time)

    def _keeps_units_out(self) -> bool:
        """Whether reservations may be all that keeps a source from being asked for what could start at once."""
        if not self._walk.rooms:
            return False
        sources = self._state.sources.values()
        asking = (one for one in sources if one.state is SourceState.OPEN and not one.held and not one.plan.ahead)
        return any(not all_lack(self._supply, node.shape, 0, one.run) for one in asking for node in one.nodes)


def _turn(task: Task) -> tuple[int, int]:
    """Where a task with a reservation stands: by priority, then in the order they reserved."""
    assert task.reservation is not None
    return -task.priority, task.reservation.order


def patience_of(state: State, task: Task, mask: int) -> int:
    """How long in ms a head waits before it reserves, fixed when it first is a head.

    0 if every holder of what it lacks has an enforced limit or if it lacks only limits and rates; else twice the
    longest learned p95 of those holders; an hour while nothing at all is learned; at most 8 hours.
    """
    if task.shape.spec.patience is not None:
        return task.shape.spec.patience
    settings = state.settings
    learned = []
    unlearned = False
    for attempt in state.holders_of(mask):
        bound = attempt.shape.forecast.bound()
        if bound is None:
            unlearned = True
        elif not bound[1]:
            learned.append(bound[0])
    if learned:
        return min(2 * max(learned), settings.patience_most)
    return min(settings.patience_unlearned, settings.patience_most) if unlearned else 0
