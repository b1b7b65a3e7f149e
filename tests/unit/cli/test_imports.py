"""Start-up is a promise: what a verb does not use, it does not import. Figures are in the benchmarks."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from passloop.cli.catalogue import VERBS
from tests.support.filled_home import fill

LIBRARIES = ("asyncio", "fastapi", "pydantic", "pynvml", "rich", "ruamel", "starlette", "uvicorn")
NOT_IN_A_SUBMIT = (
    *LIBRARIES,
    *("apsw", "click", "msgspec", "platformdirs", "psutil"),
    *("ast", "dataclasses", "datetime", "decimal", "fractions", "inspect", "logging", "pathlib", "shlex", "shutil"),
    *("signal", "ssl", "subprocess", "tempfile", "tomllib", "urllib", "uuid"),
    *("passloop.api", "passloop.apps.queue.wire", "passloop.apps.settings", "passloop.cli.program", "passloop.engine"),
    *("passloop.kernel.machine", "passloop.store", "passloop.web"),
)
LIGHT_VERBS = sorted(set(VERBS) - {"run", "serve"})


def imported(code: str, *names: str) -> list[str]:
    """Which of these modules a fresh interpreter has after `code`. It is not measured: coverage imports much itself."""
    script = f"{code}\nimport sys\nprint(*[name for name in {names!r} if name in sys.modules])"
    environ = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, env=environ)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1].split()


@contextmanager
def answering_engine(home: Path, answer: bytes) -> Iterator[list[bytes]]:
    """A socket that gives one answer to whoever sends a body; gives the bodies."""
    bodies: list[bytes] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(home / "socket"))
        listener.listen()
        thread = threading.Thread(target=answer_the_first_body, args=(listener, answer, bodies))
        thread.start()
        yield bodies
        thread.join(10)


def answer_the_first_body(listener: socket.socket, answer: bytes, bodies: list[bytes]) -> None:
    """Clients that only look whether somebody is there are let go."""
    while not bodies:
        link, _ = listener.accept()
        with link, link.makefile("rb") as read:
            length = next((int(line.split(b":")[1]) for line in read if line.startswith(b"Content-Length")), None)
            if length is not None:
                read.readline()
                bodies.append(read.read(length))
                link.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(answer), answer))


def test_submit_imports_nothing_slow_from_its_start_to_its_answer(tmp_path: Path) -> None:
    code = f"from passloop.cli.main import main\nassert main(['submit', '--home', {str(tmp_path)!r}, 'true']) == 0"
    with answering_engine(tmp_path, b'{"run": {"id": 1, "name": "true"}, "tasks": [1], "existing": []}') as bodies:
        assert imported(code, *NOT_IN_A_SUBMIT) == []
    assert json.loads(bodies[0])["tasks"] == [{"command": ["true"]}]


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


def test_an_engine_starts_without_what_only_studies_use() -> None:
    assert imported("import passloop.web.host", "passloop.apps.tune", "optuna", "numpy") == []


def test_results_of_commands_are_told_without_what_only_other_runs_use(tmp_path: Path) -> None:
    home = fill(tmp_path / "home", done=2, queued=0).path
    code = "from passloop.cli.main import main\nfor verb in ('report', 'export'):\n"
    code += f"    assert main([verb, '--home', {str(home)!r}, 'run-1', '--out', {str(tmp_path / 'out.csv')!r}]) == 0"
    others = ("passloop.apps.bench.planned", "passloop.apps.generate", "passloop.apps.tune")
    assert imported(code, *others, "asyncio", "pydantic", "ruamel") == []
