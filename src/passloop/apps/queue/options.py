"""The options of `run` and `submit` -> the document of a submission. All mistakes are found and reported together.

Options are kept as the user wrote them until `document_of` reads them, so that every error can name the
option and the text. Nothing is submitted here, and nothing is imported that a quick start could not pay for.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from passloop.apps.errors import BadValue, Problem, ProblemList, SpecError
from passloop.apps.templates import INDEX, LINE, PYTHON, Template
from passloop.apps.text import SURROGATE, check_group, check_key, check_run_name, check_words, shown
from passloop.apps.units import cpus_milli, duration_ms, gpu_ask, size_mib, whole_number

from .classes import program_of, task_class_of
from .documents import Document, present
from .environment import read_variable, storable
from .requests import Ask, read_ask, read_need, variant_of

__all__ = ["Place", "SubmitOptions", "document_of", "read_after"]

MOST_RETRIES = 1_000
MOST_PRIORITY = 1_000_000
MOST_AT_ONCE = 1_000_000
MOST_AFTER = 10_000
MOST_DEPENDENCIES = 1_000_000


class SubmitOptions(NamedTuple):
    """What the user said, as text. None or empty = not said. The defaults are those of `5-interfaces.md`."""

    gpus: str | None = None
    vram: str | None = None
    cpus: str | None = None
    mem: str | None = None
    balance: bool = False
    need: tuple[str, ...] = ()
    or_variants: tuple[str, ...] = ()
    name: str | None = None
    group: str = "default"
    key: str | None = None
    after: tuple[str, ...] = ()
    after_any: tuple[str, ...] = ()
    deadline: str | None = None
    priority: int = 0
    time_limit: str | None = None
    grace: str | None = None
    retries: str | None = None
    patience: str | None = None
    env: tuple[str, ...] = ()
    cwd: str | None = None
    array: str | None = None
    max_parallel: str | None = None
    each_line: str | None = None
    snapshot: bool = False
    wait_for_capacity: bool = False
    held: bool = False


class Place(NamedTuple):
    """Where the user is: working directory and environment at submit; `snapshot` copies a directory."""

    cwd: str
    environment: Mapping[str, str]
    snapshot: Callable[[str], str] | None = None

    def snapshot_of(self, directory: str) -> str:
        """The copy of `directory` to run from. Raises `SpecError` also where no home could keep one."""
        if self.snapshot is None:
            problem = Problem("there is no home to keep a snapshot in", "leave the snapshot out", "--snapshot")
            raise SpecError([problem])
        return self.snapshot(directory)


def document_of(
    options: SubmitOptions,
    command: Sequence[str],
    place: Place,
    *,
    verb: str = "submit",
    environment: Mapping[str, str] | None = None,
) -> Document:
    """The submission that `options` and `command` of this verb ask for. Raises `SpecError` with every mistake found.

    `environment` is what the submission has for its environment; None: what may be stored of the place's.
    """
    found = ProblemList()
    words = found.read("command", lambda _: check_words(tuple(command)), "")
    spec = _spec(options, words or (), found)
    tasks = _tasks(options, words or ("",), _variables(options, place, found), found)
    after = _after(options.after, False, "--after", found) + _after(options.after_any, True, "--after-any", found)
    if len(tasks) * len(after) > MOST_DEPENDENCIES:
        what = f"{len(tasks):,} tasks would each come after {len(after):,}"
        found.add(what, fix="put one task between: --after for it, and it for the others", where="--after")
    at_once = found.read("--max-parallel", _at_once, options.max_parallel)
    found.read("--group", check_group, options.group)
    found.read("--name", check_run_name, options.name)
    if abs(options.priority) > MOST_PRIORITY:
        found.add(f"the priority {options.priority} is too large", fix="use a smaller number", where="--priority")
    cwd = _directory(options.cwd, place, found)
    found.raise_if_any(next_command=f"passloop {verb} --help")
    if options.snapshot:
        cwd = place.snapshot_of(cwd)
    return present(
        tasks=tasks,
        name=options.name,
        group=options.group,
        priority=options.priority,
        cwd=cwd,
        environment=storable(place.environment).stored if environment is None else environment,
        spec=spec,
        after=after,
        held=options.held,
        max_parallel=at_once,
        about={"kind": "command", "command": list(command), "snapshot": options.snapshot},
    )


def read_after(text: str) -> tuple[int, ...]:
    """Task ids of one `--after ID[,ID]`, where an array of tasks may stand as 12-40. Raises `BadValue`."""
    ids: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        low, high = _task_id(first, part), _task_id(last if dash else first, part)
        if high < low:
            raise BadValue(f"{shown(part)} runs backwards", f"write {high}-{low}")
        if len(ids) + high - low >= MOST_AFTER:
            raise BadValue(f"{shown(text)} names more than {MOST_AFTER:,} tasks", "name the last ones only")
        ids += range(low, high + 1)
    return tuple(ids)


def _task_id(word: str, part: str) -> int:
    if not (word.isascii() and word.isdecimal()) or not 0 < int(word[:20]) < 2**62:
        raise BadValue(
            f"{shown(part)} is not a task id", "give ids, a run or the newest task: --after 12,20-40, @RUN, last"
        )
    return int(word)


def _spec(options: SubmitOptions, words: Sequence[str], found: ProblemList) -> Document:
    return present(
        request=_request(options, found),
        time_limit=found.read("--time-limit", _positive_duration, options.time_limit),
        grace=found.read("--grace", duration_ms, options.grace),
        retries=present(failure=found.read("--retries", _retries, options.retries)),
        patience=found.read("--patience", duration_ms, options.patience),
        deadline=found.read("--deadline", _positive_duration, options.deadline),
        wait_for_capacity=options.wait_for_capacity,
        task_class=task_class_of(words, name=options.name),
        program=program_of(words),
    )


def _request(options: SubmitOptions, found: ProblemList) -> list[Document]:
    needs = [found.read("--need", read_need, text) for text in options.need]
    base = Ask(
        gpus=found.read("--gpus", gpu_ask, options.gpus),
        vram=found.read("--vram", size_mib, options.vram),
        cpus=found.read("--cpus", cpus_milli, options.cpus),
        mem=found.read("--mem", size_mib, options.mem),
        balance=options.balance,
        need=dict(need for need in needs if need is not None),
    )
    if found:
        return []
    first = found.read("--vram" if options.vram else "--balance", lambda _: variant_of(base), "")
    others = [found.read("--or", lambda text: variant_of(read_ask(text, base)), text) for text in options.or_variants]
    return [variant for variant in (first, *others) if variant is not None]


def _tasks(
    options: SubmitOptions, words: tuple[str, ...], variables: dict[str, str], found: ProblemList
) -> list[Document]:
    if options.array is not None and options.each_line is not None:
        found.add("--array and --each-line are both given", fix="use one of them", where="--array")
        return []
    found.read("--key", check_key, options.key)
    if options.array is not None:
        from .arrays import array_indices  # here, because most submissions are one command

        indices = found.read("--array", array_indices, options.array) or ()
        return _many(options, words, variables, [(index, None) for index in indices])
    if options.each_line is not None:
        from .arrays import lines_of

        lines = found.read("--each-line", lines_of, options.each_line) or ()
        return _many(options, words, variables, list(enumerate(lines, start=1)))
    command = Template(words, (PYTHON,)).fill({PYTHON: sys.executable})
    return [present(command=command, name=options.name, key=options.key, env=variables or None)]


def _many(
    options: SubmitOptions,
    words: tuple[str, ...],
    variables: dict[str, str],
    points: Sequence[tuple[int, str | None]],
) -> list[Document]:
    """One task per point, each with its own name and key (`NAME[7]`, `KEY:7`)."""
    names = (PYTHON, INDEX) if options.each_line is None else (PYTHON, INDEX, LINE)
    template = Template(words, names)
    name = options.name or words[0].rpartition("/")[2][:100] or "task"
    common = {"env": variables} if variables else {}
    tasks: list[Document] = []
    for index, line in points:
        filled = template.fill({PYTHON: sys.executable, INDEX: str(index), LINE: line or ""})
        task = {"command": filled, "name": f"{name}[{index}]", "index": index, **common}
        if line is not None:
            task["line"] = line
        if options.key is not None:
            task["key"] = f"{options.key}:{index}"
        tasks.append(task)
    return tasks


def _variables(options: SubmitOptions, place: Place, found: ProblemList) -> dict[str, str]:
    pairs = [found.read("--env", lambda text: read_variable(text, place.environment), text) for text in options.env]
    return dict(pair for pair in pairs if pair is not None)


def _after(texts: Sequence[str], any_end: bool, where: str, found: ProblemList) -> tuple[tuple[int, bool], ...]:
    read = [found.read(where, read_after, text) or () for text in texts]
    return tuple((task, any_end) for ids in read for task in ids)


def _directory(cwd: str | None, place: Place, found: ProblemList) -> str:
    named = cwd or place.cwd
    if SURROGATE.search(named):
        found.add(f"the directory {shown(named)} is not UTF-8", fix="rename it or use another", where="--cwd")
        return place.cwd
    if cwd is None:
        return place.cwd
    if "\0" in cwd:
        found.add(f"the directory {shown(cwd)} has a NUL character", fix="give another", where="--cwd")
        return place.cwd
    path = os.path.join(place.cwd, cwd)
    if os.path.exists(path) and not os.path.isdir(path):
        found.add(f"{shown(cwd)} is no directory", fix="name the folder that it lies in", where="--cwd")
    elif not os.path.isdir(path):
        found.add(f"the directory {shown(cwd)} does not exist", fix="create it or name another", where="--cwd")
    return os.path.realpath(path)


def _positive_duration(text: str) -> int:
    millis = duration_ms(text)
    if millis == 0:
        raise BadValue("a limit of 0 would end the task at once", "write a longer duration, or leave it out")
    return millis


def _at_once(text: str) -> int:
    count = whole_number(text)
    if not 1 <= count <= MOST_AT_ONCE:
        raise BadValue(f"{shown(text)} at once is not possible", f"give a number from 1 to {MOST_AT_ONCE:,}")
    return count


def _retries(text: str) -> int:
    count = whole_number(text)
    if count > MOST_RETRIES:
        raise BadValue(f"{count} retries are too many", f"use at most {MOST_RETRIES}")
    return count
