"""The adapter proper of `hf` and `lm_eval`: one warm model, and cells on it under any method.

A context is read once, under the method, for all its questions; each question begins from the same cache, with its own
arguments and seed. A method that cannot be built ends the cell. It never writes a cell's folder.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from passloop.apps.bench.adapters.base import CellReport, CellWork, Granted, LoadNeeds, Recorder
from passloop.apps.bench.benchmarks.base import Context, Question
from passloop.apps.bench.methods.presses import Applied, applied

from . import torch_edge
from .chat import Chat, PlainTokenizer
from .generating import arguments_of, generated, kept_as_is, seed_of
from .loading import LoadedModel
from .reading import ReadContext, Reader
from .usage import Usage

__all__ = ["TransformerAdapter"]

HARNESS = "lm_eval"


class TransformerAdapter:
    """See `adapters.base.Adapter`. `options`: `chat` False writes prompts without the model's chat template."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._templated = bool(options.get("chat", True))
        self._loaded: LoadedModel | None = None

    def load(self, needs: LoadNeeds, granted: Granted) -> None:
        """Load the model; another one is freed first."""
        self.unload()
        self._loaded = LoadedModel(needs, granted)

    def run_cell(self, cell: CellWork, record: Recorder) -> CellReport:
        """Answer the questions of a cell, or run its task of lm-eval."""
        import torch

        loaded = self._model()
        torch.set_num_threads(max(1, cell.granted.threads))
        torch_edge.reset_peaks(torch)
        usage = Usage()
        method = applied(cell.method)
        with torch_edge.running(cell.method.method or "dense", loaded.device_id), torch.inference_mode():
            if cell.adapter == HARNESS:
                from .harness import run_task

                run_task(cell, record, loaded=loaded, method=method, usage=usage)
            else:
                _Answering(loaded, method, cell, templated=self._templated).run(record, usage)
        return CellReport(usage=usage.figures(cell.method.kept))

    def reset(self) -> None:
        """Back to what `load` left."""
        if self._loaded is not None:
            self._loaded.reset()

    def fingerprint(self) -> str:
        """A digest of the loaded model; empty without one."""
        return self._loaded.fingerprint() if self._loaded is not None else ""

    def unload(self) -> None:
        """Free the model."""
        if self._loaded is not None:
            self._loaded.unload()
            self._loaded = None

    def _model(self) -> LoadedModel:
        if self._loaded is None:
            raise RuntimeError("run_cell was called before load")
        return self._loaded


class _Answering:
    """One cell's contexts and questions."""

    def __init__(self, loaded: LoadedModel, method: Applied, cell: CellWork, *, templated: bool) -> None:
        self._loaded = loaded
        self._method = method
        self._cell = cell
        self._chat = Chat(loaded.tokenizer, templated=templated)
        self._reader = Reader(loaded.model, method)

    def run(self, record: Recorder, usage: Usage) -> None:
        """Answer everything that has no answer yet."""
        for context in self._cell.contexts(PlainTokenizer(self._loaded.tokenizer)):
            if context.questions:
                self._answer_all(context, record, usage)

    def _answer_all(self, context: Context, record: Recorder, usage: Usage) -> None:
        read = self._reader.read(self._chat.context(context.text), seed=seed_of(self._cell.seed, context.id))
        usage.add_context(read)
        for question in context.questions:
            text, made = self._answer(question, read)
            usage.add_answer(made)
            record.answer(question, text, new_tokens=made, context_tokens=read.tokens, kept_tokens=read.kept_tokens)

    def _answer(self, question: Question, read: ReadContext) -> tuple[str, int]:
        model = self._loaded.model
        with kept_as_is(read.cache), self._method.answering(model):
            return generated(
                model,
                read.cache,
                self._chat.question(question.text, question.answer_prefix),
                position=read.position,
                arguments=arguments_of(self._cell.generation, question.generation),
                seed=seed_of(self._cell.seed, question.id),
                tokenizer=self._loaded.tokenizer,
            )


logging.getLogger("kvpress").setLevel(logging.ERROR)
