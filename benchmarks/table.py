"""`python -m benchmarks.table`: the last results of each benchmark as one table, written into README.md beside it.

It measures nothing. What is missing in `results/` is left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from .support.machine import RESULTS

PAGE = Path(__file__).parent / "README.md"
BEGIN, END = "<!-- begin: python -m benchmarks.table -->", "<!-- end -->"


class Line(NamedTuple):
    """One figure: what it is, what was measured, what is aimed at, and what it was measured beside."""

    what: str
    measured: str
    goal: str = ""
    beside: str = ""


def results(name: str) -> Any:
    """The last results of a benchmark; empty if there are none."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def of(value: Any, unit: str = "", digits: int = 2) -> str:
    """A spread as `median (least to most)`."""
    middle, least, most = (f"{value[name]:,.{digits}f}" for name in ("median", "least", "most"))
    return f"**{middle}**{unit} ({least} to {most})"


def kernel_rate() -> Iterator[Line]:
    """The kernel alone."""
    found = results("kernel_rate")
    for batch in (16, 64, 1):
        if f"rate_batch_{batch}" in found:
            rate = f"**{found[f'rate_batch_{batch}']:,}**/s"
            yield Line(f"kernel: admissions + completions, {batch} a turn", rate, "30,000/s" if batch == 16 else "")
    costs = [found[name] for name in found if name.startswith("cost_us_")]
    if costs:
        yield Line("kernel: an event at 1,000 to 1,000,000 tasks", f"{min(costs)} to {max(costs)} us", "flat")


def submit_rate() -> Iterator[Line]:
    """Durable submits."""
    found = results("submit_rate")
    if not found:
        return
    rates = found["tasks_a_second"]
    raw = f"raw SQLite {rates['raw_sqlite_1000_rows_a_commit']['median']:,.0f} rows/s in commits of 1,000"
    yield Line("10,000 tasks, `Engine.submit`", of(rates["engine_submit"], "/s", 0), "25,000/s", raw)
    single = f"raw SQLite {rates['raw_sqlite_1_row_a_commit']['median']:,.0f} rows/s in commits of 1"
    yield Line("10,000 tasks, POST /submit", of(rates["http_submit"], "/s", 0), "", single)
    yield Line("10,000 tasks, `submit --array 1-10000`", of(rates["cli_array"], "/s", 0))


def one_submit() -> Iterator[Line]:
    """Single commands."""
    found = results("one_submit")
    if not found:
        return
    goals = {"submit": "60 ms beside it", "help": "150 ms", "ls": "300 ms", "ls_json": ""}
    names = {
        "submit": "`submit -- true`",
        "help": "`--help`",
        "ls": "`ls`, 1,000 tasks",
        "ls_json": "`ls --json`, 1,000 tasks",
    }
    for name, goal in goals.items():
        beside = f"beside the interpreter: {found['ms_beside_the_interpreter'][name]} ms"
        yield Line(names[name], of(found["ms"][name], " ms", 0), goal, beside)
    yield Line("the interpreter, `python -c pass`", of(found["ms"]["interpreter"], " ms", 0))


def page_reads() -> Iterator[Line]:
    """What the page asks."""
    found = results("page_reads")
    if not found:
        return
    goals = {"first_rows": "1 s", "one_state": "300 ms", "text_found_once": "300 ms", "text_found_everywhere": "300 ms"}
    beside = f"SQLite counts the states in {found['ms']['sqlite_counts']['median']} ms"
    for name in (*goals, "now", "hour", "all_time"):
        yield Line(
            f"the page, 110,000 tasks: {name.replace('_', ' ')}",
            of(found["ms"][name], " ms", 0),
            goals.get(name, ""),
            beside,
        )


def true_tasks() -> Iterator[Line]:
    """/bin/true on two CPUs."""
    found = results("true_tasks")
    for name, value in found.get("ms_a_task", {}).items():
        peer, _, count = name.rpartition("_")
        goal = "2.4 ms" if peer == "passloop" else ""
        yield Line(f"/bin/true x {int(count):,}, 2 at a time: {peer.replace('_', ' ')}", of(value, " ms"), goal)
    if found:
        yield Line("an fsync in those rounds", of(found["fsync_us"], " us", 0))


