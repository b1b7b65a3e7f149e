"""Closing and opening pools: which pool an outcome speaks of, and what follows for it and its parents."""

from __future__ import annotations

from .cooldowns import Closure, Gate, blames_pool, is_neutral
from .fitting import Asker
from .pools import ScalarPool
from .records import Attempt, Shape, Task
from .state import DEFAULT_POLICY, State
from .tasks import Outcome, OutcomeKind
from .wakeups import WakeUp

__all__ = ["dead_end", "ends_run", "give_another_chance", "judge", "on_pool_due", "open_pool", "plan_wake_up"]

_SILENT_PROBE = Outcome(OutcomeKind.TIMEOUT, message="the probe had no answer in time")


def judge(state: State, attempt: Attempt, task: Task, outcome: Outcome) -> list[ScalarPool]:
    """Let each pool the attempt drew on learn from its outcome; gives those that are dead now."""
    pools = [state.pool(name) for name, _ in attempt.allocation.amounts]
    closable = [pool for pool in pools if pool.closure is not None]
    if not closable:
        return []
    blamed = _blamed(state, closable, outcome)
    says_well = blamed is None and not is_neutral(outcome) and outcome.kind is not OutcomeKind.TIMEOUT
    for pool in closable:
        closure = pool.closure
        assert closure is not None
        if closure.probe == task.id:
            _probe_ended(state, pool, closure, outcome, is_blamed=pool is blamed)
        elif pool is blamed:
            _failed(state, pool, closure, attempt, outcome)
        elif closure.gate is Gate.OPEN and says_well:
            if not closure.succeed(capacity=pool.capacity):
                continue
        elif says_well and closure.closed_at is not None and attempt.admitted_at > closure.closed_at:
            closure.open()  # a probe whose time was over, and that was answered after all
            state.stir()
        else:
            continue
        state.touch_pool(pool.name)
    return [pool for pool in closable if pool.gate() is Gate.DEAD]


def dead_end(state: State, task: Asker) -> ScalarPool | None:
    """The dead pool without which a task cannot run, unless its run wants it to wait then."""
    for pool, _ in task.shape.variants[-1].draws:
        if pool.gate() is Gate.DEAD and _wish(state, task, pool) != "wait" and _is_needed(task, pool):
            return pool
    return None


def ends_run(state: State, task: Task, pool: ScalarPool) -> bool:
    """Whether its run wants to end as a whole when this pool is dead."""
    return _wish(state, task, pool) == "end"


def _wish(state: State, task: Asker, pool: ScalarPool) -> str:
    return task.shape.spec.on_dead or state.policies.get(pool.name, DEFAULT_POLICY).on_dead


def _is_needed(task: Asker, pool: ScalarPool) -> bool:
    return all(variant.mask >> pool.bit & 1 for variant in task.shape.variants[task.variant_from :])


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
    """A probe without an answer (cancelled, lost, its time over) passes to the next task; a bad answer cools again; any
    other opens."""
    if is_blamed:
        _probe_failed(state, pool, closure, outcome)
    elif is_neutral(outcome) or outcome.kind is OutcomeKind.TIMEOUT:
        closure.pass_probe(state.now)
        plan_wake_up(state, pool, closure)
    else:
        closure.open()
    state.stir()


def _probe_failed(state: State, pool: ScalarPool, closure: Closure, outcome: Outcome) -> None:
    policy = state.policies.get(pool.name, DEFAULT_POLICY)
    closure.probe_failed(outcome, now=state.now, seed=state.seed, dead_after=policy.dead_after)
    plan_wake_up(state, pool, closure)


def _failed(state: State, pool: ScalarPool, closure: Closure, attempt: Attempt, outcome: Outcome) -> None:
    if closure.gate is not Gate.OPEN:
        if closure.extend(outcome, state.now):
            plan_wake_up(state, pool, closure)
        return
    if closure.fail(outcome, admitted_at=attempt.admitted_at, now=state.now, seed=state.seed):
        plan_wake_up(state, pool, closure)
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
        plan_wake_up(state, parent, parent.closure)
    state.touch_pool(parent.name)


def plan_wake_up(state: State, pool: ScalarPool, closure: Closure) -> None:
    """Wake when the pool may be probed: one wake-up per pool, however many tasks park there."""
    if closure.until is not None:
        state.wakeups.add(closure.until, WakeUp.POOL, pool.name)


def give_another_chance(state: State, shape: Shape) -> None:
    """New work, or a retry, makes the dead pools it draws on half-open, but no sooner than these were told."""
    for variant in shape.variants:
        for pool, _ in variant.draws:
            if pool.closure is not None and pool.gate() is Gate.DEAD:
                pool.closure.give_chance(state.now)
                plan_wake_up(state, pool, pool.closure)
                state.touch_pool(pool.name)
                state.stir()


def on_pool_due(state: State, name: str) -> ScalarPool | None:
    """A cooldown may be over: a pool that is due becomes half-open and admits one probe. Or a probe's time is over:
    then it counts as failed, though it goes on. Gives the pool if that made it dead.
    """
    pool = state.pools.get(name)
    closure = None if pool is None else pool.closure
    if pool is None or closure is None or closure.until is None or closure.until > state.now:
        return None
    if closure.gate is Gate.HALF_OPEN:
        _probe_failed(state, pool, closure, _SILENT_PROBE)
    else:
        closure.begin_probe()
    state.touch_pool(name)
    state.stir()
    return pool if closure.gate is Gate.DEAD else None


def open_pool(state: State, name: str) -> bool:
    """A user opens a closed pool: it becomes half-open. False if there is no such pool or it is open."""
    pool = state.pools.get(name)
    if pool is None or pool.closure is None or pool.closure.gate is Gate.OPEN:
        return False
    pool.closure.begin_probe()
    state.touch_pool(name)
    state.stir()
    return True
