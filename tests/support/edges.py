"""Every effect of passloop on the world, and the crash points beside it, or why dying there is dying elsewhere.

`EDGES`: between which two crash points an effect lies, alone. `NO_EDGE`: what has none of its own, by the reason. A
place is written as a trace and the source tell it; see `effects.py`. Keep both as they are true, not as they pass.
"""

from __future__ import annotations

__all__ = ["EDGES", "IN_A_LOOP", "NO_EDGE", "OFTEN"]

EDGES: dict[str, set[tuple[str, str]]] = {
    "store/database.py:_touch_private create": {("", "after_store_file")},
    "store/migrate.py:migrate commit": {("before_migration_commit", "after_migration_commit")},
    "store/database.py:Store.open commit": {("before_durations_commit", "after_durations_commit")},
    "store/database.py:Store._load_home_id commit": {("before_home_id_commit", "after_home_id_commit")},
    "store/database.py:Store.commit commit": {("before_commit", "after_commit")},
    "store/database.py:Store.record_samples commit": {("before_samples_commit", "after_samples_commit")},
    "store/database.py:Store.remove_tasks commit": {("before_removal_commit", "after_removal_commit")},
    "store/backup.py:copy_store rename": {("before_backup", "after_backup")},
    "store/rebuild.py:rebuild commit": {
        ("before_rebuild_commit", "after_rebuild_commit"),
        ("after_rebuild_commit", "before_repair"),
    },
    "store/repair.py:repair rename": {("before_repair", "during_repair")},
    "store/repair.py:_take_place unlink": {
        ("during_repair", "repair_without_store"),
        ("repair_without_store", "repair_without_logs"),
    },
    "store/repair.py:_take_place rename": {("repair_without_logs", "after_repair")},
    "engine/pause.py:drop_ballast unlink": {("before_ballast_is_given_up", "after_ballast_is_given_up")},
    "drivers/processes/reattach.py:ask_to_stop rename": {
        ("before_stop", "after_stop_wish"),
        ("before_evict", "after_stop_wish"),
    },
    "drivers/identity.py:send signal": {("after_stop_wish", "after_stop"), ("after_stop_wish", "after_evict")},
    "drivers/processes/reattach.py:_bury link": {("before_tombstone", "after_tombstone")},
    "drivers/processes/keeper/zygote.py:Zygote._fork fork": {("zygote_before_order", "zygote_after_order")},
    "drivers/processes/keeper/handover.py:Post.hand_over send": {("zygote_before_order", "zygote_after_order")},
    "drivers/processes/keeper/records.py:_rename_to_free_name rename": {
        ("shim_start_record_unnamed", "shim_after_start_record")
    },
    "drivers/processes/keeper/reports.py:Reporter.send send": {
        ("shim_after_start_record", "shim_after_start_report"),
        ("shim_before_exit_report", "shim_after_exit_report"),
    },
    "drivers/processes/keeper/commands.py:spawn spawn": {("shim_after_start_report", "shim_after_spawn")},
    "drivers/processes/keeper/records.py:store_exit rename": {
        ("shim_exit_record_unnamed", "shim_before_exit_report"),
        ("shim_exit_record_unnamed", "worker_before_exit_report"),
    },
    "drivers/workers/claims.py:StartRecord.claim link": {("worker_before_start_record", "worker_after_start_record")},
    "apps/bench/durable.py:write_whole rename": {("before_result_file", "after_result_file")},
    "apps/bench/cell_folder.py:CellFolder.finish unlink": {("after_result_file", "after_cell")},
    "apps/bench/cell_folder.py:CellFolder.rescored rename": {("before_rescored_file", "after_rescored_file")},
    "apps/bench/cell_folder.py:CellFolder._set_aside rename": {("before_set_aside", "after_set_aside")},
    "apps/bench/models/convert.py:_convert rename": {("before_model_folder", "after_model_folder")},
    "apps/bench/models/digests.py:_write rename": {("before_digests", "after_digests")},
    "apps/generate/parts.py:WrittenAside.__exit__ rename": {("before_dataset_file", "after_dataset_file")},
    "apps/generate/parts.py:PartStore.remove unlink": {("before_parts_go", "after_parts_go")},
    "apps/tune/trial/files.py:replace_text rename": {("before_trial_file", "after_trial_file")},
    "apps/tune/report/optuna_file.py:write_optuna rename": {("before_optuna_file", "after_optuna_file")},
    "apps/queue/snapshot.py:_moved rename": {("before_snapshot", "after_snapshot")},
}
"""An effect, and all pairs of crash points between which it is seen. "" is the beginning of a thread."""

