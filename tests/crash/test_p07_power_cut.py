"""P7: a power cut at any moment leaves a store that opens, is consistent and has everything that was acknowledged.

So it does with the records of attempts: one that is not whole is no word of how its attempt ended, and one that was
synced is there.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from functools import cache, partial
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import pytest

from passloop.drivers.identity import boot_id
from passloop.drivers.processes.keeper import records
from passloop.drivers.processes.reattach import look
from passloop.kernel.tasks import OutcomeKind
from passloop.store.connection import open_reading
from passloop.store.database import Store
from passloop.store.errors import StoreDamaged
from passloop.store.home import Home
from passloop.store.mark import Mark
from passloop.store.repair import repair
from passloop.store.sql import statement
from tests.support.attempts import live_of, order_for
from tests.support.cut_disk import Disk, Left, lay
from tests.support.damage import PAGE, TASKS, flip, killed_home, states_of
from tests.support.memory_folder import memory_folder
from tests.support.promises import record
from tests.support.recorded_disk import BACKUPS, BATCHES, REMOVALS, batches
from tests.support.recorded_folder import RecordedFolder
from tests.support.sick_home import rows_in

MESSAGE = "exit code 4, told at some length: " + "x" * 900
TURN = count()
FIRST_STEPS = 8
"""What happens to the disk before a new store has a log."""

LOGGED = ("store.sqlite", "store.sqlite-wal")
ROOT = Path(__file__).parents[2]
EXPECTED = [sum(type(change).__name__ == "TaskAdded" for change in batch.changes) for batch in batches()]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Everything that happens to the disk while batches are committed, in order."""
    return record_of(new_home(tmp_path_factory.mktemp("recorded")), "commits")


def new_home(folder: Path) -> Home:
    home = Home(folder / "home")
    home.prepare()
    return home


def record_of(home: Home, *words: str) -> list[dict[str, Any]]:
    """Everything that happens to the disk during a play in this home; each file and name of it was told."""
    command = [sys.executable, "-m", "tests.support.recorded_disk", str(home.path), *words]
    done = subprocess.run(command, cwd=ROOT, timeout=50, check=True, stdout=subprocess.PIPE, text=True)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    disk = Disk()
    for line in lines:
        disk.take(line)
    assert disk.whole() == everything_in(home), "something was done to the disk that the record does not have"
    return lines


def everything_in(home: Home) -> Left:
    paths = home.path.rglob("*")
    return {str(path.relative_to(home.path)): None if path.is_dir() else path.read_bytes() for path in paths}


@pytest.fixture
def home() -> Iterator[Home]:
    """Where stores are opened as a cut left them; that place is never cut itself."""
    with memory_folder("cut") as folder:
        yield Home(folder / "home")


def test_the_record_has_checkpoints_and_every_acknowledgement(recorded: list[dict[str, Any]]) -> None:
    assert [line["acknowledged"] for line in recorded if "acknowledged" in line] == list(range(1, BATCHES + 1))
    between = recorded[: max(n for n, line in enumerate(recorded) if "acknowledged" in line)]
    (store,) = {line["node"] for line in recorded if line.get("do") == "make" and line["file"] == "store.sqlite"}
    assert sum(line.get("node") == store and line["do"] == "sync" for line in between) >= 5


Check = Callable[[Home, Disk, Left], None]
"""Looks at a home as a cut left it; it is gone afterwards."""


def lay_marked(home: Home, disk: Disk, left: Left) -> None:
    """With the mark of all that was acknowledged, as a disk that was lucky with it has it."""
    lay(left, home.path)
    mark = Mark(home.mark)
    mark.write(disk.acknowledged)
    mark.close()


def mark_all(home: Home) -> None:
    """As in the home that its store was copied from, or nobody knew what became of its work since."""
    with closing(open_reading(home.database)) as connection:
        seq = int(connection.execute(statement("select_last_seq")).get)
    mark = Mark(home.mark)
    mark.write(seq)
    mark.close()


def check(home: Home, disk: Disk, left: Left) -> None:
    lay_marked(home, disk, left)
    require(home, at_least=disk.acknowledged)
    shutil.rmtree(home.path)


def require(home: Home, *, at_least: int) -> None:
    """It opens, is consistent, and has all of this batch and those before: as many tasks as these made, and in one of
    ten each row of each table as in a store to which nothing happened.
    """
    store = Store.open(home)
    try:
        seq = store.last_seq
        assert seq >= at_least
        assert len(store.load().tasks) == sum(EXPECTED[:seq])
    finally:
        store.close()
    if next(TURN) % 10 == 0:
        assert rows_of(home) == rows_after()[seq], f"other rows than batches 1 to {seq} wrote"


def rows_of(home: Home) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of a home's store, but for the name that the home was given by chance."""
    rows = {table: sorted(of_table.values()) for table, of_table in rows_in(home.database).items()}
    rows["meta"] = [(name, value) for name, value in rows["meta"] if name != "home_id"]
    return rows


