"""`up`, `down`, `serve`, `status`: one engine for a home, whatever happens to it."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from passloop.cli.client import Client
from tests.support.command_line import Box, Gate


def test_up_returns_when_the_socket_answers_and_twice_is_fine(box: Box) -> None:
    first, second = box.run("up"), box.run("up", "--json")
    assert (first.code, second.code) == (0, 0)
    assert second.json()["engine"]["pid"] == box.engine_pid()


LOWER = 'umask 0027; ulimit -Sn 300; exec "$0" -m passloop.cli "$@"'
LIMIT = ["sh", "-c", "ulimit -Sn; umask"]


def with_few_files(box: Box, *words: str) -> str:
    """What a command says that was started with a soft limit of 300 open files, and with a umask."""
    line = ["sh", "-c", LOWER, sys.executable, *words]
    return subprocess.run(line, env=box.environment, capture_output=True, text=True, timeout=40, check=True).stdout


def soft_limit_of(pid: int) -> int:
    return resource.prlimit(pid, resource.RLIMIT_NOFILE)[0]


def test_an_engine_opens_as_many_files_as_it_may_and_tasks_get_limit_and_umask_of_its_starter(box: Box) -> None:
    with_few_files(box, "up")
    engine = box.engine_pid()
    assert engine is not None
    assert soft_limit_of(engine) == resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    (task,) = box.submit("--", *LIMIT)
    box.run("wait", str(task))
    assert box.run("logs", str(task)).out == "300\n0027\n"


def test_a_command_that_is_the_engine_itself_gives_its_tasks_limit_and_umask_of_its_user_too(box: Box) -> None:
    assert with_few_files(box, "run", "--", *LIMIT).startswith("300\n0027\n")


def test_many_at_once_start_one_engine(box: Box) -> None:
    with box.started("up") as one, box.started("up") as two, box.started("submit", "--", "true") as three:
        assert [process.wait(40) for process in (one, two, three)] == [0, 0, 0]
    assert box.run("wait", "1").code == 0


def test_down_ends_the_engine_and_never_starts_one(box: Box) -> None:
    assert box.run("down").code == 0
    assert not box.home.exists()
    box.run("up")
    assert box.run("down").code == 0
    assert box.run("status").code == 5
    assert box.run("status", "--json").json() == {"schema_version": 1, "engine": None}


def test_up_tells_what_a_running_engine_was_started_with(box: Box) -> None:
    assert box.run("up").err == ""
    said = box.run("up")
    assert (said.code, said.err) == (0, "")
    said = box.run("up", "--cpus-total", "4.0", PASSLOOP_VIRTUAL_GPUS="4x40GiB", PASSLOOP_GPUS_DENY="0")
    assert said.code == 0
    assert "PASSLOOP_VIRTUAL_GPUS: the engine runs with 2x80GiB, not with 4x40GiB\n" in said.err
    assert "PASSLOOP_GPUS_DENY: the engine runs with none, not with 0\n" in said.err
    assert "CPUS" not in said.err
    assert said.err.endswith("to restart it with yours: passloop down && passloop up\n")
    said = box.run("submit", "--hold", "--virtual-gpus", "1x8GiB", "--", "true", PASSLOOP_CPUS="9")
    assert said.out == "1\n"
    assert "runs with 2x80GiB, not with 1x8GiB" in said.err
    assert said.err.endswith("passloop down && passloop up --virtual-gpus 1x8GiB\n")
    assert "CPUS" not in said.err
    said = box.run("submit", "-g", "4", "--", "true", PASSLOOP_VIRTUAL_GPUS="4x40GiB")
    assert said.code == 7
    assert "runs with 2x80GiB, not with 4x40GiB\nit keeps what it was started with; to restart it" in said.err
    said = box.run("submit", "--need", "license=1", "--", "true", PASSLOOP_POOLS="license=4")
    assert (said.code, "PASSLOOP_POOLS: the engine runs with none, not with license=4" in said.err) == (7, True)


def put_the_last_copy_back(box: Box) -> None:
    """As if the store had been lost since the `down`, which left a copy of all there was."""
    for path in box.home.glob("store.sqlite*"):
        path.unlink()
    shutil.copy(box.home / "backup.sqlite", box.home / "store.sqlite")


def test_down_waits_for_what_runs(box: Box, tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    box.submit("--", *gate.command())
    gate.wait_started()
    with box.started("down") as ending:
        assert ending.stderr is not None
        assert "waiting for what runs" in ending.stderr.readline()
        gate.open()
        assert ending.wait(30) == 0
    put_the_last_copy_back(box)
    assert box.json("ls")["tasks"][0]["state"] == "succeeded"


def test_work_for_an_engine_that_ends_is_told_so_and_up_starts_the_next_one(box: Box, tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    box.submit("--", *gate.command())
    gate.wait_started()
    Client(str(box.home)).post("/down", {"mode": "drain"})
    said = box.run("submit", "--hold", "--", "true")
    assert (said.code, said.out) == (0, "2\n")
    assert "starts nothing more: passloop up waits" in said.err
    assert "starts nothing more: passloop up waits" in box.run("release", "2").err
    with box.started("up") as starting:
        assert starting.stderr is not None
        assert "is ending; waiting for what runs, then the next one starts" in starting.stderr.readline()
        gate.open()
        assert starting.wait(30) == 0
    assert box.run("wait").code == 0
    assert {task["state"] for task in box.json("ls")["tasks"]} == {"succeeded"}


ENTRIES = {"endpoints": {"e": {"base_url": "http://127.0.0.1:9/v1"}}, "models": {"m": {"endpoint": "e", "model": "x"}}}
SPECS: dict[str, dict[str, Any]] = {
    "bench": {
        "adapter": "fake",
        "models": {"a": {}},
        "sparse_attention": {"dense": {}},
        "benchmarks": {"niah": {"subsets": [f"s{number}" for number in range(501)], "samples": 1}},
    },
    "generate": {**ENTRIES, "rows": 1, "columns": [{"name": "c", "kind": "llm_text", "model": "m", "prompt": "hi"}]},
    "tune": {
        "engine": {"argv": ["true", "{port}", "{a}"]},
        "space": {"a": [1, 2]},
        "load": {"points": [{"concurrency": 1}], "requests": 1, "warmup": 0},
        "objectives": [{"metric": "output_tokens_per_second", "at": {"concurrency": 1}}],
        "search": {"baseline": False},
    },
}
"""A matrix of so many cells that it goes to an engine in units, a dataset, and a study."""


def test_a_spec_for_an_engine_that_ends_is_told_so(box: Box, tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    box.submit("--", *gate.command())
    gate.wait_started()
    Client(str(box.home)).post("/down", {"mode": "drain"})
    try:
        for verb, spec in SPECS.items():
            (tmp_path / f"{verb}.json").write_text(json.dumps({verb: "late", **spec}))
            with box.started(verb, f"{verb}.json") as following:
                assert following.stderr is not None
                lines = iter(following.stderr.readline, "")
                assert any("starts nothing more: passloop up waits" in line for line in lines), verb
    finally:
        gate.open()


def test_down_leave_lets_work_run_on_and_the_next_engine_finds_it(box: Box, tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    (task,) = box.submit("--", *gate.command())
    gate.wait_started()
    assert box.run("down", "--leave").code == 0
    assert box.task(task)["state"] == "running"
    assert box.run("wait", str(task)).code == 5
    put_the_last_copy_back(box)
    assert box.run("up").code == 0
    gate.open()
    assert box.run("wait", str(task)).code == 0
    assert len(box.task(task)["attempts"]) == 1


def test_down_now_puts_work_back_at_no_cost(box: Box, tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    (task,) = box.submit("--grace", "100ms", "--", *gate.command())
    gate.wait_started()
    assert box.run("down", "--now").code == 0
    put_the_last_copy_back(box)
    assert box.task(task)["state"] == "ready"


def test_probe_d_work_survives_the_engine_that_is_killed(box: Box, tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    (task,) = box.submit("--", *gate.command())
    gate.wait_started()
    box.kill_engine()
    assert box.run("status").code == 5
    assert "no engine is running" in box.run("ls").err
    assert box.json("why", str(task))["blockers"][0]["code"] == "no_engine"
    assert box.run("up").code == 0
    gate.open()
    assert box.run("wait", str(task)).code == 0
    assert len(box.task(task)["attempts"]) == 1


def test_serve_is_the_engine_until_sigterm(box: Box) -> None:
    with box.started("serve") as engine:
        assert engine.stderr is not None
        assert "runs" in engine.stderr.readline()
        assert box.engine_pid() == engine.pid
        assert box.run("serve").code == 6
        engine.send_signal(signal.SIGTERM)
        assert engine.wait(30) == 0


def test_engine_with_a_wrong_setting_says_which(box: Box) -> None:
    said = box.run("up", PASSLOOP_VIRTUAL_GPUS="four")
    assert said.code == 2
    assert "PASSLOOP_VIRTUAL_GPUS" in said.err
    assert "Traceback" not in said.err


def test_verbs_that_need_an_engine_are_exit_5_without_one(box: Box) -> None:
    for words in (["cancel", "1"], ["gpus"], ["pools"], ["hold", "--group", "a"], ["retry", "--failed"]):
        said = box.run(*words)
        assert said.code == 5, words
        assert "passloop up" in said.err


def test_home_that_others_may_write_is_exit_6(box: Box) -> None:
    box.home.mkdir(mode=0o777)
    box.home.chmod(0o777)
    for verb in ("up", "ls"):
        said = box.run(verb)
        assert said.code == 6, said
        assert "chmod 700" in said.err


def test_damaged_store_is_exit_4_and_doctor_repairs_it(box: Box) -> None:
    box.submit("--", "true")
    box.run("wait", "1")
    box.run("down")
    database = box.home / "store.sqlite"
    with database.open("r+b") as file:
        file.truncate(database.stat().st_size // 2)
    for verb in ("ls", "up", "doctor"):
        assert box.run(verb).code == 4, verb
    assert "doctor --repair" in box.run("ls").err
    assert box.run("doctor", "--repair").code in (0, 4)


def test_a_copy_made_beside_an_engine_is_a_whole_store_and_can_be_put_back(box: Box) -> None:
    box.submit("--name", "kept", "--", "true")
    box.run("wait")
    assert box.run("doctor", "--backup", "copy.sqlite").code == 0
    box.submit("--name", "newer", "--", "true")
    box.run("down")
    copy = box.folder / "copy.sqlite"
    elsewhere = box.folder / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    shutil.copy(copy, elsewhere / "store.sqlite")
    tasks = box.json("--home", str(elsewhere), "ls")["tasks"]
    assert [(task["name"], task["state"]) for task in tasks] == [("kept", "succeeded")]
    assert f"a copy of that in {box.home}" in box.run("--home", str(elsewhere), "up").err
    assert "The store is this home's own now" in box.run("--home", str(elsewhere), "doctor", "--repair").out

    for path in box.home.glob("*.sqlite*"):
        path.unlink()
    shutil.copy(copy, box.home / "store.sqlite")
    assert box.run("ls").code == 4  # it knows that newer work was stored here
    assert box.run("doctor", "--repair").code == 0
    assert [task["name"] for task in box.json("ls")["tasks"]] == ["kept"]


def test_a_copy_goes_neither_over_the_store_nor_where_no_file_can_be(box: Box) -> None:
    assert box.run("doctor", "--backup", "copy.sqlite").code == 3  # nothing was ever stored here
    box.run("run", "--", "true")
    for place in (str(box.home / "store.sqlite"), str(box.folder), "no/where.sqlite"):
        assert box.run("doctor", "--backup", place).code == 2, place
    for name in ("store.sqlite-wal", "lock", "anew.sqlite"):
        assert "among its own files" in box.run("doctor", "--backup", str(box.home / name)).err, name
    script, pipe, link = box.folder / "run.sh", box.folder / "pipe", box.folder / "link"
    script.write_text("echo kept")
    os.mkfifo(pipe)
    for place in (script, pipe):
        assert "is no copy of a store" in box.run("doctor", "--backup", str(place)).err, place
    assert (script.read_text(), stat.S_ISFIFO(pipe.stat().st_mode)) == ("echo kept", True)
    link.symlink_to("copy.sqlite")
    (box.folder / "kept").mkdir()
    made = [str(link), str(box.folder / "kept" / "store.sqlite")]
    Path(made[1]).touch()
    for place in [*made, *made]:  # an older copy is replaced, and a link stays one
        assert box.run("doctor", "--backup", place).code == 0
    assert link.is_symlink()
    assert (box.folder / "copy.sqlite").stat().st_size > 0
    assert box.run("doctor", "--backup", str(box.home / "backup.sqlite")).code == 0
    assert box.run("doctor", "--repair", "--backup", "x").code == 2
    assert box.run("ls").code == 0


def test_home_longer_than_a_socket_address_works(tmp_path: Path) -> None:
    folder = tmp_path / ("deep" * 20) / ("er" * 30)
    folder.mkdir(parents=True)
    box = Box(folder)
    try:
        assert box.run("run", "--", "echo", "far").out == "far\n"
        assert box.run("up").code == 0
        assert box.json("status")["engine"]["home"] == str(box.home)
    finally:
        box.close()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_home_of_another_user_is_exit_6(box: Box) -> None:
    assert box.run("--home", "/root/passloop", "ls").code == 6
