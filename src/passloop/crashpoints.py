"""Named places where the engine and what it starts can be made to die, for the crash tests.

It owns the list of names and the one way to die; it never does anything unless the environment variable
`PASSLOOP_CRASHPOINT` names the place that is reached. Add the name here first: an unknown one raises at once.
Who listens to what Python audits hears of each place that is reached.
Those that begin with `shim` or `zygote` are reached in the keeper's processes, which have a file of their own for it.
"""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter

__all__ = ["CRASHPOINTS", "VARIABLE", "crashpoint", "handed_on"]

VARIABLE = "PASSLOOP_CRASHPOINT"

CRASHPOINTS: dict[str, str] = {
    "before_commit": "a batch is written into the open transaction, nothing of it is durable",
    "after_commit": "a batch is durable, nobody was told and nothing of it was carried out",
    "before_launch": "an attempt's claim is durable, its driver was not told",
    "after_launch": "the driver was told to start an attempt, its start is not recorded",
    "before_stop": "a stop is durable, its driver was not told, or not by this engine",
    "after_stop": "the driver was told to stop an attempt, its end is not recorded",
    "before_evict": "that a warm worker is to end is durable or plain, its driver was not told",
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
    "after_durations_commit": "old run times are gone for ever, the store is not open yet",
    "before_home_id_commit": "the home's id is read, or a new one is written into the open transaction",
    "after_home_id_commit": "the home's id is durable, nobody has seen it",
    "before_samples_commit": "samples are written into the open transaction",
    "after_samples_commit": "samples are durable",
    "before_removal_commit": "tasks are taken out in the open transaction",
    "after_removal_commit": "tasks are forgotten, their folders are still there",
    "before_backup": "a copy of the store is whole and has not got its name",
    "after_backup": "a copy of the store is in its place",
    "before_rebuild": "the damaged files are copied aside, nothing was made of them",
    "before_rebuild_commit": "what was saved is written into the open transaction of a new store",
    "after_rebuild_commit": "a new store has all that was saved, and a log beside it",
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
    "before_result_file": "a file of a matrix is written aside and has not got its name",
    "after_result_file": "a file of a matrix has its name",
    "after_cell": "a cell is complete, and the log of its answers is gone",
    "before_set_aside": "what claimed to be a complete cell is looked through and still in its place",
    "after_set_aside": "what claimed to be a complete cell has another name, nothing is in its place",
    "before_rescored_file": "both the old and the new scores count as those of a cell, the old ones lie there",
    "after_rescored_file": "the new scores of a cell lie there, the old ones count as well",
    "before_model_folder": "a converted model is whole and has not got its name",
    "after_model_folder": "a converted model is in its place",
    "before_digests": "what is known of the digests of files is written aside",
    "after_digests": "what is known of the digests of files is in its place",
    "before_dataset_file": "a dataset, or a part of it, is whole and has not got its name",
    "after_dataset_file": "a dataset, or a part of it, is in its place",
    "before_parts_go": "a dataset is whole, its parts are still there",
    "after_parts_go": "a dataset is whole, its parts are gone",
    "before_trial_file": "a trial's document is written aside and has not got its name",
    "after_trial_file": "a trial's document is in its place",
    "before_optuna_file": "a study's copy for Optuna is whole and has not got its name",
    "after_optuna_file": "a study's copy for Optuna is in its place",
    "before_snapshot": "the code to run is copied and has not got its name",
    "after_snapshot": "the code to run has its name, no task has it yet",
}
"""Every name with what is true at that place."""


_KEY = os.fsencode(VARIABLE)
_reached: Counter[str] = Counter()


def crashpoint(name: str) -> None:
    """Die of SIGKILL here if the environment asks for this place; `name` must be one of `CRASHPOINTS`.

    `PASSLOOP_CRASHPOINT=after_commit` means the first time it is reached, `after_commit:3` the third. What follows
    that, as in `after_commit:3:/tmp/pipe`, is a pipe that is told the name and the pid of who dies.
    """
    if name not in CRASHPOINTS:
        raise LookupError(f"unknown crash point {name!r}: add it to CRASHPOINTS")
    sys.audit("passloop.crashpoint", name)
    asked = os.environb.get(_KEY)  # half the time of `os.environ`
    if asked is None:
        return
    wanted, _, rest = os.fsdecode(asked).partition(":")
    if wanted != name:
        return
    nth, _, told = rest.partition(":")
    _reached[name] += 1
    if _reached[name] < int(nth or 1):
        return
    try:
        if told:
            os.write(os.open(told, os.O_WRONLY | os.O_NONBLOCK), f"{name} {os.getpid()}\n".encode())
    finally:
        os.kill(os.getpid(), signal.SIGKILL)


def handed_on() -> dict[str, str]:
    """What the keeper's processes must have in their environment to die where they are asked to; else nothing."""
    return {VARIABLE: os.environ[VARIABLE]} if VARIABLE in os.environ else {}
