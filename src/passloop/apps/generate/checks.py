"""What is wrong with a generate spec beside its form: keys that do not belong to a kind, unknown references, circles,
templates, schemas, seed files, secrets and modules. All mistakes together, each at its place; it calls nobody.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from passloop.apps.errors import BadValue, did_you_mean
from passloop.apps.presence import has_module
from passloop.apps.secrecy import looks_secret
from passloop.apps.spec_file import SpecFile
from passloop.apps.text import shown
from passloop.apps.yaml_nodes import Complaint
from passloop.drivers.calls.endpoints import Endpoint, is_reference
from passloop.drivers.calls.secrets import KeyMissing, resolve

from .graph import Graph, graph_of, outputs_of, said_templates
from .samplers import DISTRIBUTIONS, distribution_of
from .seeds import check_seed
from .spec import Column, Distributions, GenerateSpec
from .templates import is_condition, names_in

__all__ = ["check_spec"]

CONDITIONS = frozenset({"keep", "when"})
"""Keys whose template has to come out as true or false."""
_LLM = ("model", "prompt", "system", "skip", "refusals", "cut_off")
_ALLOWED: dict[str, tuple[str, ...]] = {
    "sampler": (*DISTRIBUTIONS, "conditional"),
    "seed": ("file", "order", "field"),
    "llm_text": _LLM,
    "llm_structured": (*_LLM, "schema"),
    "llm_judge": (*_LLM, "rubric"),
    "expression": ("expr",),
    "python": ("call", "needs", "outputs", "batch", "version"),
}
_WANTED: dict[str, tuple[str, ...]] = {
    "sampler": (),
    "seed": ("file",),
    "llm_text": ("model", "prompt"),
    "llm_structured": ("model", "prompt", "schema"),
    "llm_judge": ("model", "prompt", "rubric"),
    "expression": ("expr",),
    "python": ("call", "needs"),
}
_WEIGHTS_FIX = "give each value a weight, not all of them 0"


class _Checker:
    """Collects the complaints about one spec."""

    def __init__(self, file: SpecFile, spec: GenerateSpec, modules_in: tuple[str, ...] | None) -> None:
        """`modules_in` are the folders with modules of the user's own; None: no module is looked for."""
        self.file = file
        self.spec = spec
        self.modules_in = modules_in
        self.found: list[Complaint] = []
        self.known = {name for column in spec.columns for name in outputs_of(column)}
        self.known |= {column.name for column in spec.columns}

    def say(self, path: tuple[str | int, ...], what: str, fix: str) -> None:
        self.found.append(self.file.complaint(path, what, fix))


def check_spec(
    file: SpecFile, spec: GenerateSpec, *, cwd: Path, environ: Mapping[str, str] | None, looks_for_code: bool
) -> list[Complaint]:
    """Everything that is wrong. Keys are looked for in `environ`, none with None: a running engine has its own. Only if
    it `looks_for_code` modules of python columns are, beside the spec, in `cwd` and where this Python has its own.
    """
    checker = _Checker(file, spec, (str(file.folder), str(cwd)) if looks_for_code else None)
    _check_endpoints(checker, environ)
    _check_models(checker)
    names_differ = _check_names(checker)
    for place, column in enumerate(spec.columns):
        _check_column(checker, place, column)
    _check_template(checker, ("keep",), spec.keep)
    if names_differ:
        _check_circle(checker, graph_of(spec.columns))
    if spec.target is not None and spec.target > spec.rows:
        checker.say(("target",), f"target {spec.target} is more than rows {spec.rows}", "rows are the candidates")
    return checker.found


def _check_endpoints(checker: _Checker, environ: Mapping[str, str] | None) -> None:
    for name, entry in checker.spec.endpoints.items():
        path = ("endpoints", name)
        try:
            Endpoint(entry.base_url)
        except ValueError as error:
            checker.say((*path, "base_url"), str(error), "write it like http://127.0.0.1:8080/v1")
        _check_headers(checker, (*path, "headers"), entry.headers, environ)
        if entry.api_key is None:
            continue
        if entry.api_key.partition(":")[0] not in ("env", "file"):
            fix = "write env:NAME or file:PATH"
            checker.say((*path, "api_key"), "api_key is a reference, never the key itself", fix)
        elif environ is not None:
            try:
                resolve(entry.api_key, environ)
            except KeyMissing as missing:
                checker.say((*path, "api_key"), str(missing), f"export {entry.api_key.partition(':')[2]}=...")


