"""The options of `run` and `submit`, and those that many verbs share. It reads words; `apps.queue` reads values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

__all__ = ["command_argument", "engine_options", "json_option", "selectors_argument", "task_options", "touch_options"]

F = TypeVar("F", bound=Callable[..., Any])
Decorator = Callable[[F], F]


def _all(*decorators: Callable[[F], F]) -> Callable[[F], F]:
    def apply(function: F) -> F:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return apply


def task_options(function: F) -> F:
    """Everything that can be said about a task; each value stays text, so that errors can name it."""
    return _all(
        click.option("-g", "--gpus", metavar="N", help="Whole GPUs (2) or a share of one (0.5)."),
        click.option("--vram", metavar="SIZE", help="VRAM per GPU, such as 20GiB."),
        click.option("--cpus", metavar="N", help="CPUs, such as 4 or 0.5."),
        click.option("--mem", metavar="SIZE", help="Host memory, enforced."),
        click.option("--balance", is_flag=True, help="The GPUs' free VRAM must be about equal."),
        click.option("--need", metavar="NAME=N", multiple=True, help="An amount of a declared pool."),
        click.option("--or", "or_variants", metavar="VARIANT", multiple=True, help='Or this: "gpus=0,cpus=16".'),
        click.option("--name", metavar="NAME", help="A name for people."),
        click.option("--group", metavar="GROUP", default="default", help="The group to queue in."),
        click.option("--key", metavar="KEY", help="Same key again: a live or succeeded task is returned."),
        click.option("--after", metavar="ID[,ID]", multiple=True, help="Start when these have succeeded."),
        click.option("--after-any", metavar="ID[,ID]", multiple=True, help="Start when these have ended."),
        click.option("--deadline", metavar="SPAN", help="Give up if it has not ended by then."),
        click.option("--priority", metavar="N", type=int, default=0, help="Higher goes first."),
        click.option("--time-limit", metavar="SPAN", help="End each attempt after this, such as 2h."),
        click.option("--grace", metavar="SPAN", help="Between asking to stop and killing (30s)."),
        click.option("--retries", metavar="N", help="Try again after failures."),
        click.option("--patience", metavar="SPAN", help="How long it waits before room is kept for it."),
        click.option("--env", metavar="K[=V]", multiple=True, help="A variable; K alone takes yours."),
        click.option("--cwd", metavar="DIRECTORY", help="Where it runs (here)."),
        click.option("--array", metavar="1-100", help="One task per index; {index} is replaced."),
        click.option("--each-line", metavar="FILE", help="One task per line; {line} is replaced."),
        click.option("--snapshot", is_flag=True, help="Run a copy of the directory as it is now."),
        click.option("--wait-for-capacity", is_flag=True, help="Wait even for what does not fit here yet."),
    )(function)


def engine_options(function: F) -> F:
    """What an engine that this command starts is given; a running engine keeps its own."""
    return _all(
        click.option("--virtual-gpus", metavar="4x80GiB", help="Pretend GPUs instead of the real ones."),
        click.option("--cpus-total", metavar="N", help="The size of the CPU pool."),
    )(function)


def json_option(function: F) -> F:
    """`--json`: one document with `schema_version`."""
    return click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")(function)


def command_argument(function: F) -> F:
    """The words of a command, or the path of a spec."""
    return click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[--] CMD... | SPEC.yaml")(function)


def selectors_argument(function: F) -> F:
    """Tasks by selector."""
    from passloop.cli.completing import complete_selectors

    return click.argument("selectors", nargs=-1, metavar="[SELECTOR]...", shell_complete=complete_selectors)(function)


def touch_options(function: F) -> F:
    """What every verb that acts on tasks takes."""
    return _all(
        selectors_argument,
        click.option("--failed", is_flag=True, help="Short for the selector state:failed."),
        click.option("--group", metavar="GROUP", help="Only tasks of this group."),
        click.option("-n", "--dry-run", is_flag=True, help="List what it would touch; do nothing."),
        json_option,
    )(function)
