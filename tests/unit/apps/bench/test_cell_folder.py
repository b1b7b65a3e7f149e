"""A cell's folder: complete only if everything is as it was written; what is not is set aside, never lost."""

from __future__ import annotations

import json
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from passloop.apps.bench.benchmarks.base import StoredAnswer
from passloop.apps.bench.cell_folder import CellFolder, finding_of, state_of
from passloop.apps.bench.durable import digest_of, read_json
from passloop.apps.bench.results import results_of_tree
from passloop.apps.bench.samples import SampleLog, answers_of
from passloop.apps.bench.session import Session
from passloop.clock import FakeClock
from tests.unit.apps.bench.places import FAKE, matrix_of_text, order_of, run_one


@pytest.fixture
def done(tmp_path: Path) -> tuple[Path, str]:
    """A complete cell: its folder and hash."""
    matrix = matrix_of_text(FAKE, tmp_path)
    cell = next(matrix.cells())
    assert run_one(order_of(matrix, cell), tmp_path / "out").metrics is not None
    return tmp_path / "results/small" / cell.path, cell.hash


def test_a_complete_cell_has_the_files_that_it_should(done: tuple[Path, str]) -> None:
    folder, cell = done
    assert finding_of(folder, cell) is None
    assert sorted(path.name for path in folder.iterdir()) == [
        "DONE.json",
        "attempts",
        "cell.json",
        "metrics.json",
        "samples.jsonl",
    ]
    assert sorted(path.name for path in (folder / "attempts/1").iterdir()) == ["log.jsonl"]
    assert folder.name == cell[:10]
    events = [json.loads(line)["event"] for line in (folder / "attempts/1/log.jsonl").read_text().splitlines()]
    assert events == ["start", "loaded", "done"]


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def remove(path: Path) -> None:
    path.unlink()


def link(path: Path) -> None:
    twin = path.with_name("twin")
    path.rename(twin)
    path.symlink_to(twin)


@pytest.mark.parametrize("name", ["metrics.json", "samples.jsonl", "cell.json"])
@pytest.mark.parametrize(
    ("harm", "sort"),
    [(truncate, "truncated"), (empty, "empty"), (flip, "mismatching"), (remove, "missing"), (link, "missing")],
)
def test_harm_to_a_file_is_found(done: tuple[Path, str], name: str, harm: Callable[[Path], None], sort: str) -> None:
    folder, cell = done
    harm(folder / name)
    finding = finding_of(folder, cell)
    assert finding is not None
    assert (finding.sort, finding.file) == (sort, name)


@pytest.mark.parametrize(("harm", "sort"), [(truncate, "unreadable"), (empty, "empty"), (remove, "missing")])
def test_harm_to_the_mark_is_found(done: tuple[Path, str], harm: Callable[[Path], None], sort: str) -> None:
    folder, cell = done
    harm(folder / "DONE.json")
    finding = finding_of(folder, cell)
    assert finding is not None
    assert (finding.sort, finding.file) == (sort, "DONE.json")


def test_another_cells_result_is_not_taken_for_this_ones(done: tuple[Path, str]) -> None:
    folder, cell = done
    finding = finding_of(folder, cell[:10] + "0" * 54)
    assert finding is not None
    assert finding.sort == "mismatching"
    document = read_json(folder / "cell.json")
    document["identity"]["seed"] = 99
    (folder / "cell.json").write_text(json.dumps(document))
    done_as_written = read_json(folder / "DONE.json")
    size, digest = digest_of(folder / "cell.json") or (0, "")
    done_as_written["files"]["cell.json"] = {"size": size, "sha256": digest}
    (folder / "DONE.json").write_text(json.dumps(done_as_written))
    finding = finding_of(folder, cell)
    assert finding is not None
    assert finding.sentence == "its identity does not give its hash"


def test_what_claims_to_be_done_and_is_not_is_set_aside_and_run_again(tmp_path: Path) -> None:
    matrix = matrix_of_text(FAKE, tmp_path)
    cell = next(matrix.cells())
    order = order_of(matrix, cell)
    folder = tmp_path / "results/small" / cell.path
    first = run_one(order, tmp_path / "out").metrics
    for number in (1, 2):
        flip(folder / "samples.jsonl")
        assert run_one(order, tmp_path / "out").metrics == first
        assert state_of(folder, cell.hash).complete
        aside = folder.with_name(f"{folder.name}.aside-{number}")
        assert (aside / "DONE.json").exists()
        assert [path.name for path in (folder / "attempts").iterdir()] == ["1"]