def _check_headers(
    checker: _Checker, path: tuple[str, ...], headers: Mapping[str, str], environ: Mapping[str, str] | None
) -> None:
    for name, value in headers.items():
        if is_reference(value) and environ is not None:
            try:
                resolve(value, environ, what=shown(name))
            except KeyMissing as missing:
                checker.say((*path, name), str(missing), f"export {value.partition(':')[2]}=...")
        elif not is_reference(value) and looks_secret(name.replace("-", "_")):
            what = f"the header {shown(name)} looks like a secret, and its value would be stored"
            checker.say((*path, name), what, "write env:NAME or file:PATH, which is read when a call is made")


def _check_models(checker: _Checker) -> None:
    endpoints = checker.spec.endpoints
    for name, entry in checker.spec.models.items():
        if entry.endpoint not in endpoints:
            what = f"there is no endpoint {shown(entry.endpoint)}"
            checker.say(("models", name, "endpoint"), what, _suggestion(entry.endpoint, endpoints, "endpoints"))
        for key in ("model", "messages", "prompt", "stream"):
            if key in entry.params:
                checker.say(("models", name, "params", key), f"{shown(key)} is not said in params", "remove it")
    if checker.spec.limits.max_cost is not None:
        _check_prices(checker)


def _check_prices(checker: _Checker) -> None:
    """A limit of what is spent counts nothing for a model without a price, and would never be reached."""
    used = {column.model for column in checker.spec.columns}
    for name, entry in checker.spec.models.items():
        if name in used and entry.price is None:
            what = f"max_cost cannot count what {shown(name)} costs: it has no price"
            fix = f"say `price:` of {shown(name)}, per million tokens: {{input: 0.5, output: 1.5}}; of a free one 0"
            checker.say(("models", name), what, fix)


def _check_names(checker: _Checker) -> bool:
    """Whether each name means one column; without that nothing can be said of who waits for whom."""
    seen: dict[str, int] = {}
    known = len(checker.found)
    for place, column in enumerate(checker.spec.columns):
        for name in dict.fromkeys((column.name, *outputs_of(column))):
            if seen.setdefault(name, place) != place:
                checker.say(("columns", place, "name"), f"two columns make {shown(name)}", "give one another name")
    return len(checker.found) == known


def _check_column(checker: _Checker, place: int, column: Column) -> None:
    said = {("schema" if key == "schema_" else key) for key in column.model_fields_set} - {"name", "kind"}
    allowed, wanted = _ALLOWED[column.kind], _WANTED[column.kind]
    for key in sorted(said - set(allowed)):
        article = "an" if column.kind[0] in "aeiou" else "a"
        what = f"{article} {column.kind} column has no {shown(key)}"
        checker.say(("columns", place, key), what, did_you_mean(key, allowed))
    for key in wanted:
        if key not in said:
            checker.say(("columns", place), f"{shown(column.name)} says no {key}", _example(key))
    for path, text in said_templates(column).items():
        _check_template(checker, ("columns", place, *path), text)
    for number, name in enumerate(column.needs or ()):
        if name not in checker.known:
            fix = did_you_mean(name, checker.known)
            checker.say(("columns", place, "needs", number), f"there is no column {shown(name)}", fix)
    for what, fix, path in _own_mistakes(checker, column):
        checker.say(("columns", place, *path), what, fix)


Mistake = tuple[str, str, tuple[str, ...]]


def _own_mistakes(checker: _Checker, column: Column) -> Iterator[Mistake]:
    if column.kind == "sampler":
        yield from _sampler_mistakes(checker, column)
    elif column.kind == "seed" and column.file is not None:
        try:
            check_seed(column, checker.file.folder, rows=checker.spec.rows)
        except BadValue as bad:
            yield bad.what, bad.fix, ("file",)
    elif column.kind == "python" and column.call is not None:
        module, _, function = column.call.partition(":")
        if not (function.isidentifier() and all(part.isidentifier() for part in module.split("."))):
            yield f"{shown(column.call)} names no function", "write package.module:function", ("call",)
        elif checker.modules_in is not None:
            top = module.partition(".")[0]
            if not has_module(top, beside=checker.modules_in):
                fix = f"install it where passloop runs, or put {shown(f'{top}.py')} into {checker.file.folder}"
                yield f"there is no module {shown(top)}", fix, ("call",)
    elif column.kind.startswith("llm_"):
        yield from _llm_mistakes(checker, column)


