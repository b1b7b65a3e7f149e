"""A dataset as it is meant: the graph of its columns, its models, the identity of each cell, and what a row is given.

Made from a spec file by the command line, and again from JSON text by the engine; both make the same. The identity of
a cell is made of what determines its answer: its column, that of all columns before it, the row's own inputs, and of a
cell that is made of a whole row group all that determines that one.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from passloop.apps.places import place_name
from passloop.apps.spec_file import SpecFile
from passloop.apps.text import shown
from passloop.drivers.calls.endpoints import Endpoint, Model

from .checks import check_spec
from .graph import TASK_KINDS, Graph, graph_of, outputs_of
from .own_code import codes_of
from .samplers import sampled
from .schemas import schema_of
from .seeds import seeded
from .spec import Column, GenerateSpec, read_generate

__all__ = ["BESIDE", "Dataset", "dataset_of_file", "dataset_of_text"]

FORMAT = 1
LONGEST_NAME = 220
"""Bytes of the file's name: what is written aside and beside it adds to it, and no name has more than 255."""

BESIDE = ".incomplete"
"""What the name of the file for rows that lack something has more than the dataset's own."""


class Dataset:
    """One dataset. `folder` is what input paths are relative to, `out` the file that it becomes."""

    def __init__(self, plain: Mapping[str, Any], spec: GenerateSpec, *, folder: Path, out: Path, cwd: Path) -> None:
        self.spec = spec
        self.folder = folder
        self.out = out
        self.cwd = cwd
        self._plain = plain

    @cached_property
    def graph(self) -> Graph:
        """The DAG of its columns."""
        return graph_of(self.spec.columns)

    @cached_property
    def columns(self) -> Mapping[str, Column]:
        """Its columns by name."""
        return {column.name: column for column in self.spec.columns}

    @cached_property
    def tasks(self) -> tuple[Column, ...]:
        """The columns whose cells are tasks, each after what it waits for."""
        return tuple(column for column in self.graph.order if column.kind in TASK_KINDS)

    @cached_property
    def models(self) -> Mapping[str, Model]:
        """Its models, one object for each."""
        endpoints = {
            name: Endpoint(
                entry.base_url,
                api_key=entry.api_key,
                provider=entry.provider,
                headers=tuple(sorted(entry.headers.items())),
                requests_per_minute=entry.requests_per_minute,
                tokens_per_minute=entry.tokens_per_minute,
                max_in_flight=entry.max_in_flight,
                dead_after=entry.dead_after,
                discovers=entry.discover_limits,
            )
            for name, entry in self.spec.endpoints.items()
        }
        return {
            name: Model(endpoints[entry.endpoint], entry.model, entry.max_in_flight, entry.dead_after)
            for name, entry in self.spec.models.items()
        }

    @cached_property
    def root(self) -> str:
        """What the keys of all its cells begin with: a dataset is the file that it becomes."""
        return hashlib.sha256(str(self.out).encode()).hexdigest()[:12]

    @cached_property
    def hash(self) -> str:
        """Of the whole spec, but for how many rows there are."""
        return _hash({key: value for key, value in self._plain.items() if key != "rows"})

    @property
    def units(self) -> int:
        """How many row groups there are."""
        return -(-self.spec.rows // self.spec.row_group)

    def rows_of(self, unit: int) -> range:
        """The rows of a row group."""
        size = self.spec.row_group
        return range(unit * size, min((unit + 1) * size, self.spec.rows))

    def given(self, row: int) -> dict[str, Any]:
        """What a row is given before anything is asked: its sampled and seed values. Raises `BadValue`."""
        found: dict[str, Any] = {}
        for column in self.graph.order:
            if column.kind == "sampler":
                found[column.name] = sampled(column, seed=self.spec.seed, row=row, known=found)
            elif column.kind == "seed":
                found[column.name] = seeded(column, self.folder, seed=self.spec.seed, row=row)
        return found

    def key(self, column: Column, row: int, given: Mapping[str, Any], batches: Sequence[str] = ()) -> str:
        """The key of a cell. `batches` are the keys of the batch cells that it waits for, by `behind`."""
        inputs = {name: given[name] for name in sorted(self.graph.given[column.name])}
        told = [self.fingerprints[column.name], inputs, *([batches] if batches else ())]
        return f"generate:{self.root}:{row}:{column.name}:{_hash(told)[:16]}"

    def batch_key(self, column: Column, unit: int, givens: Mapping[int, Mapping[str, Any]]) -> str:
        """The key of a batch cell: a row group's, by its rows and the inputs of all. So it need not name batches that
        it waits for: they are of the same rows, and of inputs that are among its own.
        """
        cells = [self.key(column, row, givens[row]) for row in self.rows_of(unit)]
        return f"generate:{self.root}:u{unit}:{column.name}:{_hash(cells)[:16]}"

    @cached_property
    def behind(self) -> Mapping[str, tuple[str, ...]]:
        """The batch columns that each column waits for, directly or behind columns that are none."""
        found: dict[str, tuple[str, ...]] = {}
        for column in self.tasks:
            before = self.graph.before[column.name]
            names = {each for name in before for each in ((name,) if self.columns[name].batch else found[name])}
            found[column.name] = tuple(sorted(names))
        return found

    @cached_property
    def fingerprints(self) -> Mapping[str, str]:
        """The fingerprint of each column: all that determines its cells but the row."""
        found: dict[str, str] = {}
        for column in self.graph.order:
            told = column.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude={"refusals"})
            before = [found[name] for name in sorted(self.graph.needs[column.name])]
            found[column.name] = _hash([FORMAT, told, self._model_told(column), self._schema_told(column), before])
        return found

    def schema(self, column: Column) -> Mapping[str, Any]:
        """The JSON Schema of a structured column."""
        schema: Mapping[str, Any] = self._schemas[column.name]
        return schema

    @cached_property
    def outputs(self) -> tuple[str, ...]:
        """The names of all values of a row, in the order of the spec."""
        return tuple(name for column in self.spec.columns for name in outputs_of(column))

    def wire(self) -> str:
        """The dataset as JSON text: `dataset_of_text` makes the same of it."""
        return json.dumps(
            {
                "spec": self._plain,
                "folder": str(self.folder),
                "out": str(self.out),
                "cwd": str(self.cwd),
                "schemas": self._schemas,
                "codes": self.codes,
            }
        )

    @cached_property
    def codes(self) -> Mapping[str, str]:
        """What the code of python columns is, by column; it is part of no identity."""
        return codes_of(self.spec.columns, self.folder)

    @cached_property
    def _schemas(self) -> dict[str, Any]:
        structured = [column for column in self.spec.columns if column.kind == "llm_structured"]
        return {column.name: dict(schema_of(column, self.folder)) for column in structured}

    def _model_told(self, column: Column) -> Any:
        if column.model is None:
            return None
        entry = self.spec.models[column.model]
        return [self.models[column.model].endpoint.address, entry.model, entry.params]

    def _schema_told(self, column: Column) -> Any:
        return self._schemas.get(column.name)


