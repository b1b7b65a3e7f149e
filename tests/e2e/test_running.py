"""`run`: its output and exit code are the command's, as a follower and as the engine itself; Ctrl-C; hand-over."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.support.command_line import Box, Gate


@pytest.fixture(params=["foreground", "follower"])
def either(request: pytest.FixtureRequest, box: Box) -> Box:
    """A home where `run` is the engine, and one where a daemon is."""
    if request.param == "follower":
        assert box.run("up").code == 0
    return box


def test_run_streams_both_outputs_and_ends_with_the_code(either: Box) -> None:
    assert either.run("run", "--", "sh", "-c", "echo out; echo err >&2; exit 3") == (3, "out\n", "err\n")


def test_run_ends_with_128_and_the_signal(either: Box) -> None:
    assert either.run("run", "--", "sh", "-c", "kill -TERM $$").code == 128 + signal.SIGTERM


def test_run_ends_with_124_at_the_time_limit(either: Box) -> None:
    said = either.run("run", "--time-limit", "200ms", "--grace", "100ms", "--", "sleep", "30")
    assert said.code == 124


def test_run_shows_every_attempt(box: Box) -> None:
    mark = box.folder / "mark"
    script = f"if [ -e '{mark}' ]; then echo second; else touch '{mark}'; echo first; exit 1; fi"
    said = box.run("run", "--retries", "1", "--", "sh", "-c", script)
    assert (said.code, said.out) == (0, "first\nsecond\n")
    assert "tried again" in said.err


def test_command_that_is_not_there_fails_with_a_sentence(either: Box) -> None:
    said = either.run("run", "--", "no-such-command-anywhere")
    assert said.code != 0
    assert "no-such-command-anywhere" in said.err
    assert "Traceback" not in said.err


def test_what_can_never_fit_is_exit_7_and_stores_nothing(either: Box) -> None:
    said = either.run("run", "-g", "9", "--", "true")
    assert said.code == 7
    assert "9" in said.err
    assert either.json("ls")["tasks"] == []


def test_foreground_engine_leaves_no_engine_behind(box: Box) -> None:
    assert box.run("run", "--", "true").code == 0
    assert box.run("status").code == 5
    assert box.json("ls")["tasks"][0]["state"] == "succeeded"


def test_one_interrupt_lets_a_foreground_task_finish(box: Box, tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    with box.started("run", "--", *gate.command("exit 5")) as running:
        gate.wait_started()
        running.send_signal(signal.SIGINT)
        assert running.stderr is not None
        assert "nothing new starts" in running.stderr.readline() + running.stderr.readline()
        gate.open()
        assert running.wait(30) == 5


def test_two_interrupts_cancel_a_foreground_task(box: Box, tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    with box.started("run", "--grace", "100ms", "--", *gate.command()) as running:
        gate.wait_started()
        assert running.stderr is not None
        running.send_signal(signal.SIGINT)
        running.stderr.readline(), running.stderr.readline()
        running.send_signal(signal.SIGINT)
        assert running.wait(30) == 130
    assert box.json("ls")["tasks"][0]["state"] == "cancelled"


def test_interrupt_with_detach_leaves_the_task_to_the_next_engine(box: Box, tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    with box.started("run", "--detach", "--", *gate.command()) as running:
        gate.wait_started()
        running.send_signal(signal.SIGINT)
        assert running.wait(30) == 130
    assert box.run("up").code == 0
    assert box.json("ls")["tasks"][0]["state"] == "running"
    gate.open()
    assert box.run("wait", "1").code == 0
    assert len(box.task(1)["attempts"]) == 1


def test_interrupt_detaches_a_follower_and_says_how_to_go_on(box: Box, tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    box.run("up")
    with box.started("run", "--", *gate.command()) as running:
        gate.wait_started()
        assert running.stdout is not None
        running.stdout.readline()
        running.send_signal(signal.SIGINT)
        assert running.wait(30) == 130
        assert running.stderr is not None
        told = running.stderr.read()
    assert "passloop logs 1 -f" in told
    assert "passloop cancel 1" in told
    assert box.task(1)["state"] == "running"
    gate.open()


def test_foreground_engine_hands_work_of_others_to_a_daemon(box: Box, tmp_path: Path) -> None:
    own, other = Gate(tmp_path, "own"), Gate(tmp_path, "other")
    with box.started("run", "--", *own.command()) as running:
        own.wait_started()
        (task,) = box.submit("--", *other.command())
        other.wait_started()
        own.open()
        assert running.wait(30) == 0
    assert box.json("status")["engine"]["pid"] != running.pid
    other.open()
    assert box.run("wait", str(task)).code == 0
    assert len(box.task(task)["attempts"]) == 1


def test_a_reader_that_is_gone_ends_the_command_and_not_its_work(either: Box, tmp_path: Path) -> None:
    gate, end = Gate(tmp_path), Gate(tmp_path, "end")
    more = gate.command(f"echo more; read x < '{end.go}'; exit 3")
    with either.started("run", "--", *more) as running:
        gate.wait_started()
        assert running.stdout is not None
        assert running.stdout.readline() == "here\n"
        running.stdout.close()
        gate.open()
        assert running.wait(30) == 0
        assert running.stderr is not None
        assert "went away" not in (said := running.stderr.read())
        assert said in ("", "nobody reads this any more: a daemon goes on with task 1, passloop cancel 1 ends it\n")
    assert either.engine_pid() not in (None, running.pid)
    end.open()
    assert either.run("wait", "1").code == 1
    assert len(either.task(1)["attempts"]) == 1


def test_followers_go_on_with_the_engine_that_takes_over(box: Box, tmp_path: Path) -> None:
    own, other = Gate(tmp_path, "own"), Gate(tmp_path, "other")
    with box.started("run", "--", *own.command()) as engine:
        own.wait_started()
        with box.started("run", "--", *other.command("echo there; exit 3")) as follower:
            other.wait_started()
            with (
                box.started("wait", "2") as waits,
                box.started("logs", "-f", "2") as looks,
                box.started("--one-engine", "wait", "2") as stays,
            ):
                assert stays.stderr is not None
                assert stays.stderr.readline()
                assert waits.stderr is not None
                assert waits.stderr.readline()
                assert looks.stdout is not None
                assert looks.stdout.readline() == "here\n"
                own.open()
                assert engine.wait(30) == 0
                assert stays.wait(30) == 5
                other.open()
                assert (follower.wait(30), waits.wait(30), looks.wait(30)) == (3, 1, 0)
                assert looks.stdout.read() == "there\n"
            assert follower.stdout is not None
            assert follower.stdout.read() == "here\nthere\n"
    assert len(box.task(2)["attempts"]) == 1


@pytest.mark.parametrize("words", [[], ["sweep.yaml"]])
def test_a_foreground_engine_whose_terminal_is_gone_leaves_its_work_to_a_daemon(
    box: Box, tmp_path: Path, words: list[str]
) -> None:
    gate = Gate(tmp_path)
    spec = {"run": "small", "command": gate.command(), "resources": {"cpus": 1}}
    (box.folder / "sweep.yaml").write_text(json.dumps(spec))
    with box.on_terminal("run", *(words or ("--", *gate.command()))) as screen:
        gate.wait_started()
        screen.until("1 running" if words else "here")
        screen.hang_up()
        screen.process.wait(30)
    assert box.engine_pid() not in (None, screen.process.pid)
    gate.open()
    assert box.run("wait", "1").code == 0
    assert len(box.task(1)["attempts"]) == 1


def test_run_of_a_spec_follows_it_and_fails_with_its_work(box: Box) -> None:
    spec = box.folder / "sweep.yaml"
    spec.write_text("run: small\ncommand: [sh, -c, 'exit {code}']\nmatrix: {code: [0, 1]}\nresources: {cpus: 1}\n")
    said = box.run("run", "sweep.yaml")
    assert said.code == 1
    assert "1 failed, 1 succeeded" in said.err
    assert [task["state"] for task in box.json("ls", "@small")["tasks"]] == ["succeeded", "failed"]
