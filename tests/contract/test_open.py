"""`passloop.open` is one object wherever the engine is: in this process, or elsewhere as a client sees it."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

import passloop
from passloop import Change, Command, Engine, call, command
from tests.support.command_line import ended_boxes
from tests.support.ledger import pretend

GIB = 1024
WHERE = ("embedded", "client")


@pytest.fixture(params=WHERE)
def where(request: pytest.FixtureRequest) -> str:
    """Where the engine is."""
    return str(request.param)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> Iterator[Path]:
    """A home with two virtual GPUs; a client's has a daemon."""
    with ended_boxes(tmp_path) as box:
        assert box.home == pretend(monkeypatch, tmp_path, "2x80GiB")
        if where == "client":
            assert box.run("up").code == 0
        yield box.home


@pytest.fixture
async def engine(home: Path) -> AsyncIterator[Engine]:
    """The engine under test."""
    async with passloop.open() as opened:
        yield opened


def stay(folder: Path) -> Command:
    """A task that stays until its pipe is written to."""
    return command("sh", "-c", f"read x < '{folder}/go'", gpus=1)


async def test_it_says_where_the_engine_is(engine: Engine, where: str, home: Path) -> None:
    assert engine.embedded == (where == "embedded")
    assert engine.home == home
    assert (await engine.status())["home"] == str(home)


async def test_a_command_runs_and_its_record_tells_how(engine: Engine) -> None:
    run = await engine.submit(command("sh", "-c", "exit 3", gpus=1, vram="20GiB", name="three", env={"A": "b"}))
    result = await run.wait(timeout=40)
    (task,) = result.tasks
    assert (task.state, task.exit_code, task.outcome, task.name) == ("failed", 3, "failure", "three")
    assert (task.gpus, task.command, task.run) == (("GPU-virtual-0",), ("sh", "-c", "exit 3"), run.id)
    assert task.started_at is not None
    assert task.ended_at is not None
    assert task.submitted_at <= task.started_at <= task.ended_at
    assert (result.succeeded, result.failed) == (False, (task,))


