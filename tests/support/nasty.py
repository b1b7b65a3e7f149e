"""What should not be in a spec or on a command line: odd characters, huge numbers, aliases, deep nesting, hidden text.

Specs that are good are here too, to be spoiled. It judges no answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from hypothesis import strategies as st

__all__ = ["GOOD", "KEYS", "NASTY", "VALUES", "good_specs", "specs"]

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)

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
    "10x", "20G", "9" * 5_000,
    "[" * 300, "{a: " * 300, "&a [*a, *a]", "1 .. 9", "٣", "²", "1-99999999999999999999",
    "{index}", "\r", "\x85", "\u2028", "é", "@", "`", "a" * 3_000,
]  # fmt: skip
KEYS = [
    "run", "command", "matrix", "zip", "exclude", "when", "seeds", "replicas", "resources", "time_limit",
    "grace", "retries", "env", "cwd", "group", "priority", "name", "key", "after", "after_any", "deadline",
    "patience", "snapshot", "wait_for_capacity", "limit", "cpus", "gpus", "vram", "mem", "need", "balance",
    "or", "failure", "a", "b", "matrx", "Run", "",
]  # fmt: skip
WORDS = ["a", "b", "depth < 8", "a in b", "10m", "20GiB", "0.5", "x", "a == 1", *NASTY[24:]]

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(10**40), 10**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(WORDS)
    | st.text(alphabet=st.characters(codec="utf-8"), max_size=8)
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)
specs = st.fixed_dictionaries(
    {"run": st.just("x") | VALUES, "command": st.just(["a", "{a}"]) | VALUES},
    optional={"matrix": st.dictionaries(st.sampled_from(KEYS), st.lists(LEAVES, max_size=3), max_size=3) | VALUES}
    | dict.fromkeys(KEYS[3:26], VALUES),
)


def good_specs() -> Iterator[bytes]:
    """Specs that can be read: those here, the examples', and those that stand in the documents."""
    yield from GOOD
    for path in sorted((ROOT / "examples").rglob("*.yaml")):
        yield path.read_bytes()
    for path in [ROOT / "README.md", *sorted((ROOT / "docs" / "guides").glob("*.md"))]:
        for text in BLOCK.findall(path.read_text(encoding="utf-8")):
            yield text.encode()
