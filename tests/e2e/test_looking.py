"""The looking verbs: tables for people, JSON for programs, exit codes for scripts."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.command_line import PROGRAM, Box, Gate

TASK_FIELDS = {
    "id", "key", "run", "name", "group", "state", "attempt", "exit_code", "outcome", "priority", "submitted_at",
    "started_at", "ended_at", "gpus", "request", "results", "command", "cwd", "after", "retried_by",
}  # fmt: skip
SHORT_COMMAND = ("--", "sh", "-c", "echo out; echo err >&2")


def test_ls_json_has_every_promised_field(shared: Box) -> None:
    (task,) = shared.submit("-g", "1", "--name", "fields", *SHORT_COMMAND)
    shared.run("wait", str(task))
    document = shared.json("ls", str(task))
    assert document["schema_version"] == 1
    (listed,) = document["tasks"]
    assert set(listed) >= TASK_FIELDS
    assert (listed["state"], listed["gpus"], listed["exit_code"]) == ("succeeded", ["GPU-virtual-0"], 0)
    assert listed["submitted_at"].endswith("Z")
    assert listed["request"][0]["gpus"] == 1


def test_ls_table_shows_the_last_fifty_and_counts_the_rest(box: Box) -> None:
    box.submit("--hold", "--array", "1-60", "--", "true")
    said = box.run("ls")
    lines = said.out.splitlines()
    assert lines[0].split()[:3] == ["ID", "STATE", "NAME"]
    assert [line.split()[0] for line in lines[1:]] == [str(task) for task in range(11, 61)]
    assert "10 older" in said.err
    assert len(box.json("ls")["tasks"]) == 60
    assert [task["id"] for task in box.json("ls", "--limit", "2")["tasks"]] == [59, 60]


def test_ls_lines_are_one_document_each(shared: Box) -> None:
    first, second = shared.submit("--hold", "--array", "1-2", "--", "true")
    said = shared.run("ls", "--jsonl", f"{first}-{second}")
    assert [json.loads(line)["id"] for line in said.out.splitlines()] == [first, second]


def test_table_is_no_wider_than_the_screen(shared: Box) -> None:
    (task,) = shared.submit("--hold", "--name", "n" * 150, "--", "true")
    said = shared.run("ls", str(task), COLUMNS="60")
    assert max(map(len, said.out.splitlines())) <= 60


def test_colours_come_only_when_asked_for(shared: Box) -> None:
    (task,) = shared.submit("--hold", "--", "true")
    assert "\x1b[" not in shared.run("ls", str(task)).out
    assert "\x1b[" in shared.run("ls", str(task), "--color", "always").out
    assert "\x1b[" in shared.run("--color", "always", "ls", str(task), NO_COLOR="1").out
    assert "\x1b[" not in shared.run("ls", str(task), NO_COLOR="1").out


def test_logs_of_files_that_are_gone_say_so(box: Box) -> None:
    box.run("run", "--", "echo", "here")
    folder = Path(box.task(1)["directory"])
    shutil.rmtree(folder)
    said = box.run("logs", "1")
    assert (said.code, said.out) == (0, "")
    assert said.err == f"the files of task 1 are gone: {folder}\n"


def test_show_names_the_folder_of_the_files_and_the_limit(shared: Box) -> None:
    (task,) = shared.submit("--time-limit", "2h", "--", "true")
    shared.run("wait", str(task))
    said = shared.run("show", str(task)).out
    assert f"files       {shared.task(task)['directory']}\n" in said
    assert "time limit  2h 00m\n" in said


def test_show_has_attempts_with_their_folders(shared: Box) -> None:
    (task,) = shared.submit(*SHORT_COMMAND)
    shared.run("wait", str(task))
    shown = shared.task(task)
    (attempt,) = shown["attempts"]
    assert (attempt["attempt"], attempt["outcome"]) == (1, "success")
    assert Path(attempt["directory"], "stdout.log").read_text() == "out\n"
    text = shared.run("show", str(task)).out
    assert "succeeded" in text
    assert "attempt 1: success" in text


@pytest.mark.parametrize("verb", ["ls", "show", "why", "logs"])
def test_unknown_task_is_exit_3_with_a_next_step(shared: Box, verb: str) -> None:
    said = shared.run(verb, "999999")
    assert said.code == 3
    assert "999999" in said.err
    assert "passloop ls" in said.err


def test_a_task_named_by_its_id_has_to_be_there_whatever_else_is_asked(shared: Box) -> None:
    (task,) = shared.submit("--hold", "--", "true")
    (ended,) = shared.submit("--", "true")
    for verb, words in (("ls", [f"{task},999999"]), ("wait", [str(ended), "999999"])):
        said = shared.run(verb, *words)
        assert (said.code, "there is no task 999999" in said.err) == (3, True), verb
    assert shared.run("ls", str(task), "state:failed", "--json").json()["tasks"] == []
    assert shared.run("ls", "999990-999999").code == 0


def test_a_class_that_nothing_has_is_refused_with_the_nearest(shared: Box) -> None:
    (task,) = shared.submit("--hold", "--name", "my training", "--", "true")
    assert [found["id"] for found in shared.json("ls", "class:my training")["tasks"]] == [task]
    assert shared.run("ls", "class:out_of_memory").code == 0
    said = shared.run("ls", "class:my trainin")
    assert (said.code, said.out) == (2, "")
    assert "did you mean `my training`?" in said.err
    assert "use one of: cancelled, " in shared.run("cancel", "class:zzz").err


def test_show_says_why_a_task_was_rejected_once(box: Box) -> None:
    (box.folder / "s.yaml").write_text("run: s\ncommand: [echo, '{n}']\nmatrix: {n: [1]}\nresources: {gpus: 9}\n")
    box.run("submit", "s.yaml")
    shown = box.run("show", "1").out
    assert shown.count("it can never fit on this machine") == 1, shown


def test_why_says_what_is_short_and_who_holds_it(box: Box, tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    (holder,) = box.submit("-g", "2", "--", *gate.command())
    gate.wait_started()
    (waiting,) = box.submit("-g", "1", "--", "true")
    answer = box.json("why", str(waiting))
    assert (answer["task"], answer["state"]) == (waiting, "ready")
    assert answer["blockers"][0]["pool"] == "gpu"
    assert answer["blockers"][0]["holders"] == [holder]
    told = box.run("why", str(waiting)).out
    assert answer["blockers"][0]["sentence"] in told
    assert told.count(f"held by task {holder}") == 1
    assert "held by:" not in told
    gate.open()


def test_logs_keep_stdout_and_stderr_apart(shared: Box) -> None:
    (task,) = shared.submit(*SHORT_COMMAND)
    shared.run("wait", str(task))
    assert shared.run("logs", str(task)) == (0, "out\n", "err\n")
    assert shared.run("logs", str(task), "--stderr") == (0, "err\n", "")


def test_logs_give_the_last_lines_and_the_named_attempt(shared: Box) -> None:
    (task,) = shared.submit("--", "sh", "-c", "seq 1 2000")
    shared.run("wait", str(task))
    assert shared.run("logs", str(task), "-n", "2").out == "1999\n2000\n"
    assert shared.run("logs", str(task), "--attempt", "1", "-n", "0").out == ""
    missing = shared.run("logs", str(task), "--attempt", "2")
    assert missing.code == 3
    assert "no attempt 2" in missing.err


def test_logs_follow_until_the_task_has_ended(box: Box, tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    (task,) = box.submit("--", *gate.command("echo done; exit 4"))
    gate.wait_started()
    with box.started("logs", "-f", str(task)) as following:
        assert following.stdout is not None
        assert following.stdout.readline() == "here\n"
        gate.open()
        assert following.stdout.read() == "done\n"
        assert following.wait(20) == 0


def test_interrupted_logs_say_how_to_go_on_and_how_to_cancel(box: Box, tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    (task,) = box.submit("--", *gate.command())
    gate.wait_started()
    with box.started("logs", "-f", str(task)) as following:
        assert following.stdout is not None
        assert following.stdout.readline() == "here\n"
        following.send_signal(signal.SIGINT)
        assert following.wait(20) == 130
        assert following.stderr is not None
        told = following.stderr.read()
    assert f"passloop wait {task}" in told
    assert f"passloop cancel {task}" in told
    assert box.task(task)["state"] == "running"
    gate.open()


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("words", [["ls", "--json"], ["schema", "run"], ["--help"], ["--version"]])
def test_a_full_disk_under_the_output_is_no_crash(box: Box, words: list[str], unbuffered: str) -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        said = subprocess.run(
            [*PROGRAM, *words],
            env=box.environment | {"PYTHONUNBUFFERED": unbuffered},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=40,
            check=False,
        )
    assert said.returncode == 1
    what, hint = "error: cannot write the output: No space left on device", "  hint: write it to another disk"
    assert said.stderr == f"{what}\n{hint}\n"
    assert not list(box.folder.glob("passloop-crash-*"))


def test_task_that_has_not_started_has_no_logs_but_a_hint(shared: Box) -> None:
    (task,) = shared.submit("--hold", "--", "true")
    said = shared.run("logs", str(task))
    assert (said.code, said.out) == (0, "")
    assert f"passloop why {task}" in said.err


def test_why_sends_nobody_to_the_logs_of_a_task_that_never_started(shared: Box) -> None:
    (late,) = shared.submit("--hold", "--deadline", "1ms", "--", "true")
    assert shared.run("wait", str(late)).code == 1
    said = shared.run("why", str(late))
    assert "its deadline passed before it could start" in said.out
    assert "passloop logs" not in said.err
    (ran,) = shared.submit("--", "false")
    shared.run("wait", str(ran))
    assert f"passloop logs {ran}" in shared.run("why", str(ran)).err


def test_task_that_could_not_start_says_why_where_its_output_would_be(shared: Box) -> None:
    (task,) = shared.submit("--", "no-such-command-anywhere")
    shared.run("wait", str(task))
    said = shared.run("logs", str(task))
    assert (said.code, said.out) == (0, "")
    assert f"task {task} wrote nothing here and failed: command not found: no-such-command-anywhere" in said.err
    gate = Gate(shared.folder, "mute")
    (mute,) = shared.submit("--", *gate.command())
    gate.wait_started()
    shared.run("cancel", str(mute), "--reason", "not now")
    shared.run("wait", str(mute))
    assert f"task {mute} wrote nothing here and was cancelled: not now" in shared.run("logs", str(mute), "--stderr").err
    (quiet,) = shared.submit("--", "true")
    shared.run("wait", str(quiet))
    assert shared.run("logs", str(quiet)) == (0, "", "")


def test_selectors_choose_by_range_state_key_group_and_run(shared: Box) -> None:
    first, second = shared.submit("--hold", "--group", "picked", "--key", "pick", "--array", "1-2", "--", "true")
    run = shared.task(first)["run"]["id"]

    def ids(*words: str) -> list[int]:
        return [task["id"] for task in shared.json("ls", *words)["tasks"]]

    both = [first, second]
    assert ids(f"{first}-{second}") == ids(f"@{run}") == ids("key:pick:*") == ids("--group", "picked") == both
    assert ids(f"@{run}", "state:failed") == []
    assert ids("last") == [max(task["id"] for task in shared.json("ls")["tasks"])]


def test_unreadable_selector_is_exit_2(shared: Box) -> None:
    said = shared.run("ls", "stat:failed")
    assert said.code == 2
    assert "state" in said.err


def test_status_tells_who_the_engine_is(shared: Box) -> None:
    engine = shared.json("status")["engine"]
    assert set(engine) >= {"pid", "state", "version", "home", "started_at", "page"}
    assert (engine["state"], engine["home"]) == ("running", str(shared.home))
    shown = shared.run("status").out
    assert f"pid {engine['pid']}" in shown
    assert all(f"{number} {state}" in shown for state, number in engine["counts"].items() if number)


def test_gpus_are_listed_and_said_to_be_virtual(shared: Box) -> None:
    gpus = shared.json("gpus")["gpus"]
    assert [gpu["uuid"] for gpu in gpus] == ["GPU-virtual-0", "GPU-virtual-1"]
    assert set(gpus[0]) >= {"index", "uuid", "name", "vram_mib", "free_mib", "state", "holders", "virtual"}
    assert "virtual" in shared.run("gpus").out.lower()
    assert shared.run("gpus", "release").code == 2
    assert "GPU-nobody" in shared.run("gpus", "release", "GPU-nobody").err


def test_pools_are_listed_and_only_closed_ones_opened(shared: Box) -> None:
    names = [pool["name"] for pool in shared.json("pools")["pools"]]
    assert "cpu" in names
    assert "cpu" in shared.run("pools").out
    assert "cpu" in shared.run("pools", "open", "cpu").err
    assert shared.run("pools", "shut", "cpu").code == 2


def test_closed_pipe_is_silent(shared: Box) -> None:
    shared.submit("--hold", "--array", "1-500", "--", "true")
    with shared.started("ls", "--json") as listing:
        assert listing.stdout is not None
        assert listing.stderr is not None
        listing.stdout.close()
        assert listing.stderr.read() == ""
        assert listing.wait(20) == 0


def test_no_character_stops_the_output(shared: Box) -> None:
    (task,) = shared.submit("--hold", "--name", "größe", "--", "true")
    assert "gr\\xf6\\xdfe" in shared.run("ls", str(task), PYTHONIOENCODING="ascii").out


def test_home_with_an_impossible_name_is_empty_or_refused(box: Box) -> None:
    name = str(box.folder / ("x" * 300))
    assert box.run("--home", name, "ls").code == 0
    assert box.run("--home", name, "up").code == 6
