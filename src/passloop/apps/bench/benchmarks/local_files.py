"""Benchmarks from local JSONL files: `ruler`, `longbench`, `files`. A subset is a file of the folder that is named.

Prompts are the rows' own texts and a plain frame of this project, so figures compare methods with each other and not
with published tables. Nothing is fetched.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from passloop.apps.bench.models.digests import digest_of_file
from passloop.apps.bench.models.places import models_folder
from passloop.apps.errors import BadValue, did_you_mean
from passloop.apps.text import shown

from . import text_scores
from .base import (
    BenchmarkAsk,
    Context,
    DataAsk,
    Question,
    ResolvedBenchmark,
    ResolvedSubset,
    Scores,
    StoredAnswer,
    Tokenizer,
)
from .rows import Row, rows_by_context, rows_of

__all__ = ["FILES", "LONGBENCH", "RULER", "LocalFiles"]

ENDINGS = (".jsonl", ".jsonl.gz")
OPTIONS = ("folder", "scorer", "max_new_tokens")
BYTES_PER_TOKEN = 4
"""For estimates only."""
SCORER = "scorer"
DEFAULT_NEW_TOKENS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalFiles:
    """See `BenchmarkKind`. Options: `folder` (of the files), `scorer`, `max_new_tokens` where a row does not say.

    `scorers` names the scorer of a subset by the beginning of its name, `usual` that of the others; `every` True: all
    references have to be named, and the score is the share that is, but in subsets whose name begins with `either`.
    """

    name: str
    usual: str
    scorers: Mapping[str, str]
    every: bool = False
    either: tuple[str, ...] = ()
    version: str = "1"
    scorer_version: str = "2"
    adapter: str | None = None

    def resolve(self, ask: BenchmarkAsk) -> ResolvedBenchmark:
        """Find the files."""
        for name in ask.options:
            if name not in OPTIONS:
                raise BadValue(f"{self.name} has no option {shown(name)}", did_you_mean(name, OPTIONS), path=(name,))
        folder = self._folder(ask)
        found = {path.name.removesuffix(ending): path for ending in ENDINGS for path in folder.glob(f"*{ending}")}
        if not found:
            raise BadValue(f"{shown(str(folder))} has no JSONL files", "put them there: NAME.jsonl", path=("folder",))
        for place, name in enumerate(ask.subsets):
            if name not in found:
                fix = did_you_mean(name, found)
                raise BadValue(f"{self.name} has no file {shown(name)}.jsonl", fix, path=("subsets", place))
        options = {SCORER: self._scorer(ask.options), "max_new_tokens": _tokens(ask.options)}
        subsets = tuple(_subset(name, found[name], options) for name in ask.subsets or sorted(found))
        return ResolvedBenchmark(subsets=subsets, options=options, places={"folder": str(folder)}, metric="score")

    def contexts(self, ask: DataAsk, tokenizer: Tokenizer | None) -> Iterator[Context]:
        """The rows of a file, in its order."""
        left = ask.samples
        for shared in rows_by_context(rows_of(_path(Path(ask.options["folder"]), ask.subset))):
            wanted = shared if left is None else shared[:left]
            if not wanted:
                return
            yield self._context(wanted, ask)
            left = None if left is None else left - len(wanted)

    def score(self, subset: str, answers: Sequence[StoredAnswer]) -> Scores | None:
        """By the subset's scorer; a reference says which where the spec did."""
        scores = tuple(self._scored(subset, each) for each in answers)
        return Scores(metrics={"score": sum(scores) / (len(scores) or 1)}, samples=scores)

    def _context(self, rows: Sequence[Row], ask: DataAsk) -> Context:
        questions = []
        for row in rows:
            most = row.new_tokens or ask.options["max_new_tokens"]
            reference = {"answers": list(row.answers), SCORER: ask.options[SCORER]}
            text = f"\n\n{row.question}" if row.question else ""
            generation = {"max_new_tokens": most} if most else {}
            questions.append(
                Question(
                    id=str(row.number),
                    text=text,
                    answer_prefix=row.prefix,
                    reference=reference,
                    generation=generation,
                )
            )
        return Context(id=str(rows[0].number), text=rows[0].context, questions=tuple(questions))

    def _scored(self, subset: str, answer: StoredAnswer) -> float:
        reference = answer.reference if isinstance(answer.reference, Mapping) else {}
        scorer = reference.get(SCORER) or self._usual(subset)
        wanted = list(reference.get("answers", ()))
        if self.every and wanted and not subset.startswith(self.either):
            return sum(text_scores.best(scorer, answer.answer, [each]) for each in wanted) / len(wanted)
        return text_scores.best(scorer, answer.answer, wanted)

    def _usual(self, subset: str) -> str:
        return next((scorer for begin, scorer in self.scorers.items() if subset.startswith(begin)), self.usual)

    def _folder(self, ask: BenchmarkAsk) -> Path:
        named = ask.options.get("folder")
        if not isinstance(named, str):
            fix = f"say where its files are: {self.name}: {{folder: ./data}}"
            raise BadValue(f"{self.name} has no folder", fix, path=("folder",) if "folder" in ask.options else ())
        folder = (ask.folder / Path(named).expanduser()).resolve()
        if not folder.is_dir():
            raise BadValue(f"there is no folder {shown(str(folder))}", "put the JSONL files there", path=("folder",))
        return folder

    def _scorer(self, options: Mapping[str, Any]) -> str | None:
        """The scorer that the spec names; None: by the subset's name."""
        named = options.get(SCORER)
        if named is not None and named not in text_scores.SCORERS:
            raise BadValue(f"scorer is {shown(named)}", did_you_mean(str(named), text_scores.SCORERS), path=(SCORER,))
        return named


def _path(folder: Path, subset: str) -> Path:
    plain = folder / f"{subset}.jsonl"
    return plain if plain.exists() else folder / f"{subset}.jsonl.gz"


def _subset(name: str, path: Path, options: Mapping[str, Any]) -> ResolvedSubset:
    rows = _lines(path)
    return ResolvedSubset(
        name=name,
        data=digest_of_file(path, models_folder()),
        context_tokens=path.stat().st_size // max(1, rows) // BYTES_PER_TOKEN,
        new_tokens=options["max_new_tokens"] or DEFAULT_NEW_TOKENS,
        samples=rows,
    )


def _lines(path: Path) -> int:
    """How many rows a file has; a packed one is not unpacked for it."""
    if path.suffix == ".gz":
        return 1
    with path.open("rb") as file:
        return sum(1 for line in file if line.strip())


def _tokens(options: Mapping[str, Any]) -> int | None:
    value = options.get("max_new_tokens")
    if value is not None and (type(value) is not int or not 1 <= value <= 1_000_000):
        raise BadValue(f"max_new_tokens is {shown(value)}", "write a whole number from 1", path=("max_new_tokens",))
    return value


FILES = LocalFiles(name="files", usual="f1", scorers={})
RULER = LocalFiles(name="ruler", usual="string_match", scorers={}, every=True, either=("qa",))
"""Its `string_match_all`, and its `string_match_part` of questions."""
LONGBENCH = LocalFiles(
    name="longbench",
    usual="f1",
    scorers={
        "gov_report": "rouge_l",
        "qmsum": "rouge_l",
        "multi_news": "rouge_l",
        "samsum": "rouge_l",
        "trec": "recall",
        "lsht": "recall",
        "passage_count": "count",
        "passage_retrieval": "retrieval",
    },
)
