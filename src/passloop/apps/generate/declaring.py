"""What a request to generate a dataset says, and whether the dataset has a run that is still under way. Pure reads."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from passloop.apps.errors import Problem, SpecError
from passloop.drivers.calls.endpoints import is_reference
from passloop.drivers.calls.secrets import KeyMissing, resolve
from passloop.kernel.source_rows import OPEN_STATES

from .dataset import Dataset, dataset_of_text
from .expander import declared_of

if TYPE_CHECKING:
    from passloop.store.reader import Reader, RunView, TaskView
    from passloop.store.sources import SourceView

__all__ = [
    "GenerateRequest",
    "check_keys",
    "decode_request",
    "file_task_key",
    "live_run",
    "makes_files",
    "newest_file_task",
    "run_made_of",
    "run_of_spec",
    "run_under_way",
    "runs_of_dataset",
]

_FINAL = frozenset({"succeeded", "failed", "cancelled", "aborted", "rejected"})


class GenerateRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The body of POST /generate: a dataset as `Dataset.wire` tells it, and the environment of its python cells.

    Without `files` none are written: so it is for a preview.
    """

    dataset: msgspec.Raw
    environment: dict[str, str] = {}
    files: bool = True

    def read(self) -> Dataset:
        """The dataset, of which a run can be declared. Raises `SpecError`."""
        try:
            made = dataset_of_text(bytes(self.dataset).decode())
            declared_of(made, environment={})
        except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
            problem = Problem(f"the dataset is not readable: {error}", "send what `passloop generate` sends")
            raise SpecError([problem]) from None
        return made


_decoder = msgspec.json.Decoder(GenerateRequest)


def decode_request(body: bytes) -> GenerateRequest:
    """Read a request body. Raises `SpecError`."""
    try:
        return _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        what = f"the request is not readable: {error}"
        raise SpecError([Problem(what, "send what POST /generate describes", "request body")]) from None


def check_keys(dataset: Dataset, environ: Mapping[str, str]) -> None:
    """Raise `SpecError` for API keys and secrets of headers that the engine does not find."""
    problems = []
    fix = "passloop down --leave, then the same command again where it is set"
    for name, entry in dataset.spec.endpoints.items():
        wanted = {"api_key": entry.api_key} if entry.api_key is not None else {}
        wanted |= {f"headers.{header}": value for header, value in entry.headers.items() if is_reference(value)}
        for place, reference in wanted.items():
            try:
                resolve(reference, environ, what=place)
            except KeyMissing as missing:
                problems.append(Problem(str(missing), fix, f"endpoints.{name}.{place}"))
    if problems:
        raise SpecError(problems)


def runs_of_dataset(reader: Reader, root: str) -> Iterable[tuple[RunView, Mapping[str, Any]]]:
    """The runs of a dataset, newest first, each with what is told about it."""
    for view in reader.runs():
        if '"generate"' in view.about:
            about = json.loads(view.about)
            if about.get("root") == root:
                yield view, about


def run_of_spec(reader: Reader, dataset: Dataset) -> RunView | None:
    """The newest run of this very spec and number of rows."""
    return run_made_of(reader, dataset.root, (dataset.hash, dataset.spec.rows))


def run_made_of(reader: Reader, root: str, made_of: tuple[object, object]) -> RunView | None:
    """The newest run of a dataset that is of the spec with this hash, and of so many rows."""
    return next((view for view, about in runs_of_dataset(reader, root) if _made_of(about) == made_of), None)


def file_task_key(run: int | str) -> str:
    """The key of the first task that writes the files of a run; later ones have it with a colon and more behind it."""
    return f"generate:files:{run}"


def newest_file_task(reader: Reader, source: SourceView) -> TaskView | None:
    """The task that writes the files of a run as it is now; None if there is none yet. It came after the end of the
    source, and after all other tasks of the run: one from before knows nothing of what came then.
    """
    newest = reader.newest_task_of(source.row.run)
    view = None if newest is None or source.row.ended_at is None else reader.task(newest)
    if view is None or view.row.submitted_at < (source.row.ended_at or 0):
        return None
    key, first = view.row.key or "", file_task_key(source.row.run)
    return view if key == first or key.startswith(f"{first}:") else None


def makes_files(spec: str) -> bool:
    """Whether the run that was declared so (JSON text) gets a last task that writes its files: a preview does not."""
    return bool(json.loads(spec).get("files"))


def run_under_way(reader: Reader, dataset: Dataset) -> RunView | None:
    """The run of this very spec and number of rows that is still under way, were it only to write its files."""
    wanted = dataset.hash, dataset.spec.rows
    runs = runs_of_dataset(reader, dataset.root)
    return next((view for view, about in runs if _made_of(about) == wanted and not _is_over(view)), None)


def _is_over(view: RunView) -> bool:
    is_open = view.source is not None and view.source.row.state in OPEN_STATES
    return not is_open and all(state in _FINAL for state, count in view.counts.items() if count)


def _made_of(about: Mapping[str, Any]) -> tuple[object, object]:
    return about.get("hash"), about.get("rows")


def live_run(reader: Reader, dataset: Dataset) -> RunView | None:
    """The run of the same dataset that is still under way. Raises `SpecError` if it is of another spec."""
    for view, about in runs_of_dataset(reader, dataset.root):
        if _is_over(view):
            continue
        if _made_of(about) == (dataset.hash, dataset.spec.rows):
            return view
        what = f"run {view.row.id} still makes {dataset.out} from another spec"
        raise SpecError([Problem(what, f"wait for it, or end it: passloop cancel @{view.row.id}")])
    return None
