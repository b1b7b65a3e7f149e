"""The command line as click sees it: finds the verb, imports it when it is used, explains wrong words.

It imports no verb's libraries, and prints the help from the table of verbs alone.
"""

from __future__ import annotations

import importlib
import os

import click

from passloop.cli import streams
from passloop.cli.catalogue import ELSEWHERE, VERBS
from passloop.cli.exits import CliError, Exit

__all__ = ["Verbs", "program", "run_program"]

_EXAMPLES = """\b
passloop run --gpus 1 -- python train.py     run it when a GPU is free
passloop submit --array 1-100 -- ./cell {index}
passloop ls                                  what is there
passloop why 12                              why it waits
"""


class Verbs(click.Group):
    """A group whose commands are imported when they are used; `--home` and `--color` work after the verb too."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All verbs in the order of the help."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one verb."""
        verb = VERBS.get(cmd_name)
        if verb is None:
            return None
        command: click.Command = importlib.import_module(verb.module).command
        known = {param.name for param in command.params}
        command.params.extend(param for param in _common() if param.name not in known)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with a suggestion for a verb that does not exist."""
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            raise CliError(f"there is no verb {args[0]!r}", hint=_nearest_verb(args[0]))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The verbs by section, from the table alone."""
        for section in dict.fromkeys(verb.section for verb in VERBS.values()):
            with formatter.section(section):
                rows = [(verb.name, verb.summary) for verb in VERBS.values() if verb.section == section]
                formatter.write_dl(rows, col_max=12)


def _common() -> list[click.Parameter]:
    return [
        click.Option(
            ["--home"],
            metavar="DIRECTORY",
            expose_value=False,
            callback=_keep_home,
            help="Where everything is kept (PASSLOOP_HOME, else the XDG state directory).",
        ),
        click.Option(
            ["--color"],
            type=click.Choice(["auto", "always", "never"]),
            expose_value=False,
            callback=_keep_colour,
            help="Colours; NO_COLOR is honoured.",
        ),
    ]


def _keep_home(ctx: click.Context, _param: click.Parameter, value: str | None) -> None:
    if value is not None:
        ctx.find_root().obj = value


def _keep_colour(_ctx: click.Context, _param: click.Parameter, value: str | None) -> None:
    if value is not None:
        streams.set_colour(value)


def _keep_to_one_engine(_ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value:
        from passloop.cli.client import keep_to_one_engine

        keep_to_one_engine()


def _nearest_verb(word: str) -> str:
    from difflib import get_close_matches

    near = [ELSEWHERE[word]] if word in ELSEWHERE else get_close_matches(word, VERBS, n=1)
    return f"passloop {near[0]} --help" if near else "passloop --help"


def _print_version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from passloop.cli.version import version

        streams.emit(f"passloop {version()}")
        ctx.exit()


program = Verbs(
    name="passloop",
    help="Durable, never double-booked execution of GPU jobs on the machines you have.\n\n" + _EXAMPLES,
    epilog="passloop VERB --help tells the options of a verb.",
    params=[
        *_common(),
        click.Option(
            ["--version"],
            is_flag=True,
            expose_value=False,
            is_eager=True,
            callback=_print_version,
            help="Show the version and exit.",
        ),
        click.Option(
            ["--one-engine"], is_flag=True, expose_value=False, hidden=True, callback=_keep_to_one_engine
        ),  # for what an engine starts beside itself
    ],
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def run_program(words: list[str]) -> int:
    """Run the verb and return its exit code. Raises `CliError` for wrong words too."""
    try:
        answer = _invoke(words)
    except click.exceptions.NoArgsIsHelpError as error:
        streams.say(error.format_message())
        return int(Exit.USAGE)
    except click.ClickException as error:
        raise _usage(error, words) from None
    except click.Abort:
        raise KeyboardInterrupt from None
    return int(answer) if isinstance(answer, int) else int(Exit.OK)


def _invoke(words: list[str]) -> object:
    """As click's own `main`, which would end the process where a reader closes the pipe."""
    if "_PASSLOOP_COMPLETE" in os.environ:
        return program.main(args=words, prog_name="passloop", standalone_mode=False)
    try:
        with program.make_context("passloop", words) as context:
            return program.invoke(context)
    except click.exceptions.Exit as ended:
        return ended.exit_code


def _usage(error: click.ClickException, words: list[str]) -> CliError:
    """In our words. Click does not tell of which verb an option lacks its value; then the first word names it."""
    context = getattr(error, "ctx", None)
    verb = words[0] if words and words[0] in VERBS else ""
    hint = f"{context.command_path if context is not None else f'passloop {verb}'.strip()} --help"
    text = error.format_message().strip().rstrip(".")
    return CliError(text[:1].lower() + text[1:], hint=hint, exit_code=Exit.USAGE)
