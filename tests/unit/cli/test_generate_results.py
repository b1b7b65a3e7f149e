"""What `export` of a dataset writes: its file, or where no file has it, what the store has of a run by its id."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from passloop.apps.generate.dataset import Dataset, dataset_of_text
from passloop.apps.generate.expander import declared_of
from passloop.cli.exits import CliError
from passloop.cli.generate_results import export_run, report_run
from passloop.drivers.calls.endpoints import declarations
from passloop.engine.retrying import retry
from passloop.kernel.events import GroupHeld, GroupReleased
from passloop.kernel.ids import RunId, TaskId
from passloop.store.filters import TaskFilter
from passloop.testing.script import Fault, ModelScript, Script
from tests.support.generating import GenerateStand, generating

pytestmark = pytest.mark.timeout(60)
QUICK = Script(default=ModelScript(latency=0))
FIRST_FAILS = Script(default=ModelScript(latency=0, faults=(Fault(status=400, last=1),)))


async def over(stand: GenerateStand, dataset: Dataset, *, files: bool) -> RunId:
    """A run that is over and wrote no file; with `files` it was to have one."""
    engine = stand.host.engine
    for pool in declarations(dataset.models.values()):
        await engine.send(pool)
    declared = declared_of(dataset_of_text(dataset.wire()), environment={}, files=files)
    run = (await engine.declare_source(declared)).run
    await engine.wait_source(run)
    return run


def rows_of(path: Path) -> int:
    return len(path.read_text().splitlines())


def refused(folder: Path, word: str, out: Path, form: str | None = None) -> tuple[str, str]:
    """What an export is refused with, and the way out."""
    with pytest.raises(CliError) as refusal:
        export_run(str(folder / "home"), word, str(out), form)
    return refusal.value.message, refusal.value.hint


async def test_few_rows_replace_those_of_a_whole_run_only_where_their_run_is_named_by_its_id(tmp_path: Path) -> None:
    home, out, made = str(tmp_path / "home"), tmp_path / "t.jsonl", tmp_path / "made.parquet"
    async with generating(tmp_path, QUICK) as stand:
        await stand.make(stand.dataset())
        export_run(home, "made", str(out), None)
        assert (await over(stand, stand.dataset(rows=2), files=False), rows_of(out)) == (2, 6)
        what = f"{made} has the rows of run 1, not those of run 2"
        hint = "passloop export 1 -o FILE, or what the store has of run 2: passloop export 2 -o FILE"
        assert refused(tmp_path, "made", out) == refused(tmp_path, "last", out) == (what, hint)
        made.unlink()
        gone = (f"{made} is not there", "what the store has of run 2: passloop export 2 -o FILE")
        assert (refused(tmp_path, "made", out), rows_of(out)) == (gone, 6)
        for word in ("2", "@2", "1"):
            export_run(home, word, str(tmp_path / word), "jsonl")
        assert [rows_of(tmp_path / word) for word in ("2", "@2", "1")] == [2, 2, 6]


async def test_nothing_else_is_exported_onto_the_file_of_the_dataset(tmp_path: Path) -> None:
    made, link = tmp_path / "made.parquet", tmp_path / "link.parquet"
    async with generating(tmp_path, QUICK) as stand:
        await stand.make(stand.dataset())
        await over(stand, stand.dataset(rows=2), files=False)
        link.symlink_to(made)
        for word, out, form in (("2", made, None), ("2", link, None), ("1", made, "jsonl")):
            assert "is the dataset's own file" in refused(tmp_path, word, out, form)[0]
        export_run(str(tmp_path / "home"), "1", str(made), None)
        assert pq.read_table(made).num_rows == 6


async def test_rows_of_a_run_whose_files_task_was_removed_are_had_unless_cells_are_asked_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "t.jsonl"
    async with generating(tmp_path, FIRST_FAILS) as stand:
        engine, run = stand.host.engine, await over(stand, stand.dataset(on_dead_endpoint="drop_rows"), files=True)
        export_run(str(tmp_path / "home"), str(run), str(out), None)
        assert "5 rows of run 1, from the store, 1 lack something" in capsys.readouterr().err
        assert rows_of(out) == 5
        await engine.send(GroupHeld("default"))
        failed = await engine.read(lambda reader: reader.task_ids(TaskFilter(runs=(run,), states=("failed",))))
        await retry(engine, [TaskId(task) for task in failed])
        assert refused(tmp_path, "1", out) == (f"{tmp_path / 'made.parquet'} is not there yet", "passloop wait @1")


async def test_what_an_endpoint_said_is_reported_on_one_line_without_codes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = Fault(status=400, body="\x1b]0;owned\x07\x1b[2J\u009b31m\u202efdp\r\nnothing lacks")
    async with generating(tmp_path, Script(default=ModelScript(latency=0, faults=(said,)))) as stand:
        made = stand.dataset(rows=1)
        await stand.make(made)
        report_run(str(tmp_path / "home"), made, None, files=False)
    told = capsys.readouterr().out
    assert "fdp" in told
    assert all(line.isprintable() for line in told.splitlines())
    assert not any(line.startswith("nothing lacks") for line in told.splitlines())


async def test_of_a_run_that_is_under_way_the_report_names_no_file_and_no_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home, page = str(tmp_path / "home"), tmp_path / "report.html"
    async with generating(tmp_path, QUICK) as stand:
        made = stand.dataset()
        await stand.host.engine.send(GroupHeld("default"))
        run = await stand.declare(made)
        report_run(home, made, str(page), files=True)
        head, *more = capsys.readouterr().out.splitlines()
        assert head == "0 of 6 rows so far"
        assert "run 1 is not over: passloop wait @1" in more
        assert not [line for line in more if "->" in line or "again" in line or "ended" in line], "no file and no end"
        assert "so far: 0 rows" in page.read_text()
        await stand.host.engine.send(GroupReleased("default"))
        await stand.host.engine.wait_source(run)
        report_run(home, made, None, files=False)
        assert capsys.readouterr().out.startswith(f"6 rows -> {made.out}\n")
