"""Turns a packaged GGUF file into a folder of safetensors, once for all; also as a program, with both as arguments.

A worker has it done by a process of its own, because the memory that this takes would stay with the worker and count as
what its cells need.

The weights are dequantised as they are, so that figures are those of the quantised model. The folder appears under its
name only when it is complete; of two workers that want it at once one converts and the other waits for its lock.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from passloop.crashpoints import crashpoint

__all__ = ["converted", "main"]

COMPLETE = "config.json"


def converted(gguf: Path, folder: Path) -> Path:
    """`folder` with the model of `gguf` in it as float32 safetensors and its tokenizer; made if it is not there.

    Takes about 30 s and 1.7 GB of memory for 135 million parameters. Raises `OSError` with the last words of what went
    wrong.
    """
    if (folder / COMPLETE).exists():
        return folder
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _locked(folder.with_name(folder.name + ".lock")):
        if not (folder / COMPLETE).exists():
            _convert_apart(gguf, folder)
    return folder


def _convert_apart(gguf: Path, folder: Path) -> None:
    words = [sys.executable, "-P", "-m", __spec__.name, str(gguf), str(folder)]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise OSError(f"{gguf.name} cannot be converted: {last}")


def main() -> None:
    """Convert the file of the first argument into the folder of the second."""
    gguf, folder = map(Path, sys.argv[1:3])
    if not (folder / COMPLETE).exists():
        _convert(gguf, folder)


def _convert(gguf: Path, folder: Path) -> None:
    aside = Path(tempfile.mkdtemp(prefix=folder.name + ".", dir=folder.parent))
    try:
        _write(gguf, aside)
        crashpoint("before_model_folder")
        aside.rename(folder)
        crashpoint("after_model_folder")
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _write(gguf: Path, aside: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    place: dict[str, Any] = {"gguf_file": gguf.name, "local_files_only": True}
    loaded = AutoModelForCausalLM.from_pretrained(str(gguf.parent), dtype="float32", **place)
    plain = AutoModelForCausalLM.from_config(loaded.config, dtype="float32")  # the loaded one refuses to be saved
    plain.load_state_dict(loaded.state_dict())
    plain.generation_config = loaded.generation_config
    plain.save_pretrained(str(aside))
    _tokenizer(AutoTokenizer.from_pretrained(str(gguf.parent), **place), loaded.config).save_pretrained(str(aside))
    _sync(aside)


def _tokenizer(read: Any, config: Any) -> Any:
    """The same tokens under a plain class: the one that is guessed for GGUF files mixes up the special tokens and adds
    one before every text.
    """
    from tokenizers.processors import ByteLevel
    from transformers import PreTrainedTokenizerFast

    tokens = read.backend_tokenizer
    tokens.post_processor = ByteLevel(trim_offsets=False)
    marks = {"bos_token": config.bos_token_id, "eos_token": config.eos_token_id, "pad_token": config.pad_token_id}
    named = {name: tokens.id_to_token(number) for name, number in marks.items() if number is not None}
    return PreTrainedTokenizerFast(tokenizer_object=tokens, chat_template=read.chat_template, **named)


def _sync(folder: Path) -> None:
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    main()
