"""Named places where the engine can be made to die, for the crash tests.

It owns the list of names and the one way to die; it never does anything unless the environment variable
`PASSLOOP_CRASHPOINT` names the place that is reached. Add the name here first: an unknown one raises at once.
Those that begin with `shim` or `zygote` are reached in the keeper's processes, which have a file of their own for it.
"""

from __future__ import annotations

import os
import signal
from collections import Counter

__all__ = ["CRASHPOINTS", "VARIABLE", "crashpoint", "handed_on"]

VARIABLE = "PASSLOOP_CRASHPOINT"

CRASHPOINTS: dict[str, str] = {
    "before_commit": "a batch is written into the open transaction, nothing of it is durable",
    "after_commit": "a batch is durable, nobody was told and nothing of it was carried out",
    "before_launch": "an attempt's claim is durable, its driver was not told",
    "after_launch": "the driver was told to start an attempt, its start is not recorded",
    "before_stop": "a stop is durable, its driver was not told",
    "after_stop": "the driver was told to stop an attempt, its end is not recorded",
    "before_evict": "that a warm worker is to end is durable, its driver was not told",
    "after_evict": "the driver was told to end a warm worker, that it is gone is not recorded",
    "before_answers": "a batch is durable and carried out, who asked was not answered",
    "after_answers": "a batch is durable and carried out, the answers are on their way",
    "before_ballast_is_given_up": "a commit did not fit on the disk, nothing was done about it",
    "after_ballast_is_given_up": "there is room for a note that work is paused, the note is not made",
    "before_resuming": "there is room again and the ballast is laid, nobody was told",
    "before_reattach": "the store is loaded after a restart, no driver was asked for what still runs",
    "after_reattach": "drivers have found what still runs, nothing of it is recorded",
    "before_tombstone": "a start record that forbids a start is written and has not got its name",
    "after_tombstone": "a start is forbidden for ever, nobody was told that the attempt is lost",
    "after_stop_wish": "the wish to stop lies in an attempt's folder, its shim was not woken",
    "after_store_file": "a new store's file is there and empty",
    "before_migration_commit": "a migration is written into the open transaction",
    "after_migration_commit": "one step of a migration is durable, the next was not begun",
    "before_durations_commit": "old run times are taken out in the open transaction",
    "before_home_id_commit": "a new home's id is written into the open transaction",
    "before_samples_commit": "samples are written into the open transaction",
    "after_samples_commit": "samples are durable",
    "before_removal_commit": "tasks are taken out in the open transaction",
    "after_removal_commit": "tasks are forgotten, their folders are still there",
    "before_backup": "a copy of the store is whole and has not got its name",
    "after_backup": "a copy of the store is in its place",
    "before_rebuild": "the damaged files are copied aside, nothing was made of them",
    "before_rebuild_commit": "what was saved is written into the open transaction of a new store",
    "before_repair": "a repaired store is whole and has not got the name of one",
    "during_repair": "a repaired store lies beside the damaged one and has not taken its place",
    "repair_without_store": "the damaged store is taken away, its logs are still there",
    "repair_without_logs": "the damaged store and its logs are taken away, the repaired one stands beside its place",
    "after_repair": "the repaired store is in its place, how far it goes is not marked",
    "zygote_before_order": "the zygote has an order and has given it to no shim",
    "zygote_after_order": "a shim has the order, the zygote nothing to do",
    "shim_before_start_record": "the attempt's folder is there, nothing is in it",
    "shim_start_record_unnamed": "the start record is written and has not got its name",
    "shim_after_start_record": "the attempt is this shim's, the engine was not told",
    "shim_after_start_report": "the engine was told of the start, the command was not run",
    "shim_after_spawn": "the command runs",
    "shim_before_exit_record": "the tree is gone, how it ended is written nowhere",
    "shim_exit_record_unnamed": "the exit record is written and has not got its name",
    "shim_before_exit_report": "the exit record is there, the engine was not told",
    "shim_after_exit_report": "the engine was told of the end, the exit record may be in memory only",
    "shim_after_exit_sync": "the exit record is on the disk, the shim may stand over another attempt",
    "call_before_send": "what a call asks is rendered, nothing of it was sent",
    "call_under_way": "a call was sent a while ago and is not answered, its start is not told",
    "call_after_reply": "the endpoint has answered and may have billed it, nobody has looked at the answer",
    "call_told": "how a call ended was told to the engine, which has not committed it",
    "worker_before_start_record": "a warm worker has a cell's folder, nothing is in it",
    "worker_after_start_record": "the cell is this worker's, the engine was not told",
    "worker_before_exit_record": "the function has returned, how the cell ended is written nowhere",
    "worker_before_exit_report": "the cell's exit record is there, the engine was not told",
    "worker_after_exit_report": "the engine was told of the cell's end, the worker lives on",
}
"""Every name with what is true at that place."""


_reached: Counter[str] = Counter()


def crashpoint(name: str) -> None:
    """Die of SIGKILL here if the environment asks for this place; `name` must be one of `CRASHPOINTS`.

    `PASSLOOP_CRASHPOINT=after_commit` means the first time it is reached, `after_commit:3` the third.
    """
    if name not in CRASHPOINTS:
        raise LookupError(f"unknown crash point {name!r}: add it to CRASHPOINTS")
    wanted, _, nth = os.environ.get(VARIABLE, "").partition(":")
    if wanted != name:
        return
    _reached[name] += 1
    if _reached[name] >= int(nth or 1):
        os.kill(os.getpid(), signal.SIGKILL)


def handed_on() -> dict[str, str]:
    """What the keeper's processes must have in their environment to die where they are asked to; else nothing."""
    return {VARIABLE: os.environ[VARIABLE]} if VARIABLE in os.environ else {}
