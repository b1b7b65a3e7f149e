"""Files that are whole or not there: written aside, synced, renamed; and the digest by which a file is known."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from passloop.crashpoints import crashpoint

__all__ = ["digest_of", "json_bytes", "read_json", "sync_folder", "write_json", "write_whole"]

CHUNK = 2**20


def write_whole(path: Path, data: bytes, *, sync_name: bool = True) -> None:
    """Write a file so that after a crash it is the old one, or the new one, whole. Without `sync_name` its new name is
    durable only after a `sync_folder`.
    """
    aside = path.with_name(f".{path.name}.new")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        crashpoint("before_result_file")
        os.replace(aside, path)
    except OSError:
        aside.unlink(missing_ok=True)
        raise
    if sync_name:
        sync_folder(path.parent)
    crashpoint("after_result_file")


def json_bytes(value: Any) -> bytes:
    """A JSON document that people read too. Raises `ValueError` for NaN."""
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False)
    return f"{text}\n".encode("utf-8", "replace")


def write_json(path: Path, value: Any) -> None:
    """`write_whole` of a JSON document. Raises `ValueError` for NaN."""
    write_whole(path, json_bytes(value))


def read_json(path: Path, *, most: int = 2**26) -> Any:
    """The JSON document at `path`; None if it is missing, too large or not JSON."""
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
        return json.loads(data) if len(data) <= most else None
    except (OSError, ValueError, RecursionError):
        return None


def sync_folder(folder: Path) -> None:
    """Make names in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def digest_of(path: Path) -> tuple[int, str] | None:
    """Size in bytes and SHA-256 in hex of a plain file; None if it is not there."""
    digest, size = hashlib.sha256(), 0
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            while chunk := file.read(CHUNK):
                size += len(chunk)
                digest.update(chunk)
    except OSError:
        return None
    return size, digest.hexdigest()
