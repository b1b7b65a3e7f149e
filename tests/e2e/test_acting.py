"""The verbs that act on tasks: what they touch, what they leave, what they answer to people and programs."""

from __future__ import annotations

import re
import signal
from pathlib import Path

from tests.support.command_line import Box, Gate


def held(box: Box, *words: str) -> list[int]:
    return box.submit("--hold", *words, "--", "true")


def states(box: Box, *words: str) -> list[str]:
    return [task["state"] for task in box.json("ls", *words)["tasks"]]


def test_cancel_lists_what_it_touched_and_what_not(shared: Box) -> None:
    first, last = held(shared, "--array", "1-2")
    said = shared.run("cancel", f"{first}-{last}")
    assert (said.code, said.out) == (0, f"cancelled 2 tasks: {first}-{last}\n")
    assert states(shared, f"{first}-{last}") == ["cancelled", "cancelled"]
    again = shared.run("cancel", str(first))
    assert again.code == 0
    assert again.err == f"task {first} is as it was: it is cancelled already\n"
    (other,) = held(shared)
    again = shared.run("cancel", f"{first}-{last}", str(other))
    assert again.err == f"tasks {first}-{last} are as they were, each of them: it is cancelled already\n"


def test_cancel_ends_a_running_tree(box: Box, tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    (task,) = box.submit("--grace", "100ms", "--", *gate.command())
    gate.wait_started()
    document = box.json("cancel", str(task), "--reason", "no longer wanted")
    assert document == {"schema_version": 1, "changed": [task], "unchanged": []}
    assert box.run("wait", str(task)).code == 1
    assert box.task(task)["state"] == "cancelled"


def test_cancel_says_until_when_a_task_may_end(box: Box, tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    (waits,) = held(box)
    shell, option, script = gate.command()
    (task,) = box.submit("--grace", "20s", "--", shell, option, f"trap '' TERM; {script}")
    gate.wait_started()
    said = box.run("cancel", str(waits), str(task)).out.splitlines()
    assert re.fullmatch(rf"stopping 1 task: {task} \(has until [\d:]{{8}} \S+ to end, then it is killed\)", said[0])
    assert said[1:] == [f"cancelled 1 task: {waits}"]
    gate.open()
    assert box.run("wait", str(task)).code == 1


def test_hold_and_release_move_tasks(shared: Box) -> None:
    (task,) = held(shared)
    assert "released 1 task" in shared.run("release", str(task)).out
    assert shared.run("wait", str(task)).code == 0
    (other,) = shared.submit("--after", str(held(shared)[0]), "--", "true")
    assert shared.run("hold", str(other)).code == 0
    assert states(shared, str(other)) == ["held"]


def test_a_running_task_that_is_held_says_so_until_it_is_released(shared: Box, tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    (task,) = shared.submit("--retries", "1", "--", *gate.command())
    gate.wait_started()
    assert shared.run("hold", str(task)).code == 0
    assert f"no further attempt starts before passloop release {task}\n" in shared.run("show", str(task)).out
    assert [one["held"] for one in shared.json("ls", str(task))["tasks"]] == [True]
    assert shared.run("release", str(task)).code == 0
    assert "no further attempt" not in shared.run("show", str(task)).out
    assert shared.run("hold", str(task)).code == 0
    gate.open()
    assert shared.run("wait", str(task)).code == 0
    assert "no further attempt" not in shared.run("show", str(task)).out


def test_a_held_group_holds_what_it_gets_later(box: Box) -> None:
    box.run("up")
    assert box.run("hold", "--group", "team/night").out == "held the group team/night\n"
    (task,) = box.submit("--group", "team/night", "--", "true")
    assert states(box, str(task)) == ["held"]
    assert box.run("release", "--group", "team/night").code == 0
    assert box.run("wait", str(task)).code == 0


def test_releasing_a_group_tells_what_keeps_its_tasks_all_the_same(shared: Box) -> None:
    for group in ("crew", "crew/day"):
        shared.run("hold", "--group", group)
    (inner,) = shared.submit("--group", "crew/day", "--", "true")
    (outer,) = shared.submit("--group", "crew", "--", "true")
    said = shared.run("release", "--group", "crew/day")
    assert said.out == "released the group crew/day\n"
    assert "group crew around it is held: passloop release --group crew" in said.err
    shared.run("hold", "--group", "crew/day")
    said = shared.run("release", "--group", "crew")
    assert said.out == f"released the group crew with 1 task: {outer}\n"
    assert "group crew/day inside it is held: passloop release --group crew/day" in said.err
    assert shared.run("release", "--group", "crew/day").out == f"released the group crew/day with 1 task: {inner}\n"


def test_a_group_means_those_inside_it_too_for_every_verb(shared: Box) -> None:
    outer, inner, other = (held(shared, "--group", name)[0] for name in ("lab", "lab/night", "labour"))
    assert [task["id"] for task in shared.json("ls", "--group", "lab")["tasks"]] == [outer, inner]
    assert [task["id"] for task in shared.json("ls", f"{outer}-{other}", "group:lab/night")["tasks"]] == [inner]
    for verb in ("release", "hold", "cancel"):
        touched = shared.json(verb, "--group", "lab", "--dry-run")["tasks"]
        assert touched == [outer, inner], verb
    assert shared.json("release", "--group", "lab")["changed"] == [outer, inner]
    assert shared.run("wait", "--group", "lab").code == 0
    assert shared.json("rm", "--group", "lab")["changed"] == [outer, inner]
    assert states(shared, str(other)) == ["held"]


def test_retry_makes_new_tasks_of_the_failed_ones(shared: Box) -> None:
    (task,) = shared.submit("--", "false")
    shared.run("wait", str(task))
    answer = shared.json("retry", str(task), "--failed")
    (new,) = answer["created"]
    assert shared.task(task)["retried_by"] == new
    assert shared.run("wait", str(new)).code == 1


def test_rm_forgets_ended_tasks_and_their_files(shared: Box) -> None:
    (task,) = shared.submit("--", "true")
    shared.run("wait", str(task))
    folder = Path(shared.task(task)["attempts"][0]["directory"])
    assert shared.run("rm", str(task)).code == 0
    assert shared.run("show", str(task)).code == 3
    assert not folder.exists()


def test_dry_run_lists_and_touches_nothing(shared: Box) -> None:
    (task,) = held(shared)
    said = shared.run("cancel", "-n", str(task))
    assert said.code == 0
    assert "would cancel 1 task:" in said.out
    assert shared.json("cancel", "-n", str(task)) == {"schema_version": 1, "would": "cancel", "tasks": [task]}
    assert states(shared, str(task)) == ["held"]


def test_dry_run_leaves_out_what_would_stay_as_it_is(shared: Box) -> None:
    (live,) = held(shared)
    (ended,) = shared.submit("--", "true")
    shared.run("wait", str(ended))
    for verb, touched in (("cancel", [live]), ("hold", [live]), ("rm", [ended]), ("retry", [])):
        assert shared.json(verb, str(live), str(ended), "-n")["tasks"] == touched, verb
    said = shared.run("cancel", str(live), str(ended), "-n")
    assert said.out.startswith("would cancel 1 task:\n")
    assert "1 task would stay as it is" in said.err


def test_priority_is_the_last_word(shared: Box) -> None:
    (task,) = held(shared)
    assert shared.run("priority", str(task), "10").code == 0
    assert shared.task(task)["priority"] == 10
    assert shared.run("priority", "--", str(task), "-5").code == 0
    assert shared.task(task)["priority"] == -5
    assert shared.run("priority", str(task), "high").code == 2


def test_acting_on_nothing_is_a_usage_error_and_on_nobody_exit_3(shared: Box) -> None:
    for verb in ("cancel", "retry", "hold", "release", "rm"):
        assert shared.run(verb).code == 2, verb
        assert shared.run(verb, "999999").code == 3, verb
        assert shared.run(verb, "--group", "nobody-is-here", "--failed").code == 3, verb


def test_wait_ends_with_the_work(shared: Box) -> None:
    (good,) = shared.submit("--", "true")
    (bad,) = shared.submit("--", "false")
    assert shared.run("wait", str(good)).code == 0
    said = shared.run("wait", "--json", str(good), str(bad))
    assert said.code == 1
    assert said.json() == {
        "schema_version": 1,
        "final": True,
        "tasks": [
            {"id": good, "state": "succeeded", "exit_code": 0, "outcome": "success"},
            {"id": bad, "state": "failed", "exit_code": 1, "outcome": "failure"},
        ],
    }
    assert shared.run("wait", "999999").code == 3


def test_wait_for_what_has_failed_already_says_what_and_why(shared: Box) -> None:
    (bad,) = shared.submit("--name", "bad", "--", "sh", "-c", "exit 3")
    shared.run("wait", "--quiet", str(bad))
    for extra in ((), ("--timeout", "9s")):
        said = shared.run("wait", str(bad), *extra)
        assert (said.code, said.out) == (1, "")
        assert said.err == f"task {bad} bad failed: exit 3  (passloop logs {bad})\n"
    assert shared.run("wait", "--quiet", str(bad)).err == ""


def test_wait_that_is_interrupted_says_how_to_go_on(box: Box, tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    box.submit("--", *gate.command())
    box.submit("--name", "odd name", "--after", "1", "--", "true")
    gate.wait_started()
    for words, again, end in (
        ((), "wait", "cancel 1-2"),
        (("@odd name",), "wait '@odd name'", "cancel '@odd name'"),
        (("last",), "wait 2", "cancel 2"),
    ):
        with box.started("wait", *words) as waiting:
            assert waiting.stderr is not None
            assert waiting.stderr.readline()
            waiting.send_signal(signal.SIGINT)
            told = waiting.stderr.read()
            assert waiting.wait(20) == 130
        assert f"wait again: passloop {again}\n" in told
        assert f"end them:   passloop {end}\n" in told
    assert "1 task had not ended and goes on as before" in told
    assert box.task(1)["state"] == "running"
    gate.open()
    assert box.run("wait").code == 0


def test_a_dry_run_retries_nothing_that_was_retried_already(shared: Box) -> None:
    (bad,) = shared.submit("--", "false")
    shared.run("wait", "--quiet", str(bad))
    assert shared.run("retry", "-n", str(bad)).out.startswith("would retry 1 task:")
    assert shared.run("retry", str(bad)).code == 0
    said = shared.run("retry", "-n", str(bad))
    assert (said.out, said.err) == ("would retry 0 tasks\n", "1 task would stay as it is\n")


def test_wait_gives_up_after_its_timeout(shared: Box) -> None:
    (task,) = held(shared)
    said = shared.run("wait", str(task), "--timeout", "50ms")
    assert said.code == 124
    assert said.err.startswith(f"1 task is held and goes on only when released: passloop why {task}\n")
    (ended,) = shared.submit("--", "true")
    shared.run("wait", str(ended))
    for one in (task, ended):
        assert shared.run("wait", str(one), "--timeout", "soon").code == 2


def test_wait_tells_progress_in_lines_and_failures_as_they_come(box: Box, tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    box.submit("--", *gate.command("exit 3"))
    gate.wait_started()
    with box.started("wait") as waiting:
        assert waiting.stderr is not None
        assert "running" in waiting.stderr.readline()
        gate.open()
        told = waiting.stderr.read()
        assert waiting.wait(20) == 1
    assert "task 1 sh failed: exit 3" in told
    assert "1 task in" in told
    assert "passloop retry --failed" in told


def test_keys_make_a_task_once(shared: Box) -> None:
    first = shared.submit("--key", "once", "--", "true")
    shared.run("wait", str(first[0]))
    said = shared.run("submit", "--key", "once", "--", "true")
    assert said.out.split() == [str(first[0])]
    assert said.err == "it was there already, by key\n"


def test_a_key_that_was_made_for_another_command_says_so(shared: Box) -> None:
    first = shared.submit("--key", "taken", "--", "echo", "one")
    said = shared.run("submit", "--key", "taken", "--", "echo", "two")
    assert said.out.split() == [str(first[0])]
    assert f"task {first[0]}, which this key stands for, runs another command: echo one" in said.err
    ran = shared.run("run", "--key", "taken", "--", "echo", "three")
    assert "runs another command: echo one" in ran.err
    assert ran.out == "one\n"
