"""What holds of any study, in whatever order its trials end, however often the engine dies, whatever fails: nothing is
measured twice, no score is moved, no more trials run at once than allowed, and the best is what the store says it is.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from passloop.apps.tune.records import Order
from passloop.apps.tune.scoring.best import best_trial
from tests.support.tuned import Tuned
from tests.unit.apps.tune.studies import GOOD, study

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("end"), st.integers(0, 2), st.booleans()),
        st.tuples(st.just("die"), st.just(0), st.just(True)),
    ),
    max_size=14,
)
SEARCHES = st.fixed_dictionaries(
    {
        "sampler": st.sampled_from(["random", "tpe", "bruteforce"]),
        "seed": st.integers(0, 5),
        "max_parallel": st.integers(1, 3),
        "max_trials": st.integers(1, 12),
        "baseline": st.sampled_from([False, {"batch": 64, "slots": 1}]),
    }
)


def value_of(order: Order) -> float:
    return float(order.params["batch"]) * 10 + float(order.params["slots"])


async def played(folder: Path, search: dict[str, Any], steps: Sequence[tuple[str, int, bool]]) -> None:
    made = Tuned(folder, study({**GOOD, "search": {**search, "same_failures": 0}}))
    await made.open()
    await made.declare()
    for what, which, well in steps:
        await made.rig.heard()
        live = made.live
        assert len(live) <= search["max_parallel"]
        if what == "die":
            await made.rig.kill()
            await made.open()
            await made.rig.until(lambda live=live: made.live.keys() >= live.keys())
        elif live:
            number = sorted(live)[which % len(live)]
            params = live[number].payload["params"]
            made.end(number, params["batch"] * 10 + params["slots"] if well else None)
    await made.to_the_end(value_of)
    check(made, search)
    await made.rig.close()


def check(made: Tuned, search: dict[str, Any]) -> None:
    """The laws, of a study that is over."""
    standing, trials = made.standing(), made.trials()
    assert len(trials) == len({trial.hash for trial in trials}) == search["max_trials"]
    assert [trial.number for trial in trials] == list(range(len(trials)))
    assert max(made.rig.outside.starts.values()) == 1
    measured = [trial for trial in trials if trial.state == "complete"]
    for trial in measured:
        assert trial.document is not None
        assert trial.document.params == trial.params
        for result in trial.document.points:
            assert result.metrics["output_tokens_per_second"]["mean"] == value_of(trial.order)
    documents = [trial.document for trial in measured if trial.document is not None]
    best = best_trial(documents[::-1], made.study.objectives, made.study.slo)
    assert (standing.best.number if standing.best else None) == (best.trial if best else None)
    if measured:
        assert standing.best is not None
        assert value_of(standing.best.order) == max(value_of(trial.order) for trial in measured)
    if search["baseline"]:
        assert trials[0].params == search["baseline"]


@settings(max_examples=12)
@given(search=SEARCHES, steps=STEPS)
def test_any_history_of_a_study_keeps_its_laws(search: dict[str, Any], steps: Sequence[tuple[str, int, bool]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(played(Path(folder), search, steps))
