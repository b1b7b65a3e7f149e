"""The adapter of transformers, on a Llama of random weights that is made here: loaded once, it serves any cell as if
that were the first, dense or under any method. Skips where torch is not installed (`make test-bench` has it).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="the extra bench is not installed: make test-bench")
pytest.importorskip("transformers", reason="the extra bench is not installed: make test-bench")
kvpress = pytest.importorskip("kvpress", reason="the extra bench is not installed: make test-bench")

from passloop.apps.bench.adapters.base import CellReport, CellWork, Granted, ResolvedMethod, ResolvedModel  # noqa: E402
from passloop.apps.bench.adapters.hf import KIND  # noqa: E402
from passloop.apps.bench.benchmarks.base import Context, Question  # noqa: E402
from passloop.apps.bench.errors import (  # noqa: E402
    CellError,
    ConfigError,
    DependencyMissing,
    ErrorClass,
    ModelMissing,
    OutOfMemory,
    Phase,
    classed,
)
from passloop.apps.bench.methods import presses  # noqa: E402
from passloop.apps.bench.methods.table import BLOCKED, METHODS, RATIO  # noqa: E402
from passloop.apps.bench.transformer.adapter import TransformerAdapter  # noqa: E402
from passloop.apps.bench.transformer.chat import PlainTokenizer  # noqa: E402
from tests.support.cells import DENSE, Kept, asking, found_model, method_of, needle_cell, needs_of  # noqa: E402
from tests.support.tiny_llama import save_tiny_llama  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")

NOT_ON_RANDOM_WEIGHTS = {"kvzip", "adakv", "critical_adakv", "dms"}
"""They look for a key that no query attends to, and among random ones there is none."""
RUNNABLE = [name for name in METHODS if name not in BLOCKED and name not in NOT_ON_RANDOM_WEIGHTS]
SMALL: dict[str, dict[str, Any]] = {
    "decoding": {"compression_interval": 2, "target_size": 64},
    "think": {"key_channel_compression_ratio": 0.5},
    "simlayerkv": {"n_recent": 32},
    "chunk": {"chunk_length": 64},
    "chunkkv": {"chunk_length": 1},
    "block": {"block_size": 64},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_llama(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def model(folder: Path) -> ResolvedModel:
    return found_model(folder, dtype="float32")


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


def run(adapter: TransformerAdapter, cell: CellWork) -> tuple[Kept, CellReport]:
    kept = Kept()
    report = adapter.run_cell(cell, kept)
    adapter.reset()
    return kept, report


def loaded(adapter: TransformerAdapter) -> Any:
    assert adapter._loaded is not None
    return adapter._loaded


def with_method(model: ResolvedModel, name: str) -> ResolvedMethod:
    parameters = {**({"base": "knorm"} if METHODS[name].wraps else {}), **SMALL.get(name, {})}
    if RATIO in METHODS[name].parameters:
        parameters[RATIO] = 0.5
    return method_of(model, name, **parameters)


def test_every_question_gets_an_answer(adapter: TransformerAdapter) -> None:
    kept, report = run(adapter, needle_cell(subset="multikey_300", samples=5, keys=4, questions=3))
    assert list(kept.answers) == ["0.0", "0.1", "0.2", "1.0", "1.1"]
    assert report.usage["kept"] == 1.0
    assert report.usage["peak_mib"] > 0


def test_a_text_has_exactly_its_tokens_for_this_tokenizer(adapter: TransformerAdapter) -> None:
    tokenizer = PlainTokenizer(loaded(adapter).tokenizer)
    for context in needle_cell(subset="multivalue_333").contexts(tokenizer):
        assert len(tokenizer.encode(context.text)) == 333


def test_a_dense_answer_is_what_the_library_itself_generates(adapter: TransformerAdapter) -> None:
    question = Question(id="q", text=" What does the owl see?", answer_prefix="It")
    context = Context(id="c", text="The old owl sees the river. " * 8, questions=(question,))
    kept, _ = run(adapter, asking([context], generation={"max_new_tokens": 12}))
    whole = f"<user>{context.text}{question.text}</user><me>It"
    held = loaded(adapter)
    ids = torch.tensor([held.tokenizer.encode(whole, add_special_tokens=False)])
    made = held.model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=12, do_sample=False)
    assert kept.texts == {"q": held.tokenizer.decode(made[0, ids.shape[1] :], skip_special_tokens=True)}


@pytest.mark.parametrize("name", ["knorm", "snapkv", "expected_attention", "key_rerotation", "streaming_llm"])
def test_an_answer_under_a_method_is_what_its_library_answers(
    adapter: TransformerAdapter, model: ResolvedModel, name: str
) -> None:
    method = with_method(model, name)
    question = Question(id="q", text=" What does the owl see?", answer_prefix="It")
    context = Context(id="c", text="The old owl sees the quiet river at night. " * 12, questions=(question,))
    kept, report = run(adapter, asking([context], method, generation={"max_new_tokens": 8}))
    held = loaded(adapter)
    pipeline = kvpress.KVPressTextGenerationPipeline(model=held.model, tokenizer=held.tokenizer)
    press = presses._pressed(name, METHODS[name], method.parameters)
    said = pipeline(context.text, question=question.text, answer_prefix="It", press=press, max_new_tokens=8)
    adapter.reset()
    assert kept.texts["q"] == said["answer"]
    assert report.usage["kept"] == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("name", RUNNABLE)
def test_a_method_runs_and_leaves_the_model_as_it_was(
    adapter: TransformerAdapter, folder: Path, model: ResolvedModel, name: str
) -> None:
    if METHODS[name].attention:
        adapter = TransformerAdapter({})
        adapter.load(needs_of(found_model(folder, attn_implementation="eager")), Granted(threads=1))
    before = adapter.fingerprint()
    dense, _ = run(adapter, needle_cell())
    kept, _ = run(adapter, needle_cell(with_method(model, name)))
    assert list(kept.answers) == list(dense.answers)
    assert adapter.fingerprint() == before
    again, _ = run(adapter, needle_cell())
    assert again.texts == dense.texts


def test_layers_of_several_lengths_are_told_plainly(adapter: TransformerAdapter, model: ResolvedModel) -> None:
    method = method_of(model, "chunkkv", compression_ratio=0.5, base="keydiff", chunk_length=60)
    with pytest.raises(ConfigError, match="by layer"):
        adapter.run_cell(needle_cell(method, subset="single_250", samples=8), Kept())


@pytest.mark.parametrize("name", sorted(NOT_ON_RANDOM_WEIGHTS))
def test_a_method_that_fails_leaves_the_model_as_it_was(
    adapter: TransformerAdapter, model: ResolvedModel, name: str
) -> None:
    before, (dense, _) = adapter.fingerprint(), run(adapter, needle_cell())
    method = method_of(
        model,
        name,
        **({"threshold": 0.0, "base": "knorm"} if name == "dms" else {})
        or {RATIO: 0.5, **({"base": "knorm"} if METHODS[name].wraps else {})},
    )
    with suppress(CellError, ValueError):
        adapter.run_cell(needle_cell(method), Kept())
    adapter.reset()
    assert adapter.fingerprint() == before
    assert run(adapter, needle_cell())[0].texts == dense.texts


def test_a_context_is_read_once_for_all_its_questions(adapter: TransformerAdapter) -> None:
    lengths: list[int] = []
    inner = loaded(adapter).model.model
    handle = inner.register_forward_pre_hook(
        lambda _, args, kwargs: lengths.append(kwargs["input_ids"].shape[1]), with_kwargs=True
    )
    adapter.run_cell(needle_cell(subset="multikey_400", samples=4, keys=4, questions=4), Kept())
    handle.remove()
    assert sum(length >= 400 for length in lengths) == 1


def test_a_questions_arguments_are_its_own(adapter: TransformerAdapter) -> None:
    questions = tuple(
        Question(id=str(number), text=f" And {number}?", generation={} if limit is None else {"max_new_tokens": limit})
        for number, limit in enumerate((5, 1, None))
    )
    context = Context(id="c", text="The old owl sees the river. " * 5, questions=questions)
    kept, _ = run(adapter, asking([context], generation={"max_new_tokens": 3}))
    assert [each.extra["new_tokens"] for each in kept.answers.values()] == [5, 1, 3]


@pytest.mark.parametrize("name", [None, "knorm", "random", "decoding"])
def test_an_answer_does_not_depend_on_what_was_asked_before(
    adapter: TransformerAdapter, model: ResolvedModel, name: str | None
) -> None:
    method = DENSE if name is None else with_method(model, name)
    sampled = {"max_new_tokens": 6, "do_sample": True, "temperature": 1.5, "top_p": 0.9, "top_k": 50}
    questions = tuple(Question(id=str(number), text=f" And {number}?") for number in range(3))
    text = "The old owl sees the river. " * 12
    whole, _ = run(adapter, asking([Context(id="c", text=text, questions=questions)], method, generation=sampled))
    rest, _ = run(adapter, asking([Context(id="c", text=text, questions=questions[2:])], method, generation=sampled))
    assert rest.texts["2"] == whole.texts["2"]


def test_another_seed_samples_other_answers(adapter: TransformerAdapter) -> None:
    sampled = {"max_new_tokens": 8, "do_sample": True}
    context = Context(id="c", text="The old owl sees.", questions=(Question(id="q", text=""),))
    answers = {run(adapter, asking([context], generation=sampled, seed=seed))[0].texts["q"] for seed in range(4)}
    assert len(answers) > 1


def test_an_answer_ends_at_a_stop_text(adapter: TransformerAdapter) -> None:
    context = Context(id="c", text="The old owl sees.", questions=(Question(id="q", text=""),))
    whole = run(adapter, asking([context], generation={"max_new_tokens": 20}))[0].texts["q"]
    stop = whole[len(whole) // 2]
    cut = run(adapter, asking([context], generation={"max_new_tokens": 20, "stop": [stop]}))[0].texts["q"]
    assert cut == whole[: whole.index(stop)]


@pytest.mark.parametrize("name", [name for name in METHODS if name not in BLOCKED])
def test_the_table_says_what_the_library_has(name: str) -> None:
    known = METHODS[name]
    assert hasattr(kvpress, known.press)
    own = {each: parameter.default for each, parameter in known.parameters.items()}
    if known.wraps:
        inner = kvpress.KnormPress()
        press = getattr(kvpress, known.press)(**{known.wraps: inner})
    else:
        press = getattr(kvpress, known.press)()
    assert {each: getattr(press, each) for each in own if each != RATIO} == {
        each: value for each, value in own.items() if each != RATIO
    }


def test_a_method_that_drops_its_parameter_is_no_run(
    adapter: TransformerAdapter, model: ResolvedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kvpress, "KnormPress", lambda **_: kvpress.ScorerPress())
    with pytest.raises(ConfigError, match="compression_ratio"):
        adapter.run_cell(needle_cell(with_method(model, "knorm")), Kept())


def test_a_class_that_the_library_lost_is_a_missing_dependency(
    adapter: TransformerAdapter, model: ResolvedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(kvpress, "KnormPress")
    with pytest.raises(DependencyMissing, match="KnormPress"):
        adapter.run_cell(needle_cell(with_method(model, "knorm")), Kept())


def test_what_a_method_says_against_a_text_is_a_mistake_of_the_spec(
    adapter: TransformerAdapter, model: ResolvedModel
) -> None:
    method = method_of(model, "snapkv", compression_ratio=0.5, window_size=1000)
    with pytest.raises(ConfigError, match="snapkv"):
        adapter.run_cell(needle_cell(method), Kept())


def test_memory_that_ran_out_is_classed_by_its_phase(
    adapter: TransformerAdapter, model: ResolvedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("out of memory: tried to allocate 2 GiB")

    with monkeypatch.context() as patched:
        patched.setattr(loaded(adapter).model, "forward", full)
        with pytest.raises(OutOfMemory) as caught:
            adapter.run_cell(needle_cell(), Kept())
    assert classed(caught.value, Phase.RUN).error_class is ErrorClass.RUN_OOM
    adapter.reset()
    monkeypatch.setattr("transformers.AutoModelForCausalLM.from_pretrained", full)
    with pytest.raises(OutOfMemory) as caught:
        TransformerAdapter({}).load(needs_of(model), Granted())
    assert classed(caught.value, Phase.LOAD).error_class is ErrorClass.LOAD_OOM


def test_weights_that_cannot_be_read_are_a_missing_model(folder: Path, tmp_path: Path) -> None:
    broken = save_tiny_llama(tmp_path / "broken")
    found = found_model(broken)
    (broken / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(ModelMissing):
        TransformerAdapter({}).load(needs_of(found), Granted())
    with pytest.raises(ModelMissing):
        TransformerAdapter({}).load(replace(needs_of(found), source=str(tmp_path / "nowhere")), Granted())


def test_a_gpu_without_its_torch_is_a_missing_dependency(model: ResolvedModel) -> None:
    if torch.cuda.is_available():
        pytest.skip("this torch has CUDA")
    with pytest.raises(DependencyMissing, match="CUDA"):
        TransformerAdapter({}).load(needs_of(model), Granted(gpus=("GPU-8f1c",)))
    virtual = TransformerAdapter({})
    virtual.load(needs_of(model), Granted(gpus=("GPU-virtual-0",)))
    virtual.unload()


def test_a_changed_weight_and_a_left_hook_are_seen(model: ResolvedModel) -> None:
    own = TransformerAdapter({})
    own.load(needs_of(model), Granted(threads=1))
    before = own.fingerprint()
    held = loaded(own).model
    held.lm_head.register_forward_hook(lambda *_: None)
    held.model.layers[0].self_attn.masked_key_indices = (1,)
    assert own.fingerprint() != before
    own.reset()
    assert own.fingerprint() == before
    assert not hasattr(held.model.layers[0].self_attn, "masked_key_indices")
    with torch.no_grad():
        held.lm_head.weight[0, 0] += 1
    own.reset()
    assert own.fingerprint() != before


def test_another_model_takes_the_first_ones_place(model: ResolvedModel, tmp_path: Path) -> None:
    own = TransformerAdapter({})
    own.load(needs_of(model), Granted(threads=1))
    first = own.fingerprint()
    own.load(needs_of(found_model(save_tiny_llama(tmp_path / "other", seed=1))), Granted(threads=1))
    assert own.fingerprint() != first
    own.unload()
    assert own.fingerprint() == ""
    own.unload()


def test_threads_are_those_that_were_granted(adapter: TransformerAdapter) -> None:
    adapter.run_cell(needle_cell(samples=1), Kept())
    assert torch.get_num_threads() == 1


def test_the_kind_makes_the_adapter() -> None:
    assert isinstance(KIND.create(KIND.resolve_options({"chat": False}, Path())), TransformerAdapter)
