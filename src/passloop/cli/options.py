"""The options of `run` and `submit`, and those that many verbs share. It reads words; `apps.queue` reads values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from passloop.cli.exits import CliError
from passloop.cli.said import ENGINE_OPTIONS, SUBMIT_OPTIONS, TASK_OPTIONS, Option

__all__ = [
    "act_argument",
    "command_argument",
    "engine_options",
    "group_option",
    "json_option",
    "selectors_argument",
    "submit_options",
    "task_options",
    "touch_options",
]

F = TypeVar("F", bound=Callable[..., Any])


def _all(*decorators: Callable[[F], F]) -> Callable[[F], F]:
    def apply(function: F) -> F:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return apply


def task_options(function: F) -> F:
    """Everything that can be said about a task; each value stays text, so that errors can name it."""
    return _all(*map(_of_click, TASK_OPTIONS))(function)


def submit_options(function: F) -> F:
    """Everything that `submit` takes."""
    return _all(*map(_of_click, SUBMIT_OPTIONS))(function)


def engine_options(function: F) -> F:
    """What an engine that this command starts is given; a running engine keeps its own."""
    return _all(*map(_of_click, ENGINE_OPTIONS))(function)


def _of_click(option: Option) -> Callable[[F], F]:
    if option.kind == "flag":
        return click.option(*option.flags, option.field, is_flag=True, help=option.help)
    return click.option(
        *option.flags,
        option.field,
        metavar=option.metavar,
        help=option.help,
        multiple=option.kind == "many",
        type=int if option.kind == "whole" else str,
        default=option.default,
        shell_complete=_groups if option.field == "group" else None,
    )


def _groups(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
    from passloop.cli.completing import complete_groups

    return complete_groups(ctx, param, incomplete)


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


def group_option(function: F) -> F:
    """`--group`: of the tasks only those of a group."""
    said = "Only tasks of this group and those inside it."
    return click.option("--group", metavar="GROUP", shell_complete=_groups, help=said)(function)


def act_argument(act: str, metavar: str) -> Callable[[F], F]:
    """The one word that makes a looking verb act, or nothing."""

    def check(ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
        if value not in (None, act):
            raise CliError(f"`{ctx.command_path}` has no {value!r}", hint=f"{ctx.command_path} {act}")
        return value

    return click.argument("act", required=False, metavar=metavar, callback=check)


def touch_options(function: F) -> F:
    """What every verb that acts on tasks takes."""
    return _all(
        selectors_argument,
        click.option("--failed", is_flag=True, help="Short for the selector state:failed."),
        group_option,
        click.option("-n", "--dry-run", is_flag=True, help="List what it would touch; do nothing."),
        json_option,
    )(function)
