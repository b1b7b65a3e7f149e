"""`import passloop` is the public API and costs nothing until it is used."""

from __future__ import annotations

import subprocess
import sys

import pytest

import passloop

PROGRAM = """
import sys
import passloop
print([name for name in sys.modules if name.startswith("passloop.")], "asyncio" in sys.modules)
"""


def test_importing_it_imports_nothing_else() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=40)
    assert done.stdout.strip() == "[] False"


@pytest.mark.parametrize("name", passloop.__all__)
def test_each_public_name_is_there_and_documented(name: str) -> None:
    assert getattr(passloop, name).__doc__
    assert name in dir(passloop)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Scheduler'"):
        passloop.Scheduler  # type: ignore[attr-defined]  # noqa: B018
