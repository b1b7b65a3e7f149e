"""One model in memory: loaded as planned, brought back to what it was after each cell, digested, freed.

It is loaded from local files only, onto the device that was granted, with as many threads as were granted. It runs no
cell.
"""

from __future__ import annotations

import gc
import hashlib
import json
import os
from pathlib import Path
from typing import Any

from passloop.apps.bench.adapters.base import Granted, LoadNeeds
from passloop.apps.bench.errors import ConfigError, DependencyMissing
from passloop.apps.bench.models.convert import converted
from passloop.apps.bench.models.sources import CONVERT

from .torch_edge import importing, loading

__all__ = ["LoadedModel"]

SURROUNDINGS = {
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TQDM_DISABLE": "1",
}
"""What the libraries look for before they are imported: nothing is fetched, no bars, no threads of their own."""
CHUNK = 2**24
"""Numbers of a tensor that are digested at a time."""
QUANTISATION = {"8bit": {"load_in_8bit": True}, "4bit": {"load_in_4bit": True}}


class LoadedModel:
    """A model and its tokenizer. `source` is a folder, or what `models.sources` says has to be converted first."""

    def __init__(self, needs: LoadNeeds, granted: Granted) -> None:
        os.environ.update({name: value for name, value in SURROUNDINGS.items() if name not in os.environ})
        with importing():
            import torch
            import transformers
        transformers.utils.logging.disable_progress_bar()
        torch.set_num_threads(max(1, granted.threads))
        self.device_id = granted.gpus[0] if granted.gpus else None
        with loading(needs.model, self.device_id):
            folder = _folder(needs.source)
            self.tokenizer: Any = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
            self.model: Any = transformers.AutoModelForCausalLM.from_pretrained(
                folder, **_arguments(needs, _device(torch, granted))
            )
        self.model.eval()
        self.model.config.name_or_path = folder  # methods that want the tokenizer look for it there
        self._mark = _marks(self.model)
        gc.collect()
        gc.freeze()  # what stays is not gone through after each cell: that took longer than a small cell

    def reset(self) -> None:
        """Take away hooks, attributes and modules that a method hung into the model, and free what caches held."""
        for module, attributes, modules, hooks in self._mark:
            _strip(module, attributes, modules, hooks)
        gc.collect()
        _free_device_memory()

    def fingerprint(self) -> str:
        """A digest of all weights, of how the model is put together and of how it generates."""
        digest = hashlib.sha256()
        for name, tensor in (*self.model.named_parameters(), *self.model.named_buffers()):
            digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}{_sum_of_bits(tensor)}\n".encode())
        config = self.model.config.to_dict()
        generation = self.model.generation_config.to_dict()
        attention = self.model.config._attn_implementation
        hooks = sum(len(_hooks(module)) for module in self.model.modules())
        state = [config, generation, attention, hooks, self.model.training]
        digest.update(json.dumps(state, sort_keys=True, default=str).encode())
        return digest.hexdigest()

    def unload(self) -> None:
        """Free the model, the device's memory too."""
        del self.model, self.tokenizer
        self._mark = []
        gc.unfreeze()
        gc.collect()
        _free_device_memory()


def _folder(source: str) -> str:
    if not source.startswith(CONVERT):
        return source
    gguf, folder = json.loads(source.removeprefix(CONVERT))
    return str(converted(Path(gguf), Path(folder)))


def _device(torch: Any, granted: Granted) -> str:
    """Where the model goes: the granted GPU, several as one, or the CPU; virtual GPUs are the CPU."""
    real = [uuid for uuid in granted.gpus if "virtual" not in uuid]
    if not real:
        return "cpu"
    if not torch.cuda.is_available():
        message = "a GPU was granted, and this torch has no CUDA: pip install torch==2.13.0 from the index for your GPU"
        raise DependencyMissing(message)
    return "cuda:0" if len(real) == 1 else "auto"


def _arguments(needs: LoadNeeds, device: str) -> dict[str, Any]:
    import torch

    load = dict(needs.load)
    arguments: dict[str, Any] = {
        "dtype": getattr(torch, str(load.get("dtype", "float32"))),
        "attn_implementation": load.get("attn_implementation", "sdpa"),
        "local_files_only": True,
        "trust_remote_code": False,
    }
    placed = load.get("device_map") if device != "cpu" else None
    if placed or device != "cpu":
        arguments["device_map"] = placed or device
    if load.get("quantization"):
        arguments["quantization_config"] = _quantisation(str(load["quantization"]), device)
    return arguments


def _quantisation(name: str, device: str) -> Any:
    if device == "cpu":
        raise ConfigError(f"quantization: {name} runs on a GPU only, and none was granted")
    with importing():
        import bitsandbytes  # noqa: F401 - transformers would say less about what is missing
        from transformers import BitsAndBytesConfig
    return BitsAndBytesConfig(**QUANTISATION[name])


def _marks(model: Any) -> list[tuple[Any, frozenset[str], frozenset[str], frozenset[int]]]:
    """Each module with the names of its attributes and modules and its hooks, as they are after loading."""
    return [
        (module, frozenset(vars(module)), frozenset(module._modules), frozenset(map(id, _hooks(module))))
        for module in model.modules()
    ]


def _hooks(module: Any) -> list[Any]:
    return [*module._forward_hooks.values(), *module._forward_pre_hooks.values()]


def _strip(module: Any, attributes: frozenset[str], modules: frozenset[str], hooks: frozenset[int]) -> None:
    for name in [each for each in vars(module) if each not in attributes]:
        del module.__dict__[name]
    for name in [each for each in module._modules if each not in modules]:
        del module._modules[name]
    for registry in (module._forward_hooks, module._forward_pre_hooks):
        for number in [number for number, hook in registry.items() if id(hook) not in hooks]:
            del registry[number]


def _sum_of_bits(tensor: Any) -> int:
    """The sum of a tensor's bytes-as-integers: differs when a number changes, and costs one pass on its device."""
    import torch

    whole = tensor.detach().contiguous().reshape(-1)
    kinds = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
    bits = whole.view(kinds[whole.element_size()])
    return sum(int(part.sum(dtype=torch.int64)) for part in bits.split(CHUNK)) if len(bits) else 0


def _free_device_memory() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()
