"""Tasks of lm-eval on the warm model give what lm-eval itself gives, sample by sample, dense; and run under a method.
Skips where lm-eval is not installed (`make test-bench` has it).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="the extra bench is not installed: make test-bench")
pytest.importorskip("lm_eval", reason="the extra bench is not installed: make test-bench")

from passloop.apps.bench.adapters.base import CellNames, CellWork, Granted, ResolvedMethod, ResolvedModel
from passloop.apps.bench.adapters.lm_eval import KIND as ADAPTER
from passloop.apps.bench.benchmarks.base import BenchmarkAsk, Scores
from passloop.apps.bench.benchmarks.lm_eval import KIND
from passloop.apps.bench.errors import ConfigError, DatasetError
from passloop.apps.bench.transformer.adapter import TransformerAdapter
from tests.support.cells import DENSE, Kept, found_model, method_of, needs_of
from tests.support.tiny_llama import save_tiny_llama

pytestmark = pytest.mark.filterwarnings("ignore")

COMMON = """
dataset_path: json
dataset_kwargs: {data_files: {test: rows.jsonl}}
test_split: test
doc_to_text: "The owl sees {{thing}}. The wolf sees {{thing}}. The owl and the wolf see"
"""
TEXTS = """task: texts
output_type: generate_until
doc_to_target: " {{thing}}"
generation_kwargs: {until: ["."], max_gen_toks: 5, do_sample: false}
metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]
"""
CHOICES = """task: choices
output_type: multiple_choice
doc_to_choice: [the river, a lamp, the quiet village]
doc_to_target: "{{right}}"
metric_list: [{metric: acc, aggregation: mean}, {metric: acc_norm, aggregation: mean}]
"""
ROLLING = """task: rolling
output_type: loglikelihood_rolling
doc_to_target: "The owl sees {{thing}}."
metric_list: [{metric: word_perplexity}]
"""
ROWS = [{"thing": f"the {name}", "right": place % 3} for place, name in enumerate(("river", "lamp", "village", "moon"))]


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tasks")
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    for name, text in (("texts", TEXTS), ("choices", CHOICES), ("rolling", ROLLING)):
        (folder / f"{name}.yaml").write_text(text + COMMON)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ResolvedModel:
    return found_model(save_tiny_llama(tmp_path_factory.mktemp("models") / "tiny"), dtype="float32")


@pytest.fixture(scope="module")
def warm(model: ResolvedModel) -> Iterator[TransformerAdapter]:
    made = TransformerAdapter({})
    made.load(needs_of(model), Granted(threads=1))
    yield made
    made.unload()


@pytest.fixture
def adapter(warm: TransformerAdapter) -> TransformerAdapter:
    """One warm model for all tests, as a worker leaves it between cells."""
    warm.reset()
    return warm


def cell(tasks: Path, name: str, method: ResolvedMethod = DENSE, **more: Any) -> CellWork:
    options = {"tasks": [f"{name}.yaml"], **more.pop("options", {})}
    found = KIND.resolve(BenchmarkAsk(name="lm_eval", options=options, folder=tasks))
    names = CellNames(model="tiny", sparse_attention="a", benchmark="lm_eval", subset=name)
    options = {**found.options, **found.places}
    return CellWork(names=names, adapter="lm_eval", method=method, options=options, **more)


def run(adapter: TransformerAdapter, work: CellWork) -> tuple[Kept, Scores]:
    kept = Kept()
    adapter.run_cell(work, kept)
    scores = KIND.score(work.names.subset, list(kept.answers.values()))
    assert scores is not None
    return kept, scores


def own_results(adapter: TransformerAdapter, tasks: Path, name: str) -> dict[str, Any]:
    """What lm-eval says with its own model class."""
    from contextlib import chdir

    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    held = adapter._loaded
    assert held is not None
    with chdir(tasks):
        said = simple_evaluate(
            model=HFLM(pretrained=held.model, tokenizer=held.tokenizer, batch_size=1),
            tasks=[str(tasks / f"{name}.yaml")],
            task_manager=TaskManager(include_defaults=False),
            bootstrap_iters=0,
        )
    assert said is not None
    results: dict[str, Any] = said["results"][name]
    return {key.removesuffix(",none"): value for key, value in results.items() if key.endswith(",none")}


@pytest.mark.parametrize("name", ["texts", "choices", "rolling"])
def test_a_dense_task_gives_what_lm_eval_gives(adapter: TransformerAdapter, tasks: Path, name: str) -> None:
    _, scores = run(adapter, cell(tasks, name))
    theirs = own_results(adapter, tasks, name)
    assert scores.metrics
    for metric, value in scores.metrics.items():
        assert value == pytest.approx(theirs[metric], rel=1e-3), metric


def test_each_choice_is_as_likely_as_lm_eval_says(adapter: TransformerAdapter, tasks: Path) -> None:
    kept, _ = run(adapter, cell(tasks, "choices"))
    said = json.loads(kept.answers["0"].answer)
    assert len(said) == 3
    held = adapter._loaded
    assert held is not None
    import torch

    prompt = "The owl sees the river. The wolf sees the river. The owl and the wolf see"
    for choice, (likelihood, _) in zip((" the river", " a lamp", " the quiet village"), said, strict=True):
        before = held.tokenizer.encode(prompt, add_special_tokens=False)
        whole = held.tokenizer.encode(prompt + choice, add_special_tokens=False)
        with torch.no_grad():
            shares = torch.log_softmax(held.model(torch.tensor([whole])).logits[0].float(), dim=-1)
        wanted = sum(float(shares[place - 1, whole[place]]) for place in range(len(before), len(whole)))
        assert likelihood == pytest.approx(wanted, rel=1e-3)


def test_a_task_goes_on_where_it_was(adapter: TransformerAdapter, tasks: Path) -> None:
    whole, _ = run(adapter, cell(tasks, "texts"))
    rest, _ = run(adapter, cell(tasks, "texts", answered=frozenset({"0", "2"})))
    assert list(rest.answers) == ["1", "3"]
    assert all(rest.answers[name] == whole.answers[name] for name in rest.answers)


def test_only_so_many_samples_are_asked(adapter: TransformerAdapter, tasks: Path) -> None:
    assert len(run(adapter, cell(tasks, "texts", samples=2))[0].answers) == 2
    assert len(run(adapter, cell(tasks, "texts", samples=99))[0].answers) == len(ROWS)


@pytest.mark.parametrize("name", ["texts", "choices"])
def test_a_task_runs_under_a_method_and_leaves_nothing(
    adapter: TransformerAdapter, model: ResolvedModel, tasks: Path, name: str
) -> None:
    before, (dense, _) = adapter.fingerprint(), run(adapter, cell(tasks, name))
    work = cell(tasks, name, method_of(model, "knorm", compression_ratio=0.8))
    kept = Kept()
    report = adapter.run_cell(work, kept)
    assert report.usage["kept"] == pytest.approx(0.2, abs=0.05)
    assert [each.answer for each in kept.answers.values()] != [each.answer for each in dense.answers.values()]
    adapter.reset()
    assert adapter.fingerprint() == before


def test_a_rolling_likelihood_is_never_a_dense_run_under_a_methods_name(
    adapter: TransformerAdapter, model: ResolvedModel, tasks: Path
) -> None:
    with pytest.raises(ConfigError, match="knorm"):
        adapter.run_cell(cell(tasks, "rolling", method_of(model, "knorm", compression_ratio=0.5)), Kept())


def test_few_shots_come_with_the_cells_seed(adapter: TransformerAdapter, tasks: Path) -> None:
    options = {"num_fewshot": 2}
    first = run(adapter, cell(tasks, "texts", options=options, seed=1))[0]
    again = run(adapter, cell(tasks, "texts", options=options, seed=1))[0]
    assert [each.answer for each in first.answers.values()] == [each.answer for each in again.answers.values()]


def test_data_that_went_away_are_told(adapter: TransformerAdapter, tasks: Path, tmp_path: Path) -> None:
    for path in tasks.iterdir():
        (tmp_path / path.name).write_text(path.read_text() + ("\n" if path.suffix == ".yaml" else ""))
    work = cell(tmp_path, "texts")
    (tmp_path / "rows.jsonl").unlink()
    with pytest.raises(DatasetError):
        adapter.run_cell(work, Kept())


def test_the_kinds_share_what_is_loaded() -> None:
    assert ADAPTER.family == "hf"
    assert ADAPTER.resolve_options({}, Path()) == {"chat": True}
