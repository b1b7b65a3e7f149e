"""Closing and opening pools: which pool an outcome speaks of, and what follows for it and its parents."""

from __future__ import annotations

from .cooldowns import Closure, Gate, blames_pool
from .pools import ScalarPool
from .records import Attempt, Shape, Task
from .state import PoolPolicy, State
from .tasks import Outcome, OutcomeKind
from .wakeups import WakeUp

__all__ = ["give_another_chance", "judge", "on_pool_due", "open_pool"]

_NEUTRAL = {OutcomeKind.CANCELLED, OutcomeKind.LOST}


def judge(state: State, attempt: Attempt, task: Task, outcome: Outcome) -> list[ScalarPool]:
    """Let each pool the attempt drew on learn from its outcome; gives the pools that are dead now and say `fail`."""
    pools = [state.pool(name) for name, _ in attempt.allocation.amounts]
    closable = [pool for pool in pools if pool.closure is not None]
    if not closable:
        return []
    blamed = _blamed(state, closable, outcome)
    for pool in closable:
        closure = pool.closure
        assert closure is not None
        if closure.probe == task.id:
            _probe_ended(state, pool, closure, outcome, is_blamed=pool is blamed)
        elif pool is blamed:
            _failed(state, pool, closure, attempt, outcome)
        elif closure.gate is Gate.OPEN and outcome.kind not in _NEUTRAL and blamed is None:
            closure.succeed(capacity=pool.capacity)
        else:
            continue
        state.touch_pool(pool.name)
    return [pool for pool in closable if pool.gate() is Gate.DEAD and state.policies[pool.name].on_dead == "fail"]


def _blamed(state: State, pools: list[ScalarPool], outcome: Outcome) -> ScalarPool | None:
    """The pool the outcome names, else the deepest one drawn on; None if it blames none."""
    if not blames_pool(outcome):
        return None
    if outcome.pool is not None:
        return state.pool(outcome.pool)
    return max(pools, key=_depth)


def _depth(pool: ScalarPool) -> int:
    depth = 0
    while pool.parent is not None:
        pool = pool.parent
        depth += 1
    return depth


def _probe_ended(state: State, pool: ScalarPool, closure: Closure, outcome: Outcome, *, is_blamed: bool) -> None:
    """A probe that ended cancelled or lost passes to the next task; a bad answer cools again; any other opens."""
    if outcome.kind in _NEUTRAL:
        closure.probe = None
    elif is_blamed:
        policy = state.policies.get(pool.name, PoolPolicy())
        closure.probe_failed(outcome, now=state.now, seed=state.seed, dead_after=policy.dead_after)
        _plan(state, pool, closure)
    else:
        closure.open()
    state.stir()


def _failed(state: State, pool: ScalarPool, closure: Closure, attempt: Attempt, outcome: Outcome) -> None:
    if closure.gate is not Gate.OPEN:
        if closure.extend(outcome, state.now):
            _plan(state, pool, closure)
        return
    if closure.fail(outcome, admitted_at=attempt.admitted_at, now=state.now, seed=state.seed):
        _plan(state, pool, closure)
        _close_parent(state, pool, outcome)
    state.stir()


def _close_parent(state: State, pool: ScalarPool, outcome: Outcome) -> None:
    """An endpoint whose every model is closed is closed itself."""
    parent = pool.parent
    if parent is None or parent.closure is None or parent.closure.gate is not Gate.OPEN:
        return
    children = [child for child in state.pools.values() if child.parent is parent]
    if len(children) < 2 or any(child.gate() is Gate.OPEN for child in children):
        return
    if parent.closure.fail(outcome, admitted_at=state.now, now=state.now, seed=state.seed):
        _plan(state, parent, parent.closure)
        state.touch_pool(parent.name)


def _plan(state: State, pool: ScalarPool, closure: Closure) -> None:
    """Wake when the pool may be probed: one wake-up per pool, however many tasks park there."""
    if closure.until is not None:
        state.wakeups.add(closure.until, WakeUp.POOL, pool.name)


def give_another_chance(state: State, shape: Shape) -> None:
    """New work, or a retry, makes the dead pools it draws on half-open."""
    for variant in shape.variants:
        for pool, _ in variant.draws:
            if pool.gate() is Gate.DEAD:
                open_pool(state, pool.name)


def on_pool_due(state: State, name: str) -> None:
    """A cooldown may be over: a pool that is due becomes half-open and admits one probe."""
    pool = state.pools.get(name)
    if pool is None or pool.closure is None:
        return
    closure = pool.closure
    if closure.gate in (Gate.COOLING, Gate.DEAD) and closure.until is not None and closure.until <= state.now:
        closure.begin_probe()
        state.touch_pool(name)
        state.stir()


def open_pool(state: State, name: str) -> bool:
    """A user opens a closed pool: it becomes half-open. False if there is no such pool or it is open."""
    pool = state.pools.get(name)
    if pool is None or pool.closure is None or pool.closure.gate is Gate.OPEN:
        return False
    pool.closure.begin_probe()
    state.touch_pool(name)
    state.stir()
    return True
