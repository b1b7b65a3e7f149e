"""What holds for every test: Hypothesis measures no time, because the machine is shared, and prints how to repeat.

Interrupts arrive: who starts the tests in the background of a shell ignores SIGINT in all that is started from here,
and a command that cannot be interrupted cannot be tested for it. A test's size is known to what it records. Long tests
come first, so that no process is left with one at the end. What is not measured is not measured in its children.
"""

from __future__ import annotations

import os
import signal

import pytest
from coverage import Coverage
from hypothesis import HealthCheck, settings

from tests.support import promises
from tests.support.outcomes import Outcomes, without_passed

signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("passloop", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("passloop")


DRAWN = {"properties", "simulation", "tidy"}
"""Folders where thousands of histories and inputs are drawn, or files are read. To look at them takes three times as
long as to play them, and finds next to no line that the tests of one fact each, and a few histories, do not run.
"""
FEW = "test_one_seed_is_one_history"
WHOLE = {"browser", "crash", "e2e"}
"""Folders of tests that start processes, which cost twice as much if they are measured; of killed ones nothing is seen.
All but `MEASURED` add 2.4 of 94.5 % of all, and 0.1 of 98.3 % of kernel, store and engine.
"""
MEASURED = {
    "test_looking",
    "test_page_new",
    "test_page_runs",
    "test_security_api_keys",
    "test_security_shown_text",
    "test_terminal",
    "test_top",
    "test_tune_trial",
    "test_whole_runs",
}
"""Files of `e2e` that run the most lines for their time which no test of one part runs."""


def pytest_configure(config: pytest.Config) -> None:
    """How each test ended is written down, by the process that hears of all; of the commit that is there now."""
    if os.environ.get(promises.FILE):
        promises.commit()
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Outcomes(large=config.option.markexpr == "large"))


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Before a worker measures itself: it is measured already, as a process of ours and by the arguments it was given.
    That must end, for whoever pauses the last measurement lets the one before it go on, at the same cost.
    """
    if hasattr(session.config, "workerinput"):
        while (measured := Coverage.current()) is not None:
            measured.stop()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Those that may take long first, the others as they are shuffled; none that was shown and need not run again."""
    without_passed(config, items)
    for item in items:
        if not _is_measured(item):
            item.add_marker(pytest.mark.no_cover)
    items.sort(key=_limit, reverse=True)


def _is_measured(item: pytest.Item) -> bool:
    """Whether coverage looks at a test."""
    parts = set(item.path.parts)
    if DRAWN & parts:
        return item.name.startswith(FEW)
    if WHOLE & parts:
        return "e2e" in parts and item.path.stem in MEASURED
    return True


def _limit(item: pytest.Item) -> float:
    """How long a test says that it may take, in seconds; 0 if it says nothing."""
    said = item.get_closest_marker("timeout")
    return 0 if said is None else float(said.args[0])


@pytest.fixture(autouse=True)
def measured_children(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes that a test starts are measured as it is."""
    if request.node.get_closest_marker("no_cover") is not None:
        monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Before each test: the figure it shows is the small one or the large one."""
    promises.sized("large" if item.get_closest_marker("large") else "small")