def _llm_mistakes(checker: _Checker, column: Column) -> Iterator[Mistake]:
    models = checker.spec.models
    if column.model is not None and column.model not in models:
        yield f"there is no model {shown(column.model)}", _suggestion(column.model, models, "models"), ("model",)
    if column.kind == "llm_structured" and column.schema_ is not None:
        from .schemas import schema_of

        try:
            schema_of(column, checker.file.folder)
        except BadValue as bad:
            yield bad.what, bad.fix, ("schema",)
    if column.rubric is not None:
        for score in column.rubric.scores:
            if not score.lstrip("-").isdecimal():
                yield f"the score {shown(score)} is no whole number", 'write like "1": bad', ("rubric", "scores")


def _sampler_mistakes(checker: _Checker, column: Column) -> Iterator[Mistake]:
    names = distribution_of(column) + (["conditional"] if column.conditional is not None else [])
    if len(names) != 1:
        told = " and ".join(names) or "none"
        yield f"a sampler names one distribution, not {told}", f"use one of: {', '.join(_ALLOWED['sampler'])}", ()
    yield from _distribution_mistakes(column, ())
    chosen = column.conditional
    if chosen is None:
        return
    given = {each.name for each in checker.spec.columns if each.kind in ("sampler", "seed")}
    if chosen.on not in given:
        yield f"there is no sampler or seed {shown(chosen.on)}", did_you_mean(chosen.on, given), ("conditional", "on")
    cases: list[tuple[Distributions, tuple[str, ...]]] = [
        (case, ("conditional", "cases", name)) for name, case in chosen.cases.items()
    ]
    for case, path in [*cases, *([(chosen.otherwise, ("conditional", "else"))] if chosen.otherwise else [])]:
        if len(distribution_of(case)) != 1:
            yield "a case names one distribution", f"use one of: {', '.join(DISTRIBUTIONS)}", path
        yield from _distribution_mistakes(case, path)


def _distribution_mistakes(of: Distributions, path: tuple[str, ...]) -> Iterator[Mistake]:
    if of.choice is not None and of.choice.weights is not None:
        weights = of.choice.weights
        if len(weights) != len(of.choice.values) or min(weights) < 0 or not sum(weights):
            yield "the weights do not go with the values", _WEIGHTS_FIX, (*path, "choice", "weights")
    if of.integer is not None and of.integer.low > of.integer.high:
        yield "low is above high", "exchange them", (*path, "integer")
    if of.uniform is not None and of.uniform.low > of.uniform.high:
        yield "low is above high", "exchange them", (*path, "uniform")
    if of.date is not None:
        try:
            if datetime.date.fromisoformat(of.date.first) > datetime.date.fromisoformat(of.date.last):
                yield "first is after last", "exchange them", (*path, "date")
        except ValueError as error:
            yield f"no date: {error}", "write it like 2026-01-31", (*path, "date")


def _check_template(checker: _Checker, path: tuple[Any, ...], text: str | None) -> None:
    if text is None:
        return
    try:
        names = names_in(text)
    except BadValue as bad:
        checker.say(path, bad.what, bad.fix)
        return
    if path[-1] in CONDITIONS and not is_condition(text):
        what = f"{shown(text)} is a text, and a text is always true"
        checker.say(path, what, 'write one expression: "{{ grade >= 3 }}"')
    for name in sorted(names - checker.known):
        checker.say(path, f"the template names {shown(name)}, which no column makes", did_you_mean(name, checker.known))


def _check_circle(checker: _Checker, graph: Graph) -> None:
    if not graph.circle:
        return
    place = next(at for at, column in enumerate(checker.spec.columns) if column.name == graph.circle[0])
    told = ", ".join(graph.circle)
    checker.say(("columns", place), f"these columns wait for each other: {told}", "let one of them need no other")


def _suggestion(name: str, known: Mapping[str, object], where: str) -> str:
    return did_you_mean(name, known) if known else f"declare it under `{where}:`"


def _example(key: str) -> str:
    example = Column.model_fields["schema_" if key == "schema" else key].examples
    return f"write for example `{key}: {example[0]}`" if example else f"say `{key}:`"
