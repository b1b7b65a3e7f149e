"""Small words for people: spans, ids, requests, results; exit codes; colours; options read without click."""

from __future__ import annotations

import io
import sys
from typing import Any

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from passloop.cli import streams
from passloop.cli.catalogue import ELSEWHERE, VERBS
from passloop.cli.crash import write_crash
from passloop.cli.following import exit_code_of
from passloop.cli.main import main
from passloop.cli.options import submit_options
from passloop.cli.said import SUBMIT_OPTIONS, read_words
from passloop.cli.spans import millis_of, span_text, task_span
from passloop.cli.wording import counted, ids_text, plain_text, request_text, result_text


@pytest.mark.parametrize(
    ("millis", "text"),
    [
        (None, ""),
        (-5, "0.0s"),
        (1234, "1.2s"),
        (59_400, "59s"),
        (125_000, "2m 05s"),
        (7_260_000, "2h 01m"),
        (180_000_000, "2d 2h"),
    ],
)
def test_span(millis: int | None, text: str) -> None:
    assert span_text(millis) == text


def test_span_of_a_task_is_that_of_its_latest_attempt() -> None:
    assert task_span({"started_at": None}) is None
    assert task_span({"started_at": "2026-01-01T00:00:01.000Z", "ended_at": "2026-01-01T00:00:03.500Z"}) == 2500
    assert millis_of("1970-01-01T00:00:01.234Z") == 1234


def test_ids_fold_neighbours() -> None:
    assert ids_text([5, 1, 2, 3, 9]) == "1-3 5 9"
    assert ids_text([]) == ""
    assert counted(1, "task"), counted(2000, "task") == ("1 task", "2,000 tasks")


def test_request_in_words() -> None:
    first = {"gpus": 2, "vram_mib": 20480, "cpus_milli": 4000, "mem_mib": 1024, "need": {"licence": 1}}
    second = {"gpus": 0.5, "vram_mib": None, "cpus_milli": 0, "mem_mib": 0, "need": {}}
    assert request_text([first, second]) == "2 gpus x 20 GiB, 4 cpus, 1 GiB, 1 licence or 0.5 gpu"
    assert request_text([{"gpus": 0}]) == "nothing"
    assert request_text([{"cpus_milli": 500, "mem_mib": 100}]) == "0.5 cpu, 100 MiB"
    assert request_text([{"gpus": 1, "vram_mib": 1536}]) == "1 gpu x 1.5 GiB"


def test_result_in_words() -> None:
    assert result_text({"state": "succeeded", "results": {"loss": 0.123456, "name": "x"}}) == "loss=0.1235 name=x"
    assert result_text({"state": "failed", "outcome": "failure", "exit_code": 3}) == "exit 3"
    killed = {"state": "failed", "outcome": "failure", "exit_code": None, "message": "killed by signal 9"}
    assert result_text(killed) == "killed by signal 9"
    assert result_text({"state": "failed", "outcome": "out_of_memory", "exit_code": None}) == "out of memory"
    assert result_text({"state": "running"}) == ""


@pytest.mark.parametrize(
    ("task", "code"),
    [
        ({"state": "succeeded", "outcome": "success", "exit_code": 0}, 0),
        ({"state": "failed", "outcome": "failure", "exit_code": 3}, 3),
        ({"state": "failed", "outcome": "failure", "exit_code": None, "attempts": [{"signal": 9}]}, 137),
        ({"state": "failed", "outcome": "failure", "exit_code": -15}, 143),
        ({"state": "failed", "outcome": "lost", "exit_code": None}, 1),
        ({"state": "failed", "outcome": "failure", "exit_code": 0}, 1),
        ({"state": "failed", "outcome": "timeout", "exit_code": None}, 124),
        ({"state": "failed", "outcome": "out_of_memory", "exit_code": None, "attempts": [{"signal": 9}]}, 137),
        ({"state": "cancelled"}, 130),
        ({"state": "rejected"}, 7),
        ({"state": "aborted"}, 1),
    ],
)
def test_exit_code_of_a_final_task(task: dict[str, Any], code: int) -> None:
    assert exit_code_of(task) == code


PARTS = (
    *("--gpus", "-g", "2", "--name=x", "--name", "--hold", "--env", "A=1", "--priority", "7", "--json", "--", "sh"),
    *("--priority=-1", "-g2", "--gp", "--hold=1", "-", "--after", "1,2", "echo", "--help"),
)
WORDS = st.lists(st.sampled_from(PARTS), max_size=8)


@given(WORDS)
def test_what_is_read_without_click_is_what_click_reads(words: list[str]) -> None:
    read = read_words(words, SUBMIT_OPTIONS)
    if read is None:
        return
    heard: dict[str, Any] = {}

    @click.command(context_settings={"allow_interspersed_args": False})
    @submit_options
    @click.argument("words", nargs=-1, type=click.UNPROCESSED)
    def command(**said: Any) -> None:
        heard.update(said)

    command.main(words, standalone_mode=False)
    assert (heard.pop("words"), heard) == (read.words, read.values)


def test_colour_follows_the_choice_then_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    assert not streams.colour_wanted(stream)
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert streams.colour_wanted(stream)
    monkeypatch.setenv("NO_COLOR", "1")
    assert not streams.colour_wanted(stream)
    streams.set_colour("always")
    try:
        assert streams.paint("x", "red", stream) == "\x1b[31mx\x1b[0m"
        assert streams.paint("", "red", stream) == ""
    finally:
        streams.set_colour("")


def test_crash_writes_a_private_file(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    told = write_crash(ZeroDivisionError("oh"), ["ls", "--home", "secret"])
    (file,) = tmp_path.iterdir()
    assert str(file) in told.message
    assert told.exit_code == 70
    assert file.stat().st_mode & 0o077 == 0
    assert "ZeroDivisionError: oh" in file.read_text()
    assert "secret" not in file.read_text()


def test_bug_is_one_line_and_code_70(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setitem(sys.modules, "passloop.cli.program", None)
    assert main(["ls"]) == 70
    told = capsys.readouterr().err
    assert told.startswith("error: passloop itself failed")
    assert "Traceback" not in told


def test_results_are_told_as_a_spec_would_have_them() -> None:
    results = {"trial": 1, "params": {"batch": 64, "turbo": True}, "points": [{"a": 1}], "loss": 0.123456}
    told = {"state": "succeeded", "results": {"spans": {"a": 1}, **results}}
    assert result_text(told) == "trial=1 batch=64 turbo=true loss=0.1235"
    values = (True, None, "a b", [1, {"a": "ü"}])
    assert [plain_text(value) for value in values] == ["true", "null", "a b", '[1, {"a": "ü"}]']


@pytest.mark.parametrize(
    ("word", "verb"), [("kill", "cancel"), ("delete", "rm"), ("squeue", "ls"), ("sbmit", "submit")]
)
def test_what_other_queues_call_a_verb_is_answered_with_ours(
    word: str, verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([word, "3"]) == 2
    assert f"hint: passloop {verb} --help" in capsys.readouterr().err


def test_no_verb_is_a_word_for_another() -> None:
    assert not ELSEWHERE.keys() & VERBS.keys()
    assert set(ELSEWHERE.values()) <= VERBS.keys()
