"""Ready tasks by priority, group and shape, each lane in order of place.

The queue only orders; it decides nothing. A lane holds the ready tasks of one shape in one group at one priority (and
with the same variants left), so that a pass looks at one task per lane.
Tasks that hold a reservation are not here: they go first.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterator
from heapq import heappop, heappush

from .records import Group, Place, Shape, Task

__all__ = ["Lane", "Lanes", "ReadyQueue"]

LaneKey = tuple[int, str, Shape, int]
"""(priority, group, shape, first variant that may still be used)."""


def _key(task: Task) -> LaneKey:
    return (task.priority, task.group.name, task.shape, task.variant_from)


class Lane:
    """Ready tasks that ask the same, in order of place. `head` is the first place; a lane in the queue has one.

    Places usually arrive in order and go to the tail of `_tail`; those that do not (retries) go to a heap beside it.
    A task taken out of the middle is only noted in `_gone` and dropped when it comes up.
    """

    __slots__ = ("_gone", "_heap", "_tail", "count", "group", "head", "key", "priority", "shape", "variant_from")

    def __init__(self, priority: int, group: Group, shape: Shape, key: LaneKey) -> None:
        self.key = key
        self.priority = priority
        self.group = group
        self.shape = shape
        self.variant_from = key[3]
        self.head: Place | None = None
        self.count = 0
        self._tail: deque[Place] = deque()
        self._heap: list[Place] = []
        self._gone: set[int] = set()

    def push(self, place: Place) -> None:
        """Add a task that is not in the lane."""
        self.count += 1
        if place[3] in self._gone:
            self._gone.discard(place[3])
        elif not self._tail or place > self._tail[-1]:
            self._tail.append(place)
        else:
            heappush(self._heap, place)
        self._settle()

    def remove(self, place: Place) -> None:
        """Take out a task that is in the lane."""
        self.count -= 1
        if place == self.head:
            self._drop_first()
        else:
            self._gone.add(place[3])
        self._settle()

    def places(self) -> list[Place]:
        """All places, in no particular order."""
        places = [*self._tail, *self._heap]
        return [place for place in places if place[3] not in self._gone] if self._gone else places

    def _drop_first(self) -> Place:
        if self._heap and (not self._tail or self._heap[0] < self._tail[0]):
            return heappop(self._heap)
        return self._tail.popleft()

    def _settle(self) -> None:
        """Find the first place that is still there."""
        while True:
            heap, tail = self._heap, self._tail
            if heap and (not tail or heap[0] < tail[0]):
                first = heap[0]
            elif tail:
                first = tail[0]
            else:
                self.head = None
                return
            if first[3] not in self._gone:
                self.head = first
                return
            self._gone.discard(self._drop_first()[3])


class Lanes:
    """The lanes of one group at one priority, in order of their heads; `heads` are those, kept beside for searching."""

    __slots__ = ("heads", "ordered")

    def __init__(self) -> None:
        self.heads: list[Place] = []
        self.ordered: list[Lane] = []

    def __len__(self) -> int:
        return len(self.heads)

    def __getitem__(self, at: int) -> Lane:
        return self.ordered[at]

    def __iter__(self) -> Iterator[Lane]:
        return iter(self.ordered)

    def move(self, lane: Lane, before: Place | None) -> None:
        """A lane has another first task than `before`, or its first, or none any more: it goes where it belongs."""
        head, heads = lane.head, self.heads
        if before is not None:
            at = bisect_left(heads, before)
            if head is not None and (not at or heads[at - 1] < head) and (at + 1 == len(heads) or head < heads[at + 1]):
                heads[at] = head
                return
            del heads[at]
            del self.ordered[at]
        if head is not None:
            at = bisect_left(heads, head)
            heads.insert(at, head)
            self.ordered.insert(at, lane)


class ReadyQueue:
    """All lanes: by priority (descending), by group, in order of their heads."""

    __slots__ = ("_lanes", "levels", "priorities")

    def __init__(self) -> None:
        self._lanes: dict[LaneKey, Lane] = {}
        self.levels: dict[int, dict[str, Lanes]] = {}
        self.priorities: list[int] = []

    def __len__(self) -> int:
        return sum(lane.count for lane in self._lanes.values())

    def lanes(self) -> Iterator[Lane]:
        """All lanes that hold a task."""
        return iter(self._lanes.values())

    def push(self, task: Task) -> None:
        """Add a ready task."""
        key = _key(task)
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = Lane(task.priority, task.group, task.shape, key)
        before = lane.head
        lane.push(task.place)
        self._reposition(lane, before)

    def remove(self, task: Task) -> None:
        """Take out a task that is in the queue."""
        self.remove_from(self._lanes[_key(task)], task.place)

    def remove_from(self, lane: Lane, place: Place) -> None:
        """Take a place out of its lane."""
        before = lane.head
        lane.remove(place)
        self._reposition(lane, before)

    def groups_with_work(self) -> set[str]:
        """Names of the groups that have a ready task."""
        return {group for level in self.levels.values() for group in level}

    def _reposition(self, lane: Lane, before: Place | None) -> None:
        if lane.head == before:
            return
        level = self.levels.get(lane.priority)
        if level is None:
            level = self.levels[lane.priority] = {}
            insort(self.priorities, lane.priority, key=lambda p: -p)
        lanes = level.get(lane.group.name)
        if lanes is None:
            lanes = level[lane.group.name] = Lanes()
        lanes.move(lane, before)
        if lane.head is not None:
            return
        del self._lanes[lane.key]
        if not lanes:
            del level[lane.group.name]
        if not level:
            del self.levels[lane.priority]
            self.priorities.remove(lane.priority)
