"""What goes before a log: the server's own word, and the kernel's count of kills for want of memory."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from passloop.apps.tune.engines.base import End
from passloop.apps.tune.trial.failures import TrialFailure
from passloop.apps.tune.trial.memory_kills import heed_memory_kill, memory_kills
from passloop.apps.tune.trial.own_word import OUTCOME, heed_own_word, own_word


def crash(end: End | None = None) -> TrialFailure:
    failure = TrialFailure("crash", "the server ended", lines=("a line",))
    failure.end = end
    return failure


@pytest.mark.parametrize(
    ("word", "kind", "message", "final"),
    [
        (
            {"outcome": "out_of_memory", "message": "at batch 64"},
            "out_of_memory",
            "the server ended: at batch 64",
            False,
        ),
        ({"outcome": "device_fault", "device": "GPU-a"}, "device", "the server ended", False),
        ({"outcome": "failure", "final": True, "message": "no"}, "crash", "the server ended: no", True),
        ({"outcome": 7, "message": 8}, "crash", "the server ended", False),
    ],
)
def test_a_servers_own_word_explains_the_failure(
    tmp_path: Path, word: dict[str, object], kind: str, message: str, final: bool
) -> None:
    (tmp_path / OUTCOME).write_text(json.dumps(word))
    heeded = heed_own_word(crash(), tmp_path)
    assert (heeded.kind, heeded.message, heeded.final, heeded.lines) == (kind, message, final, ("a line",))


@pytest.mark.parametrize("text", ["", "[1]", "{", "{" * 70_000])
def test_what_is_no_word_is_passed_over(tmp_path: Path, text: str) -> None:
    (tmp_path / OUTCOME).write_text(text)
    assert own_word(tmp_path) == {}
    failure = crash()
    assert heed_own_word(failure, tmp_path) is failure


def test_a_link_is_no_word(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text('{"outcome": "out_of_memory"}')
    (tmp_path / OUTCOME).symlink_to(tmp_path / "elsewhere")
    assert own_word(tmp_path) == {}


def test_the_kernels_count_is_read(tmp_path: Path) -> None:
    (tmp_path / "vmstat").write_text("pgfault 3\noom_kill 12\n")
    assert memory_kills(tmp_path / "vmstat") == 12
    assert memory_kills(tmp_path / "gone") == 0
    assert memory_kills() >= 0


@pytest.mark.parametrize(
    ("end", "now", "kind"),
    [
        (End(signal=9), 5, "out_of_memory"),
        (End(signal=9), 4, "crash"),
        (End(signal=11), 5, "crash"),
        (End(code=1), 5, "crash"),
        (None, 5, "crash"),
    ],
)
def test_a_killed_server_is_one_of_memory_only_if_the_kernel_killed_meanwhile(
    end: End | None, now: int, kind: str
) -> None:
    heeded = heed_memory_kill(crash(end), 4, now)
    assert heeded.kind == kind
    assert not heeded.memory
