"""Files of a trial's folder that are replaced whole. A full disk is the caller's to handle."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from passloop.crashpoints import crashpoint

__all__ = ["replace_json", "replace_text"]


def replace_json(path: Path, value: Any, *, durable: bool = False) -> None:
    """Put a JSON document in the place of the file; `durable` brings it to the disk first. Raises `OSError`."""
    replace_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n", durable=durable)


def replace_text(path: Path, text: str, *, durable: bool = False) -> None:
    """Put a text in the place of the file. Raises `OSError`."""
    aside = path.with_name(f".{path.name}.new")
    with aside.open("w", encoding="utf-8", errors="replace") as file:
        file.write(text)
        if durable:
            file.flush()
            os.fsync(file.fileno())
    crashpoint("before_trial_file")
    os.replace(aside, path)
    crashpoint("after_trial_file")
