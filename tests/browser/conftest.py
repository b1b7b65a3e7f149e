"""One Chromium, and a home with a daemon and real runs of every kind, for the tests of a file.

Neither outlives its file: a Playwright that is open keeps a loop running in the thread of the tests, and then no test
of another file could run one of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.browsing import FLAGS, Visit, chromium, endpoint, suffer, visits
from tests.support.command_line import Box, ended_boxes

TRAIN = """
import json, os, sys
print("\\x1b[32mgreen\\x1b[0m", sys.argv[1], flush=True)
open(os.environ["PASSLOOP_OUT"] + "/metrics.json", "w").write(json.dumps({"accuracy": float(sys.argv[1]) / 10}))
"""
SWEEP = """
run: digits
command: ["{python}", train.py, "{depth}", "{lr}"]
matrix: {depth: [2, 4], lr: [0.001, 0.1]}
resources: {gpus: 1}
"""
BENCH = """
bench: small
adapter: fake
options: {seconds: 0, rules: [{where: {sparse_attention: broken}, fault: bug, times: 0}]}
models: {a: {}}
sparse_attention:
  dense: {}
  knorm-50: {method: knorm, compression_ratio: 0.5}
  broken: {method: broken, compression_ratio: 0.9}
benchmarks: {niah: {subsets: [s1, s2], samples: 3}}
"""
TUNE = """
tune: serving
engine:
  kind: command
  argv: ["{python}", -m, passloop.testing.server, --port, "{port}", --ttft, "{ttft}", --tpot, "1"]
  ready: {path: /health, timeout: 30s}
space: {ttft: {type: choice, values: [1, 9]}}
resources: {cpus: 1}
load:
  {prompts: builtin:short, max_tokens: 4, points: [{concurrency: 1}, {concurrency: 2}], requests: 4, warmup: 0}
objectives: [{metric: ttft, stat: p95, at: {concurrency: 2}, direction: minimize}]
slo: [{metric: ttft, stat: p95, max: 5s}]
search: {sampler: grid, max_trials: 2, max_parallel: 2, baseline: {ttft: 9}, max_gpu_hours: null}
"""
GENERATE = """
generate: tickets
rows: 6
row_group: 6
out: tickets.parquet
endpoints: {here: {base_url: "URL", max_in_flight: 4}}
models: {m: {endpoint: here, model: m, params: {max_tokens: 8}, price: {input: 1, output: 2}}}
columns:
  - {name: topic, kind: sampler, choice: {values: [billing, delivery]}}
  - {name: ticket, kind: llm_text, model: m, prompt: "Write about {{ topic }}."}
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium without a window."""
    path = chromium()
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install -e .[dev]")
    with playwright.sync_playwright() as player:
        started = player.chromium.launch(executable_path=path, args=FLAGS)
        yield started
        started.close()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """A home with a daemon on two virtual GPUs, shared by the tests of a file."""
    with ended_boxes(tmp_path_factory.mktemp("page"), gpus="2x80GiB", cpus="4") as box:
        suffer(box)
        assert box.run("up").code == 0
        yield box


@pytest.fixture(scope="module")
def filled(home: Box) -> Iterator[Box]:
    """The same home with a run of each kind that has ended, a failure, and one task that waits for good."""
    with endpoint("--latency", "1") as url:
        fill(home, url)
        yield home


def fill(box: Box, url: str) -> None:
    """Run what the pages show."""
    files = {
        "train.py": TRAIN,
        "sweep.yaml": SWEEP,
        "bench.yaml": BENCH,
        "tune.yaml": TUNE,
        "generate.yaml": GENERATE.replace("URL", url),
    }
    for name, text in files.items():
        (box.folder / name).write_text(text, encoding="utf-8")
    assert box.run("submit", "sweep.yaml").code == 0
    box.submit("--name", "breaks", "--group", "text/folds", "--", "sh", "-c", "echo oh no >&2; exit 3")
    assert box.run("bench", "bench.yaml").code == 1
    assert box.run("generate", "generate.yaml").code == 0
    assert box.run("tune", "tune.yaml").code == 0
    box.run("wait", "@digits", "@breaks")
    box.submit("--name", "never-yet", "-g", "2", "--hold", "--", "true")
    assert box.run("submit", "sweep.yaml").err.startswith("4 of 4 tasks were there already")


@pytest.fixture
def visit(browser: Any, home: Box) -> Iterator[Visit]:
    """A browser on the shared home; nothing may go wrong in it."""
    with visits(browser, home) as opened:
        yield opened
        opened.check_calm()


@pytest.fixture
def lone(tmp_path: Path) -> Iterator[Box]:
    """A home of a test's own, for what kills the daemon."""
    with ended_boxes(tmp_path) as box:
        assert box.run("up").code == 0
        yield box
