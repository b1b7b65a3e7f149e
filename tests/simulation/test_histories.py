"""Seeded histories of the real engine and store: safety under any faults, liveness once they heal.

A failing seed prints the command that replays it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from passloop.kernel.tasks import FINAL_STATES

from .actions import act, die, release
from .world import Simulation

SEEDS = range(1, 13)
STEPS = 60
PATIENCE = 200


@pytest.mark.parametrize("seed", SEEDS)
async def test_any_history_is_safe_and_ends_once_faults_heal(tmp_path: Path, seed: int) -> None:
    replay = f"python -m pytest 'tests/simulation/test_histories.py' -k 'heal and {seed}'"
    one = Simulation(tmp_path, seed)
    await one.open()
    try:
        await one.settle()
        for _ in range(STEPS):
            await act(one)
            await one.check_store()
        await die(one)
        await heal_and_finish(one)
    except Exception as error:
        error.add_note(f"seed {seed}; replay it with: {replay}")
        raise
    finally:
        await one.close()


async def heal_and_finish(one: Simulation) -> None:
    """After the last fault every task becomes final, and everything that was taken is free again."""
    await one.heal()
    await release(one)
    for _ in range(PATIENCE):
        states = one.store.states_of(one.acknowledged)
        if set(states.values()) <= FINAL_STATES and not len(one.engine.attempts):
            break
        await one.advance(600_000)
    await one.check_store()
    left = {task: state for task, state in one.store.states_of(one.acknowledged).items() if state not in FINAL_STATES}
    why = {task: one.engine.turns.machine.explain(task, one.clock.now()) for task in left}
    assert not left, f"{left} because {why}"
    pools = one.engine.turns.machine.pools(one.clock.now())
    assert all(pool.used == 0 for pool in pools)
    assert all(device.free_share == 10_000 for device in one.engine.turns.machine.devices())


async def test_one_seed_is_one_history(tmp_path: Path) -> None:
    journals = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        one = Simulation(tmp_path / name, 77)
        await one.open()
        for _ in range(25):
            await act(one)
        with one.store.reader() as reader:
            journals.append([(row.now, row.seed, row.events, row.touched) for row in reader.journal()])
        await one.close()
    assert journals[0] == journals[1]
