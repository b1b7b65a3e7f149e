"""On a terminal: the live view, colours, and output that cannot play tricks on it."""

from __future__ import annotations

import re
from pathlib import Path

from tests.support.command_line import Box, Gate


def test_live_view_shows_counts_lanes_and_failures(box: Box, tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    box.submit("-g", "1", "--name", "train", "--", *gate.command("exit 3"))
    box.submit("-g", "1", "--name", "other", "--after-any", "1", "--", "true")
    gate.wait_started()
    with box.on_terminal("wait", "1-2") as screen:
        shown = screen.until("waiting")
        assert "1 running" in shown
        assert "gpu 0 (virtual)" in shown
        assert "1 train" in shown
        gate.open()
        shown = screen.rest()
        assert screen.process.wait(20) == 1
    assert "task 1 train failed: exit 3" in shown
    assert "2 tasks in" in shown
    assert "\x1b[?25h" in shown


def test_live_view_fits_a_narrow_screen_and_needs_no_colours(box: Box, tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    name = "a name that is much longer than the lane of its gpu can be on such a narrow screen"
    box.submit("-g", "1", "--name", name, "--", *gate.command())
    gate.wait_started()
    with box.on_terminal("wait", "1", COLUMNS="60", NO_COLOR="1") as screen:
        screen.until("gpu 1 (virtual)")
        gate.open()
        shown = screen.rest()
    first = shown[: shown.index("gpu 1 (virtual)")]
    lines = [line for line in re.sub("\x1b\\[[0-9;?]*[A-Za-z]|\r", "", first).split("\n") if line]
    assert "1 running" in lines[0]
    assert " passed" in lines[0]
    assert [line[:15] for line in lines[1:]] == ["gpu 0 (virtual)"]
    assert "much longer" in lines[1]
    assert lines[1].endswith("~")
    assert all(len(line) <= 60 for line in lines)
    assert not re.search("\x1b\\[[0-9;]*3[0-9]", shown)


def test_tables_have_colours_on_a_terminal(shared: Box) -> None:
    (task,) = shared.submit("--hold", "--", "true")
    with shared.on_terminal("ls", str(task)) as screen:
        assert "\x1b[35mheld\x1b[0m" in screen.rest()


def test_parquet_is_not_for_a_terminal(shared: Box) -> None:
    shared.submit("--hold", "--", "true")
    with shared.on_terminal("export", "last", "--format", "parquet") as screen:
        shown = screen.rest()
        assert "Parquet is not for a terminal" in shown
        assert "-o results.parquet" in shown
        assert screen.process.wait(20) == 2


def test_logs_cannot_play_tricks_on_a_terminal(shared: Box) -> None:
    (task,) = shared.submit("--", "printf", "\\033]0;owned\\007\\033[31mred\\033[0m\\n")
    shared.run("wait", str(task))
    assert shared.run("logs", str(task)).out == "\x1b]0;owned\x07\x1b[31mred\x1b[0m\n"
    with shared.on_terminal("logs", str(task)) as screen:
        assert screen.rest() == "red\r\n"


def test_run_says_why_a_task_waits(box: Box, tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    box.submit("-g", "2", "--", *gate.command())
    gate.wait_started()
    with box.on_terminal("run", "-g", "1", "--", "echo", "at last") as screen:
        assert "task 2 waits:" in screen.until("waits: ")
        gate.open()
        assert "at last" in screen.rest()
        assert screen.process.wait(20) == 0
