"""P17: files that no editor would make, as specs of each kind: odd encodings, hidden text, numbers and lines that never
end, aliases of aliases, circles, depth. Each is read, or refused with its place and a fix, within a second of CPU time.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from passloop.apps.spec_file import parse_spec
from tests.properties import test_bench_specs_fuzz as bench
from tests.properties import test_generate_specs_fuzz as generate
from tests.properties import test_p17_bad_input_gets_an_error as queue
from tests.properties import test_tune_specs_fuzz as tune
from tests.support.fuzzing import FIGURE, Seconds
from tests.support.promises import record

QUEUE = {"run": "x", "command": ["a", "{b}"], "matrix": {"b": [1, 2]}, "env": {"A": "b"}, "time_limit": "5m"}
KINDS: dict[str, tuple[dict[str, Any], Callable[[bytes], None]]] = {
    "run": (QUEUE, queue.is_a_spec_answered),
    "bench": (bench.GOOD, bench.is_answered),
    "generate": (generate.GOOD, generate.is_answered),
    "tune": (tune.GOOD, tune.is_answered),
}
LINE = 400_000
"""Characters of a line that ends nowhere; a file of more than 512 KiB is not read."""
MEGABYTE = 1_000_000
DEEP = 20_000
ALIASES = (
    "{a: &a [x,x,x,x,x,x,x,x,x], "
    + ", ".join(
        f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]"
        for before, name in zip("abcdefgh", "bcdefghi", strict=True)
    )
    + "}"
)
LONG = {
    "a number of 400 KB": "9" * LINE,
    "a text of 400 KB": "x" * LINE,
    "a text of 400 KB in quotes": '"' + "x " * (LINE // 2) + '"',
    "a text that is never closed": '"' + "x" * LINE,
    "a key of 400 KB": "{" + "k" * LINE + ": 1}",
    "a list in lists": "[" * DEEP + "]" * DEEP,
    "a list that is never closed": "[" * DEEP,
    "100,000 values": "[" + "1," * 100_000 + "]",
    "20,000 keys": "{" + ", ".join(f"k{n}: {n}" for n in range(20_000)) + "}",
}
"""What takes the one reader of all kinds up to half a second: its limits are what ends it."""
PIECES = {
    "an override of the direction of text": '"\u202e\u2066gnp.exe\u2069"',
    "the same, escaped": r'"\u202egnp.exe"',
    "a NUL": '"a\0b"',
    "a NUL, escaped": r'"a\0b"',
    "a lone surrogate": '"\ud800"',
    "a lone surrogate, escaped": r'"\ud800"',
    "codes of a terminal, escaped": r'"\e[2J\e]0;x\a"',
    "a number of 5,000 digits": "9" * 5_000,
    "a number with a large exponent": "1e999999999",
    "a number in base 16": "0x" + "f" * 5_000,
    "a fraction of 5,000 digits": "0." + "3" * 5_000,
    "no number": ".nan",
    "more than all": "-.inf",
    "numbers in base 60": "190:20:30:15.5",
    "aliases of aliases": ALIASES,
    "a circle in a list": "&a [*a]",
    "a circle in a mapping": "&a {b: *a}",
    "an alias of nothing": "*nowhere",
    "a merge of itself": "&a {<<: *a}",
    "a merge of a list": "{<<: [1, 2]}",
    "a foreign tag": "!!python/object/apply:os.system [ls]",
    "a set": "!!set {a, b}",
    "bytes": "!!binary aGVsbG8=",
    "a mapping in mappings": "{a: " * DEEP + "1" + "}" * DEEP,
    "the same key twice": "{a: 1, a: 2}",
    "a key that is a list": "{[1, 2]: 3}",
    "odd ends of lines": '"a\u2028b\u2029c\x85d"',
}


def as_text(document: dict[str, Any]) -> str:
    """The document in lines, its first key first."""
    lines = (f"{key}: {json.dumps(value, indent=2)}\n" for key, value in document.items())
    return "".join(line.replace("\n", "\n  ").rstrip(" ") for line in lines)


WHOLE: dict[str, Callable[[str], bytes]] = {
    "a mark of its encoding": lambda text: text.encode("utf-8-sig"),
    "ends of lines as in DOS": lambda text: text.replace("\n", "\r\n").encode(),
    "ends of lines as on old Macs": lambda text: text.replace("\n", "\r").encode(),
    "UTF-16": lambda text: text.encode("utf-16"),
    "UTF-16, big end first, unmarked": lambda text: text.encode("utf-16-be"),
    "UTF-32": lambda text: text.encode("utf-32"),
    "Latin-1": lambda text: f"# caf\xe9\n{text}".encode("latin-1"),
    "a NUL at the end": lambda text: text.encode() + b"\0",
    "nothing": lambda _text: b"",
    "a mark of its encoding alone": lambda _text: b"\xef\xbb\xbf",
    "a comment alone": lambda _text: b"# nothing\n",
    "one line of 1 MB": lambda _text: b"x" * MEGABYTE,
    "one line of 400 KB": lambda _text: b"x" * LINE,
    "a comment of 100 KB": lambda text: b"#" * 100_000 + b"\n" + text.encode(),
    "a comment of 1 MB": lambda text: b"#" * MEGABYTE + b"\n" + text.encode(),
    "blanks of 1 MB": lambda text: text.encode() + b" " * MEGABYTE,
    "100,000 empty lines": lambda text: b"\n" * 100_000 + text.encode(),
    "tabs": lambda text: text.replace("  ", "\t").encode(),
    "two documents": lambda text: f"{text}---\n{text}".encode(),
    "a thousand documents": lambda text: b"---\n" * 1_000 + text.encode(),
    "indents that grow": lambda _text: "".join(f"{' ' * n}a:\n" for n in range(1_000)).encode(),
    "dashes": lambda _text: b"- " * DEEP,
    "questions": lambda _text: b"? " * DEEP,
    "random bytes": lambda _text: bytes(range(256)) * 100,
    "all of it twice as large": lambda text: text.encode() + b"# " + b"x" * (8 << 20),
}
READ = {"a mark of its encoding", "ends of lines as in DOS", "ends of lines as on old Macs", "a comment of 100 KB"}
"""What is no mistake."""


def with_piece(good: dict[str, Any], key: str, piece: str) -> bytes:
    """The spec with `piece` as the value of `key`, which comes first."""
    rest = {name: value for name, value in good.items() if name != key}
    return f"{{{json.dumps(key)}: {piece}, {json.dumps(rest)[1:]}".encode("utf-8", "surrogatepass")


def are_answered(kind: str, pieces: list[str], keys: list[str], *, wall: bool = False) -> None:
    """Each piece as the value of each key."""
    good, law = KINDS[kind]
    seconds = Seconds(wall=wall)
    for piece in pieces:
        for key in keys:
            with seconds.of_one():
                law(with_piece(good, key, piece))
    record("P17", FIGURE, cases=seconds.cases, hostile=seconds.cases, longest_s=seconds.longest_s)


@pytest.mark.parametrize("shape", PIECES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_hostile_piece_is_answered(kind: str, shape: str) -> None:
    good, _ = KINDS[kind]
    are_answered(kind, [PIECES[shape]], [next(iter(good)), list(good)[-1], "unknown"])


@pytest.mark.parametrize("shape", LONG)
def test_a_long_piece_is_answered(shape: str) -> None:
    are_answered("run", [LONG[shape]], ["run"])


@pytest.mark.large
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("kind", KINDS)
def test_a_hostile_piece_is_answered_wherever_it_stands(kind: str) -> None:
    good, _ = KINDS[kind]
    are_answered(kind, [*PIECES.values(), *LONG.values()], [*good, "unknown"], wall=True)


@pytest.mark.parametrize("shape", WHOLE)
@pytest.mark.parametrize("kind", KINDS)
def test_a_hostile_file_is_answered(kind: str, shape: str) -> None:
    good, law = KINDS[kind]
    data = WHOLE[shape](as_text(good))
    seconds = Seconds()
    with seconds.of_one():
        law(data)
    if shape in READ:
        assert parse_spec(data, name="s.yaml", folder=Path("/")).kind == kind
    record("P17", FIGURE, cases=seconds.cases, hostile=seconds.cases, longest_s=seconds.longest_s)
