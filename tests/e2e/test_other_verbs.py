"""Plans, schemas, settings, completion, reports, exports, the doctor, help: what needs no running engine."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command_line import Box, Gate

SWEEP = """run: tiny
command: [sh, -c, 'echo "{\\"score\\": {size}}" > "$PASSLOOP_OUT/metrics.json"; exit {size}']
matrix: {size: [0, 1]}
resources: {gpus: 1}
"""


@pytest.fixture
def swept(box: Box) -> Box:
    (box.folder / "tiny.yaml").write_text(SWEEP)
    assert box.run("run", "tiny.yaml").code == 1
    return box


def test_plan_counts_and_shows_commands_and_submits_nothing(box: Box) -> None:
    (box.folder / "tiny.yaml").write_text(SWEEP)
    said = box.run("plan", "tiny.yaml")
    assert said.code == 0
    assert "2 cells" in said.out
    document = box.json("plan", "tiny.yaml")
    assert (document["cells"], document["to_run"], document["never_fits"]) == (2, 2, None)
    assert not box.home.exists()


def test_plan_knows_what_is_done_and_what_never_fits(swept: Box) -> None:
    document = swept.json("plan", "tiny.yaml")
    assert (document["done"], document["to_run"]) == (1, 1)
    assert "took so far" in document["estimate"]["basis"]
    text = (swept.folder / "tiny.yaml").read_text()
    (swept.folder / "large.yaml").write_text(text.replace("gpus: 1", "gpus: 5"))
    said = swept.run("plan", "large.yaml")
    assert said.code == 7
    assert "never fits here" in said.out


def test_report_prints_the_table_and_writes_one_file(swept: Box) -> None:
    said = swept.run("report", "tiny")
    assert said.code == 0
    assert "tiny" in said.out
    (page,) = swept.folder.glob("passloop-report-*.html")
    assert page.read_text().startswith("<!doctype html>")
    assert swept.run("report", "last", "--out", "here.html").code == 0
    assert (swept.folder / "here.html").exists()
    assert swept.run("report", "nobody").code == 3
    assert swept.run("report", "tiny", "--out", "/no/where/x.html").code == 2


def test_a_report_that_is_read_by_a_program_keeps_each_failure_on_one_line(box: Box) -> None:
    long = "because " * 60
    (box.folder / "long.yaml").write_text(f"run: long\ncommand: [sh, -c, 'echo {long}end >&2; exit 1']\n")
    box.run("run", "long.yaml")
    said = box.run("report", "long", COLUMNS="")
    assert [line for line in said.out.splitlines() if line.endswith(f"{long}end")]


def test_export_writes_lines_with_parameters_and_results(swept: Box) -> None:
    rows = list(csv.DictReader(swept.run("export", "tiny").out.splitlines()))
    assert [row["param.size"] for row in rows] == ["0", "1"]
    lines = swept.run("export", "tiny", "--format", "jsonl").out.splitlines()
    assert json.loads(lines[0])["metric.score"] == 0
    assert swept.run("export", "tiny", "-o", "out.jsonl").code == 0
    assert json.loads((swept.folder / "out.jsonl").read_text().splitlines()[1])["exit_code"] == 1
    assert swept.run("export", "tiny", "--format", "xml").code == 2
    said = swept.run("export", "tiny", "-o", "out.xlsx")
    assert (said.code, (swept.folder / "out.xlsx").exists()) == (2, False)
    assert ".csv, .jsonl, .parquet" in said.err
    assert swept.run("export", "tiny", "-o", "out.xlsx", "--format", "csv").code == 0
    assert swept.run("export", "last", PASSLOOP_HOME=str(swept.folder / "empty")).code == 3


def test_schema_is_json_schema(box: Box) -> None:
    document = json.loads(box.run("schema").out)
    assert "matrix" in json.dumps(document)
    assert json.loads(box.run("schema", "wire").out)["$schema"] == document["$schema"]
    said = box.run("schema", "rnu")
    assert said.code == 2
    assert "run" in said.err


def test_config_tells_where_each_value_comes_from(box: Box) -> None:
    (box.folder / "passloop.toml").write_text('grace = "5s"\n')
    rows = {row["name"]: row for row in box.json("config")["settings"]}
    assert (rows["grace"]["value"], rows["grace"]["origin"]) == ("5s", str(box.folder / "passloop.toml"))
    assert rows["cpus_total"]["value"] == "4"
    assert rows["home"]["origin"] == "PASSLOOP_HOME"
    assert rows["virtual_gpus"]["origin"] == "PASSLOOP_VIRTUAL_GPUS"
    assert "grace" in box.run("config", "show").out
    for verb, act in (("config", "show"), ("gpus", "release"), ("pools", "open")):
        said = box.run(verb, "shwo")
        assert (said.code, said.err) == (2, f"error: `passloop {verb}` has no 'shwo'\n  hint: passloop {verb} {act}\n")
    (box.folder / "passloop.toml").write_text('gracce = "5s"\n')
    said = box.run("config")
    assert said.code == 2
    assert "passloop.toml:1:1" in said.err
    assert "grace" in said.err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(box: Box, shell: str) -> None:
    said = box.run("completion", shell)
    assert said.code == 0
    assert "_PASSLOOP_COMPLETE" in said.out


def test_completion_offers_verbs_ids_and_runs(swept: Box) -> None:
    def offers(words: str, position: int) -> str:
        asked = {"_PASSLOOP_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(position)}
        return swept.run(**asked).out

    assert "plain,submit" in offers("passloop su", 1)
    assert "plain,2" in offers("passloop show ", 2)
    assert "plain,@tiny" in offers("passloop ls @", 2)
    assert "plain,--time-limit" in offers("passloop submit --time", 2)
    swept.submit("--hold", "--group", "lab/night/deep", "--", "true")
    for words in ("submit --group ", "ls --group ", "wait --group ", "cancel --group "):
        assert {"plain,lab", "plain,lab/night", "plain,lab/night/deep"} <= set(offers(f"passloop {words}", 3).split())


def test_completion_of_a_damaged_home_offers_nothing_and_says_nothing(box: Box) -> None:
    box.home.mkdir(mode=0o700)
    (box.home / "store.sqlite").write_bytes(b"no database at all" * 100)
    said = box.run(_PASSLOOP_COMPLETE="bash_complete", COMP_WORDS="passloop show ", COMP_CWORD="2")
    assert said.err == ""


def test_doctor_looks_at_about_twenty_things(box: Box) -> None:
    document = box.run("doctor", "--json").json()
    names = [check["name"] for check in document["checks"]]
    assert len(names) == len(set(names)) >= 20
    assert {check["verdict"] for check in document["checks"]} <= {"ok", "warn", "fail"}
    assert not box.home.exists()
    gpus = next(check for check in document["checks"] if check["name"] == "gpus")
    assert "virtual" in gpus["text"]


def test_doctor_sees_the_engine_and_work_that_nobody_watches(box: Box) -> None:
    gate = Gate(box.folder)
    box.submit("--", *gate.command())
    gate.wait_started()
    assert "the engine answers: running" in box.run("doctor").out
    box.kill_engine()
    said = box.run("doctor").out
    assert "leftover of an engine that died" in said
    assert "1 task under way and no engine to watch: 1" in said
    assert "passloop up" in said


def test_doctor_fails_where_a_setting_is_wrong(box: Box) -> None:
    said = box.run("doctor", PASSLOOP_CPUS="many")
    assert said.code in (1, 2)
    assert "PASSLOOP_CPUS" in said.out + said.err


def test_doctor_leaves_a_store_that_is_in_use_alone(box: Box) -> None:
    box.run("up")
    said = box.run("doctor", "--repair")
    assert said.code == 6
    assert "passloop down" in said.err
    box.run("down")
    assert box.run("doctor", "--repair").out == "The store is whole.\n"


def by_shell(box: Box, script: str, *words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command through a shell script, to which it is the arguments."""
    program = [sys.executable, "-m", "passloop.cli", *words]
    return subprocess.run(
        ["sh", "-c", script, "sh", *program],
        env=box.environment,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=40,
        check=False,
    )


