"""A Llama of random weights, made here in a second: right in shape, and able to say nothing. Imports torch late."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

from passloop.apps.bench.benchmarks.niah import sentences

VOCABULARY = 800
TEMPLATE = "{% for message in messages %}<user>{{ message['content'] }}</user>{% endfor %}<me>"


def save_tiny_llama(folder: Path, *, seed: int = 0) -> Path:
    """Write the model, its tokenizer and a chat template into `folder`; 2 layers, 4 heads over 2, 64 wide."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = _tokenizer()
    tokenizer.save_pretrained(str(folder))
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=4096,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        initializer_range=0.3,
    )
    LlamaForCausalLM(config).save_pretrained(str(folder))
    return folder


def _tokenizer() -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    plain = Tokenizer(models.BPE())
    plain.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    plain.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    plain.train_from_iterator(sentences(Random(0), 500), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=plain, bos_token="<s>", eos_token="</s>", pad_token="</s>", chat_template=TEMPLATE
    )
