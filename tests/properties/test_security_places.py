"""Distinct things have distinct places on the disk, and no name leads out of the folder that is its own."""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passloop.apps.bench.names import cell_path, folder_name
from passloop.apps.places import place_name
from passloop.cli import logfiles
from passloop.engine.attempts import attempt_folder
from passloop.kernel.ids import RunId, TaskId
from passloop.store.artifacts import attempt_directory, open_artifact
from passloop.store.errors import ArtifactRefused
from passloop.store.home import Home
from tests.support.generating import dataset_from
from tests.support.served import served
from tests.unit.apps.tune.studies import study

NUMBERS = st.integers(1, 2**62)
PLACES = st.tuples(NUMBERS, NUMBERS, NUMBERS)
PARTS = ["..", ".", "out", "a", "link", "folder", "secret", "pipe", "", "stdout.log", "~", "\0", "//", "..\\", "%2e%2e"]
paths = st.lists(st.sampled_from(PARTS) | st.text(max_size=3), max_size=6).map("/".join)
names = st.text(max_size=12) | st.sampled_from(
    ["..", ".", "/etc", "a/../../b", "con", "", "~root", "\0", "é", "e\u0301"]
)
hashes = st.text("0123456789abcdef", min_size=64, max_size=64)
NASTY = ["../../../x", "/etc/passwd", "..", ".", "~", "a/b", "$HOME", "-rf", "x" * 200]


@given(PLACES, PLACES)
def test_attempts_have_places_of_their_own_inside_the_home(one: tuple[int, ...], other: tuple[int, ...]) -> None:
    home = Home(Path("/srv/home"))
    places = [attempt_directory(home, run=run, task=task, epoch=epoch) for run, task, epoch in (one, other)]
    assert (places[0] == places[1]) == (one == other)
    for (run, task, epoch), place in zip((one, other), places, strict=True):
        assert Path(os.path.normpath(place)) == place
        assert place.parts[:-3] == home.runs.parts
        assert place == attempt_folder(home, RunId(run), TaskId(task), epoch)
        assert str(place) == logfiles.attempt_folder(str(home.path), run, task, epoch)


@pytest.mark.parametrize("name", NASTY)
async def test_no_name_of_a_run_or_a_task_becomes_a_path(name: str, tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        task = {"command": ["true"], "name": name, "key": name, "params": {name: name}}
        group = {"group": name} if re.fullmatch(r"[\w.~$-]{1,100}", name) else {}
        reply = await one.post("/submit", {"tasks": [task], "cwd": "/", "name": name, **group})
        assert reply.status == 200, reply.body
        order = one.rig.outside.live[one.rig.outside.attempt_of(1)]
        assert order.directory == one.rig.home.runs / "1" / "1" / "1"
        assert re.fullmatch(r"[0-9a-f]+-1", order.name)


@pytest.fixture(scope="module")
def attempt() -> Iterator[Path]:
    """An attempt's folder with links, a pipe and a file, beside a secret that is not its own."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve() / "runs" / "1" / "1" / "1"
        (root / "out" / "a").mkdir(parents=True)
        (root.parent / "secret").write_text("canary")
        for number, name in enumerate(["stdout.log", "a", "out/secret", "out/a/a"]):
            (root / name).write_text(str(number))
        (root / "link").symlink_to("../secret")
        (root / "folder").symlink_to("..")
        os.mkfifo(root / "pipe")
        yield root


@given(paths)
def test_an_artifact_is_opened_in_its_attempt_or_not_at_all(attempt: Path, name: str) -> None:
    try:
        descriptor = open_artifact(attempt, name)
    except ArtifactRefused:
        return
    try:
        assert Path(os.readlink(f"/proc/self/fd/{descriptor}")).is_relative_to(attempt)
        assert os.read(descriptor, 10) != b"canary"
    finally:
        os.close(descriptor)


@given(st.tuples(names, names, names, names), st.tuples(names, names, names, names), hashes, hashes)
def test_cells_have_places_of_their_own_whatever_they_are_called(
    one: tuple[str, ...], other: tuple[str, ...], first: str, second: str
) -> None:
    keys = ("model", "sparse_attention", "benchmark", "subset")
    places = [
        cell_path(cell=cell, **dict(zip(keys, called, strict=True))) for called, cell in ((one, first), (other, second))
    ]
    assert places[0] != places[1] or first[:10] == second[:10]
    for place in places:
        assert os.path.normpath(place) == place
        assert not os.path.isabs(place)
        assert all(part and not part.startswith(".") for part in place.split("/"))
        assert len(place.split("/")) == 5


@given(names, names)
def test_what_is_called_by_its_run_lies_in_its_folder_and_nowhere_else(one: str, other: str) -> None:
    places = [place_name(name) for name in (one, other)]
    assert (places[0] == places[1]) == (one == other)
    for place in places:
        assert os.path.basename(os.path.normpath(f"/results/{place}")) == place
        assert re.fullmatch(r"[^/\0.~-][^/\0]*", place)
        assert len(place.encode("utf-8", "surrogatepass")) <= 200


@pytest.mark.parametrize("name", ["support-tickets", "früh.v2", "a b", "x=1,y=2"])
def test_a_name_that_can_be_a_place_is_one(name: str) -> None:
    assert place_name(name) == name


@pytest.mark.parametrize("name", ["../../x", "/etc/x", "..", "a/b", "~root", "-rf", "x" * 200])
def test_no_name_of_a_dataset_or_a_study_leads_elsewhere(name: str, tmp_path: Path) -> None:
    made = dataset_from(tmp_path, generate=name, out=None)
    assert made.out.parent == tmp_path
    assert made.out.suffix == ".parquet"
    assert study(folder=tmp_path, tune=name).out.parent == tmp_path / "results"


@given(names)
def test_a_folders_name_is_one_plain_part(name: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,80}|_", folder_name(name))


@pytest.mark.parametrize("kind", ["link", "pipe"])
async def test_what_a_task_puts_in_place_of_its_log_is_not_read(kind: str, tmp_path: Path) -> None:
    """Neither by the engine nor by `logs`, and a pipe keeps nobody waiting."""
    async with served(tmp_path) as one:
        await one.submit()
        folder = one.rig.home.runs / "1" / "1" / "1"
        folder.mkdir(parents=True)
        (tmp_path / "secret").write_text("canary")
        log = folder / "stdout.log"
        if kind == "link":
            log.symlink_to(tmp_path / "secret")
        else:
            os.mkfifo(log)
        reply = await asyncio.wait_for(one.get("/tasks/1/log"), 10)
        assert (reply.status, reply.body, reply.fields["x-log-size"]) == (200, b"", "0")
        assert list(logfiles.pieces(str(log))) == []
        assert list(logfiles.last_lines(str(log), 5)) == []