def test_a_complete_cell_is_not_run_again(done: tuple[Path, str], tmp_path: Path) -> None:
    folder = done[0]
    matrix = matrix_of_text(FAKE, tmp_path)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert run_one(order_of(matrix, next(matrix.cells())), tmp_path / "out").metrics == read_json(
        folder / "metrics.json"
    )
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_a_torn_or_foreign_line_is_dropped_and_the_first_answer_counts(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_bytes(
        b'{"sample": "a", "answer": "1", "reference": [1], "score": 0.5, "tokens": 3}\n'
        b'not json\n[]\n{"sample": 3}\n{"sample": "a", "answer": "2"}\n{"sample": "b", "answer": "x", "ref'
    )
    log = SampleLog(path)
    assert list(log.answers) == ["a"]
    log.add(StoredAnswer(sample="a", answer="again"))
    log.add(StoredAnswer(sample="b", answer="\ud800é", extra={"n": 1}))
    log.close()
    found = answers_of(path)
    assert path.read_bytes().count(b"\n") == 2
    assert [(each.sample, each.answer, each.score) for each in found] == [("a", "1", 0.5), ("b", "?é", None)]
    assert (found[0].reference, found[0].extra, found[1].extra) == ([1], {"tokens": 3}, {"n": 1})


@contextmanager
def disk_full() -> Iterator[None]:
    """No file can get a byte more, as on a disk without room; a file can be made and cut."""
    size, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, most))


WHOLE = b"".join(b'{"sample": "s%d", "answer": "yes", "reference": null}\n' % number for number in range(1000))


@pytest.mark.parametrize("torn", [b'{"sample": "s1000", "ans', bytes(40), b"\n"], ids=["cut", "zeros", "blank"])
def test_a_torn_end_costs_no_answer_where_the_disk_is_full(torn: bytes, tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_bytes(WHOLE + torn)
    with disk_full():
        log = SampleLog(path)
    assert path.read_bytes() == WHOLE
    log.add(StoredAnswer(sample="s1000", answer="yes"))
    log.close()
    assert [each.sample for each in answers_of(path)] == [f"s{number}" for number in range(1001)]


@pytest.mark.parametrize("place", [0, 500])
def test_a_torn_line_in_the_middle_costs_no_other_answer_where_the_disk_is_full(place: int, tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    lines = WHOLE.splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:place], b'{"sample": "x", "ans' + lines[place], *lines[place + 1 :]]))
    with disk_full(), pytest.raises(OSError, match="File too large"):
        SampleLog(path)
    assert len(answers_of(path)) == len(lines) - 1
    SampleLog(path).close()
    assert path.read_bytes() == b"".join([*lines[:place], *lines[place + 1 :]])


def test_a_log_that_cannot_be_read_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    """Reading this process's memory at 0 fails as a bad disk does."""
    path = tmp_path / "answers.jsonl"
    path.symlink_to("/proc/self/mem")
    with pytest.raises(OSError, match="Input/output error"):
        SampleLog(path)
    assert answers_of(path) == []


@pytest.mark.parametrize("step", [1, 2, 3, 4, 5])
def test_a_crash_while_scoring_again_leaves_a_complete_cell(
    done: tuple[Path, str], step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk fails at each rename in turn."""
    import passloop.apps.bench.cell_folder as module
    import passloop.apps.bench.durable as durable

    folder, cell = done
    renames = 0
    real = durable.os.replace

    def failing(old: Path, new: Path) -> None:
        nonlocal renames
        renames += 1
        if renames == step:
            raise OSError(28, "no space")
        real(old, new)

    monkeypatch.setattr(module.os, "replace", failing)
    with pytest.raises(OSError, match="no space"):
        CellFolder(folder, cell).rescored({"metrics.json": b"{}\n", "samples.jsonl": b""}, {"scorer": None})
    monkeypatch.undo()
    assert finding_of(folder, cell) is None
    CellFolder(folder, cell).rescored({"metrics.json": b'{"b": 1}\n'}, {"scorer": {"name": "x", "version": "2"}})
    assert read_json(folder / "metrics.json") == {"b": 1}
    assert finding_of(folder, cell) is None


def test_a_cell_that_runs_is_seen_to_run(tmp_path: Path) -> None:
    matrix = matrix_of_text(FAKE, tmp_path)
    session = Session(matrix, clock=FakeClock())
    planned = session.planned(session.look())
    cell = planned.cells[0]
    with CellFolder.locked(session.root / cell.path, cell.cell):
        assert [each.status for each in results_of_tree(planned, session.root)][:2] == ["running", "pending"]
    assert {each.status for each in results_of_tree(planned, session.root)} == {"pending"}
