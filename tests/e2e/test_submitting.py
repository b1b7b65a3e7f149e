"""`submit`: ids on stdout, talk on stderr, what was said is what is stored, and nothing is stored of a mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command_line import Box, Gate


def test_ids_are_all_that_stdout_has(shared: Box) -> None:
    said = shared.run("submit", "--hold", "--", "true")
    assert said.out.strip().isdecimal()
    assert said.err == ""
    said = shared.run("submit", "--hold", "--array", "1-3", "--", "true")
    first, last = map(int, said.out.strip().split("-"))
    assert last - first == 2
    run = shared.task(first)["run"]["id"]
    assert f"3 tasks in run {run} (true): passloop wait @{run}\n" in said.err


def test_json_names_run_and_tasks(shared: Box) -> None:
    document = shared.run("submit", "--json", "--hold", "--name", "named", "--", "true").json()
    assert set(document) == {"schema_version", "run", "tasks"}
    assert document["run"]["name"] == "named"


def test_options_are_kept(shared: Box) -> None:
    (before,) = shared.submit("--hold", "--", "true")
    (task,) = shared.submit(
        *("--hold", "--gpus", "0.5", "--vram", "10GiB", "--cpus", "1.5", "--mem", "512MiB"),
        *("--or", "gpus=0,cpus=4", "--name", "kept", "--group", "g", "--key", "kept-key", "--priority", "7"),
        *("--after", str(before), "--env", "COLOUR=red", "--cwd", "/", "--retries", "2", "--time-limit", "90s"),
        *("--", "printenv", "COLOUR"),
    )
    found = shared.task(task)
    variants = found["request"]
    assert (variants[0]["gpus"], variants[0]["vram_mib"], variants[0]["cpus_milli"]) == (0.5, 10240, 1500)
    assert (variants[0]["mem_mib"], variants[1]["gpus"], variants[1]["cpus_milli"]) == (512, 0, 4000)
    assert [found[name] for name in ("name", "group", "key", "priority")] == ["kept", "g", "kept-key", 7]
    assert (found["after"], found["cwd"]) == ([before], "/")
    assert found["command"] == ["printenv", "COLOUR"]
    assert (found["time_limit_ms"], found["retries"]["failure"]) == (90_000, 2)


def test_the_quick_way_and_click_store_the_same(shared: Box) -> None:
    quick = shared.submit("--hold", "-g", "1", "--env", "A=1", "--env", "B=2", "--", "sh", "-c", "true")
    click = shared.submit("--hold", "-g1", "--env=A=1", "--env", "B=2", "--", "sh", "-c", "true")
    keep = ("request", "command", "cwd", "env", "retries", "grace_ms", "task_class", "group", "priority")
    first, second = ({name: shared.task(task)[name] for name in keep} for task in (*quick, *click))
    assert first == second


def test_lines_of_a_file_become_tasks(box: Box) -> None:
    (box.folder / "words").write_text("one\n\ntwo words\n")
    box.submit("--each-line", "words", "--", "echo", "<{line}>")
    box.run("wait", "1-2")
    assert [box.run("logs", task).out for task in ("1", "2")] == ["<one>\n", "<two words>\n"]


def test_secrets_stay_out_unless_named(box: Box) -> None:
    words = ("--", "sh", "-c", "echo ${SOME_TOKEN:-none}")
    secret = {"SOME_TOKEN": "canary-7f3a"}
    box.run("submit", *words, **secret)
    box.run("submit", "--env", "SOME_TOKEN", *words, **secret)
    box.run("wait", "1-2")
    assert [box.run("logs", task).out for task in ("1", "2")] == ["none\n", "canary-7f3a\n"]


def test_a_spec_is_submitted_once_and_again_only_what_failed(box: Box) -> None:
    spec = box.folder / "sweep.yaml"
    spec.write_text("run: s\ncommand: [sh, -c, 'exit {code}']\nmatrix: {code: [0, 1, 2]}\n")
    assert box.submit("sweep.yaml") == [1, 2, 3]
    assert box.run("wait", "@s").code == 1
    assert box.submit("sweep.yaml") == [1, 4, 5]


def test_a_run_is_all_its_cells_also_those_that_were_there_already(box: Box) -> None:
    spec = box.folder / "sweep.yaml"
    spec.write_text("run: s\ncommand: [sh, -c, 'test -e ok']\nmatrix: {n: [0, 1]}\n")
    assert "passloop wait @1\n" in box.run("submit", "sweep.yaml").err
    assert box.run("wait", "@s").code == 1
    (box.folder / "ok").touch()
    assert box.submit("sweep.yaml") == [3, 4]
    assert box.run("wait", "@s").code == 0
    assert "passloop wait @s\n" in box.run("submit", "sweep.yaml").err
    for selector in ("@s", "@3"):
        assert [task["id"] for task in box.json("wait", selector)["tasks"]] == [3, 4]
    assert box.run("wait", "@t").code == box.run("wait", "@9").code == 3


def test_a_command_that_was_there_by_key_can_be_waited_for_by_its_run(box: Box) -> None:
    box.submit("--", "true")
    once = ("--key", "once", "--", "true", "once")
    assert box.submit(*once) == box.submit(*once) == [2]
    for selector in ("@3", "@true"):
        assert [task["id"] for task in box.json("wait", selector)["tasks"]] == [2]
    assert [task["id"] for task in box.json("wait", "@1")["tasks"]] == [1]
    box.run("rm", "2")
    said = box.run("wait", "-q", "@3")
    assert (said.code, said.err) == (0, "nothing to wait for: @3 has no tasks\n")
    assert box.run("wait", "@3", "state:failed").code == 3


def test_cells_that_can_never_fit_are_told_and_are_exit_1(box: Box) -> None:
    spec = box.folder / "large.yaml"
    spec.write_text("run: s\ncommand: [true]\nmatrix: {n: [0, 1]}\nresources: {gpus: 3}\n")
    for verb in ("submit", "run"):
        said = box.run(verb, "large.yaml")
        assert said.code == 1
        assert "2 of 2 cells can never fit here and were rejected: asks 3 whole GPUs" in said.err
        assert "passloop plan large.yaml" in said.err


def test_an_option_beside_a_spec_is_refused(box: Box) -> None:
    (box.folder / "sweep.yaml").write_text("run: s\ncommand: [true]\n")
    said = box.run("submit", "--gpus", "1", "sweep.yaml")
    assert said.code == 2
    assert "--gpus" in said.err
    assert box.engine_pid() is None


@pytest.mark.parametrize("verb", ["submit", "run"])
def test_words_behind_a_spec_are_refused_and_make_no_command(box: Box, verb: str) -> None:
    spec = box.folder / "sweep.yaml"
    spec.write_text("run: s\ncommand: [true]\n")
    said = box.run(verb, "sweep.yaml", "--hold")
    assert said.code == 2
    assert "`sweep.yaml` is a spec, and nothing goes after it: `--hold`" in said.err
    assert f"passloop {verb} sweep.yaml" in said.err
    assert box.engine_pid() is None
    spec.write_text("#!/bin/sh\nexit 0\n")
    spec.chmod(0o755)
    assert box.run("run", "./sweep.yaml", "--hold").code == 0


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("--gpsu", "1", "--", "true"), "--gpus"),
        (("--gpus", "1.5", "--", "true"), "1 or 2"),
        (("--vram", "20G", "-g", "1", "--", "true"), "GiB"),
        (("--time-limit", "never", "--", "true"), "30s"),
        (("--after", "x", "--", "true"), "id"),
        (("--array", "5-1", "--", "true"), "1-100"),
        (("--cwd", "/nowhere/at/all", "--", "true"), "/nowhere"),
        (("--priority", "high", "--", "true"), "priority"),
        (("--name",), "--name"),
        (("--", ""), "first word is empty"),
        (("--", "echo hi | wc"), "passloop submit -- sh -c 'echo hi | wc'"),
        ((), "command"),
    ],
)
def test_a_mistake_is_exit_2_with_a_fix_and_starts_nothing(tmp_path: Path, words: tuple[str, ...], hint: str) -> None:
    box = Box(tmp_path)
    said = box.run("submit", *words)
    assert said.code == 2
    assert said.out == ""
    assert hint in said.err
    assert "Traceback" not in said.err
    assert not box.home.exists()


def test_a_dependency_that_is_not_there_is_refused(shared: Box) -> None:
    said = shared.run("submit", "--after", "999999", "--", "true")
    assert said.code in (2, 3)
    assert "999999" in said.err


def test_wrong_spec_names_line_and_column(box: Box) -> None:
    (box.folder / "bad.yaml").write_text("run: s\ncommand: [true]\nmatrx: {a: [1]}\n")
    for verb in ("submit", "plan", "run"):
        said = box.run(verb, "bad.yaml")
        assert said.code == 2
        assert "bad.yaml:3:1" in said.err
        assert "matrix" in said.err
    assert not box.home.exists()


def test_never_fitting_command_is_exit_7_and_stores_nothing(shared: Box) -> None:
    before = len(shared.json("ls")["tasks"])
    said = shared.run("submit", "-g", "3", "--", "true")
    assert said.code == 7
    assert "--wait-for-capacity" in said.err
    assert len(shared.json("ls")["tasks"]) == before


def test_a_pool_that_nobody_declared_is_said_and_is_not_there_for_having_been_asked(shared: Box) -> None:
    said = shared.run("submit", "--need", "licence=3", "--", "true")
    assert said.code == 7
    assert "asks 3 of licence, and no such pool was declared" in said.err
    assert "licence" not in [pool["name"] for pool in shared.json("pools")["pools"]]


def test_snapshot_runs_the_code_of_the_moment(box: Box) -> None:
    code = box.folder / "code"
    code.mkdir()
    (code / "say.sh").write_text("echo old\n")
    box.submit("--hold", "--snapshot", "--cwd", str(code), "--", "sh", "say.sh")
    (code / "say.sh").write_text("echo new\n")
    box.run("release", "1")
    box.run("wait", "1")
    assert box.run("logs", "1").out == "old\n"


@pytest.mark.parametrize("words", [["submit", "-g"], ["wait", "--timeout"]])
def test_an_option_without_its_value_is_told_with_the_help_of_its_verb(box: Box, words: list[str]) -> None:
    said = box.run(*words)
    assert said.code == 2
    assert said.err.endswith(f"requires an argument\n  hint: passloop {words[0]} --help\n")


def test_a_file_is_no_directory_to_run_in(box: Box) -> None:
    (box.folder / "train.py").touch()
    said = box.run("submit", "--cwd", "train.py", "--", "true")
    assert said.code == 2
    assert "`train.py` is no directory" in said.err


def test_no_more_than_were_said_run_at_once_also_after_a_restart(box: Box) -> None:
    gates = Gate(box.folder, "1"), Gate(box.folder, "2")
    for gate in gates:
        assert (
            box.run("submit", "--cpus", "0.1", "--name", "few", "--max-parallel", "1", "--", *gate.command()).code == 0
        )
    gates[0].wait_started()
    assert box.run("down", "--leave").code == 0
    assert box.run("up").code == 0
    (blocker,) = box.json("why", "2")["blockers"]
    assert (blocker["pool"], blocker["holders"]) == ("parallel/few", [1])
    gates[0].open()
    gates[1].wait_started()
    gates[1].open()
    assert box.run("wait").code == 0


def test_a_spec_may_be_json(shared: Box) -> None:
    (shared.folder / "one.json").write_text('{"run": "one-json", "command": ["true"]}')
    assert shared.run("plan", "one.json").out.startswith("run one-json: 1 cell\n")
    assert shared.run("submit", "--json", "one.json").json()["run"]["name"] == "one-json"


def test_a_sweep_says_how_many_of_its_cells_run_at_once(box: Box) -> None:
    (box.folder / "s.yaml").write_text("run: few\ncommand: [echo, '{x}']\nmatrix: {x: [1, 2]}\nmax_parallel: 1\n")
    assert box.run("run", "s.yaml").code == 0
    tasks = [box.json("show", str(task))["task"] for task in (1, 2)]
    assert [task["request"][0]["need"] for task in tasks] == [{"parallel/few": 1}] * 2
    assert box.run("submit", "--max-parallel", "0", "--", "true").code == 2
