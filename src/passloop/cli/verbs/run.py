"""`passloop run`: one task whose output and exit code become ours; or a spec, followed to its end.

With an engine it is a follower; without one it is the engine.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from passloop.cli import streams
from passloop.cli.client import Client, EngineLost
from passloop.cli.exits import CliError, Exit
from passloop.cli.following import exit_code_of, follow_task
from passloop.cli.homes import home_of
from passloop.cli.launching import client_with_engine, engine_environment
from passloop.cli.options import command_argument, engine_options, task_options
from passloop.cli.submitting import Request, post_submission, request_of, say_other_command, say_rejected
from passloop.cli.wording import ids_text

__all__ = ["command"]


@click.command("run", context_settings={"allow_interspersed_args": False})
@task_options
@click.option("--detach", is_flag=True, help="Ctrl-C leaves what runs to the next engine.")
@engine_options
@command_argument
@click.pass_context
def command(
    ctx: click.Context,
    /,
    *,
    words: tuple[str, ...],
    detach: bool,
    virtual_gpus: str | None,
    cpus_total: str | None,
    **said: Any,
) -> int:
    """Run one command when what it needs is free; show its output; end with its exit code.

    \b
    passloop run -g 1 -- python train.py
    passloop run sweep.yaml          follow a whole sweep
    """
    home = home_of(ctx)
    request = request_of(words, said, home=home, verb="run")
    flags = {"virtual_gpus": virtual_gpus, "cpus_total": cpus_total}
    if Client(home).alive():
        return _follow(client_with_engine(home, flags), request)
    environment = engine_environment(flags)
    return _be_engine(home, environment, request, detach=detach)


def _be_engine(home: str, environment: dict[str, str], request: Request, *, detach: bool) -> int:
    """Work in a foreground engine; if another process became the engine meanwhile, follow there."""
    from passloop.cli.foreground import Foreground
    from passloop.cli.next_engine import once_free

    foreground = Foreground(home, environment, lambda *own: _work(request, *own), detach=detach)
    code = once_free(home, foreground.run)
    return _follow(Client(home), request) if code is None else code


def _follow(client: Client, request: Request) -> int:
    own: list[int] = []
    try:
        return _submit_and_watch(client.patient(), request, own.extend)
    except EngineLost as lost:
        if own:
            lost.hint = f"passloop up goes on with what is kept, {_look(own)} shows it"
        raise
    except KeyboardInterrupt:
        _say_detached(own)
        return int(Exit.INTERRUPTED)


def _work(request: Request, client: Client, own: Any) -> int:
    return _submit_and_watch(client, request, own.tasks.extend)


def _submit_and_watch(client: Client, request: Request, note: Callable[[list[int]], None]) -> int:
    answer = post_submission(client, request)
    tasks = answer["tasks"]
    note(tasks)
    say_other_command(client, answer, request)
    if request.spec:
        say_rejected(client, answer, request.spec)
    if len(tasks) > 1 or request.spec:
        return _watch_many(client, tasks)
    return _watch_one(client, tasks[0])


def _watch_one(client: Client, task: int) -> int:
    from passloop.cli.verbs.logs import writer

    talk = _Talk(client, task)
    ended = follow_task(client, task, writer(merged=False, raw=True), on_state=talk.on_state, on_wait=talk.on_wait)
    talk.on_end(ended)
    return exit_code_of(ended)


def _watch_many(client: Client, tasks: list[int]) -> int:
    from passloop.cli.progress import watch_tasks
    from passloop.cli.verbs.wait import exit_code_of_all

    return exit_code_of_all(watch_tasks(client, tasks))


class _Talk:
    """What is said on stderr about one task; its output is none of this."""

    def __init__(self, client: Client, task: int) -> None:
        self._client = client
        self._task = task

    def on_wait(self) -> None:
        """It has not started at once: say why."""
        why = self._client.get(f"/tasks/{self._task}/why")
        for blocker in why["blockers"][:1]:
            streams.say(f"task {self._task} waits: {streams.clean(blocker['sentence'])}")

    def on_state(self, task: dict[str, Any]) -> None:
        """An attempt ended and another follows."""
        if task["state"] == "backoff":
            last = (task.get("attempts") or [{}])[-1]
            words = streams.clean(str(last.get("message") or last.get("outcome") or ""))
            streams.say(f"attempt {task['attempt']} of task {self._task} ended: {words}; it is tried again")

    def on_end(self, task: dict[str, Any]) -> None:
        """It did not simply end with a code of its own: say how it ended."""
        words = streams.clean(str(task.get("message") or task.get("outcome") or ""))
        if task["state"] != "succeeded" and not words.startswith("exit code"):
            streams.say(f"task {self._task} {task['state']}: {words}")


def _say_detached(own: list[int]) -> None:
    if not own:
        raise CliError(
            "interrupted before the engine had answered; it may have stored the work all the same",
            hint="passloop ls",
            exit_code=Exit.INTERRUPTED,
        )
    ids = ids_text(own)
    streams.say(f"\ndetached; task {ids} goes on. Look again: {_look(own)}   End it: passloop cancel {ids}")


def _look(own: list[int]) -> str:
    return f"passloop logs {ids_text(own)} -f" if len(own) == 1 else f"passloop wait {ids_text(own)}"
