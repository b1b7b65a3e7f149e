"""The contract of adapters. An adapter has two halves: a light kind, which `plan` and the command line import, and the
adapter proper, which a worker makes and which may import what it likes.

The kind resolves what the spec says (is the model there, does the method take these parameters, what must be loaded)
and never imports a library of models. The adapter loads, runs cells, goes back to what it was after loading, and
unloads; it never writes a cell's folder, never retries, never looks for a device: the cell runner, the kernel and the
grant do.

Plugins are entry points of the group `passloop.bench.adapters`, each naming an `AdapterKind` object.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from passloop.apps.bench.benchmarks.base import Context, Question, StoredAnswer, Tokenizer

__all__ = [
    "NOTHING",
    "Adapter",
    "AdapterKind",
    "CellNames",
    "CellReport",
    "CellWork",
    "Granted",
    "LoadNeeds",
    "MethodAsk",
    "ModelAsk",
    "ModelShape",
    "Recorder",
    "ResolvedMethod",
    "ResolvedModel",
    "Scalar",
]

Scalar = str | int | float | bool | None
NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelAsk:
    """A model as the spec names it. `load` are load arguments (dtype, attn_implementation, device_map, ...) as
    written; `options` what else stands beside it. A relative path in `source` is relative to `folder`.
    """

    name: str
    source: str = ""
    revision: str | None = None
    load: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    folder: Path = Path()


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelShape:
    """What the memory formula and the order of cells are made from. Sizes in bytes and counts; 0 is unknown."""

    parameters: int = 0
    weight_bytes: int = 0
    layers: int = 0
    heads: int = 0
    kv_heads: int = 0
    head_dim: int = 0
    cache_bytes: int = 2
    """Bytes of one number in the cache of keys and values."""
    eager: bool = False
    """Attention that writes out the matrix of all scores, layer by layer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedModel:
    """A model as it was found. `weights` is a revision or a digest of the files and goes into the identity, as does
    `load`, the complete load arguments; `source` is what the worker opens and does not.
    """

    weights: str
    source: str = ""
    load: Mapping[str, Any] = field(default_factory=dict)
    shape: ModelShape | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodAsk:
    """A sparse attention configuration as the spec names it. `method` None is dense."""

    name: str
    method: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedMethod:
    """A method with all its parameters, defaults too; what cannot be built is an error, never a dense run.

    `load` are load arguments it changes (such as eager attention), `mutates_model` tells that a run may leave the
    loaded model changed, `kept` the share of the cache it keeps (1.0 = all; None = unknown), `version` the package's.
    """

    method: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    load: Mapping[str, Any] = field(default_factory=dict)
    mutates_model: bool = False
    kept: float | None = None
    version: str = ""


class AdapterKind(Protocol):
    """The light half. `free_names` tells that the names on all axes are the user's own and mean nothing here: they
    are not looked up, and they are part of a cell's identity. Kinds of one `family` create the same adapter, so that
    what one of them loaded serves the cells of the others. `warm` tells that cells run in a worker that keeps what is
    loaded; else each is a process of its own, whose whole tree ends with it.
    """

    name: str
    family: str
    free_names: bool
    warm: bool

    def resolve_model(self, ask: ModelAsk) -> ResolvedModel:
        """Find the model. Raises `BadValue` (what, how to fix) when it is not there or an argument is wrong."""
        ...

    def resolve_method(self, ask: MethodAsk, model: ResolvedModel) -> ResolvedMethod:
        """Check the method against this model. Raises `BadValue`, with `path` to the parameter that is wrong."""
        ...

    def check_generation(self, arguments: Mapping[str, Any]) -> None:
        """Check the arguments of generation. Raises `BadValue`."""
        ...

    def resolve_options(self, options: Mapping[str, Any], folder: Path) -> Mapping[str, Any]:
        """Check what the spec says under `options` (with `command`, `env` or `python` where the adapter has them); the
        result, with defaults and absolute paths, is part of the identity. Raises `BadValue`, with `path` to what is
        wrong from the top of the spec (`("options", "chat")`).
        """
        ...

    def create(self, options: Mapping[str, Any]) -> Adapter:
        """Make the adapter proper, in the worker. Raises `DependencyMissing`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadNeeds:
    """What must be loaded for a cell: cells with equal needs (equal `key`) share one loaded model."""

    key: str
    model: str
    source: str
    weights: str
    load: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """What the attempt was granted: UUIDs of GPUs in the order of CUDA_VISIBLE_DEVICES, and CPU threads to use."""

    gpus: tuple[str, ...] = ()
    threads: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class CellNames:
    """The four names of a cell as the spec writes them; `subset` is empty for a whole benchmark."""

    model: str
    sparse_attention: str
    benchmark: str
    subset: str = ""


class Recorder(Protocol):
    """Where a running cell leaves its answers; each survives the process before the next question is asked."""

    def answer(self, question: Question, text: str, *, score: float | None = None, **extra: Scalar) -> None:
        """Keep the answer to a question. `score` only from adapters that score themselves."""
        ...

    def note(self, event: str, **facts: Scalar) -> None:
        """One line of the attempt's log."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CellWork:
    """One cell to run on what is loaded.

    `contexts` makes the contexts, each with only the questions that have no answer yet, in the benchmark's order; an
    adapter prefills a context once for all its questions. `answered` has the ids of samples that earlier attempts
    answered. `generation` are the cell's arguments; a question may have its own (`Question.generation`), which hold
    for it alone. `options` are the benchmark's. `out` is a folder for the adapter's own files.
    `names.sparse_attention` names the configuration, `method` is what it means.
    """

    names: CellNames
    adapter: str = ""
    method: ResolvedMethod
    options: Mapping[str, Any] = field(default_factory=dict)
    generation: Mapping[str, Any] = field(default_factory=dict)
    samples: int | None = None
    seed: int = 0
    granted: Granted = field(default_factory=Granted)
    out: Path = Path()
    attempt: int = 1
    """How often this cell was begun, from 1."""
    answered: frozenset[str] = frozenset()
    blank: tuple[str, ...] = ()
    """Parameters that other configurations of the matrix have and this one has not."""
    contexts: Callable[[Tokenizer | None], Iterable[Context]] = lambda _tokenizer: ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CellReport:
    """How a cell went. `metrics` None: the benchmark's scorer scores the answers recorded. `usage` has figures that are
    no result: `peak_vram_mib`, `peak_mib` (host), `context_tokens`, `new_tokens`, `kept` (share of the cache).
    `samples` are for who asks all questions anew in each attempt: all answers of the cell, in place of those recorded
    in this attempt and earlier ones (None: the recorded ones count).
    """

    metrics: Mapping[str, Scalar] | None = None
    usage: Mapping[str, float] = field(default_factory=dict)
    samples: tuple[StoredAnswer, ...] | None = None


class Adapter(Protocol):
    """The heavy half: lives in a worker, has at most one thing loaded."""

    def load(self, needs: LoadNeeds, granted: Granted) -> None:
        """Load what the next cells need; nothing else is loaded then. Raises `CellError`s or foreign errors, which are
        classed by type.
        """
        ...

    def run_cell(self, cell: CellWork, record: Recorder) -> CellReport:
        """Run one cell on what is loaded."""
        ...

    def reset(self) -> None:
        """Drop everything a cell may have left (caches, hooks, seeds), so that the next finds what `load` left."""
        ...

    def fingerprint(self) -> str:
        """A digest of the state of what is loaded, the same before and after any cell that left it unchanged."""
        ...

    def unload(self) -> None:
        """Free everything, the device's memory too."""
        ...