def warm_calls() -> Iterator[Line]:
    """No-op Python calls on two warm workers."""
    found = results("warm_calls")
    if not found:
        return
    rates = found["calls_a_second"]
    pool = f"ProcessPoolExecutor, nothing durable: {rates['process_pool']['median']:,.0f}/s in the same rounds"
    yield Line(f"{found['calls']:,} no-op calls on 2 warm workers", of(rates["passloop"], "/s", 0), "4,000/s", pool)
    fresh = f"a fresh interpreter for each: {rates['fresh_interpreter']['median']:,.0f}/s"
    yield Line("a no-op call: CPU of engine and workers", of(found["cpu_ms_a_call"], " ms"), "100 ms", fresh)


def idle() -> Iterator[Line]:
    """An engine with nothing to do, and what comes after that."""
    found = results("idle")
    if not found:
        return
    quiet, gap = found["idle"], found["release_to_start"]
    yield Line("idle, 1,000 tasks wait: passes", f"**{quiet['passes']}** in {quiet['seconds']:.0f} s", "0")
    yield Line("idle, 1,000 tasks wait: CPU", f"**{quiet['cpu_percent_of_a_core']} %** of a core", "0.1 %")
    start = f"of it {gap['of_it_ms_to_start_sh_and_date']['median']} ms to start `sh` and `date`"
    yield Line("last word of a task to first word of the next", of(gap["gap_ms"], " ms"), "20 ms", start)


def mixed_load() -> Iterator[Line]:
    """The mixed load of naps."""
    found = results("mixed_load")
    for part in ("real", "simulated"):
        for name, value in found.get(part, {}).items():
            title = f"mixed load, {'engine, ' if part == 'real' else ''}{name}"
            goal = "1.12; wait 0.5" if name == "plain" else ""
            worst = f"worst wait of a 4-GPU task: {value['worst_wait']['median']} of the makespan"
            yield Line(f"{title}: makespan / bound", of(value["over_bound"]), goal, worst)


def bench_cells() -> Iterator[Line]:
    """Small cells of a model."""
    found = results("bench_cells")
    names = {
        "warm_1": "cells of a tiny model, one warm worker",
        "warm_2": "cells of a tiny model, two warm workers",
        "process_a_cell_2": "cells of a tiny model, a process each, two at once",
        "loop": "cells of a tiny model, a plain loop that stores nothing",
    }
    for name, title in names.items():
        if name in found:
            own = found[name]
            beside = (
                f"{own['cells']} cells in {own['seconds']['median']:.1f} s, {own['loading_s']['median']:.1f} s loading"
            )
            yield Line(title, of(own["cells_a_second"], "/s"), "", beside)


def bench_packing() -> Iterator[Line]:
    """A mixed matrix on virtual GPUs."""
    found = results("bench_packing")
    titles = {"packed": "by what each cell takes", "one_a_gpu": "one cell a GPU"}
    for name, title in titles.items():
        if name in found:
            own = found[name]
            beside = f"{own['makespan_s']['median']:.1f} s for {3 * found['cells_of_each']} cells"
            yield Line(f"mixed matrix on 4 GPUs, {title}: makespan / bound", of(own["over_the_bound"]), "", beside)


def generate_datasets() -> Iterator[Line]:
    """Whole datasets; rounds are few, so the first one is told."""
    found = results("generate_datasets")
    for case, rounds in found.items():
        if isinstance(rounds, list):
            for name, own in rounds[0].items():
                end = f"**{own['seconds']:.1f}** s" if own["ended"] else f"no end in {own['seconds']:.0f} s"
                gap = own["longest_healthy_gap_ms"]
                beside = (
                    f"{own['cpu_ms_a_call']} ms of CPU a call; {own['not_answered']:,} calls without an answer;"
                    f" longest gap of the healthy {gap:,} ms"
                )
                yield Line(f"{found['rows']:,} rows x 4 models, {case}: {name}", end, "", beside)


