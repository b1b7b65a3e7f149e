"""A sweep spec -> its cells, one after another, and the submission made of them.

The number of points is known before any is made, so a sweep that is too large is refused without being
written out. A cell is a point of matrix x zip x seeds x replicas that no `exclude` names and for which every
`when` holds.
"""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from passloop.apps.errors import BadValue, did_you_mean
from passloop.apps.expressions import Condition
from passloop.apps.spec_file import SpecFile
from passloop.apps.templates import INDEX, PYTHON, Template, scalar_text
from passloop.apps.text import UNSAFE, check_key, shown
from passloop.apps.yaml_nodes import Complaint

from .axis_use import misspelt_axes
from .classes import program_of, task_class_of
from .environment import storable
from .identity import Identity, work_of_keys
from .options import Place
from .requests import Ask, variant_of
from .spec import Further, Resources, Scalar, SweepSpec, read_sweep
from .spec_checks import REPLICA, SEED
from .wire import WireRetries, WireSpec, WireSubmission, WireTask, WireVariant

__all__ = ["Cell", "Sweep", "sweep_of"]

LONGEST_CELL_NAME = 200

Axis = tuple[tuple[str, ...], tuple[tuple[Scalar, ...], ...]]
"""Names that move together, and the values they take together."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One point of a sweep. `index` counts the cells from 0."""

    index: int
    params: dict[str, Scalar]
    name: str
    key: str
    command: tuple[str, ...]
    env: dict[str, str]


@dataclass(frozen=True, slots=True)
class Sweep:
    """A checked sweep: `points` before exclusion, and everything to make its cells from."""

    file: SpecFile
    spec: SweepSpec
    cwd: str
    code: str
    axes: tuple[Axis, ...]
    conditions: tuple[Condition, ...]
    wire: WireSpec

    @property
    def points(self) -> int:
        """How many points there are before `exclude` and `when`."""
        return math.prod(len(values) for _, values in self.axes)

    @property
    def names(self) -> tuple[str, ...]:
        """The axes in order."""
        return tuple(name for names, _ in self.axes for name in names)

    @property
    def identity(self) -> Identity:
        """What makes the keys of the cells, where the spec has none."""
        return Identity(self.spec.command, env=self.spec.env, code=self.code)

    def kept(self) -> Iterator[dict[str, Scalar]]:
        """The parameters of every cell. Raises `SpecError` where a condition cannot be answered."""
        excluded = [_Excluded(row) for row in self.spec.exclude]
        names = self.names
        for point in itertools.product(*(values for _, values in self.axes)):
            params = dict(zip(names, itertools.chain.from_iterable(point), strict=True))
            if not any(row.matches(params) for row in excluded) and self._wanted(params):
                yield params

    def cells(self) -> Iterator[Cell]:
        """Every cell, made one after another. Raises `SpecError`."""
        maker = _CellMaker(self)
        for index, params in enumerate(self.kept()):
            yield maker.cell(index, params)

    def submission(self, place: Place, *, held: bool = False) -> WireSubmission:
        """The submission of all cells. Raises `SpecError` also for two cells of one key, or for none."""
        cells = self.distinct_cells()
        spec = self.spec
        after = [(task, False) for task in spec.after] + [(task, True) for task in spec.after_any]
        about = {
            "kind": "run",
            "spec": self.file.name,
            "axes": list(self.names),
            "command": list(spec.command),
            "cwd": self.cwd,
            "work": self.identity.work if spec.key is None else work_of_keys(spec.key),
        }
        return WireSubmission(
            tasks=tuple(
                WireTask(
                    command=cell.command,
                    name=cell.name,
                    key=cell.key,
                    index=cell.index,
                    params=cell.params,
                    env=cell.env,
                )
                for cell in cells
            ),
            name=spec.run,
            group=spec.group,
            priority=spec.priority,
            cwd=self.cwd,
            environment=storable(place.environment).stored,
            spec=self.wire,
            after=tuple(after),
            held=held,
            refuse_impossible=False,
            max_parallel=spec.max_parallel,
            about=about,
        )

    def distinct_cells(self) -> list[Cell]:
        """Every cell. Raises `SpecError` when there is none, or two have one key."""
        cells = list(self.cells())
        if not cells:
            raise self.file.error([self.file.complaint((), "no cell is left", "exclude less")])
        seen: dict[str, Cell] = {}
        for cell in cells:
            if cell.key in seen:
                what = f"two cells have the key {shown(cell.key)}"
                fix = "name every axis in the key, or leave `key` out"
                raise self.file.error([self.file.complaint(("key",), what, fix)])
            seen[cell.key] = cell
        return cells

    def _wanted(self, params: Mapping[str, Scalar]) -> bool:
        for number, condition in enumerate(self.conditions):
            try:
                if not condition.holds(params):
                    return False
            except BadValue as bad:
                raise self.file.error([self.file.complaint(("when", number), bad.what, bad.fix)]) from None
        return True


