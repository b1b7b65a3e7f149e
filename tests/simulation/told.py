"""What an endpoint said about one of its pools, as those heard it who called, and who may call that pool until when.

It knows the published rules (`docs/design/calls.md`: what is sporadic, what opens) and times; it asks no engine. An
answer that an engine heard and lost by its death before it was kept counts for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

__all__ = ["Heard", "ToldToWait"]

HOUR = 3_600_000
LAST = 50
TRUSTED = 20
TURN = 30
"""In how many ms what was heard is committed: a call that is sent sooner was committed to before."""


class Heard(NamedTuple):
    """An answer to the call of `key` that was sent then and is heard now (ms). `wait` is what it asks, 0 of a good one;
    `refused` says that it is no answer.
    """

    key: str
    sent: int
    at: int
    refused: bool
    wait: int = 0


class ToldToWait:
    """One pool. It is shut from a refusal that is not sporadic on, until a call that was sent later is answered."""

    def __init__(self) -> None:
        self._heard: list[Heard] = []
        self._begin()

    def _begin(self) -> None:
        self._recent: list[bool] = []
        self.shut_at: int | None = None
        self._waits: list[tuple[int, int]] = []

    def hear(self, one: Heard) -> None:
        """An engine that lives hears this."""
        self._heard.append(one)
        self._judge(one)

    def keep(self, kept: Mapping[str, int]) -> None:
        """Its engine died, and had kept so many answers of each key: the others were never heard."""
        seen: dict[str, int] = {}
        still: list[Heard] = []
        for one in self._heard:
            seen[one.key] = seen.get(one.key, 0) + 1
            if seen[one.key] <= kept.get(one.key, 0):
                still.append(one)
        self._heard = still
        self._begin()
        for one in still:
            self._judge(one)

    def waits_for(self, sent: int) -> int | None:
        """Until when nobody may call, if a call that is sent then must not be."""
        return max((until for since, until in self._waits if since + TURN < sent < until), default=None)

    def _judge(self, one: Heard) -> None:
        if self.shut_at is None:
            self._recent = [*self._recent, not one.refused][-LAST:]
            if not one.refused or self._is_sporadic():
                return
            self.shut_at = one.at
        elif not one.refused:
            if one.sent > self.shut_at:
                self._begin()
                self._recent = [True] * TRUSTED
            return
        if one.wait:
            self._waits.append((one.at, one.at + min(one.wait, HOUR)))

    def _is_sporadic(self) -> bool:
        failed = self._recent.count(False)
        is_alone = True in self._recent[-3:-1]
        return failed * (5 if is_alone else 10) <= len(self._recent)
