"""What the spec names -> what is there: models, methods, benchmarks, adapter options, each asked once.

Nothing is loaded. A mistake is noted with its place in the spec and not raised, so that all of them are reported
together; what could not be resolved is None.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from passloop.apps.errors import BadValue
from passloop.apps.secrecy import is_outside_identity
from passloop.apps.text import shown

from .adapters.base import AdapterKind, MethodAsk, ModelAsk, ResolvedMethod, ResolvedModel
from .benchmarks.base import BenchmarkAsk, BenchmarkKind, ResolvedBenchmark, ResolvedSubset
from .identity import canonical
from .plugins import adapter_kind, adapter_names, benchmark_kind
from .spec import Benchmark, BenchSpec
from .spec_checks import check_arguments

__all__ = ["FoundAdapter", "FoundBenchmark", "Mistake", "Resolver"]

T = TypeVar("T")
Path_ = tuple[str | int, ...]
_SLIP = 0.8
"""How near (difflib) an option's name is to a key of ours to be taken for it misspelt."""


class Mistake(NamedTuple):
    """Something wrong at a place of the spec."""

    path: Path_
    what: str
    fix: str


class FoundAdapter(NamedTuple):
    """An adapter with its options; `text` is its part of the identity."""

    name: str
    kind: AdapterKind
    options: Mapping[str, Any]
    text: str


class FoundBenchmark(NamedTuple):
    """A benchmark; `kind` is None where names are free. `text` is its part of the identity, subset apart."""

    name: str
    kind: BenchmarkKind | None
    resolved: ResolvedBenchmark
    text: str