@cache
def rows_after() -> list[dict[str, list[tuple[Any, ...]]]]:
    """The rows of a store that nobody cut, when it was new and after each batch."""
    with memory_folder("uncut") as folder:
        home = new_home(folder)
        store = Store.open(home)
        found = [rows_of(home)]
        for batch in batches():
            store.commit(batch)
            found.append(rows_of(home))
        store.close()
    return found


def cut(recorded: list[dict[str, Any]], home: Home, check: Check, moments: Iterable[int], *, seed: int) -> None:
    """Cut after so many things each."""
    choice = Random(seed)
    for disk in at(recorded, moments):
        check(home, disk, disk.after_a_cut(choice))


def at(recorded: list[dict[str, Any]], moments: Iterable[int]) -> Iterator[Disk]:
    """The disk after so many things each."""
    disk = Disk()
    taken = 0
    for moment in sorted(moments):
        for line in recorded[taken:moment]:
            disk.take(line)
        taken = moment
        yield disk


def some(recorded: list[dict[str, Any]], *, states: int, seed: int, after: int = 0) -> list[int]:
    """So many moments by chance, after so many things."""
    choice = Random(seed)
    return [choice.randrange(after, len(recorded) + 1) for _ in range(states)]


def cut_commits(recorded: list[dict[str, Any]], home: Home, *, states: int, seed: int) -> None:
    moments = some(recorded, states=states, seed=seed)
    cut(recorded, home, check, moments, seed=seed)
    figure = f"{states} crash states of the store: 0 corrupt, 0 acknowledged lost"
    record("P7", figure, states=len(moments), corrupt=0, lost=0)


@pytest.mark.parametrize("seed", range(8))
def test_p07_a_power_cut_loses_nothing_that_was_acknowledged(
    recorded: list[dict[str, Any]], home: Home, seed: int
) -> None:
    cut_commits(recorded, home, states=250, seed=seed)


def test_p07_a_power_cut_while_a_store_is_made_leaves_a_new_home(recorded: list[dict[str, Any]], home: Home) -> None:
    """Until its first log is there: a cut leaves it half made, which is no damage."""
    choice = Random(1)
    disk = Disk()
    for line in recorded[: FIRST_STEPS + 1]:
        for _ in range(40):
            check(home, disk, disk.after_a_cut(choice))
        disk.take(line)


def test_p07_acknowledging_what_is_not_synced_is_seen_to_lose_it(tmp_path: Path, home: Home) -> None:
    """So that a harness that sees nothing is noticed: with `synchronous=normal` commits are lost, and are missed."""
    recorded = record_of(new_home(tmp_path), "commits", "synchronous=normal")
    with pytest.raises(StoreDamaged, match=r"ends at batch \d+, but \d+ were committed"):
        cut_commits(recorded, home, states=250, seed=0)


def check_with_backup(home: Home, disk: Disk, left: Left) -> None:
    check(home, disk, left)
    if disk.backed_up:
        assert "backup.sqlite" in left
    backup = left.get("backup.sqlite")
    if backup is not None:
        lay({"store.sqlite": backup}, home.path)
        mark_all(home)
        require(home, at_least=max(disk.backed_up, BACKUPS[0]))
        shutil.rmtree(home.path)


def test_p07_a_power_cut_leaves_a_whole_backup_or_the_one_before(tmp_path: Path, home: Home) -> None:
    recorded = record_of(new_home(tmp_path), "backups")
    first = next(n for n, line in enumerate(recorded) if str(line.get("file")).startswith("backup.sqlite."))
    cut(recorded, home, check_with_backup, some(recorded, states=250, seed=1, after=first), seed=1)
    record("P7", "250 crash states with a backup: 0 not whole, 0 acknowledged lost", backup_states=250)


