"""What a scripted server does, as data: how long it takes to start and to answer, and what goes wrong. Plays nothing.

All spans are in ms. The options of the program are the fields of a `ServerScript`, with dashes.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import get_type_hints

__all__ = ["ServerScript", "script_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerScript:
    """How a server behaves.

    It is ready `start` after it began; until then its health path says 503, or with `late_listen` nobody listens. An
    answer takes `ttft` to its first token and `tpot` to each further one; `parallel` requests are served at a time (0:
    all), others wait for their turn. `tokens` cuts what a client asks for. `batch_cost` (1/1000) makes each token
    slower by that share for every other request served at that moment.

    Faults: `never_ready` and `never_listen`; `exit_at_start` ends it with that code after `say` was written to stderr
    and `own_word` (JSON) to outcome.json in PASSLOOP_OUT; `status` is answered to every completion; `hang_after` so
    many completions it answers nothing any more, not even its health; `die_after` so many it dies of SIGKILL;
    `sick_after` so many its health says 500; `ignore_term`; `leave_child` leaves a process in a session of its own that
    ignores SIGTERM. `log` is a file that gets one JSON line for each thing that happens.
    """

    host: str = "127.0.0.1"
    port: int = 0
    model: str = "scripted"
    start: int = 0
    late_listen: bool = False
    ttft: int = 20
    tpot: int = 2
    parallel: int = 0
    tokens: int = 0
    batch_cost: int = 0
    never_ready: bool = False
    never_listen: bool = False
    exit_at_start: int = -1
    say: str = ""
    own_word: str = ""
    status: int = 200
    hang_after: int = -1
    die_after: int = -1
    sick_after: int = -1
    ignore_term: bool = False
    leave_child: bool = False
    log: str = ""


ABOUT = "A model server with fixed times and scripted faults. Spans are in ms; defaults are in brackets."
HELP = {
    "host": "address to listen on",
    "port": "port to listen on; 0 takes a free one",
    "model": "name of the model it says it serves",
    "start": "how long it takes to be ready",
    "late_listen": "listen only once it is ready, instead of answering 503 until then",
    "ttft": "to the first token of an answer",
    "tpot": "to each further token",
    "parallel": "requests served at a time, others wait; 0 is all",
    "tokens": "most tokens of an answer; 0 is what is asked for",
    "batch_cost": "by how many thousandths each other request makes a token slower",
    "never_ready": "answer 503 for ever",
    "never_listen": "never listen",
    "exit_at_start": "end at once with this code; -1 does not",
    "say": "words for stderr before that end",
    "own_word": "JSON for outcome.json in PASSLOOP_OUT before that end",
    "status": "HTTP status of every completion",
    "hang_after": "answer nothing any more after so many completions; -1 never",
    "die_after": "die of SIGKILL after so many completions; -1 never",
    "sick_after": "answer 500 at its health path after so many completions; -1 never",
    "ignore_term": "do not end at SIGTERM",
    "leave_child": "leave a process in a session of its own that ignores SIGTERM",
    "log": "file that gets a JSON line for each thing that happens",
}


def script_of(arguments: Sequence[str] | None = None) -> ServerScript:
    """The script that a command line asks for. An unknown option ends the program with exit code 2, as servers do."""
    parser = argparse.ArgumentParser(prog="python -m passloop.testing.server", description=ABOUT)
    types = get_type_hints(ServerScript)
    for field in fields(ServerScript):
        name = "--" + field.name.replace("_", "-")
        words = HELP[field.name]
        if types[field.name] is bool:
            parser.add_argument(name, action="store_true", help=words)
        else:
            shown = f"{words} ({field.default})" if field.default != "" else words
            kind = types[field.name]
            parser.add_argument(name, type=kind, default=field.default, help=shown, metavar=kind.__name__.upper())
    return ServerScript(**vars(parser.parse_args(arguments)))
