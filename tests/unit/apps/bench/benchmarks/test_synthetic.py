"""Texts that are made have exactly the tokens they promise, hold what is asked, and are the same each time."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passloop.apps.bench.benchmarks.base import BenchmarkAsk, Context, DataAsk, StoredAnswer
from passloop.apps.bench.benchmarks.cwe import KIND as CWE
from passloop.apps.bench.benchmarks.lengths import Words, exact_text
from passloop.apps.bench.benchmarks.niah import KIND as NIAH
from passloop.apps.bench.benchmarks.synthetic import SyntheticKind
from passloop.apps.bench.benchmarks.vt import KIND as VT
from passloop.apps.bench.errors import DatasetError
from passloop.apps.errors import BadValue

SUBSETS = [
    (NIAH, "single"),
    (NIAH, "multikey"),
    (NIAH, "multivalue"),
    (NIAH, "multikey8"),
    (VT, "hops2"),
    (VT, "hops4"),
    (CWE, "top3"),
]


class Pieces:
    """A tokenizer whose tokens join over words: blanks belong to the word after, long words fall into pieces of five
    letters, digits stand alone.
    """

    def encode(self, text: str) -> list[int]:
        return [hash(part) & 0xFFFF for part in re.findall(r" ?[A-Za-z]{1,5}|\d| ?[^\sA-Za-z\d]|\s", text)]

    def decode(self, tokens: Sequence[int]) -> str:
        raise NotImplementedError


def contexts(kind: SyntheticKind, subset: str, samples: int = 2, seed: int = 0, **options: int) -> list[Context]:
    named = kind.resolve(BenchmarkAsk(name=kind.name, subsets=(subset,), options=options)).options
    return list(kind.contexts(DataAsk(subset=subset, options=named, samples=samples, seed=seed), Pieces()))


@settings(max_examples=25)
@given(st.sampled_from(SUBSETS), st.integers(300, 700), st.integers(0, 2**40))
def test_a_text_has_exactly_the_tokens_of_its_name(made: tuple[SyntheticKind, str], tokens: int, seed: int) -> None:
    kind, task = made
    for context in contexts(kind, f"{task}_{tokens}", samples=1, seed=seed):
        assert len(Pieces().encode(context.text)) == tokens


@pytest.mark.parametrize(("kind", "task"), SUBSETS)
def test_samples_are_the_same_however_many_are_asked(kind: SyntheticKind, task: str) -> None:
    assert contexts(kind, f"{task}_400", samples=4)[:2] == contexts(kind, f"{task}_400", samples=2)


@pytest.mark.parametrize(("kind", "task"), SUBSETS)
def test_another_seed_is_another_text(kind: SyntheticKind, task: str) -> None:
    assert contexts(kind, f"{task}_400", seed=1) != contexts(kind, f"{task}_400", seed=2)


@pytest.mark.parametrize(("task", "values"), [("single", 1), ("multikey", 1), ("multivalue", 4), ("multivalue2", 2)])
def test_the_needles_asked_for_are_in_the_text(task: str, values: int) -> None:
    for context in contexts(NIAH, f"{task}_500", samples=3):
        (question,) = context.questions
        key = re.search(r"codes? of (\w+)", question.text)
        assert key is not None
        wanted = re.findall(rf"access code of {key[1]} is (\d{{7}})\.", context.text)
        assert sorted(wanted) == sorted(question.reference)
        assert len(wanted) == values


def test_several_questions_share_one_text() -> None:
    first, second = contexts(NIAH, "multikey_500", samples=5, questions=3)
    assert [len(first.questions), len(second.questions)] == [3, 2]
    assert len({question.id for context in (first, second) for question in context.questions}) == 5


def test_variables_lead_to_their_value() -> None:
    for context in contexts(VT, "hops3_500", samples=3):
        (question,) = context.questions
        value = re.search(r"value (\d+)", question.text)
        assert value is not None
        held: dict[str, str] = {}
        for name, given_ in re.findall(r"VAR (\w+) = (\w+)\.", context.text):
            held[name] = held.get(given_, given_)
        assert sorted(question.reference) == sorted(name for name, number in held.items() if number == value[1])
        assert len(question.reference) == 4


@pytest.mark.parametrize("subset", ["top5_220", "top5_800"])
def test_common_words_are_the_most_common(subset: str) -> None:
    for context in contexts(CWE, subset, samples=3):
        counted = Counter(re.findall(r"^\d+\. ([\w-]+)", context.text, re.MULTILINE))
        assert {word for word, _ in counted.most_common(5)} == set(context.questions[0].reference)
        assert counted.most_common(6)[5][1] < counted.most_common(5)[4][1]


def test_a_long_list_has_enough_words() -> None:
    (context,) = contexts(CWE, "top10_9000", samples=1)
    assert len(Pieces().encode(context.text)) == 9000


def test_words_are_counted_where_no_tokenizer_is() -> None:
    (context,) = NIAH.contexts(DataAsk(subset="single_100", samples=1), None)
    assert len(Words().encode(context.text)) == 100


def test_too_few_tokens_for_what_must_be_there_are_told() -> None:
    with pytest.raises(DatasetError, match="too few"):
        contexts(NIAH, "multikey40_64", samples=1)
    with pytest.raises(DatasetError, match="too few"):
        contexts(CWE, "top10_100", samples=1)  # or common words would be no more common than rare ones


def test_a_length_that_no_padding_reaches_is_told() -> None:
    class Pairs(Words):
        def encode(self, text: str) -> list[int]:
            return [0] * (2 * len(text.split()))

    with pytest.raises(DatasetError, match="exactly"):
        exact_text(lambda pieces, padding: "word " * pieces + padding, tokens=101, tokenizer=Pairs())


@pytest.mark.parametrize("subset", ["singel_512", "single", "single_", "single_12", "single_99999999", "single2_512"])
def test_a_wrong_subset_is_told_where_it_stands(subset: str) -> None:
    with pytest.raises(BadValue) as caught:
        NIAH.resolve(BenchmarkAsk(name="niah", subsets=("single_512", subset)))
    assert caught.value.path == ("subsets", 1)
    assert caught.value.fix


@pytest.mark.parametrize("options", [{"key": 3}, {"keys": 0}, {"keys": 1.5}, {"keys": True}, {"keys": "3"}])
def test_a_wrong_option_is_told_where_it_stands(options: dict[str, object]) -> None:
    with pytest.raises(BadValue) as caught:
        NIAH.resolve(BenchmarkAsk(name="niah", subsets=("single_512",), options=options))
    assert caught.value.path == (next(iter(options)),)


def test_no_subset_is_told_with_an_example() -> None:
    with pytest.raises(BadValue, match="single_512"):
        NIAH.resolve(BenchmarkAsk(name="niah"))


def test_what_a_subset_takes_is_known_before_it_is_made() -> None:
    (subset,) = NIAH.resolve(BenchmarkAsk(name="niah", subsets=("multivalue_2048",))).subsets
    assert (subset.context_tokens, subset.new_tokens, subset.samples) == (2048, 48, 20)


def test_an_answer_counts_by_the_values_it_names() -> None:
    answers = [
        StoredAnswer(sample="a", answer="They are 123 and 456.", reference=["123", "456"]),
        StoredAnswer(sample="b", answer="123, maybe 4567", reference=["123", "456"]),
        StoredAnswer(sample="c", answer="", reference=["123", "456"]),
    ]
    scores = NIAH.score("multivalue_512", answers)
    assert scores is not None
    assert scores.samples == (1.0, 0.5, 0.0)
    assert scores.metrics == {"recall": 0.5, "all_found": pytest.approx(1 / 3)}
