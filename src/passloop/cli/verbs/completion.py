"""`passloop completion`: the script that makes a shell complete verbs, options, ids, runs and groups."""

from __future__ import annotations

import click

from passloop.cli import streams

__all__ = ["command"]


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, *, shell: str) -> None:
    """Print the completion script of a shell.

    \b
    bash:  eval "$(passloop completion bash)"      in ~/.bashrc
    zsh:   eval "$(passloop completion zsh)"       in ~/.zshrc
    fish:  passloop completion fish > ~/.config/fish/completions/passloop.fish
    """
    from click.shell_completion import ShellComplete, get_completion_class

    found = get_completion_class(shell)
    assert found is not None

    class _Script(found):  # type: ignore[valid-type,misc]
        """The script alone: a bash that is not installed here must not stop it from being printed."""

        def source(self) -> str:
            return ShellComplete.source(self)

    streams.emit(_Script(ctx.find_root().command, {}, "passloop", "_PASSLOOP_COMPLETE").source())
