"""One cell's folder: what it holds, when it is complete, how it is begun and finished. Nothing else writes there.

    cell.json              the identity, its hash, the names
    attempts/<n>/          log.jsonl, and error.json of an attempt that failed
    answers.jsonl          answers so far; gone once the cell is complete
    samples.jsonl          all answers
    metrics.json           the metrics
    DONE.json              last: the hash, sizes and digests of the files above, sample counts

Complete means: DONE.json is valid, every file is as it says, and its hash is the planned one. What claims to be done
and is not is set aside, never deleted; what was only interrupted goes on with the answers it has.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from passloop.crashpoints import crashpoint

from .durable import digest_of, json_bytes, read_json, sync_folder, write_json, write_whole
from .identity import recomputed
from .samples import SampleLog, lines_of

__all__ = ["DONE", "CellFolder", "Finding", "State", "finding_of", "state_of"]

DONE = "DONE.json"
CELL = "cell.json"
METRICS = "metrics.json"
SAMPLES = "samples.jsonl"
ANSWERS = "answers.jsonl"
LOCK = ".lock"
VERSION = 1
PROVEN = (CELL, SAMPLES, METRICS)


class State(NamedTuple):
    """What lies in a folder: complete or not, its DONE.json, and why it is not complete."""

    complete: bool
    done: Mapping[str, Any]
    finding: Finding | None


class Finding(NamedTuple):
    """Something wrong: `sort` is missing, empty, truncated, mismatching or unreadable; `file` says which."""

    sort: str
    file: str
    sentence: str


def state_of(folder: Path, cell: str | None = None) -> State:
    """The state of a folder that should hold the cell with this hash (None: whatever it says)."""
    finding = finding_of(folder, cell)
    done = read_json(folder / DONE)
    return State(finding is None, done if isinstance(done, dict) else {}, finding)


def finding_of(folder: Path, cell: str | None = None) -> Finding | None:
    """The first thing wrong with a folder; None if it is complete."""
    done, finding = _document(folder, DONE)
    if finding is not None:
        return finding
    if done.get("version") != VERSION or not isinstance(done.get("files"), dict):
        return Finding("unreadable", DONE, "it is not of a version that is known")
    if cell is not None and done.get("cell") != cell:
        return Finding("mismatching", DONE, "it is of another cell")
    for name in PROVEN:
        finding = _proof(folder, name, done["files"].get(name))
        if finding is not None:
            return finding
    return _identity(folder, str(done.get("cell")))


def _document(folder: Path, name: str) -> tuple[Mapping[str, Any], Finding | None]:
    try:
        size = (folder / name).lstat().st_size
    except OSError:
        return {}, Finding("missing", name, "the cell is not complete")
    if size == 0:
        return {}, Finding("empty", name, "it has no bytes")
    found = read_json(folder / name)
    if not isinstance(found, dict):
        return {}, Finding("unreadable", name, "it is not a JSON document")
    return found, None


def _proof(folder: Path, name: str, said: Any) -> Finding | None:
    """Whether a file is as DONE.json says; it may name several digests while the cell is scored again."""
    known = {(each["size"], each["sha256"]) for each in _all_of(said) if _is_proof(each)}
    if not known:
        return Finding("unreadable", DONE, f"it does not tell what {name} is")
    found = digest_of(folder / name)
    if found is None:
        return Finding("missing", name, "it is not there")
    if found in known:
        return None
    if found[0] == 0:
        return Finding("empty", name, "it has no bytes")
    size = min(each[0] for each in known)
    if found[0] < size:
        return Finding("truncated", name, f"it has {found[0]:,} of {size:,} bytes")
    return Finding("mismatching", name, "its content is not what was written")


def _is_proof(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("size"), int) and isinstance(value.get("sha256"), str)


def _identity(folder: Path, cell: str) -> Finding | None:
    document = read_json(folder / CELL)
    identity = document.get("identity") if isinstance(document, dict) else None
    if not isinstance(identity, dict) or recomputed(identity) != cell:
        return Finding("mismatching", CELL, "its identity does not give its hash")
    return None


class CellFolder:
    """A cell's folder, locked: one process at a time works in it, whatever homes there are."""

    def __init__(self, path: Path, cell: str) -> None:
        self.path = path
        self.cell = cell

    @classmethod
    @contextmanager
    def locked(cls, path: Path, cell: str) -> Iterator[CellFolder]:
        """Make the folder if it is not there, and hold its lock. Waits for another holder; one that dies lets go."""
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path.parent / f".{path.name}{LOCK}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            path.mkdir(parents=True, exist_ok=True)
            yield cls(path, cell)
        finally:
            os.close(descriptor)

    def prepare(self, document: Mapping[str, Any]) -> None:
        """Make the folder fit for an attempt: what claims to be done and is not, or is of another cell, goes aside."""
        known = read_json(self.path / CELL)
        foreign = known is not None and (not isinstance(known, dict) or known.get("hash") != self.cell)
        if (self.path / DONE).exists() or foreign:
            self._set_aside()
        if not (self.path / CELL).exists() or not isinstance(known, dict) or (self.path / CELL).stat().st_size == 0:
            write_whole(self.path / CELL, json_bytes(document), sync_name=False)

    def attempts(self) -> list[Path]:
        """The folders of the attempts so far, in order."""
        try:
            found = [each for each in (self.path / "attempts").iterdir() if each.name.isdecimal()]
        except FileNotFoundError:
            return []
        return sorted(found, key=lambda each: int(each.name))

    def begin(self) -> tuple[int, Path]:
        """A new attempt: its number, from 1, and its folder."""
        known = self.attempts()
        number = 1 + (int(known[-1].name) if known else 0)
        folder = self.path / "attempts" / str(number)
        folder.mkdir(parents=True)
        return number, folder

    def answers(self) -> SampleLog:
        """The log of answers, with those of earlier attempts."""
        return SampleLog(self.path / ANSWERS)

    def finish(self, log: SampleLog, metrics: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
        """Write samples and metrics, then DONE.json with `facts`; after that the cell is complete."""
        write_whole(self.path / SAMPLES, lines_of(log.answers.values()), sync_name=False)
        write_whole(self.path / METRICS, json_bytes(metrics), sync_name=False)
        sync_folder(self.path)
        write_json(self.path / DONE, self._done(facts))
        (self.path / ANSWERS).unlink(missing_ok=True)
        crashpoint("after_cell")

    def _done(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        files = {name: _proof_of(self.path / name) for name in PROVEN}
        return {"version": VERSION, "cell": self.cell, "files": files, **facts}

    def rescored(self, files: Mapping[str, bytes], facts: Mapping[str, Any]) -> None:
        """Replace proven files (metrics, samples). At every moment DONE.json accepts what lies there."""
        done = dict(read_json(self.path / DONE))
        proofs = dict(done["files"])
        for name, data in files.items():
            write_whole(self.path / f".{name}.scored", data)
        new = {name: _proof_of(self.path / f".{name}.scored") for name in files}
        both = {name: [*_all_of(proofs[name]), proof] for name, proof in new.items()}
        write_json(self.path / DONE, {**done, "files": {**proofs, **both}})
        for name in files:
            crashpoint("before_rescored_file")
            os.replace(self.path / f".{name}.scored", self.path / name)
            crashpoint("after_rescored_file")
        sync_folder(self.path)
        write_json(self.path / DONE, {**done, "files": {**proofs, **new}, **facts})

    def _set_aside(self) -> None:
        """Give what lies here another name, and begin with an empty folder."""
        for number in range(1, 10_000):
            target = self.path.with_name(f"{self.path.name}.aside-{number}")
            if not target.exists():
                crashpoint("before_set_aside")
                self.path.rename(target)
                crashpoint("after_set_aside")
                self.path.mkdir()
                sync_folder(self.path.parent)
                return
        raise OSError(f"{self.path} was set aside too often: remove some of its .aside folders")


def _all_of(proof: Any) -> list[Any]:
    return proof if isinstance(proof, list) else [proof]


def _proof_of(path: Path) -> dict[str, Any]:
    found = digest_of(path)
    if found is None:
        raise FileNotFoundError(f"{path} is gone")
    return {"size": found[0], "sha256": found[1]}