def check_removals(home: Home, disk: Disk, left: Left) -> None:
    lay_marked(home, disk, left)
    store = Store.open(home)
    seq = store.last_seq
    assert seq >= disk.acknowledged
    assert len(store.states_of(range(3 * REMOVALS + 1))) == 3 * (-(-seq // 3)) - seq // 3
    store.close()
    shutil.rmtree(home.path)


def test_p07_a_power_cut_brings_no_task_back_that_was_removed_and_is_no_damage(tmp_path: Path, home: Home) -> None:
    recorded = record_of(new_home(tmp_path), "removals")
    assert recorded[-1].get("do") == "delete"
    cut(recorded, home, check_removals, some(recorded, states=100, seed=2), seed=2)
    record(
        "P7",
        "100 crash states with removals: 0 back that were removed, 0 taken for damage",
        states=100,
        corrupt=0,
        lost=0,
    )


def cut_repair(folder: Path, home: Home, *, times: int) -> None:
    """Cut a repair so many times after each thing it does; from where files change their names on, in each way."""
    damaged, page = killed_home(folder, backup=True)
    flip(damaged.database, page * PAGE - 100)
    before = {name: path.read_bytes() for name in LOGGED if (path := damaged.path / name).exists()}
    recorded = record_of(damaged, "repairs")
    repaired = states_of(damaged)
    assert len(repaired) == TASKS

    def check_repair(home: Home, disk: Disk, left: Left) -> None:
        lay(left, home.path)
        found = repair(home)
        assert found.whole or not disk.repaired, f"it was repaired, and now: {found.problem}"
        assert states_of(home) == repaired
        *_, kept = sorted(home.path.glob("damaged-*"))
        assert {path.name: path.read_bytes() for path in kept.iterdir()} == before, "the damaged files are gone"
        shutil.rmtree(home.path)

    steps = [n for n, line in enumerate(recorded, 1) if line.get("do") not in ("found", "write")]
    named = next(n for n, line in enumerate(recorded, 1) if line.get("do") == "rename")
    cut(recorded, home, check_repair, [n for n in steps if n < named for _ in range(times)], seed=1)
    last = 0
    for disk in at(recorded, [n for n in steps if n >= named]):
        for left in disk.after_each_cut(Random(1)):
            check_repair(home, disk, left)
            last += 1
    states = times * sum(n < named for n in steps) + last
    figure = f"{states} crash states of a repair: 0 taken for whole that were not, 0 damaged files lost"
    record("P7", figure, repair_states=states, corrupt=0, lost=0)


def test_p07_a_power_cut_during_a_repair_leaves_it_done_or_to_be_done(tmp_path: Path, home: Home) -> None:
    cut_repair(tmp_path, home, times=1)


@pytest.mark.large
@pytest.mark.timeout(3_600)
def test_p07_a_power_cut_during_a_repair_leaves_it_done_or_to_be_done_at_length(tmp_path: Path, home: Home) -> None:
    cut_repair(tmp_path, home, times=100)


@pytest.mark.large
@pytest.mark.timeout(3_600)
def test_p07_a_power_cut_loses_nothing_in_fifty_thousand_states(recorded: list[dict[str, Any]], home: Home) -> None:
    cut_commits(recorded, home, states=50_000, seed=-1)


class Attempt:
    """An attempt whose records are written through a folder that remembers; `steps` are what its shim does to them."""

    def __init__(self, folder: Path) -> None:
        self.live = live_of(order_for(folder, 1, []))
        self.live.directory.mkdir(parents=True)
        identity: dict[str, str | int | bool | None] = {"attempt": 1, "epoch": 1, "name": self.live.name}
        self._began = records.to_json(identity | {"pid": 2**22 - 1, "ticks": 1, "boot": boot_id()})
        ended = {"kind": "failure", "exit_code": 4, "message": MESSAGE, "stop": None, "stray": False}
        self._ended = records.to_json(identity | ended)
        self.disk = RecordedFolder()
        self.synced = False

    def run(self, between: Callable[[], None]) -> None:
        """All that the shim does, with a look between any two steps."""
        folder = self.disk.open(bytes(self.live.directory), os.O_RDONLY | os.O_DIRECTORY)
        self.disk._open.pop(folder)
        between()
        assert records.claim_start(folder, self._began)
        between()
        descriptor = records.reserve_exit(folder)
        between()
        records.store_exit(folder, descriptor, self._ended)
        between()
        records.sync_exit(folder, descriptor)
        self.synced = True
        between()
        for one in (folder, descriptor):
            self.disk.close(one)


def cut_records(folder: Path, patch: pytest.MonkeyPatch, *, states: int, seed: int) -> None:
    choice = Random(seed)
    attempt = Attempt(folder)
    patch.setattr(records, "os", attempt.disk)
    if seed % 2:
        patch.setattr(records, "_renameat2", None)
    else:
        patch.setattr(records, "_renameat2", partial(renamed, attempt.disk))
    left = folder / "left"
    told = Counter[str]()

    def cut_here() -> None:
        for _ in range(states // 5):
            left.mkdir()
            attempt.disk.after_a_cut(choice, left)
            found = look(left, attempt.live.name).outcome
            assert found is not None
            if found.kind is not OutcomeKind.LOST:
                assert (found.kind, found.exit_code, found.message) == (OutcomeKind.FAILURE, 4, MESSAGE)
            assert found.kind is OutcomeKind.FAILURE or not attempt.synced, "a synced record is lost"
            told[found.kind] += 1
            shutil.rmtree(left)

    attempt.run(cut_here)
    assert set(told) == {OutcomeKind.LOST, OutcomeKind.FAILURE}
    figure = f"{states} crash states of an attempt's records: 0 taken for what was not written"
    record("P7", figure, record_states=sum(told.values()))


def renamed(disk: RecordedFolder, old_fd: int, old: bytes, new_fd: int, new: bytes, _flags: int) -> int:
    """The exclusive rename, through the folder that remembers."""
    disk.rename(old, new, src_dir_fd=old_fd, dst_dir_fd=new_fd)
    return 0


@pytest.mark.parametrize("seed", [0, 1])
def test_p07_a_power_cut_leaves_no_wrong_word_of_an_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    cut_records(tmp_path, monkeypatch, states=500, seed=seed)


@pytest.mark.large
@pytest.mark.parametrize("seed", [2, 3])
def test_p07_five_thousand_power_cuts_leave_no_wrong_word_of_an_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    cut_records(tmp_path, monkeypatch, states=5_000, seed=seed)