IN_A_LOOP = {"store/repair.py:_take_place unlink", "apps/generate/parts.py:PartStore.remove unlink"}
"""Several of one kind between two points: logs of one database, or parts of one dataset. Whoever comes next takes away
those that are left, whichever they are.
"""

NO_EDGE: dict[str, tuple[str, ...]] = {
    "written under a name that nobody looks for, and made anew by whoever comes next": (
        "store/backup.py:_part_of_its_own create",
        "store/backup.py:_part_of_its_own unlink",
        "store/backup.py:_remove_what_is_left unlink",
        "store/backup.py:_copy commit",
        "store/repair.py:_remove_database unlink",
        "drivers/processes/keeper/records.py:_write create",
        "drivers/processes/keeper/records.py:_write write",
        "drivers/processes/keeper/records.py:claim_start unlink",
        "drivers/processes/keeper/records.py:reserve_exit create",
        "drivers/processes/keeper/records.py:reserve_exit write",
        "drivers/processes/keeper/records.py:store_exit truncate",
        "drivers/processes/keeper/records.py:store_exit write",
        "drivers/processes/reattach.py:ask_to_stop symlink",
        "drivers/processes/reattach.py:ask_to_stop unlink",
        "drivers/processes/reattach.py:_bury create",
        "drivers/processes/reattach.py:_bury unlink",
        "drivers/workers/claims.py:StartRecord._make create",
        "drivers/workers/claims.py:StartRecord._make write",
        "drivers/workers/claims.py:StartRecord._make rename",
        "apps/bench/durable.py:write_whole create",
        "apps/bench/durable.py:write_whole unlink",
        "apps/bench/models/convert.py:_convert create",
        "apps/bench/models/convert.py:_convert mkdir",
        "apps/bench/models/convert.py:_convert rmtree",
        "apps/bench/models/digests.py:_write create",
        "apps/generate/export.py:_csv create",
        "apps/generate/export.py:_folder create",
        "apps/generate/export.py:export_dataset create",
        "apps/generate/parts.py:WrittenAside.__exit__ unlink",
        "apps/queue/snapshot.py:_copy_bytes create",
        "apps/queue/snapshot.py:_copy_one mkdir",
        "apps/queue/snapshot.py:_copy_one symlink",
        "apps/queue/snapshot.py:_moved rmtree",
        "apps/queue/snapshot.py:take_snapshot mkdir",
        "apps/queue/snapshot.py:take_snapshot rmtree",
        "apps/tune/report/optuna_file.py:write_optuna create",
        "apps/tune/report/optuna_file.py:write_optuna unlink",
        "apps/tune/trial/files.py:replace_text create",
    ),
    "the working copy of a repair, of the damaged store or of its backup: whoever repairs next makes it anew": (
        "store/repair.py:_salvaged create",
        "store/salvage.py:_fill_up create",
    ),
    "a folder that whoever needs it makes unless it is there; alone it means nothing": (
        "store/home.py:Home.prepare mkdir",
        "store/home.py:Home.make_runs mkdir",
        "drivers/processes/keeper/shim.py:_make_folder mkdir",
        "drivers/processes/reattach.py:ask_to_stop mkdir",
        "drivers/processes/reattach.py:_bury mkdir",
        "drivers/workers/cell.py:_make_folder mkdir",
        "drivers/workers/driver.py:WorkerDriver._open mkdir",
        "apps/bench/breaker_log.py:BreakerLog.append mkdir",
        "apps/bench/cell_folder.py:CellFolder._set_aside mkdir",
        "apps/bench/cell_folder.py:CellFolder.begin mkdir",
        "apps/bench/cell_folder.py:CellFolder.locked mkdir",
        "apps/bench/models/convert.py:converted mkdir",
        "apps/bench/models/digests.py:_write mkdir",
        "apps/bench/planned.py:write_planned mkdir",
        "apps/generate/parts.py:WrittenAside.__enter__ mkdir",
        "apps/tune/load/outside.py:outside_repeats mkdir",
        "apps/tune/load/points.py:_outside mkdir",
        "apps/tune/trial/ports.py:_open_folder mkdir",
        "apps/tune/trial/ports.py:_emptied mkdir",
    ),
    "a lock's file, or what stands in it for people: the lock is the kernel's and ends with who holds it": (
        "store/home.py:HomeLock.acquire create",
        "store/home.py:_write_pid truncate",
        "store/home.py:_write_pid write",
        "apps/bench/cell_folder.py:CellFolder.locked create",
        "apps/bench/models/convert.py:_locked create",
        "apps/tune/trial/ports.py:_lock create",
    ),
    "an empty store before its first migration: the same as after_store_file": (
        "store/connection.py:_prepare_writing commit",
    ),
    "the one place where a transaction ends; its callers have the edges": (
        "store/connection.py:_Transaction.__exit__ sql",
    ),
    "how far the store had come, after its commit and never ahead of it: the same as after_commit or after_repair": (
        "store/mark.py:Mark.write create",
        "store/mark.py:Mark.write write",
    ),
    "the damaged store is copied aside and still in its place: the same as before_rebuild": (
        "store/repair.py:_copy_damaged mkdir",
        "store/repair.py:_copy_durably create",
        "store/repair.py:repair unlink",
    ),
    "sockets and the zygote of this engine: nothing hangs on them once it is dead, and the next one makes its own": (
        "drivers/processes/driver.py:ProcessDriver._open unlink",
        "drivers/processes/driver.py:ProcessDriver.stop unlink",
        "drivers/workers/driver.py:WorkerDriver._open unlink",
        "drivers/processes/launcher.py:Launcher._begun spawn",
        "drivers/processes/launcher.py:Launcher._close signal",
    ),
    "an order on its way to the zygote: the same as before_launch or after_launch, for a start record decides": (
        "drivers/processes/launcher.py:Launcher._send_some send",
        "drivers/processes/keeper/zygote.py:Zygote._live_as_shim write",
    ),
    "output of a task, empty or as it came; nobody decides by it": (
        "drivers/processes/keeper/shim.py:Shim._spawn create",
        "drivers/workers/output.py:_point create",
        "drivers/workers/output.py:Output._hand_over rename",
    ),
    "what a task's own code leaves: it counts only with the exit record that follows, else with none": (
        "drivers/workers/results.py:call create",
        "drivers/workers/results.py:_write create",
        "drivers/workers/results.py:_write write",
        "drivers/workers/cell.py:_leave_word create",
        "apps/bench/cell.py:_leave create",
        "apps/generate/files.py:main create",
    ),
    "signals to a tree that is to end: a shim that dies there leaves what shim_after_spawn leaves, and is noticed": (
        "drivers/processes/keeper/tree.py:_signal_member signal",
    ),
    "the second way to give the name, where a file system cannot refuse a free one: a link, then what is superfluous": (
        "drivers/processes/keeper/records.py:_rename_to_free_name link",
        "drivers/processes/keeper/records.py:_rename_to_free_name unlink",
    ),
    "control groups of the system: an empty one is taken away by whoever finds it": (
        "drivers/processes/cgroups.py:_usable mkdir",
        "drivers/processes/cgroups.py:_usable rmdir",
        "drivers/processes/keeper/memory.py:enter_group mkdir",
        "drivers/processes/keeper/memory.py:_put create",
        "drivers/processes/keeper/memory.py:Group.remove rmdir",
        "drivers/processes/strays.py:remove_group rmdir",
    ),
    "what is forgotten already goes from the disk: what is left is garbage that harms nothing but room": (
        "engine/removal.py:_delete rmdir",
        "engine/removal.py:_delete rmtree",
        "drivers/workers/leftovers.py:remove_blank rmtree",
        "apps/generate/parts.py:PartStore.remove rmdir",
        "apps/generate/settling.py:Settling._write unlink",
        "apps/tune/trial/ports.py:PortBlock.release rmtree",
        "apps/tune/trial/ports.py:_emptied rmtree",
    ),
    "room that is kept or tried: whoever opens the store looks how much there is": (
        "engine/pause.py:_made create",
        "engine/pause.py:has_room unlink",
        "engine/pause.py:lay_ballast unlink",
        "engine/pause.py:lay_ballast write",
    ),
    "lines that are appended, each whole to who reads them: a torn last one is dropped": (
        "apps/bench/attempt_log.py:AttemptLog.__init__ create",
        "apps/bench/attempt_log.py:AttemptLog.say write",
        "apps/bench/breaker_log.py:BreakerLog.append create",
        "apps/bench/breaker_log.py:BreakerLog.append write",
        "apps/bench/samples.py:SampleLog.__init__ create",
        "apps/bench/samples.py:SampleLog._write write",
        "apps/bench/samples.py:_mend truncate",
        "apps/tune/load/points.py:_writer create",
        "apps/tune/trial/devices.py:DeviceWatch._sample create",
        "apps/tune/trial/devices.py:DeviceWatch.start_sampling create",
        "apps/tune/trial/measuring.py:_PointWork.on_progress create",
        "apps/tune/trial/server_log.py:ServerLog.__init__ create",
    ),
    "processes of a task, which die with its tree: a task that is killed there is made again whole": (
        "apps/bench/adapters/command.py:CommandAdapter.run_cell spawn",
        "apps/bench/models/convert.py:_convert_apart spawn",
        "apps/queue/snapshot.py:_asked_of_git spawn",
        "apps/tune/engines/command.py:_begun spawn",
        "apps/tune/engines/docker.py:_guard spawn",
        "apps/tune/engines/tree.py:_signal_held signal",
        "apps/tune/load/outside.py:_run spawn",
        "apps/tune/load/outside.py:_signal signal",
    ),
    "files for the load client of this trial alone, in a folder that its next attempt does not have": (
        "apps/tune/load/adapters/aiperf.py:AIPerf.write_prompts create",
        "apps/tune/load/adapters/genai_bench.py:GenAIBench.write_prompts create",
        "apps/tune/load/adapters/guidellm.py:GuideLLM.write_prompts create",
        "apps/tune/load/adapters/vllm_bench.py:VllmBench.write_prompts create",
        "apps/tune/load/outside.py:_run create",
    ),
    "the writing connection is read, or closed": (
        "store/database.py:Store.brought_by alone",
        "store/database.py:Store.close alone",
    ),
    "the death itself": (
        "drivers/processes/keeper/crashpoints.py:crashpoint signal",
        "drivers/processes/keeper/crashpoints.py:crashpoint write",
    ),
    "no file at all": (
        "apps/bench/cell_run.py:_Running._run rename",
        "apps/bench/transformer/torch_edge.py:reset_peaks create",
    ),
}
"""A reason, and the effects that it holds for."""

OFTEN = {
    "apps/bench/cell_folder.py:CellFolder.locked mkdir": 2,
    "apps/queue/snapshot.py:_copy_one mkdir": 2,
    "apps/queue/snapshot.py:take_snapshot mkdir": 3,
    "apps/tune/report/optuna_file.py:write_optuna unlink": 2,
    "drivers/processes/keeper/shim.py:Shim._spawn create": 2,
    "drivers/processes/keeper/shim.py:_make_folder mkdir": 3,
    "drivers/workers/cell.py:_make_folder mkdir": 4,
    "store/connection.py:_Transaction.__exit__ sql": 2,
    "store/database.py:Store.brought_by alone": 2,
    "store/repair.py:_take_place unlink": 2,
    "store/salvage.py:_fill_up create": 2,
}
"""How often an effect stands in its function, if more than once."""
