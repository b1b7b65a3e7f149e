"""`python -m benchmarks.policies`: run the comparison, print its tables, write them into the docs and as
JSON.
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from .compare import compare_mixed, compare_stream
from .figures import Figures
from .workload import MINUTE, RunTimes

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "design" / "policies.md"
RESULTS = ROOT / "benchmarks" / "results" / "policies.json"
BEGIN = "<!-- begin: python -m benchmarks.policies -->"
END = "<!-- end -->"
TITLES = {
    "strict": "strict first in, first out",
    "greedy": "greedy skip",
    "easy": "EASY, exact run times",
    "enforced": "**passloop**, enforced limits",
    "learned": "**passloop**, learned bounds",
    "none": "**passloop**, no bounds",
}

OTHERS = ("strict", "greedy", "easy", "enforced", "learned", "none")
OTHER_TIMES = tuple(RunTimes(median * MINUTE, sigma) for median, sigma in ((15, 0.8), (5, 1.0), (20, 1.0), (10, 1.5)))


def mixed_table(figures: Mapping[str, Figures]) -> str:
    """The mixed load as a markdown table."""
    lines = [
        "| policy | GPU use | mean wait, all | CPU only | 8 GPUs | 8 GPUs, worst |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {TITLES[name]} | {one.utilisation:.1%} | {one.wait_all:.0f} min | {one.wait_cpu:.0f} min "
        f"| {one.wait_eight:.0f} min | {one.worst_eight:.0f} min |"
        for name, one in figures.items()
    ]
    return "\n".join(lines)


def stream_table(waits: Mapping[str, list[float]], hours: int) -> str:
    """The endless stream as a markdown table; a wait to the end of the stream is said to be one."""
    lines = ["| policy | wait of the 8-GPU task, by seed |", "|---|---|"]
    for name, each in waits.items():
        told = ", ".join(f"{wait:.1f} h" if wait < hours - 2 else "**until the stream ends**" for wait in each)
        lines.append(f"| {TITLES[name]} | {told} |")
    return "\n".join(lines)


def others_table(*, seeds: int, tasks: int, cores: int) -> str:
    """GPU use with other run times as a markdown table."""
    titles = [TITLES[name].replace("*", "") for name in OTHERS]
    lines = [f"| run times | {' | '.join(titles)} |", "|---|" + "---:|" * len(titles)]
    for times in OTHER_TIMES:
        figures = compare_mixed(seeds=range(seeds), tasks=tasks, cores=cores, names=OTHERS, times=times)
        told = " | ".join(f"{figures[name].utilisation:.1%}" for name in OTHERS)
        lines.append(f"| median {times.median // MINUTE} min, sigma {times.sigma:g} | {told} |")
    return "\n".join(lines)


def _write_page(text: str) -> None:
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")


def _options() -> argparse.Namespace:
    options = argparse.ArgumentParser(prog="python -m benchmarks.policies", description=__doc__)
    options.add_argument("--seeds", type=int, default=12)
    options.add_argument("--tasks", type=int, default=1_500)
    options.add_argument("--hours", type=int, default=100, help="length of the endless stream")
    options.add_argument("--cores", type=int, default=2)
    options.add_argument("--dry-run", action="store_true", help="print only, write nothing")
    return options.parse_args()


def main() -> None:
    """Run, print, write."""
    options = _options()
    seeds = range(options.seeds)
    mixed = compare_mixed(seeds=seeds, tasks=options.tasks, cores=options.cores)
    stream = compare_stream(seeds=seeds[:4], hours=options.hours, cores=options.cores)
    text = "\n\n".join(
        [
            f"{options.seeds} seeds of {options.tasks} tasks each; figures are means over the seeds.",
            mixed_table(mixed),
            f"An endless stream of one-GPU tasks at load 0.9 for {options.hours} h, a task for all eight "
            "GPUs after the first hour:",
            stream_table(stream, options.hours),
            "GPU use under the mixed load with other run times:",
            others_table(seeds=options.seeds, tasks=options.tasks, cores=options.cores),
        ]
    )
    print(text)
    if options.dry_run:
        return
    _write_page(text)
    figures = {
        "python": platform.python_version(),
        "seeds": options.seeds,
        "tasks": options.tasks,
        "mixed": {name: asdict(one) for name, one in mixed.items()},
        "stream_hours": stream,
    }
    RESULTS.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
