"""The options of the llama.cpp server, as they reach llama.cpp. The server itself runs in the example."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from passloop.apps.tune.engines import llamacpp


class Listening(Exception):
    """The server would serve now."""

    def __init__(self, parameters: Any) -> None:
        super().__init__("serving")
        self.parameters = parameters


def refuse_to_serve(parameters: Any) -> None:
    """Stands where the real server begins."""
    raise Listening(parameters)


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file to serve, and a stand-in for the library that keeps the parameters."""
    path = tmp_path / "tiny.gguf"
    path.touch()
    library = SimpleNamespace(
        __version__="2026.1",
        CommonParams=lambda: SimpleNamespace(
            model=SimpleNamespace(), cpuparams=SimpleNamespace(), cpuparams_batch=SimpleNamespace()
        ),
        Server=refuse_to_serve,
        llama_flash_attn_type=SimpleNamespace(
            LLAMA_FLASH_ATTN_TYPE_AUTO=-1, LLAMA_FLASH_ATTN_TYPE_ENABLED=1, LLAMA_FLASH_ATTN_TYPE_DISABLED=0
        ),
        ggml_type=SimpleNamespace(GGML_TYPE_F16=1, GGML_TYPE_Q8_0=8),
    )
    monkeypatch.setitem(sys.modules, "xllamacpp", library)
    monkeypatch.setattr(llamacpp, "_end_on_signals", lambda: None)
    return path


def served(*words: str) -> Any:
    with pytest.raises(Listening) as caught:
        llamacpp.main(["--port", "8080", *words])
    return caught.value.parameters


def test_each_option_reaches_the_server(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = ["--threads", "2", "--threads-batch", "4", "--batch", "128", "--ubatch", "64"]
    room = ["--parallel", "8", "--ctx-size", "512"]
    kinds = ["--flash-attn", "off", "--cache-type-k", "q8_0", "--no-cont-batching"]
    told = served("--model", str(model), *sizes, *room, *kinds)
    assert (told.port, told.hostnames, told.model.path) == (8080, ["127.0.0.1"], str(model))
    assert (told.cpuparams.n_threads, told.cpuparams_batch.n_threads) == (2, 4)
    assert (told.n_batch, told.n_ubatch, told.n_parallel) == (128, 64, 8)
    assert told.n_ctx == 8 * 512, "the context is of each sequence"
    assert (told.flash_attn_type, told.cache_type_k, told.cache_type_v) == (0, 8, 1)
    assert told.cont_batching is False
    assert capsys.readouterr().out.splitlines()[0] == "engine: xllamacpp 2026.1"


def test_what_is_asked_is_what_runs(model: Path) -> None:
    told = served("--model", str(model))
    assert (told.fit_params, told.cache_prompt, told.reuse_port) == (False, False, False)
    assert (told.cpuparams.n_threads, told.cpuparams_batch.n_threads) == (1, 1)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--ubatch", "512", "--batch", "64"), "argument --ubatch: 512 is larger than --batch 64"),
        (("--parallel", "0"), "argument --parallel: 0 is below 1"),
        (("--model", "/no/such.gguf"), "argument --model: there is no file /no/such.gguf"),
        (("--ctx-size", "2000000000", "--parallel", "2"), "argument --ctx-size: 2000000000 x 2 sequences"),
        (("--slots", "2"), "unrecognized arguments: --slots 2"),
        (("--flash", "on"), "unrecognized arguments: --flash on"),
    ],
)
def test_what_cannot_be_is_told_as_programs_do(
    model: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        llamacpp.main(["--port", "8080", "--model", str(model), *words])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_missing_weights_are_one_sentence_with_the_install_command(
    model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(llamacpp, "find_spec", lambda _: None)
    with pytest.raises(SystemExit):
        llamacpp.main(["--port", "8080"])
    assert capsys.readouterr().err.strip() == f"error: {llamacpp.WEIGHTS}"


def test_a_missing_server_is_one_sentence_with_the_install_command(
    model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    with pytest.raises(SystemExit):
        llamacpp.main(["--port", "8080", "--model", str(model)])
    assert capsys.readouterr().err.strip() == f"error: {llamacpp.SERVER}"


def test_the_weights_of_the_wheel_are_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / llamacpp.FILE).touch()
    monkeypatch.setattr(llamacpp, "find_spec", lambda _: SimpleNamespace(origin=str(tmp_path / "__init__.py")))
    assert llamacpp.smollm2() == tmp_path / llamacpp.FILE


@pytest.mark.parametrize(("error", "said"), [(MemoryError("x"), "out of memory"), (RuntimeError("x"), "cannot serve")])
def test_a_model_that_cannot_be_loaded_ends_in_a_sentence(
    model: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    def fail(_: Any) -> None:
        raise error

    monkeypatch.setattr(sys.modules["xllamacpp"], "Server", fail)
    with pytest.raises(SystemExit, match=said):
        llamacpp.main(["--port", "8080", "--model", str(model)])
