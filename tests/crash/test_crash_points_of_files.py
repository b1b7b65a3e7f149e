"""Files that applications give their names: whoever dies beside such a name leaves the old file or the new one, whole.

What was acknowledged before is there, and doing it again makes what a calm process makes. The processes are forks of
the test's own; each says where it dies, see `tests/support/deaths.py`.
"""

from __future__ import annotations

import json
import os
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from passloop.apps.bench.benchmarks.base import StoredAnswer
from passloop.apps.bench.cell_folder import CellFolder, state_of
from passloop.apps.bench.durable import read_json
from passloop.apps.bench.identity import recomputed
from passloop.apps.bench.models import convert, digests
from passloop.apps.bench.samples import answers_of
from passloop.apps.generate.parts import PartStore, WrittenAside
from passloop.apps.queue.snapshot import take_snapshot
from passloop.apps.tune.report import optuna_file
from passloop.apps.tune.trial.files import replace_json
from tests.support.deaths import Place, Tell, dies_at, fork_until_killed

IDENTITY = {"version": 1, "model": "a"}
CELL = str(recomputed(IDENTITY))
DOCUMENT = {"hash": CELL, "identity": IDENTITY}
ANSWERS = [StoredAnswer(sample=f"{number}", answer="yes", reference="yes", score=None) for number in range(3)]
METRICS = "metrics.json"
FILES = ("cell.json", "samples.jsonl", METRICS, "DONE.json")


def silent(_word: str) -> None:
    """For work that nobody listens to."""


def run(folder: Path, tell: Tell) -> None:
    """Run a cell; each answer and the end are told once they are acknowledged."""
    with CellFolder.locked(folder, CELL) as held:
        held.prepare(DOCUMENT)
        held.begin()
        log = held.answers()
        for answer in ANSWERS:
            log.add(answer)
            tell(answer.sample)
        held.finish(log, {"accuracy": 1.0}, {})
        log.close()
    tell("complete")


def assert_runs_to_its_end(folder: Path, told: list[str]) -> None:
    """What was told is there; what is missing comes with the next attempt."""
    kept = {each.sample for name in ("answers.jsonl", "samples.jsonl") for each in answers_of(folder / name)}
    assert kept >= set(told) - {"complete"}
    assert state_of(folder, CELL).complete >= ("complete" in told)
    if not state_of(folder, CELL).complete:
        run(folder, silent)
    assert state_of(folder, CELL).complete
    assert [each.sample for each in answers_of(folder / "samples.jsonl")] == ["0", "1", "2"]


@dies_at("before_result_file", "after_result_file", "after_cell")
def test_a_cell_dies_at_each_of_its_files(place: Place, tmp_path: Path) -> None:
    """Each time that it comes there, until it does not come there so often."""
    deaths = 0
    for nth in range(1, 10):
        folder = tmp_path / str(nth)
        told = fork_until_killed(place, partial(run, folder), nth=nth)
        if told is None:
            break
        deaths += 1
        assert_runs_to_its_end(folder, told)
    assert deaths == (1 if place.name == "after_cell" else len(FILES))


@dies_at("before_set_aside", "after_set_aside")
def test_a_cell_that_is_not_what_it_claims_dies_while_it_is_set_aside(place: Place, tmp_path: Path) -> None:
    folder = tmp_path / "cell"
    run(folder, silent)
    (folder / METRICS).write_text("{}")
    assert fork_until_killed(place, lambda tell: run(folder, tell)) == []
    assert_runs_to_its_end(folder, [])
    assert (tmp_path / "cell.aside-1" / METRICS).read_text() == "{}"
    assert not (tmp_path / "cell.aside-2").exists()


@dies_at("before_rescored_file", "after_rescored_file")
@pytest.mark.parametrize("nth", [1, 2])
def test_a_cell_that_is_scored_again_dies_between_its_files(place: Place, nth: int, tmp_path: Path) -> None:
    folder = tmp_path / "cell"
    run(folder, silent)
    samples = (folder / "samples.jsonl").read_bytes().replace(b"yes", b"Yes")

    def again(_tell: Tell) -> None:
        with CellFolder.locked(folder, CELL) as held:
            held.rescored({METRICS: b'{"accuracy": 0.5}', "samples.jsonl": samples}, {"scorer": 2})

    assert fork_until_killed(place, again, nth=nth) is not None
    assert state_of(folder, CELL).complete
    again(silent)
    assert state_of(folder, CELL).complete
    assert (read_json(folder / METRICS), read_json(folder / "DONE.json")["scorer"]) == ({"accuracy": 0.5}, 2)


