"""`passloop completion`: the script that makes a shell complete verbs, options, ids, runs and groups."""

from __future__ import annotations

import click

from passloop.cli import streams

__all__ = ["command"]

_BASH = """\
_passloop_completion() {
    local line="${COMP_LINE:0:COMP_POINT}" current kept kind value reply
    local -a words
    read -r -a words <<< "$line"
    if [[ "$line" == *[[:blank:]] ]]; then words+=(""); fi
    current="${words[${#words[@]} - 1]}"
    reply=$(COMP_WORDS="${words[*]}" COMP_CWORD=$((${#words[@]} - 1)) _PASSLOOP_COMPLETE=bash_complete "$1" 2>/dev/null)
    kept="${current%"${COMP_WORDS[COMP_CWORD]##*[:=]}"}"
    kept="${kept%@}"
    COMPREPLY=()
    while IFS=',' read -r kind value; do
        case "$kind" in
            dir) compopt -o dirnames ;;
            plain) COMPREPLY+=("${value#"$kept"}") ;;
        esac
    done <<< "$reply"
}
complete -o nosort -o bashdefault -o default -F _passloop_completion passloop
"""
"""Not click's own script: bash cuts words at `:`, `=` and `@`, of which selectors are full. `kept` is what bash leaves
as it stands of the word. Where nothing is offered, it is files.
"""


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

    if shell == "bash":
        streams.emit_data(_BASH)
        return
    found = get_completion_class(shell)
    assert found is not None

    class _Script(found):  # type: ignore[valid-type,misc]
        """The script alone: a shell that is not installed here must not stop it from being printed."""

        def source(self) -> str:
            return ShellComplete.source(self)

    streams.emit_data(_Script(ctx.find_root().command, {}, "passloop", "_PASSLOOP_COMPLETE").source())
