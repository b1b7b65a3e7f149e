"""The options of run and submit become a wire submission; all mistakes are named together."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from passloop.apps.errors import SpecError
from passloop.apps.queue.arrays import array_indices
from passloop.apps.queue.options import Place
from passloop.apps.queue.wire import WireVariant

from .places import HERE, places_of, refused, submitted


@pytest.mark.parametrize(
    ("options", "variant"),
    [
        ({}, WireVariant(amounts={"cpu": 1_000})),
        ({"gpus": "0"}, WireVariant(amounts={"cpu": 1_000})),
        ({"mem": "2GiB"}, WireVariant(amounts={"cpu": 1_000, "memory": 2_048})),
        ({"gpus": "1"}, WireVariant(gpus=1)),
        ({"gpus": "1", "mem": "1GiB"}, WireVariant(gpus=1, amounts={"memory": 1_024})),
        ({"gpus": "1", "cpus": "4"}, WireVariant(gpus=1, amounts={"cpu": 4_000})),
        ({"gpus": "0.5", "vram": "20GiB"}, WireVariant(share=5_000, vram_mib=20_480)),
        ({"cpus": "0.5"}, WireVariant(amounts={"cpu": 500})),
        ({"cpus": "0"}, WireVariant()),
        ({"need": ("licence=2", "disk=1GiB")}, WireVariant(amounts={"cpu": 1_000, "disk": 1_024, "licence": 2})),
        ({"gpus": "2", "balance": True}, WireVariant(gpus=2, balance=True)),
    ],
)
def test_what_is_charged_when_nothing_is_said(options: dict[str, object], variant: WireVariant) -> None:
    assert submitted(**options).spec.request == (variant,)


def test_a_further_variant_says_only_what_differs() -> None:
    request = submitted(
        gpus="2", vram="8GiB", mem="4GiB", balance=True, or_variants=("gpus=0,cpus=16", "gpus=1", "licence=1")
    ).spec.request
    assert request == (
        WireVariant(gpus=2, vram_mib=8_192, balance=True, amounts={"memory": 4_096}),
        WireVariant(amounts={"cpu": 16_000, "memory": 4_096}),
        WireVariant(gpus=1, vram_mib=8_192, amounts={"memory": 4_096}),
        WireVariant(gpus=2, vram_mib=8_192, balance=True, amounts={"licence": 1, "memory": 4_096}),
    )


@pytest.mark.parametrize(
    ("said", "meant"), [("gpu=1", "gpus"), ("cpu=4", "cpus"), ("memory=1GiB", "mem"), ("vrams=1GiB", "vram")]
)
def test_a_variant_that_nearly_names_what_it_means_is_told_the_name(said: str, meant: str) -> None:
    with pytest.raises(SpecError) as caught:
        submitted(gpus="2", or_variants=(said,))
    assert f"did you mean `{meant}`?" in str(caught.value)


@pytest.mark.parametrize(
    ("options", "where"),
    [
        ({"gpus": "1.5"}, "--gpus"),
        ({"vram": "1GiB"}, "--vram"),
        ({"balance": True, "gpus": "1"}, "--balance"),
        ({"gpus": "1", "vram": "20"}, "--vram"),
        ({"cpus": "nan"}, "--cpus"),
        ({"mem": "-1GiB"}, "--mem"),
        ({"need": ("licence",)}, "--need"),
        ({"need": ("cpu=1",)}, "--need"),
        ({"need": ("a b=1",)}, "--need"),
        ({"need": ("node=1",)}, "--need"),
        ({"or_variants": ("gpus",)}, "--or"),
        ({"or_variants": ("gpus=1,gpus=2",)}, "--or"),
        ({"or_variants": ("vram=1GiB",)}, "--or"),
        ({"gpus": "2", "or_variants": ("balance=perhaps",)}, "--or"),
        ({"name": "12"}, "--name"),
        ({"group": "a b"}, "--group"),
        ({"key": "a\x00"}, "--key"),
        ({"after": ("x",)}, "--after"),
        ({"after": ("1,,2",)}, "--after"),
        ({"after": ("5-3",)}, "--after"),
        ({"after": ("3-",)}, "--after"),
        ({"after": ("1-99999999",)}, "--after"),
        ({"after": ("1-9000",), "array": "1-200"}, "--after"),
        ({"after_any": ("-1",)}, "--after-any"),
        ({"deadline": "0"}, "--deadline"),
        ({"time_limit": "0"}, "--time-limit"),
        ({"grace": "x"}, "--grace"),
        ({"retries": "1.5"}, "--retries"),
        ({"retries": "1000000"}, "--retries"),
        ({"patience": "-1"}, "--patience"),
        ({"priority": 10**9}, "--priority"),
        ({"env": ("=x",)}, "--env"),
        ({"env": ("NOT_SET_ANYWHERE",)}, "--env"),
        ({"env": ("A=\x00",)}, "--env"),
        ({"cwd": "/nowhere/at/all"}, "--cwd"),
        ({"cwd": "\x00"}, "--cwd"),
        ({"array": "1-10", "each_line": "f"}, "--array"),
        ({"array": "5-1"}, "--array"),
        ({"array": "1-10000000000"}, "--array"),
        ({"array": "1,1"}, "--array"),
        ({"array": "1-10:0"}, "--array"),
        ({"array": ""}, "--array"),
        ({"each_line": "/nowhere"}, "--each-line"),
        ({"snapshot": True}, "--snapshot"),
    ],
)
def test_an_option_that_cannot_be_is_named_with_a_fix(options: dict[str, object], where: str) -> None:
    error = refused(**options)
    assert places_of(error) == [where]
    assert error.problems[0].fix
    assert error.exit_code == 2


def test_all_mistakes_are_reported_together() -> None:
    assert places_of(refused("", gpus="x", grace="y", after=("z",))) == ["command", "--gpus", "--grace", "--after"]


@pytest.mark.parametrize("command", [("a", "b\x00"), ("a\udcff",)])
def test_a_command_that_no_program_can_be_given_is_refused(command: tuple[str, ...]) -> None:
    assert places_of(refused(*command)) == ["command"]


def test_arrays_are_ranges_with_steps() -> None:
    assert array_indices("1-4,20,30-40:5") == (1, 2, 3, 4, 20, 30, 35, 40)


def test_an_array_makes_one_task_per_index() -> None:
    tasks = submitted("{python}", "t.py", "{index}", "{line}", "{x}", "{{index}}", array="3-4", key="k").tasks
    assert [task.command for task in tasks] == [
        (sys.executable, "t.py", "3", "{line}", "{x}", "{3}"),
        (sys.executable, "t.py", "4", "{line}", "{x}", "{4}"),
    ]
    assert [(task.index, task.key, task.name) for task in tasks] == [
        (3, "k:3", "{python}[3]"),
        (4, "k:4", "{python}[4]"),
    ]


def test_only_known_templates_are_replaced_in_one_command() -> None:
    assert submitted("{python}", "{index}", '{"a": 1}').tasks[0].command == (sys.executable, "{index}", '{"a": 1}')


def test_each_line_of_a_file_makes_a_task(tmp_path: Path) -> None:
    file = tmp_path / "lines"
    file.write_bytes(b"a b\r\n\n{index}\nlast")
    tasks = submitted("run", "{line}", each_line=str(file)).tasks
    assert [(task.command, task.index, task.line) for task in tasks] == [
        (("run", "a b"), 1, "a b"),
        (("run", "{index}"), 2, "{index}"),
        (("run", "last"), 3, "last"),
    ]


def test_lines_may_come_by_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"one\ntwo\n")))
    assert [task.line for task in submitted("run", "{line}", each_line="-").tasks] == ["one", "two"]


def test_a_file_of_lines_that_never_ends_is_refused() -> None:
    assert places_of(refused(each_line="/dev/zero")) == ["--each-line"]


@pytest.mark.parametrize("content", [b"", b"\n \n", b"a\x00b", b"\xff\xfe"])
def test_a_file_of_lines_that_cannot_be_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "lines"
    file.write_bytes(content)
    assert places_of(refused(each_line=str(file))) == ["--each-line"]


def test_secrets_are_not_stored_unless_named() -> None:
    assert submitted().environment == {"PATH": "/bin"}
    assert submitted(env=("HF_TOKEN",)).tasks[0].env == {"HF_TOKEN": "canary-1"}
    assert submitted(env=("A=b=c", "E=")).tasks[0].env == {"A": "b=c", "E": ""}


def test_the_task_class_is_the_name_or_the_first_words() -> None:
    assert submitted("python", "train.py", "--x", "1").spec.task_class == "queue python train.py"
    assert submitted("/usr/bin/python3.11", "-m", "pkg.mod").spec.program == "pkg.mod"
    assert submitted("python", "a/train.py").spec.program == "train.py"
    assert submitted("bash", "-lc", "python train.py | tee log").spec.program == "bash"
    assert submitted("python3", "-c", "import this").spec.program == "python3"
    assert submitted("perl", "-we", "print 1").spec.program == "perl"
    assert submitted("bash", "-e", "go.sh").spec.program == "go.sh"
    assert submitted("env", "A=1", "/opt/sim").spec.program == "sim"
    assert submitted("/opt/sim", "a").spec.program == "sim"
    assert submitted("python", "x.py", name="mine").spec.task_class == "mine"


def test_dependencies_limits_and_place_are_kept(tmp_path: Path) -> None:
    wire = submitted(
        after=("3,4", "5-7"),
        after_any=("6",),
        time_limit="2h",
        grace="5s",
        retries="3",
        deadline="1d",
        patience="0",
        priority=-2,
        group="a/b",
        cwd=str(tmp_path),
        wait_for_capacity=True,
    )
    assert wire.after == (*((task, False) for task in range(3, 8)), (6, True))
    assert (wire.spec.time_limit, wire.spec.grace, wire.spec.retries.failure) == (7_200_000, 5_000, 3)
    assert (wire.spec.deadline, wire.spec.patience, wire.priority, wire.group) == (86_400_000, 0, -2, "a/b")
    assert (wire.cwd, wire.spec.wait_for_capacity) == (str(tmp_path), True)


def test_a_snapshot_is_where_the_task_runs() -> None:
    place = Place(cwd="/", environment={}, snapshot=lambda directory: f"/copy-of{directory}")
    assert submitted(place=place, snapshot=True).cwd == "/copy-of/"


def test_nothing_is_copied_for_a_command_that_is_wrong() -> None:
    copied: list[str] = []
    place = Place(cwd="/", environment={}, snapshot=lambda directory: copied.append(directory) or directory)
    with pytest.raises(SpecError):
        submitted(place=place, snapshot=True, gpus="x")
    assert copied == []


def test_the_default_place_has_no_secret() -> None:
    assert "canary" not in str(submitted(place=HERE))
