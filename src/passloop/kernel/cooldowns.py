"""Closed pools: a 429, a Retry-After, a dead endpoint act on the pool, never on code that loops.

A pool is open, cooling until a time, half-open (one probe) or dead. This file holds the arithmetic of one pool's
closure and its adaptive limit; it neither knows tasks nor wakes anybody.
"""

from __future__ import annotations

from enum import StrEnum

from .ids import TaskId
from .tasks import Outcome, OutcomeKind

__all__ = [
    "COOLDOWN_FIRST",
    "DEAD_PROBE_EVERY",
    "PROBE_LIMIT",
    "RETRY_AFTER_MOST",
    "Closure",
    "Gate",
    "blames_pool",
    "is_neutral",
    "jittered",
]

COOLDOWN_FIRST = 1_000
COOLDOWN_MOST = 60_000
JITTER_MOST = 250
SHORT_CYCLES = 10
RETRY_AFTER_MOST = 3_600_000
DEAD_PROBE_EVERY = 60_000
DEAD_PROBES = 5
PROBE_LIMIT = 30_000
CLOSES_AT_ONCE = frozenset({401, 403})
SPORADIC_OF = 50
ALL_WELL = (1 << SPORADIC_OF) - 1
SPORADIC_ONE_OF = 10
ALONE_ONE_OF = 5
TRUSTED_WITH = 20
"""A pool that opens is trusted as if so much had gone well: the next sporadic refusal must not close it again."""
SUCCESSES_PER_STEP = 25
DOUBT_MOST = 6
"""How often the successes that a step wants double where the limit would be as high as when the pool closed: 1,600."""


class Gate(StrEnum):
    """Whether a pool admits: all it has, nothing until a time, one probe, or only a probe each minute."""

    OPEN = "open"
    COOLING = "cooling"
    HALF_OPEN = "half_open"
    DEAD = "dead"


def blames_pool(outcome: Outcome) -> bool:
    """True for an outcome that speaks against a pool and not only against the task."""
    return outcome.kind is OutcomeKind.RATE_LIMITED or outcome.pool is not None


def is_neutral(outcome: Outcome) -> bool:
    """True for an outcome that says nothing about the pools that were drawn on."""
    return outcome.untried or outcome.kind in (OutcomeKind.CANCELLED, OutcomeKind.LOST)


