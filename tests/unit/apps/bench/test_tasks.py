"""What is asked of the engine for a cell: forms of the request, ranks, budgets, keys; and the estimates behind them."""

from __future__ import annotations

from pathlib import Path

import pytest

from passloop.apps.bench.adapters.base import ModelShape
from passloop.apps.bench.cell_order import decode_order
from passloop.apps.bench.errors import ConfigError, ErrorClass
from passloop.apps.bench.invocation import Invocation
from passloop.apps.bench.learned import Learned
from passloop.apps.bench.memory import Device, bucket_of, estimate, gpu_request
from passloop.apps.bench.order import First, prior_ms, ranks
from passloop.apps.bench.policy import POLICIES, budgets_of, retries_of
from passloop.apps.bench.remaining import Remaining
from passloop.apps.bench.session import Session
from passloop.apps.bench.tasks import BenchTask, Box, Form, TaskMaker
from passloop.clock import FakeClock
from tests.unit.apps.bench.places import FAKE, matrix_of_text, order_of, run_one

GIB = 1024
REAL = Box(devices=(Device(80 * GIB, virtual=False),) * 2, mem_mib=64 * GIB)
VIRTUAL = Box(devices=(Device(80 * GIB, virtual=True),), mem_mib=64 * GIB)


def tasks(text: str, folder: Path, box: Box = REAL, learned: Learned | None = None) -> list[BenchTask]:
    matrix = matrix_of_text(FAKE + text, folder)
    maker = TaskMaker(matrix, box=box, learned=learned or Learned(), invocation=Invocation())
    return maker.tasks(list(matrix.cells()))


def forms(text: str, folder: Path, box: Box = REAL) -> tuple[Form, ...]:
    return tasks(f"resources: {text}\n", folder, box)[0].forms


CPU = (("cpu", 1_000),)


def test_a_cell_without_words_takes_a_cpu_and_one_with_a_gpu_none_that_it_does_not_ask(tmp_path: Path) -> None:
    assert forms("{}", tmp_path) == (Form(amounts=CPU),)
    assert forms("{gpus: 1}", tmp_path)[0] == Form(gpus=1)
    assert forms("{gpus: 1, cpus: 1}", tmp_path)[0] == Form(gpus=1, amounts=CPU)


def test_auto_takes_no_virtual_gpu_and_a_whole_real_one_while_nothing_is_known(tmp_path: Path) -> None:
    assert forms("{gpus: auto}", tmp_path, VIRTUAL) == (Form(amounts=CPU),)
    assert forms("{gpus: auto}", tmp_path, Box()) == (Form(amounts=CPU),)
    assert forms("{gpus: auto}", tmp_path) == (Form(gpus=1),)


def test_after_running_out_of_memory_a_cell_asks_twice_as_much_and_the_device_alone(tmp_path: Path) -> None:
    wanted = (
        Form(share=2_500, vram_mib=20 * GIB),
        Form(gpus=1, vram_mib=40 * GIB),
    )
    assert forms("{gpus: auto, vram: 20GiB}", tmp_path) == wanted
    assert forms("{gpus: share, vram: 20GiB}", tmp_path, VIRTUAL) == wanted
    assert forms("{gpus: 1, vram: 60GiB}", tmp_path) == (
        Form(gpus=1, vram_mib=60 * GIB),
        Form(gpus=1, vram_mib=80 * GIB),
    )


def test_a_cell_that_ran_out_of_memory_at_the_last_start_begins_with_twice_as_much(tmp_path: Path) -> None:
    options = "options: {rules: [{where: {model: a, subset: s1, sparse_attention: dense}, fault: run_oom, times: 0}]}"
    matrix = matrix_of_text(f"{FAKE}{options}\nresources: {{gpus: auto, vram: 20GiB}}\n", tmp_path)
    session = Session(matrix, clock=FakeClock())
    first = session.tasks(session.look(), REAL)[0]
    run_one(order_of(matrix, first.cell), tmp_path / "out")
    again = session.tasks(session.look(), REAL)
    assert [form.gpus for form in first.forms] == [0, 1]
    assert [form.gpus for form in again[0].forms] == [1]
    assert {len(task.forms) for task in again[1:]} == {2}
    assert [task.budgets.out_of_memory for task in (first, *again[:2])] == [1, 0, 1]
    retries = [decode_order(task.order).retries[ErrorClass.RUN_OOM] for task in (first, *again[:2])]
    assert retries == [1, 0, 1], "twice as much and alone is the last try"


def test_host_memory_is_doubled_and_never_beyond_the_machine(tmp_path: Path) -> None:
    found = [dict(form.amounts)["memory"] for form in forms("{mem: 40GiB, need: {licence: 2}}", tmp_path)]
    assert found == [40 * GIB, 64 * GIB]
    assert dict(forms("{need: {licence: 2}}", tmp_path)[0].amounts)["licence"] == 2


def test_cells_of_one_loaded_model_share_a_key_and_commands_have_none(tmp_path: Path) -> None:
    made = tasks("", tmp_path)
    keys = {task.warm_key for task in made}
    assert len(keys) == 2
    assert None not in keys
    assert {task.warm_key for task in tasks("warm: false\n", tmp_path)} == {None}
    text = "bench: c\nadapter: command\ncommand: [x]\nmodels: [a]\nbenchmarks: [b]\n"
    matrix = matrix_of_text(text, tmp_path)
    maker = TaskMaker(matrix, box=Box(), learned=Learned(), invocation=Invocation())
    assert maker.tasks(list(matrix.cells()))[0].warm_key is None