async def test_several_commands_are_one_run_each_with_its_own_wishes(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    run = await engine.submit(
        [command("sh", "-c", 'echo "{\\"here\\": \\"$PWD\\"}" > $PASSLOOP_OUT/metrics.json', cwd=tmp_path / "other"),
         command("true", gpus=1, params={"lr": 0.1}),
         command("true", array="1-3")],
        name="mixed",
    )  # fmt: skip
    result = await run.wait(timeout=40)
    assert result.succeeded
    assert (run.name, run.task_ids) == ("mixed", (1, 2, 3, 4, 5))
    first, second, *array = result.tasks
    assert (dict(first.metrics or {}), first.gpus) == ({"here": str(tmp_path / "other")}, ())
    assert (second.params, len(second.gpus)) == ({"lr": 0.1}, 1)
    assert [task.index for task in array] == [1, 2, 3]


async def test_watching_tells_each_change_up_to_the_last(engine: Engine) -> None:
    first = await engine.submit(command("true"))
    second = await engine.submit(command("false"), after=[first])
    changes = [change async for change in second.watch()]
    states = [change.state for change in changes]
    assert states[-1] == "failed"
    assert len(states) == len(set(states)), "no state is told twice"
    assert {change.task for change in changes} == set(second.task_ids)
    assert [change async for change in second.watch()] == [Change(2, "failed", 0)]


async def test_watching_many_tells_the_end_of_each(engine: Engine) -> None:
    run = await engine.submit(command("true", array="1-20"))
    ends = [change.task async for change in run.watch() if change.state == "succeeded"]
    assert sorted(ends) == list(run.task_ids)


async def test_a_wait_that_takes_too_long_leaves_the_run_alone(engine: Engine, tmp_path: Path, mkfifo: Path) -> None:
    run = await engine.submit(stay(tmp_path))
    with pytest.raises(TimeoutError):
        await run.wait(timeout=0.05)
    await asyncio.to_thread(mkfifo.write_text, "go\n")
    assert (await run.wait(timeout=40)).succeeded


async def test_cancelling_a_run_ends_what_is_not_final(engine: Engine, tmp_path: Path, mkfifo: Path) -> None:
    run = await engine.submit([command("true"), stay(tmp_path), stay(tmp_path), stay(tmp_path)])
    first, *others = run.task_ids
    async for change in run.watch():
        if change == Change(first, "succeeded", change.seq):
            break
    assert await run.cancel("enough") == tuple(others)
    result = await run.wait(timeout=40)
    assert [task.state for task in result.tasks] == ["succeeded", *["cancelled"] * 3]
    assert {task.message for task in result.failed} == {"enough"}


async def test_what_can_never_fit_is_refused_whole(engine: Engine) -> None:
    with pytest.raises(passloop.NeverFits, match="there are 2 GPUs with 80 GiB"):
        await engine.submit([command("true"), command("true", gpus=3)])
    with pytest.raises(passloop.NeverFits, match="wait_for_capacity=True"):
        await engine.submit(command("true", gpus=3))
    assert await engine.tasks() == ()


async def test_mistakes_are_told_together_with_the_fix(engine: Engine) -> None:
    with pytest.raises(passloop.PassloopError, match="GiB") as wrong:
        await engine.submit(command("true", gpus=1, vram="20", time_limit="soon"))
    assert "time_limit: " in wrong.value.message
    assert "--" not in str(wrong.value)
    with pytest.raises(passloop.PassloopError, match="no option 'gpu'"):
        await engine.submit(command("true", gpu=1))  # type: ignore[call-arg]
    with pytest.raises(passloop.PassloopError, match="nothing to submit"):
        await engine.submit([])


async def test_a_key_that_is_there_gives_its_task(engine: Engine) -> None:
    first = await engine.submit(command("true", key="a"))
    again = await engine.submit([command("true", key="a"), command("true", key="b")])
    assert (again.existing, again.task_ids) == (first.task_ids, (1, 2))
    assert (await again.wait(timeout=40)).succeeded


async def test_a_called_function_gives_its_value_and_metrics(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "study.py").write_text("def square(x, *, by=1):\n    return {'y': x * x * by, 'all': [x]}\n")
    run = await engine.submit([call("study:square", [3], {"by": 2}, params={"x": 3}), call("math:hypot", [3, 4])])
    result = await run.wait(timeout=40)
    assert result.succeeded, result.tasks
    assert await run.values() == ({"y": 18, "all": [3]}, 5.0)
    assert [task.metrics for task in result.tasks] == [{"y": 18}, {"result": 5.0}]
    assert [task.name for task in result.tasks] == ["study:square", "math:hypot"]


async def test_calls_with_a_warm_key_share_what_they_keep(engine: Engine, tmp_path: Path) -> None:
    code = "from passloop import worker\ndef add():\n    worker.kept['n'] = worker.kept.get('n', 0) + 1\n"
    (tmp_path / "kept.py").write_text(code + "    return worker.kept['n']\n")
    run = await engine.submit([call("kept:add", warm="model", cpus=4) for _ in range(4)])
    assert (await run.wait(timeout=40)).succeeded
    assert await run.values() == (1, 2, 3, 4)
    nothing = await engine.submit(call("builtins:print", warm="model"))
    assert (await nothing.wait(timeout=40)).succeeded
    assert await nothing.values() == (None,)
    with pytest.raises(ValueError, match="a warm key has 1 to 500 characters"):
        call("kept:add", warm="")


async def test_a_called_function_that_raises_fails_and_has_no_value(engine: Engine) -> None:
    run = await engine.submit(call("math:sqrt", [-1]))
    (task,) = (await run.wait(timeout=40)).tasks
    assert (task.state, task.exit_code) == ("failed", 1)
    with pytest.raises(passloop.PassloopError, match="task 1 left no result: it is failed"):
        await run.values()


async def test_a_run_is_a_frame_and_a_table(engine: Engine) -> None:
    run = await engine.submit([call("math:sqrt", [n], name=f"<{n}>", params={"n": n}) for n in (4, 9)])
    result = await run.wait(timeout=40)
    frame = run.to_pandas()
    assert frame.equals(result.to_pandas())
    assert list(frame["metrics.result"]) == [2.0, 3.0]
    assert list(frame["params.n"]) == [4, 9]
    assert "&lt;4&gt;" in run._repr_html_()
    assert "<td>succeeded</td>" in result._repr_html_()


async def test_an_earlier_run_is_found_by_id_and_by_name(engine: Engine) -> None:
    made = await engine.submit(command("true", array="1-3"), name="digits")
    for name in (made.id, "digits"):
        found = await engine.run(name)
        assert (found.id, found.name, found.task_ids) == (made.id, "digits", made.task_ids)
    with pytest.raises(passloop.PassloopError, match="no run"):
        await engine.run("letters")


async def test_tasks_are_selected_as_on_the_command_line(engine: Engine) -> None:
    run = await engine.submit([command("true"), command("false")])
    await run.wait(timeout=40)
    assert [task.id for task in await engine.tasks("state:failed")] == [2]
    assert [task.id for task in await engine.tasks(limit=1)] == [2]
    assert await engine.cancel("1-2") == ()


async def test_it_tells_why_a_task_waits_and_who_holds_gpus(engine: Engine, tmp_path: Path, mkfifo: Path) -> None:
    run = await engine.submit([stay(tmp_path), stay(tmp_path), stay(tmp_path)])
    assert any("GPU" in reason for reason in await engine.why(3))
    assert [gpu.holders for gpu in await engine.gpus()] == [(1,), (2,)]
    assert [(gpu.index, gpu.vram_mib, gpu.virtual) for gpu in await engine.gpus()] == [
        (0, 80 * GIB, True), (1, 80 * GIB, True),
    ]  # fmt: skip
    await run.cancel()
    await run.wait(timeout=40)


async def test_held_work_waits_and_priority_goes_first(engine: Engine) -> None:
    held = await engine.submit(command("true"), held=True, priority=3, group="night")
    (task,) = await held.tasks()
    assert (task.state, task.priority, task.group) == ("held", 3, "night")


async def test_secrets_reach_a_task_only_by_name(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "s3cret")
    words = (sys.executable, "-c", "import os, sys; sys.exit('HF_TOKEN' in os.environ)")
    run = await engine.submit([command(*words), command(*words, env={"HF_TOKEN": None})])
    assert [task.exit_code for task in (await run.wait(timeout=40)).tasks] == [0, 1]


@pytest.fixture
def mkfifo(tmp_path: Path) -> Path:
    """The pipe that tasks of `stay` wait for."""
    os.mkfifo(tmp_path / "go")
    return tmp_path / "go"