class Resolver:
    """Asks adapters and benchmarks, and remembers what they said. `cwd` is where commands run."""

    def __init__(self, spec: BenchSpec, *, folder: Path, cwd: str) -> None:
        self._spec = spec
        self._folder = folder
        self._cwd = cwd
        self._known: dict[tuple[str, ...], Any] = {}
        self.mistakes: list[Mistake] = []
        self.kept_env: Mapping[str, str] = {}
        """The variables of `env:` that are part of the identity, once such an adapter was asked for."""

    def adapter_of(self, benchmark: str) -> FoundAdapter | None:
        """The adapter that runs cells of this benchmark: the benchmark's own, else the spec's."""
        name = self._spec.adapter
        kind = self._meant(name)
        if kind is not None and not kind.free_names:
            found = self.benchmark(benchmark)
            own = found.kind.adapter if found is not None and found.kind is not None else None
            name = own or name
        return self._once(("adapter", name), (), lambda: self._placed(name))

    def benchmark(self, name: str) -> FoundBenchmark | None:
        """The benchmark, its subsets and options."""
        return self._once(("benchmark", name), ("benchmarks", name), lambda: self._benchmark(name))

    def model(self, adapter: FoundAdapter, name: str, load: Mapping[str, Any]) -> ResolvedModel | None:
        """The model, with these load arguments."""
        key = ("model", adapter.name, name, canonical(load))
        return self._once(key, ("models", name), lambda: adapter.kind.resolve_model(self._model_ask(name, load)))

    def method(
        self, adapter: FoundAdapter, name: str, model: ResolvedModel, *, model_name: str
    ) -> ResolvedMethod | None:
        """The sparse attention configuration, for this model."""
        key = ("method", adapter.name, name, model_name, canonical(model.load))
        return self._once(key, ("sparse_attention", name), lambda: self._method(adapter, name, model))

    def generation(self, adapter: FoundAdapter, arguments: Mapping[str, Any]) -> None:
        """Check the arguments of generation; most stand under `defaults`."""
        key = ("generation", adapter.name, canonical(arguments))
        self._once(key, ("defaults",), lambda: adapter.kind.check_generation(arguments))

    def note(self, path: Path_, bad: BadValue) -> None:
        """Keep a mistake; the same one twice is one."""
        mistake = Mistake((*path, *bad.path), bad.what, bad.fix)
        if mistake not in self.mistakes:
            self.mistakes.append(mistake)

    def _once(self, key: tuple[str, ...], path: Path_, ask: Callable[[], T]) -> T | None:
        if key not in self._known:
            try:
                self._known[key] = ask()
            except BadValue as bad:
                self._known[key] = None
                self.note(path, bad)
        found: T | None = self._known[key]
        return found

    def _adapter_kind(self, name: str) -> AdapterKind | None:
        return self._once(("kind", name), ("adapter",), lambda: adapter_kind(name))

    def _meant(self, name: str) -> AdapterKind | None:
        """The adapter of this name, or where there is none the one that was most likely meant: so that mistakes in what
        is looked up with it are told together with its own.
        """
        kind = self._adapter_kind(name)
        if kind is not None or self._spec.command or self._spec.python:
            return kind
        near = get_close_matches(name, adapter_names(), n=1)
        return adapter_kind(near[0]) if near else None

    def _placed(self, name: str) -> FoundAdapter | None:
        """The adapter; with a mistake in its options it is there all the same, to look up names with it."""
        kind = self._meant(name)
        return None if kind is None else self._adapter(name, kind)

    def _adapter(self, name: str, kind: AdapterKind) -> FoundAdapter:
        spec = self._spec
        said = dict(spec.options)
        for key in ("command", "python"):
            if getattr(spec, key) is None:
                continue
            if key == name:
                said[key] = getattr(spec, key)
            else:
                fix = f"write adapter: {key}, or leave `{key}` out"
                self.note((), BadValue(f"`{key}` is not for the adapter {name}", fix, path=(key,)))
        options = self._options(kind, said)
        part: dict[str, Any] = {"name": name, "options": options}
        if kind.free_names:
            self.kept_env = {name: value for name, value in spec.env.items() if not is_outside_identity(name)}
            part |= {"code": f"directory:{self._cwd}", "env": self.kept_env}
        return FoundAdapter(name, kind, options, canonical(part))

    def _options(self, kind: AdapterKind, said: dict[str, Any]) -> Mapping[str, Any]:
        """The adapter's options. Of one with a mistake the next are looked at without it; a mistake that names no place
        is where the adapter is named.
        """
        while True:
            try:
                return kind.resolve_options(said, self._folder)
            except BadValue as bad:
                self.note((), BadValue(bad.what, bad.fix, path=bad.path or ("adapter",)))
                wrong = str(bad.path[1]) if bad.path[:1] == ("options",) and len(bad.path) > 1 else ""
                if wrong not in said:
                    return {}
                del said[wrong]

    def _benchmark(self, name: str) -> FoundBenchmark | None:
        entry = self._spec.benchmarks[name]
        spec_kind = self._meant(self._spec.adapter)
        check_arguments(entry.options)
        ask = BenchmarkAsk(name=name, subsets=tuple(entry.subsets), options=entry.options, folder=self._folder)
        if spec_kind is None or spec_kind.free_names:
            self._note_near_keys(name, entry)
            free = free_benchmark(ask)
            return FoundBenchmark(name, None, free, canonical({"name": name, "options": free.options}))
        kind = benchmark_kind(name)
        resolved = self._resolved(kind, ask)
        if resolved is None:
            return None
        part = {"name": name, "options": resolved.options, "version": kind.version}
        return FoundBenchmark(name, kind, resolved, canonical(part))

    def _note_near_keys(self, name: str, entry: Benchmark) -> None:
        """Where options have free names, one that is nearly a key of ours is a slip, and would be passed over."""
        for option in entry.options:
            near = get_close_matches(option, Benchmark.model_fields, n=1, cutoff=_SLIP)
            if near:
                bad = BadValue(f"unknown key {shown(option)}", f"did you mean {shown(near[0])}?", path=(option,))
                self.note(("benchmarks", name), bad)

    def _resolved(self, kind: BenchmarkKind, ask: BenchmarkAsk) -> ResolvedBenchmark | None:
        """What a benchmark resolves to. Of a subset or option with a mistake the others are looked at without it."""
        places, options, wrong = list(range(len(ask.subsets))), dict(ask.options), False
        while True:
            subsets = tuple(ask.subsets[place] for place in places)
            try:
                return kind.resolve(replace(ask, subsets=subsets, options=options))
            except BadValue as bad:
                at = bad.path[1] if bad.path[:1] == ("subsets",) and len(bad.path) > 1 else None
                if isinstance(at, int) and at < len(places):
                    self.note(("benchmarks", ask.name, "subsets"), BadValue(bad.what, bad.fix, path=(places.pop(at),)))
                elif bad.path and options.pop(str(bad.path[0]), None) is not None:
                    self.note(("benchmarks", ask.name), bad)
                elif wrong:
                    return None
                else:
                    raise
                wrong = True
                if ask.subsets and not places:
                    return None

    def _model_ask(self, name: str, load: Mapping[str, Any]) -> ModelAsk:
        entry = self._spec.models[name]
        return ModelAsk(
            name=name,
            source=entry.source,
            revision=entry.revision,
            load=load,
            options=entry.options,
            folder=self._folder,
        )

    def _method(self, adapter: FoundAdapter, name: str, model: ResolvedModel) -> ResolvedMethod | None:
        entry = self._spec.sparse_attention[name]
        check_arguments(entry.parameters)
        slip = get_close_matches("method", entry.parameters, n=1, cutoff=_SLIP) if entry.method is None else []
        if slip:
            what = f"{shown(slip[0])} would be a parameter of no method"
            raise BadValue(what, "did you mean `method`?", path=(slip[0],))
        found = self._resolved_method(adapter.kind, name, model)
        if found is None:
            return None
        if entry.method is not None and found.method is None:
            raise BadValue(f"the method {entry.method} came out as dense", "report this: a method must not be dropped")
        return found

    def _resolved_method(self, kind: AdapterKind, name: str, model: ResolvedModel) -> ResolvedMethod | None:
        """What a configuration resolves to. Of a parameter with a mistake the others are looked at without it."""
        entry = self._spec.sparse_attention[name]
        parameters, wrong = dict(entry.parameters), False
        while True:
            try:
                found = kind.resolve_method(MethodAsk(name=name, method=entry.method, parameters=parameters), model)
            except BadValue as bad:
                if bad.path and str(bad.path[0]) in parameters:
                    self.note(("sparse_attention", name), bad)
                    del parameters[str(bad.path[0])]
                elif wrong:
                    return None
                else:
                    raise
                wrong = True
            else:
                return None if wrong else found


def free_benchmark(ask: BenchmarkAsk) -> ResolvedBenchmark:
    """A benchmark that nobody looks up: its subsets as they were named."""
    subsets = tuple(ResolvedSubset(name=name) for name in ask.subsets) or (ResolvedSubset(),)
    return ResolvedBenchmark(subsets=subsets, options=ask.options)
