"""Between any two effects of a thread lies a crash point, and before its first, and after its last.

An effect is what a death does not undo: a commit, a name given or taken, a signal, a process, a report. The law is read
from what scenarios truly do: their processes write down each effect and each crash point in order (`effects.py`). Each
effect lies alone between two crash points, and these two are what `tests/support/edges.py` says; or it says why dying
there is dying elsewhere. Below that is a net over the source: a place where something is done, and that neither a trace
has shown nor a reason explains, fails. So does a crash point at which no test has somebody die.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections import defaultdict
from collections.abc import Collection
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, get_args

import pytest

import passloop
from passloop.apps.bench.cell_folder import CellFolder
from passloop.apps.bench.models import convert, digests
from passloop.apps.generate.parts import PartStore
from passloop.apps.queue.snapshot import take_snapshot
from passloop.apps.tune.report import optuna_file
from passloop.apps.tune.trial.files import replace_json
from passloop.crashpoints import CRASHPOINTS
from passloop.engine.dispatch import Dispatch
from passloop.kernel.instructions import Instruction
from passloop.store.home import Home
from passloop.store.repair import repair
from tests.support import store_to_kill
from tests.support.damage import PAGE, flip, killed_home
from tests.support.deaths import deadly
from tests.support.edges import EDGES, IN_A_LOOP, NO_EDGE, OFTEN
from tests.support.effect_sites import sites
from tests.support.killing import Field, Nursery
from tests.support.traced import Deed, deeds, in_a_traced_fork, traced_engines, traced_full_disk

from .test_crash_points_of_files import CELL, METRICS, run, silent, write

ACTS_ON_NOTHING = {"WatchDevices", "Expand"}
"""Instructions that only ask for something: to look at devices, or to write out a unit, which nobody has until it is
committed.
"""
EXPLAINED = frozenset(place for places in NO_EDGE.values() for place in places)
BEGINS_A_STEP = {"store/database.py:_touch_private create"}
"""What nothing is before: there is no store yet."""
ALWAYS = (
    "drivers/processes/keeper/handover.py:Post.hand_over send",
    "drivers/processes/keeper/zygote.py:Zygote._fork fork",
)
"""Which of these gives an order to a shim depends on whether one rests."""


def use_files(folder: Path) -> None:
    """Each file that applications give a name, once."""
    run(folder / "cell", silent)
    (folder / "cell" / METRICS).write_text("{}")
    run(folder / "cell", silent)
    with CellFolder.locked(folder / "cell", CELL) as held:
        held.rescored({METRICS: b"{}", "samples.jsonl": b"{}"}, {})
    vars(convert)["_write"] = lambda _gguf, aside: (aside / convert.COMPLETE).write_text("{}")
    convert._convert(folder / "m.gguf", folder / "model")
    (folder / "weights").write_bytes(bytes(digests.LARGE))
    digests.digest_of_file(folder / "weights", folder / "memory")
    parts = PartStore(folder / "made.parquet")
    for unit in range(2):
        write(parts.path(unit, "abc"), "rows")
    parts.remove()
    replace_json(folder / METRICS, {}, durable=True)
    vars(optuna_file).update(_write=lambda _told, aside: aside.write_text(""), check_parts=lambda _sampler: None)
    told: Any = type("Standing", (), {"trials": ()})()
    optuna_file.write_optuna(told, folder / "study.db")
    (folder / "code").mkdir()
    (folder / "code" / "train.py").write_text("")
    take_snapshot(str(folder / "code"), home=folder / "home")


def seen(trace: Path, killed: Collection[int] = ()) -> list[Deed]:
    """The effects of a trace that no reason explains; each of them lies alone between two crash points."""
    found = list(deeds(trace, EXPLAINED, killed))
    for deed in found:
        assert deed.site in EDGES, f"nobody knows of this effect: {deed}"
        assert set(deed.gap) == {deed.site}, f"no crash point lies between these: {deed}"
        assert len(deed.gap) == 1 or deed.site in IN_A_LOOP, f"no crash point lies between these: {deed}"
        assert deed.before or deed.site in BEGINS_A_STEP, f"no crash point lies before this: {deed}"
        assert deed.after, f"no crash point lies after this: {deed}"
        assert (deed.before, deed.after) in EDGES[deed.site], f"this was done elsewhere: {deed}"
    return found


def assert_edges(trace: Path, *rooms: str) -> None:
    """The edges of these parts of the source are those that the trace has, no more and no fewer."""
    found: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for deed in seen(trace):
        found[deed.site].add((deed.before, deed.after))
    said = {site: edges for site, edges in EDGES.items() if site.startswith(rooms)}
    for either in (found, said):
        for site in ALWAYS:
            either.pop(site, None)
    assert found == said


def test_a_store_in_use_does_nothing_beside_its_crash_points(tmp_path: Path) -> None:
    home, trace = Home(tmp_path / "home"), tmp_path / "trace"
    home.prepare()
    in_a_traced_fork(trace, partial(store_to_kill.use, home))
    assert_edges(trace, "store/database.py", "store/migrate.py", "store/backup.py")


def test_a_repair_does_nothing_beside_its_crash_points(tmp_path: Path) -> None:
    home, page = killed_home(tmp_path)
    flip(home.database, (page - 1) * PAGE + 100)
    in_a_traced_fork(tmp_path / "trace", partial(repair, home))
    assert_edges(tmp_path / "trace", "store/repair.py", "store/rebuild.py", "store/migrate.py")


def test_files_get_no_name_beside_their_crash_points(tmp_path: Path) -> None:
    in_a_traced_fork(tmp_path / "trace", partial(use_files, tmp_path))
    assert_edges(tmp_path / "trace", "apps/")


@pytest.mark.timeout(120)
def test_engines_shims_and_workers_do_nothing_beside_their_crash_points(field: Field, nursery: Nursery) -> None:
    """Also of what a thread does only once in a while: the effects of one engine are those of all."""
    trace = field.home.path.with_name("trace")
    killed = traced_engines(field, nursery, trace)
    killed.add(traced_full_disk(field, nursery, trace))
    found = seen(trace, killed)
    of_others = ("store/database.py:Store.record_samples",)
    shown = {deed.site for deed in found} | set(ALWAYS)
    said = {site for site in EDGES if site.startswith(("drivers/", "engine/", "store/database.py", "store/migrate.py"))}
    assert shown == {site for site in said if not site.startswith(of_others)}
    pairs = {(deed.site, deed.before, deed.after) for deed in found}
    missing = [
        (site, *edge)
        for site, edges in EDGES.items()
        if site.startswith(("drivers/", "engine/")) and site not in ALWAYS
        for edge in edges
        if (site, *edge) not in pairs
    ]
    assert missing == []


def test_every_effect_in_the_source_is_shown_or_explained() -> None:
    """`EDGES` are shown by traces, above, and no more are claimed than are shown."""
    found = sites()
    assert sorted(found.keys() - EDGES.keys() - EXPLAINED) == []
    of_libraries = {place for place in EXPLAINED if place not in found}
    assert of_libraries == {
        "store/backup.py:_copy commit",
        "store/connection.py:_prepare_writing commit",
        "apps/bench/models/convert.py:_convert create",
        "apps/tune/report/optuna_file.py:write_optuna create",
        "apps/queue/snapshot.py:take_snapshot rmtree",
        "drivers/workers/results.py:call create",
    }
    assert EDGES.keys() <= found.keys()
    assert {place: count for place, count in found.items() if count > 1} == OFTEN
    assert EXPLAINED.isdisjoint(EDGES)


def test_no_statement_of_the_store_ends_or_opens_a_transaction() -> None:
    files = list((Path(passloop.__path__[0]) / "store").rglob("*.sql"))
    ends = r"^(?!--).*\b(BEGIN +\w+|BEGIN *;|COMMIT|SAVEPOINT|RELEASE|ROLLBACK|PRAGMA)\b"  # a trigger has a bare BEGIN
    words = re.compile(ends, re.IGNORECASE | re.MULTILINE)
    assert len(files) > 50
    assert [path.name for path in files if words.search(path.read_text(encoding="utf-8"))] == []


def test_every_crash_point_is_listed_used_and_has_somebody_die_there() -> None:
    assert named_in_the_source() == set(CRASHPOINTS)
    files = sorted(Path(__file__).parent.glob("test_*.py"))
    died = dict.fromkeys(name for _, name in deadly(import_module(f"tests.crash.{file.stem}") for file in files))
    assert sorted(set(CRASHPOINTS) - set(died)) == []


def test_every_crash_point_of_an_edge_is_listed() -> None:
    named = {name for edges in EDGES.values() for edge in edges for name in edge if name}
    assert named <= set(CRASHPOINTS)


def named_in_the_source() -> set[str]:
    """What `crashpoint(...)` is called with anywhere in the package."""
    found: set[str] = set()
    texts = ((path, path.read_text(encoding="utf-8")) for path in Path(passloop.__path__[0]).rglob("*.py"))
    for path, text in texts:
        for node in ast.walk(ast.parse(text if "crashpoint" in text else "")):
            if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "crashpoint":
                assert isinstance(node.args[0], ast.Constant), f"{path}:{node.lineno}: name it where it is"
                found.add(str(node.args[0].value))
    return found


def crashpoint_in(node: ast.stmt) -> str:
    """The crash point that a statement is, if it is one."""
    call = node.value if isinstance(node, ast.Expr) else None
    named = isinstance(call, ast.Call) and ast.unparse(call.func) == "crashpoint"
    return ast.literal_eval(call.args[0]) if named and isinstance(call, ast.Call) else ""


def test_every_instruction_that_acts_has_a_crash_point_before_and_after_it() -> None:
    edges: dict[str, tuple[str, str]] = {}
    for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(Dispatch.carry_out)))):
        if isinstance(node, ast.If):
            kind = ast.unparse(node.test).partition("isinstance(order, ")[2].partition(")")[0]
            edges[kind] = (crashpoint_in(node.body[0]), crashpoint_in(node.body[-1]))
    acts = {kind.__name__ for kind in get_args(Instruction)} - ACTS_ON_NOTHING
    assert edges.keys() - ACTS_ON_NOTHING == acts
    assert [kind for kind in acts if not all(edges[kind])] == []
