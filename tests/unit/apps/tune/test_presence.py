"""What a study stands on is looked for before anything runs, each part told at its place."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from passloop.apps.spec_file import parse_spec
from passloop.apps.tune.presence import missing_parts
from passloop.apps.tune.search import samplers
from passloop.apps.tune.study import study_of_file
from tests.unit.apps.tune.studies import FAMILY, GOOD, text_of

FLAGS = ["--port", "{port}", "--batch", "{batch}", "--slots", "{slots}"]


def missing(folder: Path, base: dict[str, Any] = GOOD, *, path: str | None = None, **changes: Any) -> list[str]:
    """What is missing for such a spec, without its line and column."""
    file = parse_spec(text_of(base, **changes), name="s.yaml", folder=folder)
    environ = {"PATH": os.environ["PATH"] if path is None else path}
    return [each.what for each in missing_parts(file, study_of_file(file, cwd=folder), environ=environ)]


def test_the_servers_program_is_looked_for_on_the_path_of_its_trials(tmp_path: Path) -> None:
    engine = {"argv": ["my-server", *FLAGS]}
    assert missing(tmp_path, engine=engine) == ["there is no program `my-server` here"]
    program = tmp_path / "my-server"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert missing(tmp_path, engine=engine, path=str(tmp_path)) == []
    assert missing(tmp_path, engine={**engine, "env": {"PATH": str(tmp_path)}}) == []
    assert missing(tmp_path, engine={"argv": ["./my-server", *FLAGS]}) == []


def test_the_interpreter_of_passloop_and_a_program_in_braces_are_there(tmp_path: Path) -> None:
    assert missing(tmp_path, engine={"argv": ["{python}", *FLAGS]}) == []
    space = {**GOOD["space"], "program": ["one", "two"]}
    assert missing(tmp_path, engine={"argv": ["{program}", *FLAGS]}, space=space) == []


def test_a_familys_program_is_told_at_the_family(tmp_path: Path) -> None:
    file = parse_spec(text_of(FAMILY), name="s.yaml", folder=tmp_path)
    found = missing_parts(file, study_of_file(file, cwd=tmp_path), environ={"PATH": str(tmp_path)})
    assert [each.what for each in found] == ["there is no program `vllm` here"]
    assert (found[0].line, found[0].column) == file.place("engine", "family")


def test_the_download_the_load_client_and_the_container_are_looked_for(tmp_path: Path) -> None:
    here = {"argv": ["{python}", *FLAGS]}
    assert missing(tmp_path, engine={**here, "download": ["no-such-hf"]}) == ["there is no program `no-such-hf` here"]
    load = {**GOOD["load"], "client": "aiperf"}
    assert missing(tmp_path, engine=here, load=load, path="/nowhere") == ["there is no program `aiperf` here"]
    named = {**load, "options": {"program": "./bin/aiperf"}}
    assert missing(tmp_path, engine=here, load=named) == ["there is no program `./bin/aiperf` here"]


def test_what_a_sampler_wants_is_told_with_its_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samplers, "has_module", lambda name: name != "torch")
    here = {"argv": ["{python}", *FLAGS]}
    said = missing(tmp_path, engine=here, search={"sampler": "gp"})
    assert said == ["the sampler gp wants torch, which is not installed: pip install torch"]
    assert missing(tmp_path, engine=here, search={"sampler": "tpe"}) == []
