"""What bash offers at Tab: it cuts words at `:`, `=` and `@`, which selectors have, and hands them over in pieces."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command_line import Box

ASK = """
passloop() { "$PYTHON" -m passloop.cli "$@"; }
eval "$(passloop completion bash)"
COMP_LINE="$1"; COMP_POINT=${#COMP_LINE}; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_passloop_completion passloop
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    box = Box(tmp_path_factory.mktemp("completion"))
    assert box.run("run", "--name", "digits", "--group", "team/night", "--", "true").code == 0
    assert box.run("submit", "--hold", "--name", "newer", "--array", "1-50", "--", "true").code == 0
    yield box
    box.close()


def offered(box: Box, line: str, *pieces: str) -> list[str]:
    """The words that would stand in the place of the last piece."""
    done = subprocess.run(
        ["bash", "--norc", "-c", ASK, "bash", line, *pieces],
        env=box.environment | {"PYTHON": sys.executable},
        cwd=Path(box.folder),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "pieces", "words"),
    [
        ("passloop canc", ["passloop", "canc"], ["cancel"]),
        ("passloop cancel @dig", ["passloop", "cancel", "@", "dig"], ["@digits"]),
        ("passloop ls state:f", ["passloop", "ls", "state", ":", "f"], ["failed"]),
        ("passloop ls state:w", ["passloop", "ls", "state", ":w"], ["waiting"]),
        ("passloop ls --group=def", ["passloop", "ls", "--group", "=", "def"], ["default"]),
        ("passloop ls --limit=1 --fa", ["passloop", "ls", "--limit", "=", "1", "--fa"], ["--failed"]),
        ("passloop --nothing=1 l", ["passloop", "--nothing", "=", "1", "l"], ["ls", "logs"]),
    ],
)
def test_bash_is_offered_what_stands_in_the_place_of_its_piece(
    named: Box, line: str, pieces: list[str], words: list[str]
) -> None:
    assert offered(named, line, *pieces) == words
