"""Words become one request: what goes with a spec, and which verb a mistake points at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from passloop.apps.errors import SpecError
from passloop.apps.queue.wire import decode_submission
from passloop.cli.client import Client, EngineUnanswered
from passloop.cli.exits import CliError
from passloop.cli.submitting import Request, post_submission, request_of


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A sweep of two cells, in the directory where the command is given."""
    (tmp_path / "s.yaml").write_text("run: two\ncommand: [echo, '{n}']\nmatrix: {n: [1, 2]}\n")
    monkeypatch.chdir(tmp_path)
    return "s.yaml"


@pytest.mark.parametrize("verb", ["run", "submit"])
def test_a_mistake_points_at_the_help_of_its_own_verb(verb: str) -> None:
    with pytest.raises(SpecError) as wrong:
        request_of(("true",), {"gpus": "many"}, home="/nowhere", verb=verb)
    assert wrong.value.next_command == f"passloop {verb} --help"
    with pytest.raises(CliError) as nothing:
        request_of((), {}, home="/nowhere", verb=verb)
    assert nothing.value.hint == f"passloop {verb} --help"


def test_a_spec_can_be_submitted_held(spec: str) -> None:
    for held in (False, True):
        request = request_of((spec,), {"held": held}, home="/nowhere")
        assert (decode_submission(request.body).held, request.spec) == (held, spec)


@pytest.mark.parametrize(
    ("said", "option"), [({"gpus": "1"}, "--gpus"), ({"or_variants": ("gpus=0",)}, "--or"), ({"group": "g"}, "--group")]
)
def test_an_option_that_a_spec_would_pass_over_is_refused(spec: str, said: dict[str, Any], option: str) -> None:
    with pytest.raises(CliError, match=f"{option} does not go with a spec"):
        request_of((spec,), said, home="/nowhere")


@pytest.mark.parametrize(
    ("word", "fix"),
    [
        ("train.py", "passloop run -- python train.py --lr 1"),
        ("own.py", "passloop run -- ./own.py --lr 1"),
        ("go.sh", "passloop run -- sh go.sh --lr 1"),
        (".", "name a program in it, like ./PROGRAM"),
        ("./parts", "name a program in it, like ./parts/PROGRAM"),
        ("parts/", "name a program in it, like parts/PROGRAM"),
    ],
)
def test_a_file_or_folder_that_is_no_command_is_refused_with_what_was_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str, fix: str
) -> None:
    for name in ("train.py", "own.py", "go.sh"):
        (tmp_path / name).touch(mode=0o755 if name == "own.py" else 0o644)
    (tmp_path / "parts").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CliError) as refused:
        request_of((word, "--lr", "1"), {}, home="/nowhere", verb="run")
    assert refused.value.hint == fix


def test_a_command_of_path_is_taken_though_a_file_here_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "true").mkdir()
    (tmp_path / "mine").touch()
    monkeypatch.chdir(tmp_path)
    assert request_of(("true",), {}, home="/nowhere").commands == (["true"],)
    assert request_of(("mine",), {"env": ("PATH=/elsewhere",)}, home="/nowhere").commands == (["mine"],)
    assert request_of(("not-here-yet",), {}, home="/nowhere").commands == (["not-here-yet"],)


@pytest.mark.parametrize(("end", "code"), [(EngineUnanswered("it may have done it"), 5), (KeyboardInterrupt(), 130)])
def test_who_gets_no_answer_is_told_that_the_work_may_be_stored(
    monkeypatch: pytest.MonkeyPatch, end: BaseException, code: int
) -> None:
    def unanswered(*_request: object, **_more: object) -> None:
        raise end

    monkeypatch.setattr(Client, "post_bytes", unanswered)
    with pytest.raises(CliError, match="it may have") as told:
        post_submission(Client("/nowhere"), Request(b"{}"))
    assert told.value.exit_code == code
    assert told.value.hint == "look with passloop ls before you submit it again; with --key the same again is one task"
