"""Runs named whole: what may come after one, why one waits, and what is written of one where nothing can be written."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.command_line import PROGRAM, Box


def test_a_run_is_waited_for_by_its_name(shared: Box) -> None:
    first, second = shared.submit("--hold", "--name", "folds", "--array", "1-2", "--", "true")
    (joined,) = shared.submit("--after", "@folds", "--", "true")
    assert shared.task(joined)["after"] == [first, second]
    (last,) = shared.submit("--after-any", f"{first},last", "--", "true")
    assert shared.task(last)["after_any"] == [first, joined]
    assert f"after any  {first} {joined}\n" in shared.run("show", str(last)).out
    assert f"after      {first}-{second}\n" in shared.run("show", str(joined)).out


def test_runs_and_ids_stand_beside_each_other(shared: Box) -> None:
    first, second = shared.submit("--hold", "--name", "pair", "--array", "1-2", "--", "true")
    (comma,) = shared.submit("--hold", "--name", "a,b", "--", "true")
    for words in (f"@pair,{comma}", f"{comma},@pair"):
        (joined,) = shared.submit("--after", words, "--", "true")
        assert sorted(shared.task(joined)["after"]) == [first, second, comma]
    (alone,) = shared.submit("--after", "@a,b", "--", "true")
    assert shared.task(alone)["after"] == [comma]
    said = shared.run("submit", "--after", "@pair,@never", "--", "true")
    assert (said.code, "there is no run `never`" in said.err) == (3, True)


def test_what_was_retried_stands_for_what_failed(shared: Box) -> None:
    (failed,) = shared.submit("--name", "once", "--", "sh", "-c", "exit 3")
    shared.run("wait", str(failed))
    assert shared.run("retry", str(failed)).code == 0
    (after,) = shared.submit("--hold", "--after", f"@{shared.task(failed)['run']['id']}", "--", "true")
    assert shared.task(after)["after"] == [shared.task(failed)["retried_by"]]


def test_nothing_comes_after_what_is_not_there(shared: Box) -> None:
    said = shared.run("submit", "--after", "@never", "--", "true")
    assert (said.code, said.out) == (3, "")
    assert "there is no run `never`" in said.err
    said = shared.run("submit", "--after", "soon", "--", "true")
    assert said.code == 2
    assert "--after 12,20-40, @RUN, last" in said.err


def test_why_of_a_run_tells_once_what_many_wait_for(shared: Box) -> None:
    first, *_ = shared.submit("--hold", "--name", "patient", "--array", "1-3", "--", "true")
    said = shared.run("why", "@patient")
    assert said.out.splitlines() == [
        f"run {shared.task(first)['run']['id']} patient: 3 held",
        f"  default, task {first} and 2 tasks like it:",
        f"    it is held: passloop release {first}",
    ]
    document = shared.json("why", "@patient")
    assert (document["tasks"], document["state"]) == ({"held": 3}, None)
    assert [(one["task"], one["alike"]) for one in document["waiting"]] == [(first, 3)]


def test_why_of_a_run_that_is_over_counts_its_ends(box: Box) -> None:
    box.submit("--name", "over", "--array", "1-2", "--", "true")
    box.run("wait")
    for _ in range(2):
        assert box.run("why", "@over") == (0, "run 1 over: 2 succeeded\n", "")
        box.run("down")


def test_why_of_a_run_counts_what_was_retried_once(shared: Box) -> None:
    first, _ = shared.submit("--name", "again", "--array", "1-2", "--", "sh", "-c", "exit $((PASSLOOP_INDEX - 1))")
    shared.run("wait", "@again")
    assert shared.run("retry", "--failed", "@again").code == 0
    shared.run("wait", "@again")
    assert shared.run("why", "@again").out == f"run {shared.task(first)['run']['id']} again: 1 failed, 1 succeeded\n"


@pytest.mark.parametrize("words", [["export"], ["export", "-o", "/dev/full"]])
def test_an_export_onto_a_full_disk_is_no_crash(shared: Box, words: list[str]) -> None:
    shared.submit("--hold", "--array", "1-2", "--", "true")
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        said = subprocess.run(
            [*PROGRAM, *words], env=shared.environment, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert said.returncode in (1, 2)
    assert said.stderr.startswith("error: ")
    assert "No space left on device" in said.stderr
    assert "crash" not in said.stderr
