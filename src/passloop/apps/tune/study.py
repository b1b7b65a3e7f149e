"""A study as it is meant: its space, candidates, load, objectives and limits, and the order that a trial is given.

Made from a spec file by the command line, and again from JSON text by the engine; both make the same. It asks no
sampler and measures nothing.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from typing import Any

from passloop.apps.partial import partial_of
from passloop.apps.places import place_name
from passloop.apps.secrecy import looks_secret
from passloop.apps.spec_file import SpecFile
from passloop.apps.yaml_nodes import Complaint

from .candidates import Box, Candidate, CandidateMaker
from .examining import examined
from .facts import Facts, facts_of
from .identity import FORMAT, digest
from .measured import COUNTED, check_load
from .parts import Parts, parts_of
from .records import EngineOrder, Limits, LoadOrder, Objective, Order, Slo, Value
from .space import Space
from .spec import TuneSpec, check_kind, plain_of
from .vram import Peak

__all__ = ["Study", "study_of_file", "study_of_text"]

SMALL_SPACE = 100
OF_CANDIDATES = frozenset({"model", "engine", "space", "fixed", "presets", "constraints", "resources"})
OF_LOADS = frozenset({"load", "objectives", "slo"})
"""Keys that are checked together: with a mistake of form in one, nothing is said about the others."""
MOST_BY_DEFAULT = 50


class Study:
    """One study. `folder` is what paths of the spec are relative to, `cwd` where it was started. Nothing changes."""

    def __init__(
        self, plain: Mapping[str, Any], spec: TuneSpec, parts: Parts, *, folder: Path, cwd: Path, python: str
    ) -> None:
        self.spec = spec
        self.folder = folder
        self.cwd = cwd
        self._plain = plain
        self._parts = parts
        self._python = python
        self._box = Box()

    @property
    def name(self) -> str:
        """The study's name."""
        return self.spec.tune

    @property
    def space(self) -> Space:
        """The search space."""
        return self._parts.space

    @property
    def load(self) -> LoadOrder:
        """How each server is loaded."""
        return self._parts.load

    @property
    def hash(self) -> str:
        """16 hex digits of the whole spec."""
        return digest(self._plain)

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """What is to be made best."""
        return self._parts.objectives

    @property
    def slo(self) -> tuple[Slo, ...]:
        """The limits that a feasible trial keeps."""
        return self._parts.slo

    @property
    def limits(self) -> Limits:
        """The most that each phase of a trial may take."""
        return self._parts.limits

    @property
    def notes(self) -> tuple[str, ...]:
        """What is allowed and yet worth telling."""
        return tuple(self._parts.notes)

    @property
    def out(self) -> Path:
        """The folder of its answers."""
        return (self.cwd / (self.spec.out or f"results/{place_name(self.name)}")).absolute()

    @property
    def task_class(self) -> str:
        """The class under which run times of its trials are learned."""
        return f"tune {self.name}"

    @cached_property
    def max_trials(self) -> int:
        """When it stops: as the spec says, else all of a small space, or 50."""
        if self.spec.search.max_trials is not None:
            return self.spec.search.max_trials
        points = self.space.points
        walked = self.spec.search.sampler in ("grid", "bruteforce")
        return points if points is not None and (walked or points <= SMALL_SPACE) else MOST_BY_DEFAULT

    @cached_property
    def id(self) -> str:
        """16 hex digits of what a spec determines measurements by: engine and load; of the limits, too, where requests
        are counted by them.
        """
        engine = self.engine_order(())
        load = {**_plain(self.load), "prompts": self._prompts_told}
        metrics = {*(each.metric for each in self.objectives), *(each.metric for each in self.slo)}
        found = self.spec.load.max_load
        limits = [_plain(each) for each in self.slo] if metrics & COUNTED or found is not None else []
        told = {**_plain(engine), "cwd": self.spec.engine.cwd, "server": self._server}
        return digest([told, load, limits, None if found is None else found.model_dump()])

    @property
    def _server(self) -> list[str | None]:
        """Which server it is, whatever its flags are: its family, its model, and its words before the first flag or
        parameter. Other servers are other studies: neither waits for the other, and each has its own trial 0.
        """
        spec = self.spec
        braces = tuple(f"{{{name}}}" for name in (*self.space.names, *spec.fixed, "port"))
        words = takewhile(lambda word: not word.startswith(("--", *braces)), spec.engine.argv or ())
        return [spec.engine.family, None if spec.model is None else spec.model.source, *words]

    @property
    def box(self) -> Box:
        """The machine that candidates are judged by."""
        return self._box

    def on(self, box: Box) -> Study:
        """The same study, where candidates that this machine cannot hold are invalid."""
        made = Study(self._plain, self.spec, self._parts, folder=self.folder, cwd=self.cwd, python=self._python)
        made._box = box
        return made

    def candidate(self, params: Mapping[str, Value], peaks: Iterable[Peak] = ()) -> Candidate:
        """The candidate of these parameters; where memory is `auto`, by what other trials took, too."""
        return self._maker.candidate(params, peaks)

    @cached_property
    def baseline(self) -> Candidate | None:
        """Trial 0: the parameters that `search.baseline` names, the others as the engine has them. None if there is
        none, or if it cannot run.
        """
        said = self.spec.search.baseline
        if said is False:
            return None
        candidate = self.candidate({} if said is True else said)
        return None if candidate.invalid else candidate

    def order(self, candidate: Candidate, *, trial: int, best: float | None = None) -> Order:
        """All that the trial process is told; `best` is the best feasible value of the first objective."""
        found = self.spec.load.max_load
        return Order(
            study=self.id,
            trial=trial,
            params=candidate.params,
            hash=candidate.hash,
            engine=self.engine_order(candidate.argv, candidate.env),
            load=self._load_told,
            slo=self.slo,
            objectives=self.objectives,
            limits=self.limits,
            best=best,
            stop_early=self.spec.search.stop_early,
            scorer="penalty" if self.spec.scorer == "penalty" else "objective",
            search_load=None if found is None else found.model_dump(),
            gpus=candidate.gpus,
            seed=self.spec.load.seed,
        )

    def engine_order(self, argv: tuple[str, ...], env: Mapping[str, str] | None = None) -> EngineOrder:
        """The server to start with these words."""
        engine = self.spec.engine
        family = self._parts.family
        ready = engine.ready.path if "path" in engine.ready.model_fields_set else family.ready or engine.ready.path
        return EngineOrder(
            kind=engine.kind,
            argv=argv,
            env={name: value for name, value in (env or {}).items() if not looks_secret(name)},
            cwd=None if self._cwd is None else str(self._cwd),
            download=self._parts.download,
            ready_path=ready,
            reset=engine.reset or family.reset,
            ports=engine.ports,
            image=engine.image,
            options=engine.options,
            secrets=tuple(filter(looks_secret, env or {})),
        )

    def wire(self) -> str:
        """The study as JSON text: `study_of_text` makes the same of it."""
        return json.dumps(
            {
                "format": FORMAT,
                "spec": self._plain,
                "folder": str(self.folder),
                "cwd": str(self.cwd),
                "python": self._python,
                "facts": {name: getattr(self._parts.facts, name) for name in Facts.__slots__},
                "prompts": self._prompts_told,
            }
        )

    @property
    def _cwd(self) -> Path | None:
        cwd = self.spec.engine.cwd
        return None if cwd is None else (self.folder / cwd).absolute()

    @cached_property
    def _maker(self) -> CandidateMaker:
        return replace(self._parts.maker, box=self._box)

    @cached_property
    def _load_told(self) -> LoadOrder:
        """The load as trials are told it: with a file of prompts that is edited meanwhile none of them measures."""
        import msgspec

        is_file = self._prompts_told != self.load.prompts
        return msgspec.structs.replace(self.load, prompts_digest=self._prompts_told) if is_file else self.load

    @cached_property
    def _prompts_told(self) -> str:
        """The prompts as the id knows them: a file by what is in it."""
        prompts = self.load.prompts
        if prompts.startswith("builtin:"):
            return prompts
        with Path(prompts).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def study_of_file(file: SpecFile, *, cwd: Path) -> Study:
    """The study that a spec file means. Raises `SpecError` with all mistakes."""
    check_kind(file)
    read = partial_of(plain_of(file), file.root, TuneSpec)
    mistakes = _Mistakes(file, read.complaints, read.left_out)
    if read.model is None:
        raise file.error(mistakes.found)
    parts = parts_of(read.model, file.folder, facts_of(read.model.model, file.folder), sys.executable, mistakes.say)
    check_load(parts.load, mistakes.say)
    study = Study(plain_of(file), read.model, parts, folder=file.folder, cwd=cwd, python=sys.executable)
    if not mistakes.blur_the_space:
        parts.notes.extend(examined(study, mistakes.say))
    if mistakes.found:
        raise file.error(mistakes.found)
    return study


