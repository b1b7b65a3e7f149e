"""Datasets from LLM endpoints, cell by cell. `spec.py` is what may be written, `dataset.py` what it means."""
