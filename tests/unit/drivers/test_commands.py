"""How a command is started, what it sees, and the sentence when it cannot be."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from passloop.drivers.processes.keeper.commands import CannotStartError, resolve
from passloop.kernel.ids import TaskId
from passloop.kernel.tasks import OutcomeKind
from tests.support.attempts import Stage, waiting_command

SHOW = "import json,os,signal,sys; print(json.dumps([dict(os.environ), os.getcwd(), sys.argv[1:]]))"


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with Stage(tmp_path) as stage:
        yield stage


async def test_output_goes_to_the_two_logs_of_the_attempt(stage: Stage) -> None:
    await stage.run(["sh", "-c", "echo one; echo two >&2"])
    folder = stage.order().directory
    assert (folder / "stdout.log").read_text() == "one\n"
    assert (folder / "stderr.log").read_text() == "two\n"


async def test_the_environment_is_the_submitters_and_ours_and_nothing_else(stage: Stage) -> None:
    environment = {"PATH": "/bin", "ODD": "a=b \u00fc\n", "CUDA_VISIBLE_DEVICES": "7"}
    command = [sys.executable, "-I", "-S", "-c", SHOW, "\u00fc", ""]
    order = stage.launch(command, environment=environment, payload={"index": 3, "line": "x y"})
    await stage.ended()
    seen, cwd, words = json.loads((order.directory / "stdout.log").read_text())
    seen.pop("LC_CTYPE", None)  # set by the interpreter that prints it
    assert seen == environment | {
        "PASSLOOP_TASK_ID": "1",
        "PASSLOOP_ATTEMPT": "1",
        "PASSLOOP_ATTEMPT_ID": order.name,
        "PASSLOOP_IDEMPOTENCY_KEY": order.idempotency_key,
        "PASSLOOP_OUT": str(order.directory / "out"),
        "PASSLOOP_GPUS": "",
        "PASSLOOP_INDEX": "3",
        "PASSLOOP_LINE": "x y",
        "CUDA_VISIBLE_DEVICES": "",
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
    }
    assert (cwd, words) == (str(stage.home), ["\u00fc", ""])


async def test_attempts_at_one_task_share_a_key_that_no_other_task_has(stage: Stage) -> None:
    say = ["sh", "-c", "echo $PASSLOOP_IDEMPOTENCY_KEY"]
    orders = [stage.launch(say, 1), stage.launch(say, 2, task=TaskId(1)), stage.launch(say, 11)]
    for order in orders:
        await stage.ended(order.attempt)
    first, again, other = [(order.directory / "stdout.log").read_text() for order in orders]
    assert first == again
    assert first != other


async def test_granted_devices_are_named_by_uuid(stage: Stage) -> None:
    order = stage.launch(["sh", "-c", "echo $CUDA_VISIBLE_DEVICES $PASSLOOP_GPUS"], gpus=["GPU-a", "GPU-b"])
    await stage.ended()
    assert (order.directory / "stdout.log").read_text() == "GPU-a,GPU-b GPU-a,GPU-b\n"


async def test_two_environments_are_not_mixed_up(stage: Stage) -> None:
    for attempt, value in enumerate(["a", "b", "a", "c"], 1):
        environment = {"PATH": os.environ["PATH"], "WHICH": value}
        await stage.run(["sh", "-c", "echo $WHICH"], attempt, environment=environment)
    texts = [(stage.order(at).directory / "stdout.log").read_text() for at in range(1, 5)]
    assert texts == ["a\n", "b\n", "a\n", "c\n"]


async def test_more_environments_than_are_kept_all_arrive(stage: Stage) -> None:
    for attempt in range(1, 70):
        environment = {"PATH": os.environ["PATH"], "WHICH": str(attempt)}
        stage.launch(["sh", "-c", "echo $WHICH"], attempt, environment=environment)
    for attempt in range(1, 70):
        await stage.ended(attempt)
        assert (stage.order(attempt).directory / "stdout.log").read_text() == f"{attempt}\n"


async def test_an_environment_larger_than_the_sockets_buffer_arrives(stage: Stage) -> None:
    environment = {"PATH": os.environ["PATH"]} | {f"V{n}": "x" * 100_000 for n in range(15)}
    await stage.run(["sh", "-c", "echo ${#V14}"], environment=environment)
    assert (stage.order().directory / "stdout.log").read_text() == "100000\n"


async def test_signals_are_as_a_shell_would_leave_them(stage: Stage) -> None:
    order = stage.launch(["cat", "/proc/self/status"])
    await stage.ended()
    lines = dict(line.split(":", 1) for line in (order.directory / "stdout.log").read_text().splitlines())
    of_the_c_library = 0b11 << 31  # 32 and 33: it ignores them in every process it spawns
    assert int(lines["SigBlk"], 16) == 0
    assert int(lines["SigIgn"], 16) & ~of_the_c_library == 0


async def test_nothing_of_ours_stays_open_in_the_command(stage: Stage) -> None:
    order = stage.launch(["ls", "/proc/self/fd"])
    await stage.ended()
    assert (order.directory / "stdout.log").read_text().split() == ["0", "1", "2", "3"]  # 3 is what ls reads


async def test_lock_descriptors_are_held_by_the_tree_and_closed_after_it(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    async with Stage(tmp_path, inherit_fds=lambda _allocation: [writing]) as stage:
        lifeline, gate = stage.lifeline(), stage.gate()
        stage.launch(waiting_command(lifeline, gate))
        await lifeline.until(1)
        os.close(writing)
        os.set_blocking(reading, False)
        with pytest.raises(BlockingIOError):
            os.read(reading, 1)
        stage.driver.halt(stage.order().attempt, 1, grace=1000, reason="cancelled")
        await stage.ended()
        stage.driver._inherit_fds = lambda _allocation: ()
        await stage.run(["true"], 2)  # its shim had the descriptors before
        assert os.read(reading, 1) == b""
    os.close(reading)


async def test_a_command_holds_its_locks_itself_so_that_they_outlive_shim_and_engine(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    lock.touch()
    with lock.open() as held:
        async with Stage(tmp_path, inherit_fds=lambda _allocation: [held.fileno()]) as stage:
            order = stage.launch(["ls", "-l", "/proc/self/fd"])
            await stage.ended()
    assert f"-> {lock}\n" in (order.directory / "stdout.log").read_text()


async def test_a_command_that_is_not_there_fails_with_127_and_says_so(stage: Stage) -> None:
    outcome = (await stage.run(["no-such-program"])).outcome
    assert (outcome.kind, outcome.exit_code) == (OutcomeKind.FAILURE, 127)
    assert outcome.message == (
        "command not found: no-such-program is in no directory of PATH; give its full path or extend PATH"
    )


@pytest.mark.parametrize(
    ("make", "code", "words"),
    [
        (lambda path: path.write_text("x"), 126, "run chmod +x on it"),
        (lambda path: path.mkdir(), 126, "is a directory"),
        (lambda path: (path.write_text("no program"), path.chmod(0o755)), 126, "has no #! line"),
        (lambda path: (path.write_text("#!/no/such\n"), path.chmod(0o755)), 127, "the interpreter in its first"),
        (lambda _path: None, 127, "does not exist"),
    ],
    ids=["not-executable", "directory", "no-format", "no-interpreter", "missing"],
)
async def test_what_cannot_be_run_says_why(stage: Stage, make, code: int, words: str) -> None:
    path = stage.home / "program"
    make(path)
    outcome = (await stage.run([str(path)])).outcome
    assert (outcome.kind, outcome.exit_code) == (OutcomeKind.FAILURE, code)
    assert words in outcome.message
    assert str(path) in outcome.message


async def test_a_missing_working_directory_says_so(stage: Stage) -> None:
    outcome = (await stage.run(["true"], cwd="/no/such")).outcome
    assert outcome.kind is OutcomeKind.FAILURE
    assert outcome.message == "working directory missing: /no/such; create it, or choose another with --cwd"


async def test_a_file_as_working_directory_says_so(stage: Stage) -> None:
    outcome = (await stage.run(["true"], cwd="/etc/passwd")).outcome
    assert outcome.message.startswith("working directory not usable: /etc/passwd: Not a directory")


@pytest.mark.parametrize(
    ("command", "words"),
    [([], "has no command"), (["echo", "a\0b"], "NUL byte"), ([""], "first word is empty")],
)
async def test_an_impossible_command_fails_without_being_tried(stage: Stage, command: list[str], words: str) -> None:
    outcome = (await stage.run(command)).outcome
    assert outcome.kind is OutcomeKind.FAILURE
    assert words in outcome.message


async def test_a_nul_in_the_environment_fails_with_a_sentence(stage: Stage) -> None:
    outcome = (await stage.run(["true"], environment={"A": "x\0y"})).outcome
    assert outcome.kind is OutcomeKind.FAILURE
    assert "NUL byte" in outcome.message


async def test_arguments_that_are_too_long_fail_with_a_sentence(stage: Stage) -> None:
    outcome = (await stage.run(["true", "x" * 3_000_000])).outcome
    assert (outcome.kind, outcome.exit_code) == (OutcomeKind.FAILURE, 126)
    assert "too long" in outcome.message


async def test_a_death_by_signal_is_told(stage: Stage) -> None:
    outcome = (await stage.run(["sh", "-c", "kill -SEGV $$"])).outcome
    assert (outcome.kind, outcome.exit_code, outcome.signal) == (OutcomeKind.FAILURE, None, 11)
    assert outcome.message == "killed by signal 11 (SIGSEGV)"


async def test_a_relative_path_is_looked_up_in_the_working_directory(stage: Stage) -> None:
    program = stage.home / "program"
    program.write_text("#!/bin/sh\nexit 5\n")
    program.chmod(0o755)
    assert (await stage.run(["./program"])).outcome.exit_code == 5


async def test_path_is_the_attempts_own(stage: Stage) -> None:
    folder = stage.home / "bin"
    folder.mkdir()
    (folder / "true").write_text("#!/bin/sh\nexit 6\n")
    (folder / "true").chmod(0o755)
    outcome = (await stage.run(["true"], environment={"PATH": f"{folder}:/bin"})).outcome
    assert outcome.exit_code == 6


async def test_a_very_deep_home_works(tmp_path: Path) -> None:
    home = tmp_path.joinpath(*["a-rather-long-name-for-a-folder"] * 6)
    home.mkdir(parents=True)
    async with Stage(home) as stage:
        assert (await stage.run(["true"])).outcome.kind is OutcomeKind.SUCCESS


async def test_a_folder_that_cannot_be_made_loses_the_attempt_with_a_sentence(stage: Stage) -> None:
    (stage.home / "runs").write_text("in the way")
    outcome = (await stage.run(["true"])).outcome
    assert outcome.kind is OutcomeKind.LOST
    assert outcome.message.startswith("the attempt's folder is not usable: Not a directory")


def test_a_word_without_slash_that_is_found_but_not_executable_is_named(tmp_path: Path) -> None:
    (tmp_path / "word").write_text("x")
    assert resolve(b"word", os.fsencode(tmp_path)) == os.fsencode(tmp_path / "word")


def test_an_unknown_word_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CannotStartError):
        resolve(b"word", os.fsencode(tmp_path))
