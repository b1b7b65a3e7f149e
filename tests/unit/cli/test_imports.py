"""Start-up is a promise: what a verb does not use, it does not import. Figures are in the benchmarks."""

from __future__ import annotations

import subprocess
import sys

import pytest

from passloop.cli.catalogue import VERBS

LIBRARIES = ("asyncio", "fastapi", "pydantic", "pynvml", "rich", "ruamel", "starlette", "uvicorn")
LIGHT_VERBS = sorted(set(VERBS) - {"run", "serve"})


def imported(code: str, *names: str) -> list[str]:
    """Which of these modules a fresh interpreter has after `code`."""
    script = f"{code}\nimport sys\nprint(*[name for name in {names!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=30)
    return done.stdout.split()


def test_submit_needs_no_library_but_the_encoder() -> None:
    code = (
        "import passloop.cli.main, passloop.cli.quick\n"
        "from passloop.cli.submitting import request_of\n"
        "request_of(('true',), {}, home='/nowhere')"
    )
    assert imported(code, *LIBRARIES, "click", "apsw", "platformdirs", "msgspec") == ["msgspec"]


def test_help_imports_no_verb() -> None:
    code = (
        "import contextlib, io\n"
        "from passloop.cli.main import main\n"
        "with contextlib.redirect_stdout(io.StringIO()): main(['--help'])"
    )
    verbs = [verb.module for verb in VERBS.values()]
    assert imported(code, *LIBRARIES, *verbs, "msgspec", "apsw") == []


@pytest.mark.parametrize("verb", LIGHT_VERBS)
def test_verb_imports_no_large_library_before_it_works(verb: str) -> None:
    assert imported(f"import {VERBS[verb].module}", *LIBRARIES, "apsw", "msgspec") == []


def test_run_follows_without_the_engine() -> None:
    assert imported("import passloop.cli.verbs.run", *LIBRARIES, "apsw", "passloop.web.host") == []