@dies_at("before_model_folder", "after_model_folder")
def test_a_conversion_dies_beside_its_name(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "models" / "m"
    folder.parent.mkdir()
    monkeypatch.setattr(convert, "_write", lambda _gguf, aside: (aside / convert.COMPLETE).write_text("{}"))
    monkeypatch.setattr("sys.argv", ["convert", "m.gguf", str(folder)])
    assert fork_until_killed(place, lambda _tell: convert.main()) is not None
    assert (folder / convert.COMPLETE).exists() is (place.name == "after_model_folder")
    convert.main()
    assert (folder / convert.COMPLETE).read_text() == "{}"


@dies_at("before_digests", "after_digests")
def test_who_remembers_digests_dies_beside_their_name(place: Place, tmp_path: Path) -> None:
    weights, memory = tmp_path / "weights", tmp_path / "memory"
    weights.touch()
    os.truncate(weights, digests.LARGE)
    assert fork_until_killed(place, lambda _tell: digests.digest_of_file(weights, memory)) is not None
    remembered = json.loads((memory / digests.MEMORY).read_text()) if place.name == "after_digests" else {}
    found = digests.digest_of_file(weights, memory)
    assert list(remembered.values()) in ([], [found])
    assert list(json.loads((memory / digests.MEMORY).read_text()).values()) == [found]


@dies_at("before_dataset_file", "after_dataset_file")
def test_a_file_of_a_dataset_dies_beside_its_name(place: Place, tmp_path: Path) -> None:
    path = tmp_path / "made.jsonl"
    write(path, "old")
    assert fork_until_killed(place, lambda _tell: write(path, "new")) is not None
    assert path.read_text() == ("old" if place.name == "before_dataset_file" else "new")
    write(path, "new")
    assert path.read_text() == "new"


def write(path: Path, text: str) -> None:
    with WrittenAside(path) as aside:
        aside.write_text(text)


@dies_at("before_parts_go", "after_parts_go")
def test_a_dataset_dies_while_its_parts_go(place: Place, tmp_path: Path) -> None:
    """They are deleted once the dataset itself is whole; what is left of them goes the next time."""
    parts = PartStore(tmp_path / "made.parquet")
    for unit in range(3):
        write(parts.path(unit, "abc"), "rows")
    assert fork_until_killed(place, lambda _tell: parts.remove()) is not None
    assert parts.folder.exists() is (place.name == "before_parts_go")
    parts.remove()
    assert not parts.folder.exists()


@dies_at("before_trial_file", "after_trial_file")
@pytest.mark.parametrize("durable", [False, True])
def test_a_trials_document_dies_beside_its_name(place: Place, durable: bool, tmp_path: Path) -> None:
    path = tmp_path / METRICS
    replace_json(path, {"phase": 1}, durable=durable)
    assert fork_until_killed(place, lambda _tell: replace_json(path, {"phase": 2}, durable=durable)) is not None
    assert json.loads(path.read_text()) == {"phase": 1 if place.name == "before_trial_file" else 2}
    replace_json(path, {"phase": 2}, durable=durable)
    assert [each.name for each in tmp_path.iterdir() if each.suffix == ".new"] == []


@dies_at("before_optuna_file", "after_optuna_file")
def test_a_study_for_optuna_dies_beside_its_name(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "study" / "study.db"
    path.parent.mkdir()
    told: Any = type("Standing", (), {"trials": ()})()
    monkeypatch.setattr(optuna_file, "_write", lambda _standing, aside: aside.write_text("whole"))
    monkeypatch.setattr(optuna_file, "check_parts", lambda _sampler: None)
    assert fork_until_killed(place, lambda _tell: optuna_file.write_optuna(told, path)) is not None
    assert path.exists() is (place.name == "after_optuna_file")
    optuna_file.write_optuna(told, path)
    assert [each.read_text() for each in path.parent.iterdir()] == ["whole"]


@dies_at("before_snapshot", "after_snapshot")
def test_a_snapshot_dies_beside_its_name(place: Place, tmp_path: Path) -> None:
    code, home = tmp_path / "code", tmp_path / "home"
    code.mkdir()
    (code / "train.py").write_text("print(1)")
    take = partial(take_snapshot, str(code), home=home)
    assert fork_until_killed(place, lambda tell: tell(take())) == []
    found = [each for each in (home / "snapshots").iterdir() if not each.name.startswith(".")]
    assert len(found) == (place.name == "after_snapshot")
    place_of = Path(take())
    assert found in ([], [place_of])
    assert (place_of / "train.py").read_text() == "print(1)"
