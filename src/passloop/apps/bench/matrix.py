"""A bench spec -> its cells, one after another: models, then sparse attention, then benchmarks, subsets, seeds.

Cells that `exclude` names, or no row of `include`, are left out; of cells with equal identity the first is kept. What
cells share is resolved and written down once; a cell itself costs little, so that a matrix can be walked again.
"""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from passloop.apps.errors import Problem, SpecError
from passloop.apps.spec_file import SpecFile

from .adapters.base import CellNames, LoadNeeds, ResolvedMethod, ResolvedModel
from .benchmarks.base import ResolvedSubset
from .identity import Ingredients, canonical, identity_of
from .names import cell_path
from .order import First
from .own_secrets import secret_mistakes
from .readable import readable_of
from .resolve import FoundAdapter, FoundBenchmark, Mistake, Resolver
from .results_folder import folder_mistakes, results_folder
from .rules import Rule, check_rows
from .settled import Settled, settle
from .spec import BenchSpec, check_kind

__all__ = ["Cell", "Matrix", "Point", "matrix_of", "matrix_of_file"]

NOT_FOUND = ResolvedModel(weights="")
"""Stands for a model that is not there, so that mistakes about methods are told together with it."""


class Point(NamedTuple):
    """What the cells of one model, configuration and benchmark share."""

    adapter: FoundAdapter
    model: ResolvedModel
    method: ResolvedMethod
    benchmark: FoundBenchmark
    settled: Settled
    needs: LoadNeeds
    dense: bool
    parts: Ingredients


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell. `index` counts from 0; `hash` and `identity` (canonical JSON) say what it is; `path` is its folder
    below the results.
    """

    index: int
    names: CellNames
    seed: int
    subset: ResolvedSubset
    point: Point
    settled: Settled
    hash: str
    identity: str
    path: str

    @property
    def label(self) -> str:
        """`model / configuration / benchmark / subset`, for people."""
        names = self.names
        return " / ".join(filter(None, (names.model, names.sparse_attention, names.benchmark, names.subset)))


@dataclass(frozen=True, slots=True)
class Matrix:
    """A checked matrix. `out` is the absolute folder of the results, `cwd` where commands run."""

    spec: BenchSpec
    name: str
    out: str
    cwd: str
    resolver: Resolver

    @property
    def dense_names(self) -> frozenset[str]:
        """The configurations that are dense: without a method and without parameters."""
        entries = self.spec.sparse_attention
        return frozenset(name for name, entry in entries.items() if entry.method is None and not entry.parameters)

    def places(self) -> int:
        """How many places of the matrix are kept, equal cells counted each."""
        return _Expansion(self).resolve()

    def cells(self) -> Iterator[Cell]:
        """Every cell, made one after another. Equal ones come once."""
        seen: set[str] = set()
        for cell in _Expansion(self).cells():
            if cell.hash not in seen:
                seen.add(cell.hash)
                yield cell


def matrix_of_file(file: SpecFile, *, cwd: str, first: str | None = None) -> Matrix:
    """The matrix of a spec file for a user in the directory `cwd`; `first` goes before what the spec says. Raises
    `SpecError` with every mistake found.
    """
    check_kind(file)
    found = readable_of(file)
    if found.complaints or found.spec is None:
        more = [] if found.spec is None else found.apart(_matrix(found.spec, file, folder=file.folder, cwd=cwd)[1])
        raise file.error([*found.complaints, *(file.complaint(each.path, each.what, each.fix) for each in more)])
    spec = found.spec
    if first is not None:
        spec = spec.model_copy(update={"first": First(first)})
    return _checked(spec, file, folder=file.folder, cwd=cwd)


def matrix_of(spec: BenchSpec, *, cwd: str, folder: Path | None = None) -> Matrix:
    """The matrix of a spec made in Python; input paths are relative to `folder` (else `cwd`). Raises `SpecError`."""
    return _checked(spec, None, folder=folder or Path(cwd), cwd=cwd)


def _checked(spec: BenchSpec, file: SpecFile | None, *, folder: Path, cwd: str) -> Matrix:
    matrix, mistakes = _matrix(spec, file, folder=folder, cwd=cwd)
    if mistakes:
        raise _error(file, mistakes)
    return matrix


def _matrix(spec: BenchSpec, file: SpecFile | None, *, folder: Path, cwd: str) -> tuple[Matrix, list[Mistake]]:
    """The matrix, and every mistake in what the spec names."""
    where = cwd if spec.cwd is None else os.path.normpath(os.path.join(folder, spec.cwd))
    resolver = Resolver(spec, folder=folder, cwd=where)
    out = results_folder(spec.bench, spec.out, cwd=cwd)
    matrix = Matrix(spec, file.name if file is not None else spec.bench, out, where, resolver)
    mistakes = [*_directory_mistakes(spec, where), *_row_mistakes(spec, resolver)]
    mistakes += folder_mistakes(spec.bench, out, key="bench" if spec.out is None else "out")
    points = len(spec.models) * len(spec.sparse_attention) * max(1, len(spec.seeds))
    count = points * sum(max(1, len(each.subsets)) for each in spec.benchmarks.values())
    if count > spec.limit:
        what = f"the matrix has {count:,} points, over the limit of {spec.limit:,}"
        mistakes.append(Mistake(("models",), what, "name fewer, or raise `limit`"))
    elif _Expansion(matrix).resolve() == 0 and not resolver.mistakes and not mistakes:
        mistakes.append(Mistake((), "no cell is left", "exclude less"))
    else:
        mistakes += secret_mistakes(resolver.kept_env, _Expansion(matrix).cells(), out)
    return matrix, [*mistakes, *resolver.mistakes]


def _error(file: SpecFile | None, mistakes: list[Mistake]) -> SpecError:
    if file is not None:
        return file.error([file.complaint(each.path, each.what, each.fix) for each in mistakes])
    return SpecError([Problem(each.what, each.fix, ".".join(map(str, each.path))) for each in mistakes])


def _directory_mistakes(spec: BenchSpec, where: str) -> Iterator[Mistake]:
    if not os.path.isdir(where):
        yield Mistake(("cwd",), f"the directory {spec.cwd} does not exist", "create it, or name another")


def _row_mistakes(spec: BenchSpec, resolver: Resolver) -> Iterator[Mistake]:
    """Rows that name what is on no axis. Subsets are known once their benchmark was found."""
    subsets: list[str] = []
    for name in spec.benchmarks:
        found = resolver.benchmark(name)
        subsets += spec.benchmarks[name].subsets
        subsets += [] if found is None else [each.name for each in found.resolved.subsets]
    axes: dict[str, Iterable[str]] = {
        "model": spec.models,
        "sparse_attention": spec.sparse_attention,
        "benchmark": spec.benchmarks,
        "subset": dict.fromkeys(subsets),
        "seed": [str(seed) for seed in spec.seeds or (spec.defaults.seed,)],
    }
    rows: list[tuple[tuple[str | int, ...], Mapping[str, Any]]] = []
    rows += [(("include", place), row) for place, row in enumerate(spec.include)]
    rows += [(("exclude", place), row) for place, row in enumerate(spec.exclude)]
    rows += [(("overrides", place, "where"), each.where) for place, each in enumerate(spec.overrides)]
    for path, row in rows:
        for axis, bad in check_rows(row, axes):
            yield Mistake((*path, axis), bad.what, bad.fix)


class _Expansion:
    """One walk over a matrix."""

    def __init__(self, matrix: Matrix) -> None:
        spec = matrix.spec
        self._spec = spec
        self._resolver = matrix.resolver
        self._dense = matrix.dense_names
        self._include = [Rule(row) for row in spec.include]
        self._exclude = [Rule(row) for row in spec.exclude]
        self._overrides = [(Rule(each.where), each.set) for each in spec.overrides]
        self._seeds = tuple(spec.seeds) or (spec.defaults.seed,)
        self._settled: dict[tuple[str, str, tuple[int, ...]], Settled] = {}
        self._points: dict[tuple[str, str, str, int], Point | None] = {}
        self._texts: dict[str, str] = {}

    def resolve(self) -> int:
        """Resolve everything that a cell stands on, so that every mistake is noted; how many cells there are."""
        return sum(1 for _ in self._places())

    def cells(self) -> Iterator[Cell]:
        """The cells in order; those whose parts could not be resolved are left out."""
        for index, (names, seed, subset, point) in enumerate(self._places()):
            if point is not None:
                yield self._cell(index, names, seed, subset, point)

    def _places(self) -> Iterator[tuple[CellNames, int, ResolvedSubset, Point | None]]:
        """Every place of the matrix that is kept."""
        spec = self._spec
        for model, sparse, name in itertools.product(spec.models, spec.sparse_attention, spec.benchmarks):
            benchmark = self._resolver.benchmark(name)
            subsets = benchmark.resolved.subsets if benchmark is not None else (ResolvedSubset(),)
            for subset, seed in itertools.product(subsets, self._seeds):
                names = CellNames(model=model, sparse_attention=sparse, benchmark=name, subset=subset.name)
                by_axis = _by_axis(names, seed)
                if self._kept(by_axis):
                    yield names, seed, subset, self._point(names, by_axis)

    def _kept(self, by_axis: Mapping[str, str]) -> bool:
        if self._include and not any(rule.matches(by_axis) for rule in self._include):
            return False
        return not any(rule.matches(by_axis) for rule in self._exclude)

    def _settle(self, names: CellNames, by_axis: Mapping[str, str]) -> Settled:
        chosen = tuple(place for place, (rule, _) in enumerate(self._overrides) if rule.matches(by_axis))
        key = (names.model, names.benchmark, chosen)
        if key not in self._settled:
            layers = [
                self._spec.defaults,
                self._spec.models[names.model],
                self._spec.benchmarks[names.benchmark],
                *(self._overrides[place][1] for place in chosen),
            ]
            self._settled[key] = settle(self._spec, layers)
        return self._settled[key]

    def _point(self, names: CellNames, by_axis: Mapping[str, str]) -> Point | None:
        settled = self._settle(names, by_axis)
        key = (names.model, names.sparse_attention, names.benchmark, id(settled))
        if key not in self._points:
            self._points[key] = self._resolved(names, settled)
        return self._points[key]

    def _resolved(self, names: CellNames, settled: Settled) -> Point | None:
        resolver = self._resolver
        benchmark = resolver.benchmark(names.benchmark)
        adapter = resolver.adapter_of(names.benchmark)
        model = resolver.model(adapter, names.model, settled.load) if adapter is not None else None
        if adapter is None:
            return None
        resolver.generation(adapter, settled.generation)
        method = resolver.method(adapter, names.sparse_attention, model or NOT_FOUND, model_name=names.model)
        if method is None or model is None or benchmark is None:
            return None
        load = {**model.load, **method.load}
        needs = _needs(adapter, names, model, load)
        dense = names.sparse_attention in self._dense
        parts = _parts(adapter, names, model, method, load, benchmark, settled)
        return Point(adapter, model, method, benchmark, settled, needs, dense, parts)

    def _cell(self, index: int, names: CellNames, seed: int, subset: ResolvedSubset, point: Point) -> Cell:
        parts = point.parts._replace(subset=self._text({"data": subset.data, "name": subset.name}), seed=seed)
        made = identity_of(parts)
        return Cell(
            index=index,
            names=names,
            seed=seed,
            subset=subset,
            point=point,
            settled=point.settled,
            hash=made.hash,
            identity=made.text,
            path=cell_path(
                model=names.model,
                sparse_attention=names.sparse_attention,
                benchmark=names.benchmark,
                subset=names.subset,
                cell=made.hash,
            ),
        )

    def _text(self, value: dict[str, str]) -> str:
        key = value["name"] + "\0" + value["data"]
        if key not in self._texts:
            self._texts[key] = canonical(value)
        return self._texts[key]


def _by_axis(names: CellNames, seed: int) -> dict[str, str]:
    return {
        "model": names.model,
        "sparse_attention": names.sparse_attention,
        "benchmark": names.benchmark,
        "subset": names.subset,
        "seed": str(seed),
    }


def _needs(adapter: FoundAdapter, names: CellNames, model: ResolvedModel, load: Mapping[str, Any]) -> LoadNeeds:
    free = adapter.kind.free_names
    key = canonical([adapter.kind.family, names.model if free else "", model.source, model.weights, load])
    return LoadNeeds(
        key=hashlib.sha256(key.encode()).hexdigest()[:32],
        model=names.model,
        source=model.source,
        weights=model.weights,
        load=load,
    )


def _parts(
    adapter: FoundAdapter,
    names: CellNames,
    model: ResolvedModel,
    method: ResolvedMethod,
    load: Mapping[str, Any],
    benchmark: FoundBenchmark,
    settled: Settled,
) -> Ingredients:
    free = {"model": names.model, "sparse_attention": names.sparse_attention} if adapter.kind.free_names else {}
    return Ingredients(
        adapter=adapter.text,
        model=canonical({"weights": model.weights}),
        load=canonical(load),
        method=canonical({"name": method.method, "parameters": method.parameters, "version": method.version}),
        benchmark=benchmark.text,
        subset="{}",
        generation=canonical(settled.generation),
        names=canonical(free),
        samples=settled.samples,
        seed=0,
    )