def sweep_of(file: SpecFile, place: Place) -> Sweep:
    """Check `file` as a sweep for a user at `place`. Raises `SpecError` with every mistake found."""
    spec = read_sweep(file)
    wrong: list[Complaint] = []
    axes = _axes(spec)
    names = tuple(name for each, _ in axes for name in each)
    conditions = _conditions(file, spec, names, wrong)
    _check_exclude(file, spec, names, wrong)
    wrong += misspelt_axes(file, spec)
    points = math.prod(len(values) for _, values in axes)
    if points > spec.limit:
        what = f"the sweep has {_many(points)} points, over the limit of {spec.limit:,}"
        wrong.append(file.complaint(("matrix",), what, "give fewer values, or raise `limit`"))
    cwd = _directory(file, spec, place, wrong)
    variants = _variants(file, spec.resources, wrong)
    if wrong:
        raise file.error(wrong)
    code = f"directory:{cwd}"
    if spec.snapshot:
        cwd = place.snapshot_of(cwd)
        code = f"snapshot:{Path(cwd).name}"
    return Sweep(file, spec, cwd, code, axes, conditions, _wire_spec(spec, variants))


class _Excluded:
    """One row of `exclude`, with each wanted value in a form that tells 1 from true and from 1.0."""

    __slots__ = ("_wanted",)

    def __init__(self, row: Mapping[str, Any]) -> None:
        self._wanted = {
            name: {_exactly(each) for each in (wanted if isinstance(wanted, list) else [wanted])}
            for name, wanted in row.items()
        }

    def matches(self, params: Mapping[str, Scalar]) -> bool:
        return all(_exactly(params[name]) in wanted for name, wanted in self._wanted.items())


class _CellMaker:
    """Fills the templates of one sweep, cell after cell."""

    def __init__(self, sweep: Sweep) -> None:
        spec = sweep.spec
        names = (PYTHON, INDEX, *sweep.names)
        self._sweep = sweep
        self._command = Template(spec.command, names)
        self._name = Template([spec.name], names) if spec.name is not None else None
        self._key = Template([spec.key], names) if spec.key is not None else None
        self._env = Template(spec.env.values(), names)
        self._indexed = INDEX in self._command.used | self._env.used
        self._identity = sweep.identity

    def cell(self, index: int, params: dict[str, Scalar]) -> Cell:
        texts = {name: scalar_text(value) for name, value in params.items()}
        texts[PYTHON], texts[INDEX] = sys.executable, str(index)
        return Cell(
            index=index,
            params=params,
            name=self._named(params, texts),
            key=self._keyed(index, params, texts),
            command=self._command.fill(texts),
            env=dict(zip(self._sweep.spec.env, self._env.fill(texts), strict=True)),
        )

    def _named(self, params: Mapping[str, Scalar], texts: Mapping[str, str]) -> str:
        if self._name is not None:
            name = self._name.fill(texts)[0]
        else:
            name = " ".join([self._sweep.spec.run, *(f"{axis}={texts[axis]}" for axis in params)])
        clean = UNSAFE.sub("?", name).strip()[:LONGEST_CELL_NAME].strip()
        return clean or self._sweep.spec.run

    def _keyed(self, index: int, params: Mapping[str, Scalar], texts: Mapping[str, str]) -> str:
        if self._key is None:
            return self._identity.key_of(params, index=index if self._indexed else None)
        try:
            return check_key(self._key.fill(texts)[0])
        except BadValue as bad:
            file = self._sweep.file
            raise file.error([file.complaint(("key",), bad.what, bad.fix)]) from None


