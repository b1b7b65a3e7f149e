"""Whatever a spec holds, the answer is a submission or an error that names file, line and column and a fix, soon.

Specs are generated from the keys that exist with values that should not be there, and good ones are mutated byte by
byte. Each test runs 500 cases; PASSLOOP_FUZZ sets another figure for `make prove`.
"""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from passloop.apps.errors import SpecError
from passloop.apps.queue.convert import to_submitted
from passloop.apps.queue.options import Place
from passloop.apps.queue.plan import plan_of
from passloop.apps.queue.sweep import sweep_of
from passloop.apps.spec_file import parse_spec

HERE = Place(cwd="/", environment={"PATH": "/bin"}, snapshot=lambda directory: "/snapshots/0")
WHERE = re.compile(r"s\.yaml:[1-9][0-9]*:[1-9][0-9]*")
SECONDS = 1.0
CASES = int(os.environ.get("PASSLOOP_FUZZ", "500"))

GOOD = (
    b"""run: digits
command: ["{python}", train.py, --depth, "{depth}", --lr, "{lr}"]
matrix: {depth: [2, 4, 8], lr: [1e-2, 1e-3]}
zip: [{model: [a, b], size: [1, 2]}]
exclude: [{depth: 8, lr: 1e-2}]
when: depth < 8 or model == "a"
seeds: 2
replicas: 2
resources: {cpus: 1, gpus: 0.5, vram: 20GiB, mem: 1GiB, need: {licence: 1}, or: [{gpus: 0, cpus: 16}]}
time_limit: 10m
grace: 5s
retries: {failure: 1, out_of_memory: 1, timeout: 0, lost: 2}
env: {OMP_NUM_THREADS: 1}
cwd: .
group: night/one
priority: 3
name: "d {depth}"
after: [1, 2]
deadline: 2d
limit: 1000
""",
    b"""run: &name small
command: &words
  - echo
  - "{a}"
  - *name
matrix:
  a: &values [1, 2.5, true, null, "x: y", 'it''s']
  b:
  - >-
    folded
    text
snapshot: true
wait_for_capacity: false
patience: 1h
after_any: 7
key: k/{a}
""",
)
NASTY = [
    "\x00", "\u202e", "\ufeff", "\ud800", "\t", "- ", "[", "]", "{", "}", "*a", "&a ", "<<: *a",
    "!!python/object:os.system ", "? ", "|", ">", "%YAML 1.1\n", "---\n", "...\n", "'", '"', "\\", "#",
    "1e999", ".nan", ".inf", "-.inf", "9" * 400, "0x", "0o9", "1_0", "nan", "null", "~", "true", "-1", "1.5",
    "10x", "20G", "{index}", "\r", "\x85", "\u2028", "é", "@", "`", "a" * 3_000,
]  # fmt: skip
KEYS = [
    "run", "command", "matrix", "zip", "exclude", "when", "seeds", "replicas", "resources", "time_limit",
    "grace", "retries", "env", "cwd", "group", "priority", "name", "key", "after", "after_any", "deadline",
    "patience", "snapshot", "wait_for_capacity", "limit", "cpus", "gpus", "vram", "mem", "need", "balance",
    "or", "failure", "a", "b", "matrx", "Run", "",
]  # fmt: skip
WORDS = ["a", "b", "depth < 8", "a in b", "10m", "20GiB", "0.5", "x", "a == 1", *NASTY[24:]]

leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(10**40), 10**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(WORDS)
    | st.text(alphabet=st.characters(codec="utf-8"), max_size=8)
)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)
specs = st.fixed_dictionaries(
    {"run": st.just("x") | values, "command": st.just(["a", "{a}"]) | values},
    optional={"matrix": st.dictionaries(st.sampled_from(KEYS), st.lists(leaves, max_size=3), max_size=3) | values}
    | dict.fromkeys(KEYS[3:26], values),
)
fuzzing = settings(deadline=None, max_examples=CASES, suppress_health_check=[HealthCheck.too_slow])


def answered(data: bytes) -> None:
    """Read, expand, plan and convert `data`, and check the answer."""
    started = time.process_time()
    try:
        sweep = sweep_of(parse_spec(data, name="s.yaml", folder=Path("/")), HERE)
        if sweep.points <= 5_000:
            to_submitted(sweep.submission(HERE))
            plan_of(sweep).as_text()
    except SpecError as error:
        assert error.problems  # noqa: PT017
        for problem in error.problems:
            assert WHERE.fullmatch(problem.where), problem
            assert problem.what
            assert problem.fix
        text = str(error)
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text), text
        assert len(text) < 20_000
    assert time.process_time() - started < SECONDS


def test_the_good_specs_are_good() -> None:
    for data in GOOD:
        assert list(sweep_of(parse_spec(data, name="s.yaml", folder=Path("/")), HERE).cells())


@fuzzing
@given(specs)
def test_a_generated_spec_is_answered(spec: dict[str, Any]) -> None:
    answered(json.dumps(spec, ensure_ascii=False).encode("utf-8", "surrogatepass"))


@fuzzing
@given(st.sampled_from(GOOD), st.data())
def test_a_mutated_spec_is_answered(good: bytes, data: st.DataObject) -> None:
    text = bytearray(good)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(text)))
        length = data.draw(st.sampled_from([0, 0, 1, 2, 5, 30]))
        piece = data.draw(
            st.sampled_from(NASTY).map(lambda word: word.encode("utf-8", "surrogatepass")) | st.binary(max_size=4)
        )
        text[place : place + length] = piece * data.draw(st.sampled_from([1, 1, 1, 2, 100]))
    answered(bytes(text))


@fuzzing
@given(st.data())
def test_spliced_specs_are_answered(data: st.DataObject) -> None:
    lines = [line for good in GOOD for line in good.splitlines(keepends=True)]
    picked = data.draw(st.lists(st.sampled_from(lines), min_size=1, max_size=25))
    answered(b"run: x\ncommand: [a]\n" * data.draw(st.booleans()) + b"".join(picked))


@fuzzing
@given(st.binary(max_size=300) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_answered(data: bytes) -> None:
    answered(data)
    answered(b"run: x\ncommand: [a]\nmatrix: " + data)
