"""Whether what a study's trials stand on is on this machine: the server's program, that of the download and of the load
client, docker's SDK, and what the sampler wants. It looks and starts nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from passloop.apps.presence import has_module, has_program
from passloop.apps.spec_file import SpecFile
from passloop.apps.text import shown
from passloop.apps.yaml_nodes import Complaint

from .families import family_of
from .load.adapters.table import ADAPTERS
from .search.samplers import MissingPart, check_parts
from .study import Study

__all__ = ["missing_parts"]


def missing_parts(file: SpecFile, study: Study, *, environ: Mapping[str, str]) -> list[Complaint]:
    """What is not there, each at its place in `file`; `environ` is what trials get beside their own."""
    return [*_programs(file, study, environ), *_client(file, study, environ), *_sampler(file, study)]


def _programs(file: SpecFile, study: Study, environ: Mapping[str, str]) -> Iterator[Complaint]:
    engine = study.spec.engine
    if engine.kind == "docker":
        if not has_module("docker"):
            yield file.complaint(("engine", "kind"), "docker's SDK is not installed", "pip install 'passloop[docker]'")
        return
    cwd = str(study.cwd if engine.cwd is None else study.folder / engine.cwd)
    path = {**environ, **engine.env}.get("PATH")
    family = family_of(engine.family)
    place: tuple[str | int, ...] = ("engine", "argv", 0) if engine.argv else ("engine", "family")
    for where, words in ((place, engine.argv or family.argv), (("engine", "download", 0), engine.download)):
        word = words[0] if words else "{python}"
        if not has_program(word, cwd=cwd, path=path):
            fix = f"install it, or name a program that is on PATH, or a path from {cwd}"
            yield file.complaint(where, f"there is no program {shown(word)} here", fix)


def _client(file: SpecFile, study: Study, environ: Mapping[str, str]) -> Iterator[Complaint]:
    adapter = ADAPTERS.get(study.load.client)
    if adapter is None:
        return
    program = study.load.options.get("program")
    word = program if isinstance(program, str) else adapter.program
    if not has_program(word, cwd=str(study.cwd), path=environ.get("PATH")):
        where = ("load", "options", "program") if program is not None else ("load", "client")
        fix = "install it in an environment of its own and give its path as load.options.program"
        yield file.complaint(where, f"there is no program {shown(word)} here", fix)


def _sampler(file: SpecFile, study: Study) -> Iterator[Complaint]:
    try:
        check_parts(study.spec.search.sampler)
    except MissingPart as missing:
        yield file.complaint(("search", "sampler"), str(missing), "or choose another sampler")