def study_of_text(text: str) -> Study:
    """The study that `wire` told."""
    told = json.loads(text)
    spec = TuneSpec.model_validate(told["spec"])
    folder, python = Path(told["folder"]), told["python"]
    parts = parts_of(spec, folder, Facts(**told["facts"]), python, _ignore)
    made = Study(told["spec"], spec, parts, folder=folder, cwd=Path(told["cwd"]), python=python)
    made.__dict__["_prompts_told"] = told["prompts"]  # as they were when the study was declared
    return made


class _Mistakes:
    """What is wrong with a spec. What stands on a part that cannot be read is not said: it may be right."""

    def __init__(self, file: SpecFile, found: list[Complaint], left_out: Iterable[tuple[str | int, ...]]) -> None:
        self.found = found
        self._file = file
        self._unread = {str(path[0]) for path in left_out if path}
        self._said: set[str] = set()

    @property
    def blur_the_space(self) -> bool:
        """Whether candidates cannot be made of what is left."""
        return bool(OF_CANDIDATES & (self._unread | self._said))

    def say(self, path: tuple[str | int, ...], what: str, fix: str) -> None:
        """Note a mistake."""
        key = str(path[0])
        if not any(key in group and group & self._unread for group in (OF_CANDIDATES, OF_LOADS)):
            self._said.add(key)
            self.found.append(self._file.complaint(path, what, fix))


def _ignore(path: tuple[str | int, ...], what: str, fix: str) -> None:
    """Mistakes were told when the study was declared; a file that is gone since then fails its trials, by name."""


def _plain(record: Any) -> dict[str, Any]:
    import msgspec

    told: dict[str, Any] = msgspec.to_builtins(record)
    return told
