"""The foreign clients by the names that specs give them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from .aiperf import AIPerf
from .base import Adapter
from .genai_bench import GenAIBench
from .guidellm import GuideLLM
from .vllm_bench import VllmBench

__all__ = ["ADAPTERS"]

ADAPTERS: Mapping[str, Adapter] = MappingProxyType(
    {"aiperf": AIPerf(), "guidellm": GuideLLM(), "vllm": VllmBench(), "genai-bench": GenAIBench()}
)
