"""The argv of a candidate is exactly what the spec says: a list of words, each value in its place, nothing split."""

from __future__ import annotations

from typing import Any

import pytest

from passloop.apps.tune.records import Value
from tests.unit.apps.tune.studies import FAMILY, argvs, mistakes, study


def words(
    argv: list[str], values: dict[str, Any], engine: dict[str, Any] | None = None, **space: Any
) -> tuple[str, ...]:
    """The argv of one candidate, after the words that each has."""
    made = study(engine={"argv": ["server", "{port}", *argv], **(engine or {})}, space=space)
    candidate = made.candidate(values)
    assert candidate.invalid is None
    return candidate.argv[2:]


def test_a_string_is_never_split_into_an_argv() -> None:
    """The ancestor split its command at spaces, so that JSON arguments broke."""
    assert "argv is one string; it is a list of words and never split" in mistakes(
        engine={"argv": "serve --port {port}"}
    )
    told = '{"max": 4, "path": "/a b"}'
    assert words(["--config", "{a}"], {"a": told}, a=[told, "x y"]) == ("--config", told)


def test_a_value_is_never_looked_into_for_braces() -> None:
    assert words(["{a}", "{b}"], {"a": "{b}", "b": 1}, a=["{b}"], b=[1]) == ("{b}", "1")


def test_json_in_a_word_keeps_its_own_braces() -> None:
    assert words(['{"slots": {a}}'], {"a": 4}, a=[4]) == ('{"slots": 4}',)


@pytest.mark.parametrize(
    ("argv", "left"),
    [
        (["--slots", "{a}", "--x", "1"], ("--x", "1")),
        (["--slots={a}", "--x"], ("--x",)),
        (["--y", "--slots={a}", "--x"], ("--y", "--x")),
        (["serve", "{a}"], ("serve",)),
        (["-s", "n={a}", "-t"], ("-t",)),
        (["--pair", "1", "{a}"], ("--pair", "1")),
        (["--one", "--two", "{a}"], ("--one",)),
        (["--slots", "{a}"], ()),
        (["-1", "{a}"], ("-1",)),
    ],
)
def test_what_is_left_out_goes_with_its_flag(argv: list[str], left: tuple[str, ...]) -> None:
    made = study(engine={"argv": ["server", "{port}", *argv]}, space={"a": [1, 2]})
    assert made.candidate({}).argv[2:] == left


@pytest.mark.parametrize(
    ("argv", "entry", "on", "off"),
    [
        (["--prefix", "{a}"], {}, ("--prefix",), ()),
        (["{a}"], {}, ("--a",), ()),
        (["{a}"], {"flag": "--cache"}, ("--cache",), ()),
        (["{a}"], {"flag": "--cache", "off": "--no-cache"}, ("--cache",), ("--no-cache",)),
        (["--prefix", "{a}"], {"off": "--no-prefix"}, ("--prefix",), ("--no-prefix",)),
        (["--prefix={a}"], {}, ("--prefix=true",), ("--prefix=false",)),
        (["x"], {"flag": "--cache"}, ("x", "--cache"), ("x",)),
        (["--v", "--prefix", "{a}", "w"], {}, ("--v", "--prefix", "w"), ("--v", "w")),
    ],
)
def test_booleans_become_flags(
    argv: list[str], entry: dict[str, Any], on: tuple[str, ...], off: tuple[str, ...]
) -> None:
    assert words(argv, {"a": True}, a={"type": "bool", **entry}) == on
    assert words(argv, {"a": False}, a={"type": "bool", **entry}) == off


@pytest.mark.parametrize(
    ("value", "word"), [(4, "4"), (0.1, "0.1"), (1e-05, "1e-05"), ("x", "x"), (True, "--a"), (-1, "-1"), (2.0, "2.0")]
)
def test_values_are_written_exactly(value: Value, word: str) -> None:
    assert words(["{a}"], {"a": value}, a=[value, "other"]) == (word,)


def test_numbers_in_words_stay_as_they_are_written() -> None:
    assert argvs(study(engine={"argv": ["server", "{port}", 0x10, 1.50, True, "{a}"]}, space={"a": [1]})) == [
        ("server", "{port}", "16", "1.5", "true", "1")
    ]


def test_a_parameter_with_a_flag_is_appended() -> None:
    assert words(["--x"], {"a": 4}, a={"type": "choice", "values": [4], "flag": "--max"}) == ("--x", "--max", "4")