def dataset_of_file(
    file: SpecFile,
    *,
    cwd: Path,
    environ: Mapping[str, str] | None = None,
    looks_for_code: bool = False,
    rows: int | None = None,
) -> Dataset:
    """The dataset that a spec file means. Raises `SpecError` with all mistakes; `check_spec` says which are looked for
    with `environ` and with `looks_for_code`.
    """
    spec = read_generate(file)
    complaints = check_spec(file, spec, cwd=cwd, environ=environ, looks_for_code=looks_for_code)
    wrong = _wrong_out(cwd, _named_out(spec))
    if wrong is not None:
        complaints.append(file.complaint(("generate",) if spec.out is None else ("out",), *wrong))
    if complaints:
        raise file.error(complaints)
    plain = dict(file.root.plain())
    if rows is not None:
        plain |= {"rows": min(rows, spec.rows)}
        plain.pop("target", None)
        spec = GenerateSpec.model_validate(plain)
    out = (cwd / _named_out(spec)).absolute()
    out = out.parent.resolve() / out.name  # a dataset is its file, by whatever way one comes to it
    return Dataset(plain, spec, folder=file.folder, out=out, cwd=cwd)


def _named_out(spec: GenerateSpec) -> str:
    return spec.out or f"{place_name(spec.generate)}.parquet"


def _wrong_out(cwd: Path, out: str) -> tuple[str, str] | None:
    """Why no file can be written there, as far as that is to be seen now, and what to do."""
    told = shown(out)[1:-1]
    name = Path(out)
    if BESIDE in (name.suffix, Path(name.stem).suffix):
        whose = name.name.replace(BESIDE, "")
        return f"{told} is where {whose} leaves rows that lack something", f"a name without {BESIDE}"
    if len(name.name.encode(errors="replace")) > LONGEST_NAME:
        fix = f"at most {LONGEST_NAME} bytes: files beside it have longer ones"
        return f"{told} is no place for a file: its name is too long", fix
    try:
        mode = os.stat(cwd / out).st_mode
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not a path"
        return f"{told} is no place for a file: {reason}", "write NAME.parquet"
    return (f"{told} is a folder", f"write {told}/NAME.parquet") if stat.S_ISDIR(mode) else None


def dataset_of_text(text: str) -> Dataset:
    """The dataset that `wire` told."""
    told = json.loads(text)
    spec = GenerateSpec.model_validate(told["spec"])
    made = Dataset(told["spec"], spec, folder=Path(told["folder"]), out=Path(told["out"]), cwd=Path(told["cwd"]))
    made.__dict__["_schemas"] = told["schemas"]  # as they were when the run was declared
    made.__dict__["codes"] = dict(told.get("codes", {}))  # none in runs of earlier versions
    return made


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()
