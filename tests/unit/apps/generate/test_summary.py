"""What is said at the end of a dataset."""

from __future__ import annotations

from passloop.apps.generate.summary import Summary


def test_candidates_that_did_not_suffice_are_told_and_no_file_that_is_not_there() -> None:
    counts = {"rows": 9, "kept": 2, "dropped": 7, "incomplete": 0}
    made = Summary(counts, {"keep": 7}, {}, (), 0, "made.parquet", None, whole=False)
    assert made.lines()[-1] == "partial: the candidates are used up before the target: say a larger `rows:`"