def generate_calls() -> Iterator[Line]:
    """Calls of the engine alone beside those of its HTTP client alone."""
    found = results("generate_calls")
    for case, rounds in found.items():
        if isinstance(rounds, list):
            floor, own = rounds[0]["floor"], rounds[0]["engine"]
            told = f"**{own['seconds']:.2f}** s, **{own['cpu_ms_a_call']:.2f}** ms of CPU a call"
            beside = (
                f"the client alone: {floor['seconds']:.2f} s, {floor['cpu_ms_a_call']:.2f} ms; refused {own['refused']}"
            )
            goal = "0.7 s over, 20 refused" if case == "one closed 10 s" else ""
            yield Line(f"4 x {found['calls'] // 4:,} calls, {case}", told, goal, beside)


def generate_growth() -> Iterator[Line]:
    """One dataset of many rows."""
    found = results("generate_growth")
    if "round 1" not in found:
        return
    own = found["round 1"]
    steps = own["steps"]
    least, most = (f(step["cpu_ms_a_call"] for step in steps) for f in (min, max))
    ends = f"{steps[0]['cpu_ms_a_call']:.2f} ms for the first tenth, {steps[-1]['cpu_ms_a_call']:.2f} for the last"
    title = f"{found['rows']:,} rows, one column"
    yield Line(f"{title}: CPU a call", f"**{least:.2f} to {most:.2f}** ms", "flat", ends)
    start, top = own["mib_at_first_and_at_most"]
    yield Line(f"{title}: memory of the engine", f"**{top}** MiB", "150 MB beside imports", f"{start} MiB at the start")
    events = f"{own['store_bytes_a_cell']:.0f} bytes with all that is stored"
    yield Line(f"{title}: events a cell", f"**{own['journal_bytes_a_cell']:.0f}** bytes", "300 bytes", events)
    slowest = max(own["page_seconds"].values())
    asked = f"plan {own['plan_seconds']} s, first call after {own['first_call_after_seconds']} s"
    asked += f", report {own['report_seconds']} s"
    yield Line(f"{title}: slowest document of the page", f"**{slowest * 1000:.0f}** ms", "1 s", asked)


def tune_load() -> Iterator[Line]:
    """The load client beside other HTTP libraries, and beside AIPerf."""
    found = results("tune_client")
    for point in [name for name in found if name.startswith(("concurrency=", "rate="))]:
        others = [f"{name}: {one['ttft_p95']['median']} ms" for name, one in found[point].items() if name != "passloop"]
        ours = of(found[point]["passloop"]["ttft_p95"], " ms")
        yield Line(f"load client, {point}: adds to the first token, p95", ours, "2 ms", ", ".join(others))
    agreed = results("tune_agreement")
    for point in [name for name in agreed if name.startswith(("concurrency=", "rate="))]:
        for client, differences in agreed[point]["difference_percent"].items():
            worst = max(differences.values(), key=abs)
            means = ", ".join(f"{name} {value:+.1f}" for name, value in differences.items())
            yield Line(f"load client, {point}: largest difference to {client}", f"**{worst:+.1f} %**", "5 %", means)


def tune_packing() -> Iterator[Line]:
    """Trials beside the best packing of the same trials."""
    found = results("tune_packing")
    cases = {name: one for name, one in found.items() if isinstance(one, dict) and "makespan_s" in one}
    for name, one in cases.items():
        beside = f"{one['best_packing_s']:.0f} s at best, {one['sequential_s']:.0f} s one by one"
        beside += f"; {one['overhead_s']['median']:.2f} s a trial more than by hand, next start {one['next_start_s']} s"
        told = f"**{one['makespan_s']:.1f} s**, {one['ratio_to_by_hand']:.2f} x servers by hand"
        yield Line(f"20 trials on 8 GPUs, {name}", told, "1.05 x, 0.5 s", beside)
    if "repeats" in found:
        yield Line("40 trials, 8 at once, in 120 points: repeats", f"**{found['repeats']['repeats']}**", "0")


def main() -> None:
    """Make the table and put it into its place."""
    groups = (
        kernel_rate,
        submit_rate,
        one_submit,
        page_reads,
        true_tasks,
        warm_calls,
        idle,
        mixed_load,
        bench_cells,
        bench_packing,
        generate_calls,
        generate_datasets,
        generate_growth,
        tune_load,
        tune_packing,
    )
    rows = [f"| {' | '.join(line)} |" for group in groups for line in group()]
    text = "\n".join(["| what | median (least to most) | goal | beside it |", "|---|---|---|---|", *rows])
    print(text)
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
