"""In which order a walk comes to the groups: at each depth the least virtual time first, then the first place.

It lives for one walk of one priority, and is told after each step. A step moves one group's tasks only, and starts none
but theirs, so that no place and no virtual time changes but on the way to the group whose turn it was: the first of a
heap at each depth. To order G groups costs G once, and log G for each step, not G.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heapify, heappop, heapreplace

from .ready_queue import Lanes
from .records import Group, Place

__all__ = ["Cursor", "GroupOrder"]


class Cursor:
    """How far a walk has come in the lanes of one group, which has this path."""

    __slots__ = ("at", "lanes", "path")

    def __init__(self, lanes: Lanes) -> None:
        self.lanes = lanes
        self.path = lanes.ordered[0].group.path
        self.at = 0

    @property
    def place(self) -> Place | None:
        """The place of the first task that it has not looked at; None at the end."""
        heads = self.lanes.heads
        return heads[self.at] if self.at < len(heads) else None


class GroupOrder:
    """The cursors of groups that are inside one, or of all (`depth` 0), by those right inside it. None is at its end
    when they are given.

    `_turns` is a heap of who is inside. `_places` is another, of where each of them comes first, made once it is asked
    for; as places only grow, one that is out of date is noticed when it comes up.
    """

    __slots__ = ("_places", "_turns")

    def __init__(self, cursors: Sequence[Cursor], depth: int = 0) -> None:
        inside: dict[Group, list[Cursor]] = {}
        for cursor in cursors:
            inside.setdefault(cursor.path[depth], []).append(cursor)
        self._places: list[tuple[Place, GroupOrder | Cursor]] | None = None
        self._turns: list[tuple[int, Place, str, Group, GroupOrder | Cursor]] = []
        for group, own in inside.items():
            one = own[0] if len(own) == 1 else GroupOrder(own, depth + 1)
            if (place := one.place) is not None:
                self._turns.append((group.virtual_time, place, group.name, group, one))
        heapify(self._turns)

    @property
    def place(self) -> Place | None:
        """The least place of all inside; None if all are at the end."""
        places = self._places
        if places is None:
            places = self._places = [(turn[1], turn[4]) for turn in self._turns]
            heapify(places)
        while places:
            known, one = places[0]
            place = one.place
            if place == known:
                return place
            if place is None:
                heappop(places)
            else:
                heapreplace(places, (place, one))
        return None

    def first(self) -> tuple[Cursor, Place | None] | None:
        """Whose turn it is, and after which place another's that had as little; None if all are at the end."""
        until: Place | None = None
        one: GroupOrder | Cursor = self
        while isinstance(one, GroupOrder):
            turns = one._turns
            if not turns:
                return None
            if len(turns) > 1:
                second = turns[1] if len(turns) == 2 or turns[1] < turns[2] else turns[2]
                if second[0] == turns[0][0]:
                    until = second[1] if until is None else min(until, second[1])
            one = turns[0][4]
        return one, until

    def step(self) -> None:
        """Whose turn it was has gone on, and may have started somebody: it goes where it belongs now."""
        _, _, name, group, one = self._turns[0]
        if isinstance(one, GroupOrder):
            one.step()
        place = one.place
        if place is None:
            heappop(self._turns)
        else:
            heapreplace(self._turns, (group.virtual_time, place, name, group, one))
