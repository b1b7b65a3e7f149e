"""P15: the machine is right. Any sequence of what can happen to it is judged after every turn: by the rows that a store
would keep, an oracle over them, a twin that never restarts, a machine restored from the rows, and at the end a replay.

The rules are in `test_machine_laws.py`; here is how many sequences are run.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

from tests.support.promises import record

from .test_machine_laws import MachineLaws

EVENTS = 50
CI = settings(
    max_examples=300,
    stateful_step_count=EVENTS,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)


@pytest.mark.timeout(600)
class TestTheMachineIsRight(MachineLaws.TestCase):  # type: ignore[misc,name-defined]
    settings = CI

    def runTest(self) -> None:  # noqa: N802 - its name in unittest
        super().runTest()
        record("P15", "300 sequences of 50 events, 0 broken laws", sequences=300, events=EVENTS)


@pytest.mark.large
@pytest.mark.timeout(36_000)
class TestTheMachineIsRightAtLength(MachineLaws.TestCase):  # type: ignore[misc,name-defined]
    settings = settings(CI, max_examples=20_000)

    def runTest(self) -> None:  # noqa: N802 - its name in unittest
        super().runTest()
        record("P15", "20,000 sequences of 50 events, 0 broken laws", sequences=20_000, events=EVENTS)
