"""Run by a Python that has data-designer: `python in_data_designer.py URL ROWS FOLDER` makes a dataset of four columns.

One column for each of the models m0 to m3, which know nothing of each other, 4 calls at once for each; all else as
shipped. Prints how many rows came. Imports nothing of ours.
"""

from __future__ import annotations

import os
import sys

os.environ.setdefault("NEMO_TELEMETRY_ENABLED", "false")

from data_designer.config.column_configs import LLMTextColumnConfig, SamplerColumnConfig
from data_designer.config.config_builder import DataDesignerConfigBuilder
from data_designer.config.models import ChatCompletionInferenceParams, ModelConfig, ModelProvider
from data_designer.config.sampler_params import CategorySamplerParams
from data_designer.interface import DataDesigner


def main(url: str, rows: int, folder: str) -> None:
    """Configure and create."""
    limits = ChatCompletionInferenceParams(max_parallel_requests=4, max_tokens=8)
    models = [
        ModelConfig(alias=f"m{n}", model=f"m{n}", provider="here", inference_parameters=limits, skip_health_check=True)
        for n in range(4)
    ]
    builder = DataDesignerConfigBuilder(model_configs=models)
    topics = CategorySamplerParams(values=["a", "b", "c"])
    builder.add_column(SamplerColumnConfig(name="topic", sampler_type="category", params=topics))
    for n in range(4):
        prompt = "Write a short ticket about {{ topic }}."
        builder.add_column(LLMTextColumnConfig(name=f"by_m{n}", prompt=prompt, model_alias=f"m{n}"))
    provider = ModelProvider(name="here", endpoint=url, api_key="none")
    made = DataDesigner(artifact_path=folder, model_providers=[provider]).create(builder, num_records=rows)
    print(f"rows {len(made.load_dataset())}")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