def test_variables_are_filled_and_left_out_alike() -> None:
    made = study(
        engine={"argv": ["server", "{port}"], "env": {"A": "x{a}", "B": "{b}", "C": "1"}},
        space={"a": [1], "b": {"type": "choice", "values": [2], "when": "a == 2"}},
    )
    assert made.candidate({"a": 1}).env == {"A": "x1", "C": "1"}


def test_python_and_model_are_filled_and_ports_are_left_to_the_trial() -> None:
    made = study(model="m/n", engine={"argv": ["{python}", "{model}", "{host}:{port}", "{a}"]}, space={"a": [1]})
    argv = made.candidate({"a": 1}).argv
    assert argv[0].endswith("python") or "python" in argv[0]
    assert argv[1:] == ("m/n", "{host}:{port}", "1")


def test_a_parameter_that_is_nowhere_in_the_argv_is_a_mistake() -> None:
    engine = {"argv": ["server", "{port}", "{a}", "{bacth}"]}
    assert "`batch` is nowhere in the argv" in mistakes(engine=engine, space={"a": [1], "batch": [1, 2]})
    assert "did you mean `bacth`?" in mistakes(engine=engine, space={"a": [1], "batch": [1, 2]})


def test_a_parameter_that_only_a_condition_names_is_none() -> None:
    made = study(
        engine={"argv": ["server", "{port}", "{a}", "{b}"]},
        space={
            "mode": ["a", "b"],
            "a": {"type": "choice", "values": [1], "when": "mode == 'a'"},
            "b": {"type": "choice", "values": [2], "when": "mode == 'b'"},
        },
    )
    assert [argv[2:] for argv in argvs(made)] == [("1",), ("2",)]


def test_braces_of_no_parameter_stay_and_are_told() -> None:
    made = study(engine={"argv": ["server", "{port}", "{a}", "{other}"]}, space={"a": [1]})
    assert argvs(made) == [("server", "{port}", "1", "{other}")]
    assert made.notes == ("`{other}` is no parameter and stays as it is",)


@pytest.mark.parametrize(
    ("engine", "said"),
    [
        ({}, "there is no argv"),
        ({"argv": []}, "the argv is empty"),
        ({"argv": ["server", "{a}"]}, "nothing tells the server its port"),
        ({"argv": ["server", "{a}", "{port}", "{model}"]}, "the argv has {model}, and there is no model"),
        ({"argv": ["server", "{a}", "{port}"], "image": "x"}, "image belongs to a container"),
        ({"argv": ["server", "{a}", "{port}"], "kind": "docker"}, "a container needs an image"),
        (
            {"argv": ["server", "{a}", "{port}"], "cwd": "no-such-folder"},
            "the directory `no-such-folder` does not exist",
        ),
        (
            {"argv": ["server", "{a}", "{port}"], "kind": "docker", "image": "x", "options": {"volume": 1}},
            "a container has no option `volume`; did you mean `volumes`?",
        ),
        ({"argv": ["server", ["{a}"], "{port}"]}, "a word is a list"),
        ({"argv": ["server\0", "{a}", "{port}"]}, "NUL"),
        ({"argv": ["server", "{a}", "{port}"], "family": "tgi"}, "engine.family"),
        ({"argv": ["server", "{a}", "{port}"], "env": {"A": ["x"]}}, "the variable `A` is a list"),
        ({"argv": ["server", "{a}", "{port}"], "ready": {"path": "health"}}, "engine.ready.path"),
        ({"argv": ["server", "{a}", "{port}"], "ports": 0}, "engine.ports"),
        ({"argv": ["server", "{a}", "{port}"], "wait": 1}, "unknown key `wait`"),
    ],
)
def test_an_engine_that_cannot_be_is_told(engine: dict[str, Any], said: str) -> None:
    assert said in mistakes(engine=engine, space={"a": [1]})


def test_a_container_may_leave_its_argv_to_the_image() -> None:
    engine = {"kind": "docker", "image": "x", "argv": [], "env": {"PORT": "{port}", "A": "{a}"}}
    made = study(engine=engine, space={"a": [1]})
    assert (made.candidate({"a": 1}).argv, made.candidate({"a": 1}).env) == ((), {"PORT": "{port}", "A": "1"})


def test_a_flag_that_is_set_twice_is_told() -> None:
    engine = {"family": "vllm", "args": ["--dtype", "half"]}
    assert "both `weights` and the argv set --dtype" in mistakes(FAMILY, engine=engine, space={"weights": ["fp8"]})