def test_a_directory_that_was_removed_stops_only_what_needs_it(box: Box) -> None:
    box.run("up")
    (task,) = box.submit("--", "true")
    gone = box.folder / "gone"

    def there(*words: str) -> subprocess.CompletedProcess[str]:
        gone.mkdir()
        return by_shell(box, 'rmdir "$PWD" && exec "$@"', *words, cwd=gone)

    for words in (["ls"], ["wait", str(task)], ["config"], ["cancel", "-n", str(task)], ["down"], ["up"], ["doctor"]):
        said = there(*words)
        assert (said.returncode, "Traceback" in said.stderr) == (0, False), said
    for words in (["submit", "--", "true"], ["run", "true"], ["plan", "-"], ["--home", "there", "ls"]):
        said = there(*words)
        assert (said.returncode, said.stdout) == (2, ""), said
        assert "the current directory is no longer there" in said.stderr
    assert box.run("run", "--", "true").code == 0


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_standard_streams_harm_nothing(box: Box, closed: str) -> None:
    for words, code in ((["submit", "--", "true"], 0), (["wait", "1"], 0), (["ls"], 0), (["show", "9"], 3)):
        said = by_shell(box, f'"$@" {closed}', *words, cwd=box.folder)
        assert (said.returncode, "Traceback" in said.stderr) == (code, False), said
    assert [task["state"] for task in box.json("ls")["tasks"]] == ["succeeded"]