def jittered(millis: int, seed: int) -> int:
    """`millis` plus up to 10 %, from the seed; jitter only adds, and as one probe comes first, a quarter of a second is
    enough to keep engines apart."""
    return millis + (seed * 2_654_435_761 % 2**32) * min(millis // 10, JITTER_MOST) // 2**32


class Closure:
    """One pool's gate and adaptive limit. Times in engine ms.

    `recent` has a bit for each of the last outcomes, 1 where it went well, and `counted` says how many they are.
    `ceiling` is the limit that was in force when it was last lowered, 0 for none; `doubt` is how often it was that in a
    row. `told` is until when it was asked to wait, if `until` says another time: during a probe, and while it is dead.
    """

    __slots__ = (
        "ceiling",
        "closed_at",
        "counted",
        "cycles",
        "doubt",
        "failed_probes",
        "gate",
        "limit",
        "lowered_at",
        "probe",
        "recent",
        "successes",
        "told",
        "until",
    )

    def __init__(self, *, limit: int) -> None:
        self.gate = Gate.OPEN
        self.limit = limit
        self.until: int | None = None
        self.cycles = 0
        self.probe: TaskId | None = None
        self.failed_probes = 0
        self.closed_at: int | None = None
        self.lowered_at = -1
        self.successes = 0
        self.recent = self.counted = 0
        self.ceiling = self.doubt = 0
        self.told = 0

    def succeed(self, *, capacity: int) -> bool:
        """One success while open: every 25 of them raise a lowered limit by one. False if it changes nothing, as where
        all has been well for long.

        The step up to a limit at which the pool closed before wants twice as many, and again twice as many each time
        it closed there in a row: an endpoint that takes fewer at once than it was said to is soon left in peace.
        """
        before = self.recent, self.counted, self.limit, self.ceiling
        self.note(well=True)
        if self.limit >= capacity:
            self.limit = capacity  # or a refusal would lower what is not in force
            if self.recent == ALL_WELL:
                self.ceiling = self.doubt = 0
            return before != (self.recent, self.counted, self.limit, self.ceiling)
        self.successes += 1
        if self.successes >= SUCCESSES_PER_STEP << (self.doubt if self.limit + 1 >= self.ceiling else 0):
            self.successes = 0
            self.limit += 1
            if self.limit > self.ceiling:
                self.ceiling = self.doubt = 0
        return True

    def is_sporadic(self) -> bool:
        """Whether the failure noted last is one of few: at most 10 % of the last 50 outcomes, or of those there are.

        With a success among the two before it may be one of 20 %: where 5 % fail by chance, more than 10 % of 50 often
        do, but what is closed refuses all that comes.
        """
        failed = self.counted - self.recent.bit_count()
        is_alone = bool(self.recent & 0b110)
        return failed * (ALONE_ONE_OF if is_alone else SPORADIC_ONE_OF) <= self.counted

    def note(self, *, well: bool) -> None:
        """Remember how one of the last outcomes was."""
        self.recent = (self.recent << 1 | well) & ALL_WELL
        self.counted = min(self.counted + 1, SPORADIC_OF)

    def fail(self, outcome: Outcome, *, admitted_at: int, now: int, seed: int) -> bool:
        """One bad outcome while open. Returns True if it closed the pool, False if it was sporadic."""
        self.note(well=False)
        if self.is_sporadic() and outcome.status not in CLOSES_AT_ONCE:
            return False
        if admitted_at > self.lowered_at:
            self.doubt = min(self.doubt + 1, DOUBT_MOST) if self.limit == self.ceiling else 1
            self.ceiling = self.limit
            self.limit = max(1, self.limit * 3 // 4)
            self.lowered_at = now
        self.successes = 0
        self.closed_at = now
        self._cool(outcome, now, seed)
        return True

    def extend(self, outcome: Outcome, now: int) -> bool:
        """A late outcome of an attempt admitted before the pool closed: only a longer Retry-After counts.

        While a probe is under way it is kept for later: an answer to that would be newer.
        """
        if outcome.retry_after is None or self.gate is Gate.OPEN:
            return False
        until = now + min(outcome.retry_after, RETRY_AFTER_MOST)
        if self.probe is not None:
            self.told = max(self.told, until)
            return False
        if self.until is not None and until <= self.until:
            return False
        self.until = until
        if self.gate is Gate.HALF_OPEN:
            self.gate = Gate.COOLING
        return True

    def begin_probe(self) -> None:
        """The cooldown is over: admit one."""
        self.gate = Gate.HALF_OPEN
        self.until = None
        self.probe = None
        self.told = 0

    def give_chance(self, now: int) -> None:
        """Somebody new comes to a dead pool: it may be probed at once, unless it was asked to wait longer."""
        told = self.told
        self.begin_probe()
        if told > now:
            self.gate, self.until = Gate.COOLING, told

    def send_probe(self, task: TaskId, now: int) -> None:
        """This task is the probe. It has 30 s, then another may try, though it goes on."""
        self.probe = task
        self.until = now + PROBE_LIMIT

    def pass_probe(self, now: int) -> None:
        """The probe ended without saying anything: the next task may be it, once nobody asks to wait."""
        self.probe = None
        self.until = None
        if self.told > now:
            self.gate, self.until = Gate.COOLING, self.told
        self.told = 0

    def probe_failed(self, outcome: Outcome, *, now: int, seed: int, dead_after: int) -> None:
        """The probe failed: cool again, or die after 5 such probes and `dead_after` ms without a success."""
        self.failed_probes += 1
        self.probe = None
        closed_for = now - (self.closed_at if self.closed_at is not None else now)
        if self.failed_probes >= DEAD_PROBES and closed_for >= dead_after:
            self.gate = Gate.DEAD
            self.told = max(self.told, now + min(outcome.retry_after or 0, RETRY_AFTER_MOST))
            self.until = max(now + DEAD_PROBE_EVERY, self.told)
        else:
            self._cool(outcome, now, seed)
            self.until = max(self.until or 0, self.told)
            self.told = 0

    def open(self) -> None:
        """All is well again. The limit stays where it was lowered to."""
        self.gate = Gate.OPEN
        self.until = None
        self.cycles = 0
        self.probe = None
        self.told = 0
        self.failed_probes = 0
        self.closed_at = None
        self.counted = TRUSTED_WITH
        self.recent = (1 << TRUSTED_WITH) - 1

    def _cool(self, outcome: Outcome, now: int, seed: int) -> None:
        if outcome.retry_after is not None:
            pause = min(outcome.retry_after, RETRY_AFTER_MOST)
        else:
            doublings = max(0, self.cycles + 1 - SHORT_CYCLES)
            pause = min(COOLDOWN_FIRST << min(doublings, 10), COOLDOWN_MOST)
        self.cycles += 1
        self.gate = Gate.COOLING
        self.until = now + jittered(pause, seed)
