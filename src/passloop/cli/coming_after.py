"""What `--after` and `--after-any` name by `last` or `@RUN`, as the ids that a submission keeps.

Ids pass as they were written, and nobody is asked about them: `apps.queue.options` reads them. It stores nothing.
"""

from __future__ import annotations

from typing import Any

from passloop.cli.client import Client
from passloop.cli.exits import CliError, Exit
from passloop.cli.picking import standing
from passloop.cli.reads import Ask, EngineReads, Reads
from passloop.cli.run_whys import still_gets_tasks
from passloop.cli.wording import command_text, ids_text

__all__ = ["with_named_tasks"]

_OPTIONS = {"after": "--after", "after_any": "--after-any"}


def with_named_tasks(said: dict[str, Any], home: str) -> dict[str, Any]:
    """The options with ids in place of `last` and `@RUN`. Raises `CliError`: exit 3 for what is not there, 2 for a run
    that still gets tasks.
    """
    named = {name for name in _OPTIONS if any(map(_is_named, said.get(name) or ()))}
    if not named:
        return said
    reads = _reads(home)
    return said | {name: tuple(_ids(reads, word, _OPTIONS[name]) for word in said[name]) for name in named}


def _is_named(word: str) -> bool:
    return any(part == "last" or part.startswith("@") for part in _parts(word))


def _parts(word: str) -> list[str]:
    return [part.strip() for part in word.split(",")]


def _ids(reads: Reads, word: str, option: str) -> str:
    whole = word.strip()
    parts = [whole] if "," not in whole or _names_a_run(reads, whole) else _parts(whole)
    return ",".join(_found(reads, part, option) if part == "last" or part[:1] == "@" else part for part in parts)


def _names_a_run(reads: Reads, word: str) -> bool:
    """A run's name may hold commas; elsewhere they lie between ids and runs."""
    if not word.startswith("@"):
        return False
    try:
        return bool(reads.tasks(Ask((word,)))["tasks"])
    except CliError as refused:
        if refused.exit_code != Exit.NOT_FOUND:
            raise
        return False


def _found(reads: Reads, selector: str, option: str) -> str:
    """The tasks that a selector means now; of those that were retried the newest."""
    tasks = standing(reads.tasks(Ask((selector,)))["tasks"])
    if still_gets_tasks(reads, selector):
        wait = command_text(["passloop", "wait", selector])
        raise CliError(f"{option}: {selector} still gets tasks, and those to come have no ids yet", hint=wait)
    if not tasks:
        raise CliError(f"{option}: {selector} has no tasks", hint="passloop ls", exit_code=Exit.NOT_FOUND)
    return ids_text(task["id"] for task in tasks).replace(" ", ",")


def _reads(home: str) -> Reads:
    client = Client(home)
    if client.alive():
        return EngineReads(client)
    from passloop.cli.store_reads import StoreReads

    return StoreReads(home)
