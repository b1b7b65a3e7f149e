"""Keywords become the options of the command line, and several commands one submission."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from passloop.api.commands import Command, Shared, call, command, submission_of_commands
from passloop.api.errors import PassloopError
from passloop.apps.errors import SpecError
from passloop.apps.queue.options import Place
from passloop.apps.queue.wire import WireSubmission

PLACE = Place(cwd="/srv", environment={"A": "1", "TOKEN": "x"})


def submitted(*commands: Command, **shared: Any) -> WireSubmission:
    return submission_of_commands(commands, Shared(**shared), PLACE)


def test_each_keyword_is_the_option_of_that_name(tmp_path: Path) -> None:
    wire = submitted(
        command(
            "python", Path("train.py"), gpus=0.5, vram="20GiB", cpus=4, mem="8GiB", need={"licence": 2}, retries=3,
            time_limit=90, grace="5s", deadline="2h", patience=0, name="n", key="k", cwd=tmp_path,
            env={"B": "2", "TOKEN": None}, or_variants=["gpus=0,cpus=16"], wait_for_capacity=True,
        )
    )  # fmt: skip
    (task,), first, second = wire.tasks, *wire.spec.request
    assert task.command == ("python", "train.py")
    assert (first.share, first.vram_mib) == (5_000, 20 * 1024)
    assert first.amounts == {"cpu": 4_000, "memory": 8 * 1024, "licence": 2}
    assert (second.gpus, second.share, second.amounts["cpu"]) == (0, 0, 16_000)
    assert (wire.spec.time_limit, wire.spec.grace, wire.spec.deadline) == (90_000, 5_000, 7_200_000)
    assert (wire.spec.patience, wire.spec.retries.failure, wire.spec.wait_for_capacity) == (0, 3, True)
    assert (task.name, task.key, task.env, wire.cwd) == ("n", "k", {"B": "2", "TOKEN": "x"}, str(tmp_path))


def test_what_is_shared_is_said_once() -> None:
    wire = submitted(command("a"), name="r", group="g", priority=5, after=(1, 2), after_any=(3,), held=True)
    assert (wire.name, wire.group, wire.priority, wire.held) == ("r", "g", 5, True)
    assert wire.after == ((1, False), (2, False), (3, True))
    assert wire.environment == {"A": "1"}


def test_only_what_differs_from_the_first_command_stands_at_a_task() -> None:
    wire = submitted(command("a"), command("a"), command("a", gpus=2), command("a", cwd="/tmp"))
    assert [task.spec is None for task in wire.tasks] == [True, True, False, True]
    assert [task.cwd for task in wire.tasks] == [None, None, None, "/tmp"]


def test_an_unknown_option_names_those_there_are() -> None:
    with pytest.raises(PassloopError, match=r"no option 'gpu'\n.*gpus") as wrong:
        submitted(command("a", gpu=1))  # type: ignore[call-arg]
    assert wrong.value.code == "invalid"


def test_every_mistake_is_told_with_its_option() -> None:
    with pytest.raises(SpecError) as wrong:
        submitted(command("a", gpus=-1, mem="much"))
    assert [problem.where for problem in wrong.value.problems] == ["--gpus", "--mem"]


def test_a_call_is_a_command_that_imports_the_function_there() -> None:
    (task,) = submitted(call("pkg.mod:Class.method", [1, "{python}"], {"x": {"y": None}}, gpus=1)).tasks
    assert task.command[1:4] == ("-m", "passloop.api.callee", "pkg.mod:Class.method")
    assert json.loads(task.command[4]) == {"args": [1, "{python}"], "kwargs": {"x": {"y": None}}}
    assert task.name == "pkg.mod:Class.method"


@pytest.mark.parametrize("target", ["", "math", "math.sqrt", "math:", ":sqrt", "a b:c", "math:sqrt()", "../x:y"])
def test_a_target_that_is_no_import_path_is_refused(target: str) -> None:
    with pytest.raises(ValueError, match=r"write package\.module:function"):
        call(target)


def test_arguments_that_json_cannot_say_are_refused() -> None:
    for argument in (object(), float("nan"), {1, 2}):
        with pytest.raises(ValueError, match="cannot be said in JSON"):
            call("m:f", [argument])
    with pytest.raises(ValueError, match="pass the path of a file"):
        call("m:f", ["x" * 200_000])


def test_many_calls_are_a_list_not_an_array() -> None:
    with pytest.raises(ValueError, match="submit a list of calls"):
        call("m:f", array="1-3")
