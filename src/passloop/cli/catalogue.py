"""The verbs: name, the module that holds each, one line of help, and the section of the help it stands in.

`passloop --help` is printed from this table alone; a verb's module is imported when the verb is used.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["ELSEWHERE", "VERBS", "Verb"]


class Verb(NamedTuple):
    """One verb of the command line."""

    name: str
    section: str
    summary: str

    @property
    def module(self) -> str:
        """Where its command lives."""
        return f"passloop.cli.verbs.{self.name}"


VERBS: dict[str, Verb] = {
    verb.name: verb
    for verb in (
        Verb("run", "Start work", "Run one command, show its output, end with its exit code."),
        Verb("submit", "Start work", "Queue a command, an array or a sweep; it survives everything."),
        Verb("bench", "Start work", "Run a matrix of models and methods, resumably, and print its table."),
        Verb("tune", "Start work", "Find the best configuration of a model server, by trials."),
        Verb("generate", "Start work", "Make a dataset from LLM endpoints, cell by cell, resumably."),
        Verb("plan", "Start work", "Show what a spec would do, and submit nothing."),
        Verb("ls", "Look", "List tasks."),
        Verb("show", "Look", "Show everything about one task."),
        Verb("why", "Look", "Say why a task does not run, and what would change that."),
        Verb("logs", "Look", "Print the output of a task."),
        Verb("status", "Look", "Show the engine and what it is doing."),
        Verb("top", "Look", "Show what runs and waits on a live terminal screen."),
        Verb("ui", "Look", "Open the page in a browser, or print its one-time address."),
        Verb("gpus", "Look", "Show who holds which GPU; release one from quarantine."),
        Verb("pools", "Look", "Show capacities, limits and cooldowns; open a closed pool."),
        Verb("report", "Look", "Print the table of a run and write it as one HTML file."),
        Verb("export", "Look", "Write the results of a run as CSV, JSON lines or Parquet."),
        Verb("cancel", "Act on tasks", "Cancel tasks: queued ones at once, running ones with their whole tree."),
        Verb("retry", "Act on tasks", "Submit ended tasks again."),
        Verb("hold", "Act on tasks", "Hold tasks or a group back."),
        Verb("release", "Act on tasks", "Let held tasks or a group go on."),
        Verb("priority", "Act on tasks", "Give tasks another priority."),
        Verb("wait", "Act on tasks", "Wait until tasks have ended; the exit code tells how."),
        Verb("rm", "Act on tasks", "Forget ended tasks and delete their logs."),
        Verb("up", "The engine", "Start the daemon."),
        Verb("down", "The engine", "Stop the engine: drain, leave work running, or end it now."),
        Verb("serve", "The engine", "Be the engine in the foreground."),
        Verb("doctor", "The engine", "Check everything passloop relies on; repair or copy the store."),
        Verb("config", "The engine", "Show every setting and where it comes from."),
        Verb("schema", "The engine", "Print the JSON Schema of a spec."),
        Verb("completion", "The engine", "Print the completion script of a shell."),
    )
}

_WORDS_ELSEWHERE = {
    "submit": "add batch enqueue sbatch gbatch queue",
    "ls": "list ps squeue gqueue jobs tasks",
    "show": "describe info inspect detail",
    "logs": "tail follow output cat stdout stderr",
    "cancel": "kill abort scancel gcancel terminate",
    "retry": "restart rerun resubmit requeue",
    "hold": "pause suspend",
    "release": "resume unpause unhold continue",
    "priority": "switch urgent nice renice",
    "rm": "remove delete clean clear prune purge forget",
    "top": "watch monitor",
    "ui": "web dashboard page",
    "up": "start daemon",
    "down": "stop shutdown quit",
    "serve": "server",
    "pools": "limits endpoints parallel",
}
ELSEWHERE: dict[str, str] = {word: verb for verb, words in _WORDS_ELSEWHERE.items() for word in words.split()}
"""What other queues call it: word -> the verb that does it here. They are no verbs here; a hint names ours."""