def test_help_names_every_verb_and_version_is_told(box: Box) -> None:
    said = box.run("--help")
    assert said.code == 0
    for verb in ("run", "submit", "why", "doctor"):
        assert f"  {verb} " in said.out
    assert box.run("--version").out.startswith("passloop ")


def test_the_package_itself_can_be_run(box: Box) -> None:
    words = [sys.executable, "-m", "passloop", "--version"]
    done = subprocess.run(words, env=box.environment, cwd=box.folder, capture_output=True, text=True, check=True)
    assert done.stdout == box.run("--version").out
    assert box.run().code == 2


def test_words_that_are_no_verb_or_option_get_the_nearest_one(box: Box) -> None:
    said = box.run("cancle", "1")
    assert (said.code, "passloop cancel" in said.err) == (2, True)
    said = box.run("ls", "--jsno")
    assert (said.code, "--json" in said.err) == (2, True)
    said = box.run("gpus", "relaese", "GPU-1")
    assert (said.code, "release" in said.err) == (2, True)


def test_home_may_be_named_before_and_after_the_verb(box: Box) -> None:
    elsewhere = box.folder / "elsewhere"
    assert box.run("--home", str(elsewhere), "run", "--", "true").code == 0
    assert len(json.loads(box.run("ls", "--home", str(elsewhere), "--json").out)["tasks"]) == 1
    said = box.run("ls")
    assert said.err.startswith(f"no tasks: nothing was ever stored in the home {box.home} ")
    for words in (("ls", "@digits"), ("show", "7")):
        assert f"in the home {elsewhere}s " in box.run("--home", f"{elsewhere}s", *words).err
    assert box.json("ls") == {"schema_version": 1, "tasks": []}


def test_settings_files_hold_for_commands_too(box: Box) -> None:
    (box.folder / "passloop.toml").write_text('home = "there"\ncolour = "always"\npatience = "9s"\n')
    del box.environment["PASSLOOP_HOME"]
    box.home = box.folder / "there"
    (task,) = box.submit("--hold", "--", "true")
    assert (box.folder / "there" / "store.sqlite").exists()
    assert box.task(task)["patience_ms"] == 9_000
    assert "\x1b[" in box.run("ls").out
    (other,) = box.submit("--hold", "--patience", "1s", "--", "true")
    assert box.task(other)["patience_ms"] == 1_000


def test_a_plan_keeps_what_it_knows_of_models_in_the_home_that_a_flag_names(box: Box) -> None:
    model = box.folder / "model"
    model.mkdir()
    (model / "config.json").write_text('{"num_hidden_layers": 2, "num_attention_heads": 4, "hidden_size": 64}')
    (model / "model.safetensors").touch()
    os.truncate(model / "model.safetensors", 9 * 2**20)
    spec = "bench: x\nmodels: {m: {source: ./model}}\nbenchmarks: {niah: {subsets: [single_512]}}\n"
    (box.folder / "m.yaml").write_text(spec)
    assert box.run("--home", str(box.folder / "other"), "plan", "m.yaml").code == 0
    assert (box.folder / "other/models/digests.json").exists()
    assert not box.home.exists()
