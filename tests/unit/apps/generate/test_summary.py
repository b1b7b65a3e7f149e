"""What is said at the end of a dataset."""

from __future__ import annotations

from passloop.apps.generate.summary import Summary


def test_candidates_that_did_not_suffice_are_told_and_no_file_that_is_not_there() -> None:
    counts = {"rows": 9, "kept": 2, "dropped": 7, "incomplete": 0}
    made = Summary(counts, {"keep": 7}, {}, (), 0, "made.parquet", None, whole=False)
    assert made.lines()[-1] == "partial: the candidates are used up before the target: say a larger `rows:`"


def test_a_dataset_without_a_row_for_want_of_answers_is_no_success() -> None:
    counts = {"rows": 9, "kept": 0, "dropped": 9, "incomplete": 0}
    made = Summary(counts, {"no answer for text": 2, "keep": 7}, {}, (), 0, "made.parquet", None, whole=False)
    assert made.exit_code == 1
    assert made.lines()[-1] == "partial: nothing was kept, since no row has all its answers"


def test_a_dataset_of_which_the_user_wanted_no_row_is_whole() -> None:
    counts = {"rows": 9, "kept": 0, "dropped": 9, "incomplete": 0}
    assert not Summary(counts, {"keep": 9}, {}, (), 0, "made.parquet", None, whole=True).barren
