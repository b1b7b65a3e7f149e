"""The table of promises: what each says, what its tests must come to, small (`make test`) and large (`make prove`).

Pure data, made into a page and held to what tests wrote down by `docs/guarantees.py`. Besides the files named here,
every tests/**/test_pNN_*.py belongs to promise NN. The figures are law: a test that shows less is too small.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

WITH_RAY = "comes with Ray, which is not here yet"
CRASH_POINTS = "crash/test_crash_points.py"
WARM_CALLS = "crash/test_warm_calls_survive_the_engine.py"
MIGRATIONS = len(list((Path(__file__).parent.parent / "src/passloop/store/migrations").glob("*.sql")))


@dataclass(frozen=True, slots=True)
class Figure:
    """What the numbers called `unit` must come to: `rule` says in all ("sum"), or each at least ("least") or below
    ("most").

    `small` and `large` are None where tests of that size need not show it. `of` is a number that a line must have for
    its own to count, with how much of it, small and large: P14 counts seeds of so many events. `words` are for a reader
    where the unit is not enough. `may_skip` is in the names of tests whose needs are not met on every machine: skipped,
    they are no fault.
    """

    unit: str
    small: float | None = None
    large: float | None = None
    words: str = ""
    rule: str = "sum"
    of: tuple[str, int, int] | None = None
    may_skip: str = ""

    def wanted(self, size: str) -> float | None:
        """What a size must come to."""
        return self.small if size == "small" else self.large

    def said(self, size: str) -> str:
        """As a reader is told: "1,000 kills", "p99 in ms below 200"."""
        most = self.wanted(size)
        assert most is not None
        name = self.words or self.unit.replace("_", " ")
        of = f" of {self.of[1 if size == 'small' else 2]:,} {self.of[0]}" if self.of and not self.words else ""
        rules = {"sum": f"{most:,} {name}{of}", "least": f"{name} at least {most:,}", "most": f"{name} below {most:,}"}
        return rules[self.rule]


@dataclass(frozen=True, slots=True)
class Promise:
    """One promise. `shows` is what its tests must show, `figures` how much of it, `conditions` what it leaves out, or
    what of the world its tests simulate.

    `also` are test files that do not bear the promise's number; `absent` says why a promise is not made yet.
    """

    number: int
    text: str
    shows: str
    figures: tuple[Figure, ...] = ()
    also: tuple[str, ...] = ()
    absent: str = ""
    conditions: str = ""

    @property
    def name(self) -> str:
        """P1 to P20."""
        return f"P{self.number}"


KILLS = Figure("kills", 200, 1_000, "kills of the engine")
WARM_KILLS = Figure("warm_kills", 6, 100, "kills of the engine beside warm workers")
AT_POINTS = Figure("deaths_at_points", 27, 54, "deaths at named crash points")

PROMISES = (
    Promise(
        1,
        "an acknowledged submit is never lost",
        "0 lost",
        (KILLS, AT_POINTS),
        (CRASH_POINTS, "unit/engine/test_turns.py", "unit/engine/test_killed.py", "unit/store/test_commit_crashes.py"),
    ),
    Promise(
        2,
        "a committed attempt never runs again",
        "0 again",
        (KILLS, AT_POINTS, WARM_KILLS),
        (CRASH_POINTS, WARM_CALLS, "unit/drivers/test_claims.py"),
    ),
    Promise(
        3,
        "at most one live attempt per task",
        "0 overlaps",
        (KILLS, AT_POINTS, WARM_KILLS),
        (CRASH_POINTS, WARM_CALLS, "unit/engine/test_turns.py"),
    ),
    Promise(
        4,
        "no device is double-booked, across crashes and strays too",
        "0 double bookings",
        (
            Figure("events", 20_000, 100_000, "random events of two homes that share devices"),
            KILLS,
            Figure("homes", 2, words="homes with real engines on one box"),
            Figure("stand_in_gpus", 1, words="GPU of the stand-in for NVML", may_skip="[stand-in]"),
            Figure("real_gpus", 1, words="real GPU", may_skip="[real]"),
        ),
        (
            *("properties/test_p15_the_machine_is_right.py", "unit/devices/test_locks.py", "unit/devices/test_gate.py"),
            *("unit/drivers/test_commands.py", "unit/api/test_gpu_locks.py"),
        ),
        conditions=(
            "The events are simulated, with real locks; the kills are of real engines with virtual GPUs. While there is "
            "no engine, what a process holds by a lease is kept from other homes only if `GpuPool` asked for it."
        ),
    ),
    Promise(
        5,
        "running work survives the engine's death and upgrade",
        "all found again, 0 restarted, 0 signals to a wrong process",
        (
            Figure("cycles", 10, 100, "kills with 8 attempts running"),
            KILLS,
            AT_POINTS,
            WARM_KILLS,
            Figure("recycled", 1, words="recycled process id"),
            Figure("rebooted", 1, words="changed boot id"),
            Figure("upgrades", 1, words="upgrade"),
        ),
        (
            CRASH_POINTS,
            WARM_CALLS,
            "crash/test_shim_kills.py",
            "unit/drivers/test_find.py",
            "unit/drivers/test_keeper_parts.py",
            "unit/drivers/test_reattach.py",
        ),
    ),
    Promise(
        6,
        "cancel and time limit leave no process and no device memory",
        "0 survivors after grace and 10 s",
        (
            Figure("cancelled", 30, 180, "trees cancelled, of 6 shapes"),
            Figure("timed_out", 25, 150, "trees at their time limit, of 5 shapes"),
            Figure("latest_ms", 10_000, 10_000, "the latest end after the grace, in ms,", "most"),
            Figure("quarantined", 1, words="device kept until its last user had gone"),
            Figure("servers", None, 1, "real model server", may_skip="vllm"),
        ),
        (CRASH_POINTS, "unit/drivers/test_trees.py", "contract/test_driver_contract.py"),
        conditions=(
            "Not one in uninterruptible sleep, which nobody can end: it is told, and its devices are kept. The devices "
            "of these tests are virtual; that a GPU is given on only when nobody uses it is shown under P4."
        ),
    ),
    Promise(
        7,
        "power cut: consistent, nothing acknowledged lost",
        "0 corrupt, 0 lost",
        (
            Figure("states", 2_000, 50_000, "crash states of the store"),
            Figure("record_states", 1_000, 10_000, "of an attempt's records"),
            Figure("backup_states", 250, None, "of a backup"),
            Figure("repair_states", 50, 3_000, "of a repair"),
        ),
        conditions="Where the disk honours fsync. The cuts are made from what was written and synced.",
    ),
    Promise(
        8,
        "disk full: no corruption, a clear state, resumes alone",
        "0 acknowledged lost, `paused: disk full` is shown",
        (
            Figure("full_stores", 1, words="full disk of the store", may_skip="test_p08_a_full_store_is_said"),
            Figure("full_folders", 1, words="full disk of attempts", may_skip="test_p08_full_folders_of_attempts"),
            Figure("filled_disks", 2, words="disks filled by tasks", may_skip="test_p08_what_fills_its_disk"),
            Figure("resumed_after_ms", 5_000, None, "ms from free space to work", "most"),
            Figure("full_without_mounts", 3, words="limits of file sizes: of attempts' folders, a log, an artifact"),
            Figure("deaths_at_points", 3, words="deaths at named crash points"),
        ),
        (CRASH_POINTS, "unit/store/test_full_disk.py", "unit/engine/test_pause.py"),
    ),
    Promise(
        9,
        "a damaged store, log or journal is detected, never taken for empty",
        "0 silent wrong states, 0 tracebacks, exit code 4 with a next step",
        (
            Figure("damaged", 200, 1_000, "flips and cuts"),
            Figure("damaged_records", 400, None, "of an attempt's records"),
            Figure("deaths_at_points", 7, None, "repairs killed at a named crash point"),
        ),
        (CRASH_POINTS, "unit/store/test_damage.py", "unit/store/test_repair.py"),
        conditions=(
            "A repair saves what can be read, holds what may have run, and says what is gone; where nothing can be "
            "read and there is no backup, it says so and changes nothing."
        ),
    ),
    Promise(
        10,
        "clock jumps do no harm",
        "0 false rescues, 0 negative durations",
        (Figure("schedules", 100, 500, "schedules of jumps"),),
        ("tidy/test_clocks.py",),
        conditions=(
            "Clock, drivers and devices are simulated; machine, turns, recovery and store are real. That shims keep "
            "time limit and grace by the monotonic clock is held over the source. An engine that starts while the "
            "clock is ahead takes that for time that has passed: deadlines are over, what waited until a time starts."
        ),
    ),
    Promise(
        11,
        "a poison task cannot eat the box",
        "limits held",
        (
            Figure("poisons", 6, words="kinds of poison"),
            Figure("kept", 0.95, 0.95, "the share of throughput that others keep", "least"),
        ),
        ("unit/drivers/test_memory.py",),
        conditions=(
            "The small share is counted on a fake clock; the large one and each poison are real. In the large one "
            "poison asks GPUs and none of the CPUs whose throughput is measured: what it costs who shares CPUs with it "
            "is in the small one."
        ),
    ),
    Promise(
        12,
        "an LLM answer we stored is never paid for twice",
        "0 sent again; those of unknown outcome are counted and shown",
        (Figure("kills", 50, 1_000),),
        ("unit/engine/test_submission.py",),
        conditions=(
            "A call whose engine died, or was told to end all (`down --now`), before its answer was stored is of "
            "unknown outcome, and is sent again. So is one where a server hangs up a kept connection within 0.3 s: it "
            "goes out once more, under the same idempotency key, and is not counted, since it looks like a connection "
            "that was closed while it was idle."
        ),
    ),
    Promise(
        13,
        "limits hold across runs, crashes, restarts",
        "0 over, 0 before a Retry-After was over",
        (
            Figure("seeds", 50, 1_000, "seeds of four runs"),
            Figure("deaths_at_points", 100, 2_000, "deaths at named crash points"),
        ),
        ("unit/kernel/test_closed_pools.py", "unit/kernel/test_declared_again.py", "unit/kernel/test_probing.py"),
        conditions="Clock and endpoint are simulated; the engine, its store and the driver of calls are real.",
    ),
    Promise(
        14,
        "no starvation behind work of its own or lower priority, no deadlock, every waiting task has a true reason",
        "0 breaks",
        (
            Figure("seeds", 500, 20_000, of=("events", 150, 500)),
            Figure("ahead_seeds", 2, 500, "seeds of what is claimed ahead and written in parts"),
            Figure("pools_seeds", 4, 500, "seeds of pools that runs declare otherwise"),
            Figure("load_seeds", 8, 1_000, "seeds of an endless load that some must get through"),
        ),
        ("simulation/test_histories.py",),
        conditions="Clock, drivers, devices, endpoints, disk are simulated; machine, turns and store are real.",
    ),
    Promise(
        15,
        "the machine is right",
        "0 broken laws",
        (Figure("sequences", 300, 20_000, "sequences of up to 50 events", of=("events", 50, 50)),),
    ),
    Promise(
        16,
        "an old store opens in a new version; a newer one is refused",
        "0 half-migrated, exit code 4",
        (
            Figure("stores", MIGRATIONS, words="golden stores of a day, one of each schema"),
            Figure("unit_stores", MIGRATIONS - 1, words="golden stores with units, one of each schema that has them"),
            Figure("interrupted_schemas", MIGRATIONS, words="older schemas, interrupted at each step"),
        ),
        ("unit/store/test_migrate.py",),
    ),
    Promise(
        17,
        "bad input gets an error, not a traceback",
        "0 tracebacks, 0 over 1 s, each error names the place and a fix",
        (
            Figure("cases", 2_000, 10_000, "cases of all kinds"),
            Figure("run_specs", 1_250, 6_250, "specs of `run`"),
            Figure("bench_specs", 300, 5_000, "specs of `bench`"),
            Figure("generate_specs", 160, 5_000, "specs of `generate`"),
            Figure("tune_specs", 80, 5_000, "specs of `tune`"),
            Figure("hostile", 430, 1_980, "hostile files of these four"),
            Figure("generate_requests", 80, None, "datasets sent by another program"),
            Figure("imported_tasks", 40, None, "tasks of another program's to import"),
            Figure("submissions", 400, 2_000, "submissions"),
            Figure("lines", 650, 3_250, "command lines"),
            Figure("verbs", 31, None, "verbs with each of their options"),
            Figure("page_requests", 130, 2_400, "requests to the page's interface"),
            Figure(
                "longest_s", 1, 1, "the longest answer in s of CPU time (in the large figure by the clock, too)", "most"
            ),
        ),
        (
            *("unit/apps/test_spec_file.py", "properties/test_page_interface_fuzz.py"),
            *(f"properties/test_{kind}_specs_fuzz.py" for kind in ("bench", "generate", "tune")),
        ),
    ),
    Promise(
        18,
        "100,000 tasks stay usable",
        "what each task costs is counted (small), the times hold (large)",
        (
            Figure("times_the_tasks", 8, None, "times the tasks, for at most a fifth more of SQLite's steps"),
            Figure("bytes_a_task", 1_500, None, "bytes of memory for a queued task", "most"),
            Figure("tasks", None, 110_000, "tasks, 10,000 of them queued"),
            Figure("ls_p95_ms", None, 300, "`ls` p95 in ms, as a command from its start to its end", "most"),
            Figure("first_rows_ms", None, 1_000, "the page's first rows in ms", "most"),
            Figure("first_ms", None, 1_000, "the same in a browser", "most"),
            Figure("engine_mb", None, 300, "the engine in MB", "most"),
        ),
        ("browser/test_many_tasks.py",),
    ),
    Promise(
        19,
        'many clients at once, never "database is locked"',
        "0 lock errors beside a long reader",
        (
            Figure("clients", 32, 32, "clients", "least"),
            Figure("requests", 3_000, 9_000),
            Figure("seconds", 20, 60, "seconds for which each of them asked", "least"),
            Figure("calm_p99_ms", 200, None, "p99 in ms without the time in line for a processor", "most"),
            Figure("longest_ms", 5_000, 5_000, "the longest answer in ms", "most"),
            Figure("p99_ms", 600, 200, "p99 in ms", "most"),
        ),
    ),
    Promise(20, "on Ray: loss of head, node or driver is recovered from our store", "0 lost", absent=WITH_RAY),
)
