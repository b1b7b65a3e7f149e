"""What holds for every test: Hypothesis measures no time, because the machine is shared, and prints how to repeat.

Interrupts arrive: who starts the tests in the background of a shell ignores SIGINT in all that is started from here,
and a command that cannot be interrupted cannot be tested for it. A test's size is known to what it records.
"""

from __future__ import annotations

import signal

import pytest
from hypothesis import HealthCheck, settings

from tests.support import promises

signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("passloop", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("passloop")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Before each test: the figure it shows is the small one or the large one."""
    promises.sized("large" if item.get_closest_marker("large") else "small")
