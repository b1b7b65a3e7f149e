"""What hangs on one task beside its row: variables, curves of its devices, files that it left. Reads only.

Values of variables whose names look like those of secrets are never told, nor passwords in addresses.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec

from passloop.apps.queue.views import Json, document
from passloop.apps.secrecy import looks_secret
from passloop.engine.errors import NotFound
from passloop.kernel.tasks import AttemptRow
from passloop.store.artifacts import open_artifact
from passloop.store.errors import ArtifactRefused
from passloop.store.reader import Reader
from passloop.store.samples import Sample
from passloop.web.read_models import task_of

__all__ = ["attempt_row", "curves", "device_curve", "files", "open_file", "variables"]

MOST_POINTS = 4_000
MOST_FILES = 1_000
MOST_DEPTH = 4
OUT = "out"
_PASSWORD = re.compile(r"(?<=://)([^/\s:@]*):[^/\s@]+(?=@)")


def variables(reader: Reader, task: int) -> Json:
    """The environment that a task is given, by name; null for what is nobody's business."""
    view = task_of(reader, task)
    payload = _mapping(view.payload)
    given = payload.get("env")
    stored = reader.environment(str(payload.get("environment") or ""))
    merged = {**stored, **(given if isinstance(given, dict) else {})}
    told = [
        {"name": name, "value": None if looks_secret(name) else _PASSWORD.sub(r"\1:***", str(merged[name]))}
        for name in sorted(merged)
    ]
    return document(task=task, variables=told)


def curves(reader: Reader, task: int, attempt: int | None) -> Json:
    """How busy the devices of an attempt were, a column for each figure."""
    row = attempt_row(reader, task, attempt)
    by_device: dict[str, list[Sample]] = {}
    for sample in reader.samples(row.id):
        by_device.setdefault(sample.uuid, []).append(sample)
    devices = [_curve(uuid, samples) for uuid, samples in by_device.items()]
    return document(attempt=row.epoch, devices=devices)


def device_curve(reader: Reader, uuid: str, since: int, until: int) -> Json:
    """How busy one device was between two times in ms, whichever attempt held it."""
    return document(**_curve(uuid, reader.device_samples(uuid, since, until)))


def attempt_row(reader: Reader, task: int, attempt: int | None) -> AttemptRow:
    """An attempt of a task by its number, or the latest. Raises `NotFound`."""
    task_of(reader, task)
    found = [row for row in reader.attempts(task) if attempt is None or row.epoch == attempt]
    if not found:
        raise NotFound(f"task {task} has no attempt {attempt or 1}", hint=f"passloop show {task}")
    return found[-1]


def files(folder: Path) -> list[Json]:
    """The plain files below an attempt's `out/`, by name. Links are left out, and not followed."""
    root = folder / OUT
    found: list[Json] = []
    for place, folders, names in os.walk(root):
        depth = len(Path(place).relative_to(root).parts)
        folders[:] = sorted(folders) if depth < MOST_DEPTH else []
        for name in sorted(names):
            path = Path(place) / name
            if path.is_symlink() or not path.is_file():
                continue
            found.append({"name": path.relative_to(root).as_posix(), "bytes": path.lstat().st_size})
            if len(found) >= MOST_FILES:
                return found
    return found


def open_file(folder: Path, name: str) -> BinaryIO:
    """A file in an attempt's `out/`, opened. Raises `NotFound` for whatever does not lie there."""
    try:
        return os.fdopen(open_artifact(folder / OUT, name), "rb")
    except ArtifactRefused:
        raise NotFound("there is no such file of this attempt", hint="passloop show ID names its files") from None


def _curve(uuid: str, samples: Sequence[Sample]) -> Json:
    every = -(-len(samples) // MOST_POINTS)
    kept = samples[::every] if every > 1 else samples
    return {
        "uuid": uuid,
        "at": [sample.at for sample in kept],
        "utilisation": [sample.utilisation for sample in kept],
        "memory_mib": [sample.memory_mib for sample in kept],
        "power_w": [round(sample.power_mw / 1000, 1) for sample in kept],
    }


def _mapping(text: str) -> Mapping[str, object]:
    try:
        found = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return {}
    return found if isinstance(found, dict) else {}
