"""`python -m passloop.apps.generate.files HOME RUN`: writes the files of a dataset from what is committed, and tells.

It is the last task of a run (`file_tasks.py`), in a process of its own: Parquet's library is large, and an engine does
without it. It may be repeated at any time: parts that are there are not written again, the file is renamed into place.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from passloop.apps.errors import BadValue
from passloop.drivers.calls.driver import UNKNOWN
from passloop.store.home import Home
from passloop.store.reader import Reader

from .dataset import dataset_of_text
from .settling import Settling
from .summary import Summary, summary_of

__all__ = ["main", "write_files"]


def write_files(home: Path, run: int) -> Summary:
    """Write the files of a run's dataset. Raises `BadValue`, `OSError`, and `LookupError` for a run that has none."""
    with Reader.open(Home(home)) as reader:
        source = reader.source(run)
        if source is None:
            raise LookupError(f"the store has no source of run {run}")
        dataset = dataset_of_text(source.spec)
        settled = Settling(dataset).settle(reader)
        unknown = reader.count_unknown_calls(f"generate:{dataset.root}:*", UNKNOWN)
        return summary_of(reader, dataset, settled, unknown=unknown)


def main(home: str, run: str) -> int:
    """Write, print what came of it, and leave the counts as the task's results. 1 if the files cannot be written."""
    try:
        summary = write_files(Path(home), int(run))
    except BadValue as bad:
        print(f"{bad.what}: {bad.fix}", file=sys.stderr)
        return 1
    except OSError as refused:
        print(f"the files cannot be written: {refused}", file=sys.stderr)
        return 1
    out = os.environ.get("PASSLOOP_OUT")
    if out:
        (Path(out) / "metrics.json").write_text(json.dumps(dict(summary.counts)), encoding="utf-8")
    print("\n".join(summary.lines()))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