def _axes(spec: SweepSpec) -> tuple[Axis, ...]:
    """The axes in order: each a tuple of names and the tuples of values they take together."""
    axes: list[Axis] = [((name,), tuple((value,) for value in values)) for name, values in spec.matrix.items()]
    axes += [(tuple(group), tuple(zip(*group.values(), strict=True))) for group in spec.zip if group]
    if spec.seeds:
        axes.append(((SEED,), tuple((seed,) for seed in spec.seeds)))
    if spec.replicas > 1:
        axes.append(((REPLICA,), tuple((replica,) for replica in range(spec.replicas))))
    return tuple(axes)


def _conditions(file: SpecFile, spec: SweepSpec, names: Sequence[str], wrong: list[Complaint]) -> tuple[Condition, ...]:
    conditions: list[Condition] = []
    for number, text in enumerate(spec.when):
        try:
            conditions.append(Condition(text, names))
        except BadValue as bad:
            wrong.append(file.complaint(("when", number), bad.what, bad.fix))
    return tuple(conditions)


def _check_exclude(file: SpecFile, spec: SweepSpec, names: Sequence[str], wrong: list[Complaint]) -> None:
    for number, row in enumerate(spec.exclude):
        for name in row:
            if name not in names:
                fix = did_you_mean(name, names) if names else "add a matrix"
                what = f"exclude names {shown(name)}, which is no axis"
                wrong.append(file.complaint(("exclude", number, name), what, fix))


def _directory(file: SpecFile, spec: SweepSpec, place: Place, wrong: list[Complaint]) -> str:
    """The working directory: `cwd` relative to the spec file, else where the user is."""
    if spec.cwd is None:
        return place.cwd
    try:
        path = (file.folder / spec.cwd).resolve()
        exists = path.is_dir()
    except (OSError, ValueError, RuntimeError):
        exists, path = False, file.folder
    if not exists:
        what = f"the directory {shown(spec.cwd)} does not exist beside this file"
        wrong.append(file.complaint(("cwd",), what, "create it, or name another"))
    return str(path)


def _variants(file: SpecFile, resources: Resources, wrong: list[Complaint]) -> tuple[WireVariant, ...]:
    base = _differing(Ask(), resources)
    variants: list[WireVariant] = []
    for number, each in enumerate((resources, *resources.or_)):
        try:
            variants.append(WireVariant(**variant_of(base if number == 0 else _differing(base, each))))
        except BadValue as bad:
            path = ("resources",) if number == 0 else ("resources", "or", number - 1)
            wrong.append(file.complaint(path, bad.what, bad.fix))
    return tuple(variants)


def _differing(base: Ask, form: Further) -> Ask:
    """`base` with what `form` says."""
    said = {name: getattr(form, name) for name in form.model_fields_set if name in Further.model_fields}
    return base.differing(said)


def _wire_spec(spec: SweepSpec, variants: tuple[WireVariant, ...]) -> WireSpec:
    plain_name = spec.name if spec.name is not None and "{" not in spec.name else None
    return WireSpec(
        request=variants,
        time_limit=spec.time_limit,
        grace=spec.grace,
        retries=WireRetries(**spec.retries.model_dump()),
        patience=spec.patience,
        deadline=spec.deadline,
        wait_for_capacity=spec.wait_for_capacity,
        task_class=task_class_of(spec.command, name=plain_name),
        program=program_of(spec.command),
    )


def _exactly(value: Scalar) -> tuple[str, Scalar]:
    return type(value).__name__, value


def _many(points: int) -> str:
    return f"{points:,}" if points < 10**15 else f"about 10^{len(str(points)) - 1}"
