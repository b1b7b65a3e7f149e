"""`python -m passloop.apps.generate.files HOME RUN`: writes the files of a dataset from what is committed, and tells.

It is the last task of a run (`file_tasks.py`), in a process of its own: Parquet's library is large, and an engine does
without it. It may be repeated at any time: parts that are there are not written again, the file is renamed into place.

A dataset's file is that of its newest run. The task of an older run (a cell of it was retried) writes that one's rows,
or leaves the file to it.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from passloop.apps.errors import BadValue
from passloop.drivers.calls.driver import UNKNOWN
from passloop.kernel.source_rows import SourceState
from passloop.store.home import Home
from passloop.store.reader import Reader
from passloop.store.sources import SourceView

from .dataset import dataset_of_text
from .declaring import makes_files, newest_file_task, runs_of_dataset
from .settling import Settling
from .summary import Summary, summary_of

__all__ = ["main", "write_files"]


def write_files(home: Path, run: int) -> Summary | None:
    """Write the files of a run's dataset, as its newest run makes it; None where a newer run still has to write them,
    or its tasks were removed. Raises `BadValue`, `OSError`, and `LookupError` for a run that has none.
    """
    with Reader.open(Home(home)) as reader:
        source = reader.source(run)
        if source is None:
            raise LookupError(f"the store has no source of run {run}")
        dataset = dataset_of_text(source.spec)
        newest = _newest(reader, dataset.root) or source
        if newest.row.run != run:
            if newest_file_task(reader, newest) is None:
                return None
            dataset = dataset_of_text(newest.spec)
        settled = Settling(dataset).settle(reader)
        unknown = reader.count_unknown_calls(f"generate:{dataset.root}:*", UNKNOWN)
        return summary_of(reader, dataset, settled, unknown=unknown)


def _newest(reader: Reader, root: str) -> SourceView | None:
    """The newest run of a dataset that makes files."""
    for view, _ in runs_of_dataset(reader, root):
        source = reader.source(view.row.id)
        if source is not None and source.row.state is not SourceState.CANCELLED and makes_files(source.spec):
            return source
    return None


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
    if summary is None:
        print("a newer run makes this dataset: the file is left to it")
        return 0
    out = os.environ.get("PASSLOOP_OUT")
    if out:
        (Path(out) / "metrics.json").write_text(json.dumps(dict(summary.counts)), encoding="utf-8")
    print("\n".join(summary.lines()))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
