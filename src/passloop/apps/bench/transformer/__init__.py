"""The heavy half of the adapters `hf` and `lm_eval`: lives in a worker, imports torch and transformers in use."""
