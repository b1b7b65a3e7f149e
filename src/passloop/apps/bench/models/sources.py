"""Finds the model that a spec names: the packaged one, a folder, or a hub's model in the local cache.

Light, and it fetches nothing: a model that is not here is an error with the command that brings it, before anything
runs. The weights are known by the commit of the hub or by a digest of the files, never by their name.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from passloop.apps.bench.adapters.base import ModelAsk, ResolvedModel
from passloop.apps.errors import BadValue, did_you_mean
from passloop.apps.text import shown

from . import smollm2
from .digests import digest_of_file, digest_of_files
from .places import models_folder
from .shapes import DTYPE_BYTES, shape_of, stored_dtype

__all__ = ["CONVERT", "resolved_model"]

CONVERT = "convert:"
"""What a source begins with that a worker has to convert first: `convert:GGUF:FOLDER`, in JSON."""
CONVERSION = 1
"""Counts changes of the conversion: a new one makes new weights."""
HUB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*")
WEIGHTS = (".safetensors", ".bin")
READ = (*WEIGHTS, ".json", ".jinja", ".model", ".txt")
ATTENTIONS = ("sdpa", "eager", "flash_attention_2", "flash_attention_3", "flex_attention")
QUANTISATIONS = ("8bit", "4bit")
LOAD = ("dtype", "attn_implementation", "device_map", "quantization", "trust_remote_code")
DEVICE_MAPS = ("auto", "balanced", "balanced_low_0", "sequential")


def resolved_model(ask: ModelAsk) -> ResolvedModel:
    """The model of `ask`, found. Raises `BadValue` when it is not there or a load argument is wrong."""
    if not ask.source:
        fix = "say where it is: source: smollm2, a folder, or a hub id such as org/name"
        raise BadValue(f"the model {shown(ask.name)} has no source", fix, path=("source",))
    for name in ask.options:
        raise BadValue(
            f"a model has no option {shown(name)}", "write load arguments under load:", path=("options", name)
        )
    if ask.source == smollm2.NAME:
        return _packaged(ask)
    folder = (ask.folder / Path(ask.source).expanduser()).absolute()
    if folder.is_dir():
        return _in_folder(folder, ask, f"sha256:{_digest(folder)}")
    if HUB_ID.fullmatch(ask.source):
        return _of_hub(ask)
    fix = "name a folder with config.json and safetensors, a hub id, or smollm2"
    raise BadValue(f"model_missing: there is no model at {shown(str(folder))}", fix, path=("source",))


def _packaged(ask: ModelAsk) -> ResolvedModel:
    try:
        gguf = smollm2.gguf_file()
    except BadValue as bad:
        raise BadValue(f"model_missing: {bad.what}", bad.fix, path=("source",)) from None
    digest = digest_of_file(gguf, models_folder())
    folder = models_folder() / f"{smollm2.NAME}-{digest[:12]}-{CONVERSION}"
    load = _load(ask.load, smollm2.CONFIG)
    return ResolvedModel(
        weights=f"gguf-sha256:{digest}+{CONVERSION}",
        source=CONVERT + json.dumps([str(gguf), str(folder)]),
        load=load,
        shape=shape_of(smollm2.CONFIG, parameters=smollm2.PARAMETERS, load=load),
    )


def _in_folder(folder: Path, ask: ModelAsk, weights: str) -> ResolvedModel:
    config = _config(folder)
    load = _load(ask.load, config)
    stored = sum(path.stat().st_size for path in folder.iterdir() if path.suffix in WEIGHTS)
    parameters = stored // DTYPE_BYTES[stored_dtype(config)]
    return ResolvedModel(
        weights=weights, source=str(folder), load=load, shape=shape_of(config, parameters=parameters, load=load)
    )


def _config(folder: Path) -> Mapping[str, Any]:
    path = folder / "config.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        fix = "name a folder as save_pretrained writes it, with config.json and safetensors"
        raise BadValue(f"model_missing: {shown(str(folder))} has no config.json", fix, path=("source",)) from None
    except ValueError:
        fix = "write the folder anew with save_pretrained"
        raise BadValue(f"model_missing: {shown(str(path))} is no JSON", fix, path=("source",)) from None
    if not any(each.suffix in WEIGHTS for each in folder.iterdir()):
        fix = "name a folder as save_pretrained writes it, with config.json and safetensors"
        raise BadValue(f"model_missing: {shown(str(folder))} has no weights", fix, path=("source",))
    return found if isinstance(found, dict) else {}


def _digest(folder: Path) -> str:
    _config(folder)
    return digest_of_files((each for each in folder.iterdir() if each.suffix in READ), models_folder())


def _of_hub(ask: ModelAsk) -> ResolvedModel:
    """A hub's model in the local cache, at the commit that `revision` (default main) stands for there."""
    cached = _hub_cache() / ("models--" + ask.source.replace("/", "--"))
    wanted = ask.revision or "main"
    try:
        commit = (cached / "refs" / wanted).read_text(encoding="utf-8").strip()
    except OSError:
        commit = wanted
    folder = cached / "snapshots" / commit
    if not (folder / "config.json").is_file():
        revision = f" --revision {ask.revision}" if ask.revision else ""
        fix = f"fetch it first: hf download {ask.source}{revision}; or name a folder"
        raise BadValue(f"model_missing: {ask.source} is not in the local cache of the hub", fix, path=("source",))
    return _in_folder(folder, ask, f"hub:{ask.source}@{commit}")


def _hub_cache() -> Path:
    """Where huggingface_hub keeps what it fetched (its documented variables, in its order)."""
    if named := os.environ.get("HF_HUB_CACHE"):
        return Path(named).expanduser()
    home = os.environ.get("HF_HOME")
    return (Path(home).expanduser() if home else Path.home() / ".cache" / "huggingface") / "hub"


def _load(given: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """The complete load arguments; what depends on the machine (the device) is not among them unless asked for."""
    for name in given:
        if name not in LOAD:
            raise BadValue(f"{shown(name)} is no load argument", did_you_mean(name, LOAD), path=("load", name))
    load = {
        "dtype": _one_of("dtype", given.get("dtype") or stored_dtype(config), DTYPE_BYTES),
        "attn_implementation": _one_of("attn_implementation", given.get("attn_implementation") or "sdpa", ATTENTIONS),
    }
    if given.get("device_map") is not None:
        load["device_map"] = _one_of("device_map", given["device_map"], DEVICE_MAPS)
    if given.get("quantization") is not None:
        load["quantization"] = _one_of("quantization", given["quantization"], QUANTISATIONS)
    if given.get("trust_remote_code"):
        fix = "take a model that transformers knows"
        raise BadValue("code that comes with a model is not run", fix, path=("load", "trust_remote_code"))
    return load


def _one_of(name: str, value: Any, known: Mapping[str, Any] | tuple[str, ...]) -> str:
    if not isinstance(value, str) or value not in known:
        raise BadValue(f"{name} is {shown(value)}", did_you_mean(str(value), known), path=("load", name))
    return value
