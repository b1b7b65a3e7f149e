"""Laws of rates and of closed pools, over calls that end in every way: judged after each turn from the rows alone.

Draws are replayed from the ledger (`tests/support/pool_oracle.py`): never more in a minute than the rate, and nobody
waits for what is there; nobody calls a pool that is closed but its one probe, and none before a Retry-After is over.
"""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import given, settings

from passloop.kernel.events import Exited, PoolDeclared, PoolKind
from passloop.kernel.ids import PoolName
from passloop.kernel.pools import NO_RATE
from passloop.kernel.tasks import AttemptRow, OutcomeKind
from tests.support.builders import HOUR, MINUTE, SECOND, ask, outcome
from tests.support.watched import WatchedWorld

TOKENS, MODEL = PoolName("tokens"), PoolName("model")
ASKS = (ask(model=1, tokens=10), ask(model=1, tokens=30), ask(tokens=60), ask(model=2, tokens=20), ask(tokens=5))
PAUSES = (0, 300, 5 * SECOND, 30 * SECOND, MINUTE, MINUTE + 2 * SECOND)
WAITS = (None, 2 * SECOND, 90 * SECOND, 2 * HOUR)
STEP = st.one_of(
    st.tuples(st.just("call"), st.integers(0, len(ASKS) - 1)),
    st.tuples(st.just("call"), st.integers(0, len(ASKS) - 1)),
    st.tuples(st.sampled_from(("answer", "answer", "answer", "fail", "untried")), st.integers(0, 80)),
    st.tuples(st.just("refuse"), st.integers(0, 80)),
    st.tuples(st.just("wait"), st.integers(0, len(PAUSES) - 1)),
    st.tuples(st.just("wait"), st.integers(0, len(PAUSES) - 1)),
    st.tuples(st.just("declare"), st.sampled_from((60, 100, 300, NO_RATE))),
    st.tuples(st.just("restart"), st.just(0)),
)


class Calls(WatchedWorld):
    """A model with three places and a rate of tokens, and until when it said to be left in peace."""

    def __init__(self) -> None:
        super().__init__(gpus=0)
        self.told = self.last_before = 0
        self.declare("model", PoolKind.LIMIT, 3)
        self.declare("tokens", PoolKind.RATE, 100)

    def take(self, what: str, number: int) -> None:
        """What happens next."""
        match what:
            case "call":
                self.submit(ASKS[number], driver="calls")
            case "wait":
                self.advance(PAUSES[number])
                self.send()
            case "declare":
                self.send(PoolDeclared(TOKENS, PoolKind.RATE, number))
            case "restart":
                self.restart()
            case _:
                self._end_one(what, number)
        self._check_peace()
        if self._gate() == "open":
            self.told = 0

    def _end_one(self, how: str, number: int) -> None:
        rows = self.rows.open_attempts()
        if not rows:
            return
        row = rows[number % len(rows)]
        said, last = WAITS[number % len(WAITS)], max(self.rows.attempts)
        kind, words = {
            "answer": (OutcomeKind.SUCCESS, {"used": ((TOKENS, number),)}),
            "fail": (OutcomeKind.FAILURE, {"uncounted": True}),
            "untried": (OutcomeKind.LOST, {"engine_lost": True, "untried": True}),
            "refuse": (OutcomeKind.RATE_LIMITED, {"status": 429, "retry_after": said}),
        }[how]
        self.send(Exited(row.id, row.epoch, outcome(kind, **words)))
        named_model = MODEL in dict(row.allocation.amounts)
        if how == "refuse" and named_model and said is not None and self._gate() != "open":
            self.told, self.last_before = max(self.told, self.now + min(said, HOUR)), last

    def _gate(self) -> str:
        return next(str(pool.gate) for pool in self.machine.pools(self.now) if pool.name == MODEL)

    def _check_peace(self) -> None:
        """Whoever calls a model that is closed does so when all that it told is over."""
        early = [row for row in self.rows.open_attempts() if self._is_early(row)]
        assert not early, f"the model said until {self.told}, and {early} call it"

    def _is_early(self, row: AttemptRow) -> bool:
        return MODEL in dict(row.allocation.amounts) and row.id > self.last_before and row.admitted_at < self.told


@settings(max_examples=60, deadline=None)
@given(steps=st.lists(STEP, min_size=5, max_size=60))
def test_rates_hold_and_give_and_closed_pools_are_left_in_peace(steps: list[tuple[str, int]]) -> None:
    world = Calls()
    for what, number in steps:
        world.take(what, number)
