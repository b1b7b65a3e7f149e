"""The program of a trial: `python -m passloop.apps.tune.trial`, with its order in PASSLOOP_TRIAL.

Exit code 0 if it was measured or stopped early, 1 if it failed (why is in `metrics.json`), 143 if it was told to end;
then it leaves no `metrics.json`, since its outcome says already what it was. `outcome.json` says that no retry would
help, or that the system ended the server for its use of memory; a word that the server left there itself stands.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from passloop.apps.tune.engines.tree import adopt_orphans
from passloop.apps.tune.records import VERSION, Document, Order
from passloop.clock import SystemClock

from .devices import DeviceWatch, granted_gpus
from .failures import TrialFailure
from .files import replace_json
from .own_word import OUTCOME, own_word
from .run import Trial

__all__ = ["ORDER", "main"]

ORDER = "PASSLOOP_TRIAL"
FAILED = 1
STOPPED = 128 + signal.SIGTERM


def main() -> int:
    """Carry out the trial of PASSLOOP_TRIAL."""
    folder = Path(os.environ.get("PASSLOOP_OUT", "."))
    try:
        order = _order(os.environ.get(ORDER, ""))
        adopt_orphans()
        return asyncio.run(_run(order, folder))
    except TrialFailure as failure:
        _leave_word(folder, failure)
        print(f"passloop: {failure}", file=sys.stderr)
    except OSError as error:
        print(f"passloop: the trial cannot go on: {error}", file=sys.stderr)
    return FAILED


def _order(text: str) -> Order:
    """The order. Raises `TrialFailure`, which no retry would help."""
    try:
        order = msgspec.json.decode(text, type=Order)
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise TrialFailure("bad_flag", f"{ORDER} holds no order of a trial: {error}", final=True) from None
    if order.version > VERSION:
        text = f"the order is of version {order.version}, this passloop reads {VERSION}; install a newer one"
        raise TrialFailure("bad_flag", text, final=True)
    return order


async def _run(order: Order, folder: Path) -> int:
    loop = asyncio.get_running_loop()
    trial_task = asyncio.current_task()
    assert trial_task is not None
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _cancel_once(trial_task))
    clock = SystemClock()
    devices = DeviceWatch(granted_gpus(os.environ), folder, clock)
    trial = Trial(order, folder, os.environ, clock=clock, devices=devices)
    try:
        document = await trial.run()
    except asyncio.CancelledError:
        return STOPPED
    if trial.failure is None:
        return 0
    _leave_word(folder, trial.failure)
    print("\n".join([*trial.failure.lines, f"passloop: {_sentence(document)}"]), file=sys.stderr)
    return FAILED


def _cancel_once(trial_task: asyncio.Task[Any]) -> Callable[[], None]:
    """Only the first wish to stop cuts in: what is going on then is the stopping itself."""
    wishes: list[bool] = []

    def cancel() -> None:
        if not wishes:
            wishes.append(True)
            trial_task.cancel()

    return cancel


def _leave_word(folder: Path, failure: TrialFailure) -> None:
    """Tell the driver what it cannot know, unless the server has told it already. Nothing here follows from a log."""
    if own_word(folder):
        return
    word: dict[str, Any] = {"outcome": "failure", "message": f"{failure.kind}: {failure.message}"}
    if failure.memory:
        word["outcome"] = "out_of_memory"
    word["final"] = failure.final
    try:
        replace_json(folder / OUTCOME, word)
    except OSError as error:
        print(f"passloop: {folder / OUTCOME} cannot be written: {error.strerror}", file=sys.stderr)


def _sentence(document: Document) -> str:
    failure = document.failure
    assert failure is not None
    return f"trial {document.trial} failed ({failure.kind}, {failure.phase}): {failure.message}"


def _end(code: int) -> NoReturn:
    """End at once. All is written and closed by now, and what an interpreter clears away after that takes a quarter of
    the CPU time that a trial takes in all.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    _end(main())
