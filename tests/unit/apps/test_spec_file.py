"""Spec files: YAML 1.2, limits before expansion, and every error at its line and column."""

from __future__ import annotations

import math
import time
from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict

from passloop.apps.errors import SpecError
from passloop.apps.spec_file import SpecFile, load_spec, parse_spec

FOLDER = Path("/")


def parsed(text: str | bytes) -> SpecFile:
    data = text.encode() if isinstance(text, str) else text
    return parse_spec(data, name="s.yaml", folder=FOLDER)


class Anything(BaseModel):
    """Takes every spec, so that only the text itself can be wrong; but for `count`, which is a number."""

    model_config = ConfigDict(extra="allow", strict=True)

    count: int = 0


def refused(text: str | bytes) -> SpecError:
    with pytest.raises(SpecError) as caught:
        parsed(text).read(Anything)
    return caught.value


def where(error: SpecError) -> list[str]:
    return [problem.where for problem in error.problems]


def test_plain_scalars_follow_the_core_schema_of_yaml_1_2() -> None:
    text = (
        "run: x\na: 1e-5\nb: no\nc: 12:30\nd: 2024-01-01\ne: 0x10\nf: 0o17\ng: ~\nh: TRUE\n"
        "i: '1'\nj: .5\nk: -3\nl: 1_000\nm: .inf\nn: !!str 5\no: !!float 5\n"
    )
    assert parsed(text).root.plain() == {
        "run": "x",
        "a": 1e-5,
        "b": "no",
        "c": "12:30",
        "d": "2024-01-01",
        "e": 16,
        "f": 15,
        "g": None,
        "h": True,
        "i": "1",
        "j": 0.5,
        "k": -3,
        "l": "1_000",
        "m": math.inf,
        "n": "5",
        "o": 5.0,
    }


def test_numbers_below_chosen_keys_stay_as_written() -> None:
    file = parsed("run: x\ncommand: [a, 1.10, 007, true]\nother: [1.10]\n")
    assert file.root.plain(as_written=frozenset({"command"})) == {
        "run": "x",
        "command": ["a", "1.10", "007", "true"],
        "other": [1.1],
    }


def test_the_first_key_names_the_kind() -> None:
    assert [parsed(f"{kind}: x").kind for kind in ("run", "bench", "tune", "generate")] == [
        "run",
        "bench",
        "tune",
        "generate",
    ]
    assert "move `run:` to the top" in str(refused("command: [a]\nrun: x"))
    assert "did you mean `bench`?" in str(refused("bnech: x"))


def test_every_double_key_and_every_key_that_is_no_text_is_reported_at_its_place() -> None:
    error = refused("run: a\nb:\n  c: 1\n  c: 2\nb: 3\n7: 8\nnull: 1\n")
    assert where(error) == ["s.yaml:4:3", "s.yaml:5:1", "s.yaml:6:1", "s.yaml:7:1"]
    assert "first in line 3" in error.problems[0].what


def test_what_is_wrong_with_the_text_is_told_with_what_is_wrong_with_its_values() -> None:
    assert where(refused("run: a\ncount: many\nrun: b\n")) == ["s.yaml:2:8", "s.yaml:3:1"]


def test_an_alias_is_its_anchors_value() -> None:
    assert parsed("run: x\na: &a [1, 2]\nb: *a\n").root.plain()["b"] == [1, 2]


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("run: &a [*a]", "1:10", "contains itself"),
        ("run: &a {b: *a}", "1:13", "contains itself"),
        ("run: *x", "1:6", "no anchor"),
        ("", "1:1", "empty"),
        ("# only a comment", "1:1", "empty"),
        ("- a", "1:1", "mapping"),
        ("{}", "1:1", "no keys"),
        ("run: a\n---\nrun: b", "2:1", "second document"),
        ("run: a\nx: [1, 2\ny: 3", "3:2", "not YAML"),
        ("run: a\n\tb: 3", "2:1", "not YAML"),
        ('run: a\nb: "\\UFFFFFFFF"', "2:2", "not YAML"),
        ("run: a\n<<: {b: 1}", "2:1", "`<<` is not supported"),
        ("run: !!python/object:os.system x", "1:6", "tag"),
        ("run: !!python/name:os.system [x]", "1:6", "tag"),
        ("run: !!int x", "1:6", "not of the type"),
        ("run: " + "9" * 5_000, "1:6", "5,000 digits"),
        ("run: " + "[" * 20_000, "1:69", "nested deeper"),
        ("run: x\nb: " + "{a: " * 20_000, "2:253", "nested deeper"),
        ("- " * 20_000, "1:129", "nested deeper"),
        ("run: a\x00b", "1:7", "U+0000"),
        ("run: a\nb: \x1b[0m", "2:4", "U+001B"),
        (b"run: a\nb: \xff\xfe", "2:4", "not UTF-8"),
        ("run: a".encode("utf-16"), "1:1", "not UTF-8"),
        ("run: x\nm: [" + "1, " * 30_000 + "]", "2:59990", "20,000 values"),
        ("run: x\n" + "#" * 600_000, "1:1", "512 KiB"),
    ],
)
def test_what_cannot_be_read_is_refused_at_its_place(text: str | bytes, place: str, words: str) -> None:
    error = refused(text)
    assert words in str(error)
    assert where(error) == [f"s.yaml:{place}"]
    assert "how to fix" in str(error)
    assert "next: passloop plan s.yaml" in str(error)


def test_an_alias_bomb_is_counted_and_never_expanded() -> None:
    lines = ["run: &a [1,2,3,4,5,6,7,8,9]"]
    lines += [f"k{n}: &{chr(98 + n)} [{','.join([f'*{chr(97 + n)}'] * 9)}]" for n in range(6)]
    started = time.process_time()
    assert "aliases expand" in str(refused("\n".join(lines)))
    assert time.process_time() - started < 1


def test_aliases_may_not_stack_beyond_the_depth_either() -> None:
    lines = ["run: x", "k0: &k0 [1]"] + [f"k{n}: &k{n} [[[[[[*k{n - 1}]]]]]]" for n in range(1, 20)]
    assert "nested deeper" in str(refused("\n".join(lines)))


@pytest.mark.parametrize("name", ["nowhere.yaml", ".", "a\x00b", "\u202egnp.yaml"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SpecError, match="cannot be read") as caught:
        load_spec(name)
    assert "\u202e" not in str(caught.value)


def test_input_paths_are_relative_to_the_spec(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text("run: x")
    assert load_spec(tmp_path / "s.yaml").folder == tmp_path.resolve()


def test_a_byte_order_mark_is_taken() -> None:
    assert parsed(b"\xef\xbb\xbfrun: x").kind == "run"


def test_the_place_of_a_value_is_known() -> None:
    file = parsed("run: x\na:\n  - b: 1\n    c: 2\n")
    assert file.place("a", 0, "c") == (4, 8)
    assert file.place("a", 5, "c") == (3, 3)
    assert file.place("nothing") == (1, 1)
