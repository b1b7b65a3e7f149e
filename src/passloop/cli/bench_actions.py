"""`bench verify` and `bench rescore`: looking through results, and scoring stored answers again. No engine is asked."""

from __future__ import annotations

from collections import Counter

from passloop.apps.bench.rescore import rescore
from passloop.apps.bench.results import results_of_tree
from passloop.apps.bench.summary import summary_of, write_summary
from passloop.apps.bench.verify import verify
from passloop.cli import streams
from passloop.cli.bench_reports import find_bench
from passloop.cli.exits import Exit
from passloop.cli.wording import counted

__all__ = ["rescore_results", "verify_results"]


def verify_results(home: str, word: str, *, as_json: bool) -> int:
    """Print everything that is missing, empty, truncated, unreadable or mismatching; 1 if there is anything."""
    found = find_bench(home, word)
    wrong = list(verify(found.root, found.planned))
    if as_json:
        document = {"schema_version": 1, "out": str(found.root), "cells": len(found.planned.cells)}
        streams.emit_json({**document, "findings": [each._asdict() for each in wrong]})
    for each in wrong if not as_json else ():
        streams.emit(streams.clean(f"{each.sort:<11} {each.label}: {each.file} ({each.sentence})  {each.path}"))
    whole = len(found.planned.cells) - len({each.path for each in wrong})
    streams.say(f"{whole:,} of {counted(len(found.planned.cells), 'cell')} complete in {found.root}")
    return int(Exit.WORK_FAILED if wrong else Exit.OK)


def rescore_results(home: str, word: str, *, as_json: bool) -> int:
    """Score every complete cell again and say which metrics changed."""
    found = find_bench(home, word)
    done = list(rescore(found.root, found.planned))
    write_summary(found.root, summary_of(found.planned, results_of_tree(found.planned, found.root)))
    counts = Counter(each.sort for each in done)
    if as_json:
        cells = [{**each._asdict(), "before": dict(each.before), "after": dict(each.after)} for each in done]
        streams.emit_json({"schema_version": 1, "out": str(found.root), "counts": dict(counts), "cells": cells})
        return int(Exit.OK)
    for each in done:
        if each.sort == "scored":
            streams.emit(streams.clean(f"{each.label}: {dict(each.before)} -> {dict(each.after)}"))
    left = Counter(each.sentence for each in done if each.sort == "left")
    for sentence, number in left.items():
        streams.say(f"{counted(number, 'cell')} left as they are: {sentence}")
    streams.say(f"{counted(counts['scored'], 'cell')} scored again, {counts['unchanged']:,} unchanged")
    return int(Exit.OK)
