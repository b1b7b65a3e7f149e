"""Scores between texts, by hand-made examples."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passloop.apps.bench.benchmarks.matching import found_share
from passloop.apps.bench.benchmarks.text_scores import SCORERS, best, exact, f1, recall, rouge_l


def test_case_articles_and_punctuation_do_not_count() -> None:
    assert exact("The Cat.", "cat") == 1.0
    assert exact("a dog", "cat") == 0.0


def test_f1_is_the_harmonic_mean_of_words() -> None:
    assert f1("red green blue", "red green") == pytest.approx(0.8)
    assert f1("red red", "red") == pytest.approx(2 / 3)
    assert f1("", "red") == 0.0


def test_rouge_l_keeps_the_order_of_words() -> None:
    assert rouge_l("one two three four", "one three four") == pytest.approx(6 / 7)
    assert rouge_l("four three two one", "one two three four") == pytest.approx(0.25)


def test_recall_asks_for_the_reference_in_the_answer() -> None:
    assert recall("It is Paris, of course", "Paris") == 1.0
    assert recall("Par is", "Paris") == 0.0


def test_the_best_reference_counts() -> None:
    assert best("exact", "cat", ["dog", "cat"]) == 1.0
    assert best("exact", "cat", []) == 0.0


def test_a_number_inside_another_is_not_found() -> None:
    assert found_share("4123", ["123"]) == found_share("1235", ["123"]) == 0.0
    assert found_share("a 123.", ["123", "7"]) == 0.5
    assert found_share("anything", []) == 0.0


@given(st.sampled_from(sorted(SCORERS)), st.text(max_size=60), st.text(max_size=60))
def test_every_score_lies_between_none_and_all(scorer: str, answer: str, reference: str) -> None:
    assert 0.0 <= SCORERS[scorer](answer, reference) <= 1.0


@given(st.sampled_from(sorted(SCORERS)), st.text(alphabet="abc ", min_size=1, max_size=30).filter(str.strip))
def test_a_text_fits_itself(scorer: str, text: str) -> None:
    whole = f"word {text}"
    assert SCORERS[scorer](whole, whole) == 1.0