def test_keys_tell_results_apart_by_folder_and_cell(tmp_path: Path) -> None:
    here = {task.key for task in tasks("", tmp_path)}
    there = {task.key for task in tasks("out: other\n", tmp_path)}
    assert len(here) == len(there) == 12
    assert not here & there


def test_an_order_of_another_version_is_refused(tmp_path: Path) -> None:
    order = tasks("", tmp_path)[0].order
    assert decode_order(order).benchmark.subset == "s1"
    with pytest.raises(ConfigError, match="another version"):
        decode_order(order.replace('"version":1', '"version":2', 1))
    with pytest.raises(ConfigError, match="not readable"):
        decode_order("{")


def test_the_longest_comes_first_unless_another_order_is_asked() -> None:
    times, dense = [50, 2_000, 300, 300], [False, False, True, False]
    assert sorted(range(4), key=ranks(times, dense, First.LONGEST).__getitem__) == [1, 2, 3, 0]
    assert sorted(range(4), key=ranks(times, dense, First.SHORTEST).__getitem__) == [0, 2, 3, 1]
    assert sorted(range(4), key=ranks(times, dense, First.DENSE).__getitem__) == [2, 1, 3, 0]
    assert all(abs(rank) <= 10**9 for rank in ranks([10**15] * 2, [True, False], First.DENSE))


def test_times_are_learned_from_the_nearest_kind(tmp_path: Path) -> None:
    matrix = matrix_of_text(FAKE, tmp_path)
    cells = list(matrix.cells())
    learned = Learned()
    learned.learn(cells[0], {"millis": {"run": 900, "load": 100}, "usage": {"peak_vram_mib": 700, "peak_mib": 5}})
    assert learned.millis(cells[0]) == 1_000
    assert learned.millis(cells[3]) == 1_000, "the same subset under another configuration"
    assert learned.millis(cells[1]) == 1_000, "the same benchmark"
    other = next(cell for cell in cells if cell.names.model == "b")
    assert learned.millis(other) == 1_000, "another model of the same size"
    assert list(learned.peaks.values()) == [700]


def test_the_formula_is_that_of_weights_cache_and_workspace() -> None:
    llama = ModelShape(
        parameters=8_030_000_000,
        weight_bytes=16_060_000_000,
        layers=32,
        heads=32,
        kv_heads=8,
        head_dim=128,
    )
    bucket = bucket_of("m", "dense", 32_768)
    found = estimate(llama, tokens=32_768, observed={}, bucket=bucket)
    assert found is not None
    cache = 4 * GIB
    weights = 16_060_000_000 / 2**20
    assert found.mib > (weights + cache) * 1.1
    assert found.mib < (weights + cache) * 1.1 + 4 * GIB
    eager = ModelShape(**{**_fields(llama), "eager": True})
    large = estimate(eager, tokens=32_768, observed={}, bucket=bucket)
    assert large is not None
    assert large.mib - found.mib > 2 * 64 * GIB
    assert estimate(None, tokens=1, observed={}, bucket=bucket) is None
    seen = estimate(llama, tokens=32_768, observed={bucket: 1_000}, bucket=bucket)
    assert seen == (1_100, "observed peak")
    assert bucket_of("m", "dense", 32_769)[2] == 65_536


def _fields(shape: ModelShape) -> dict[str, int]:
    names = ("parameters", "weight_bytes", "layers", "heads", "kv_heads", "head_dim")
    return {name: getattr(shape, name) for name in names}


def test_a_share_is_rounded_up_and_what_is_too_large_asks_the_whole_device() -> None:
    device = Device(1_000, virtual=False)
    assert gpu_request(101, device) == (0, 1_010, 101)
    assert gpu_request(1_500, device) == (1, 0, 1_500)
    assert gpu_request(None, device) == (1, 0, None)


def test_budgets_of_the_kernel_leave_room_for_those_of_the_classes() -> None:
    retries = retries_of({ErrorClass.BUG: 2, ErrorClass.TIME_LIMIT: 1})
    assert set(retries) == set(POLICIES) == set(ErrorClass)
    budgets = budgets_of(retries)
    assert (budgets.failure, budgets.timeout, budgets.out_of_memory, budgets.lost) == (6, 1, 1, 3)


def test_what_is_left_is_told_within_a_quarter_after_ten_cells_of_known_kind() -> None:
    """Estimates were wrong by a factor that differs by kind; ten ended cells correct both."""
    estimates = {f"{kind}{n}": 100 for kind in "ab" for n in range(30)}
    groups = {cell: cell[0] for cell in estimates}
    true = {"a": 400, "b": 37}
    remaining = Remaining(estimates, groups)
    assert remaining.left((), at_once=2) is None
    ended = [f"{kind}{n}" for kind in "ab" for n in range(5)]
    for cell in ended:
        remaining.took(cell, true[cell[0]])
    left = [cell for cell in estimates if cell not in ended]
    wanted = sum(true[cell[0]] for cell in left) / 2
    found = remaining.left(ended, at_once=2)
    assert found is not None
    assert abs(found - wanted) <= wanted / 4


def test_a_prior_grows_with_tokens_and_parameters() -> None:
    small = prior_ms(parameters=10**8, tokens=512, samples=8)
    assert prior_ms(parameters=10**9, tokens=512, samples=8) > small > prior_ms(parameters=10**8, tokens=64, samples=1)
