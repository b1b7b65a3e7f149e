"""Sparse attention methods: a light table of what there is, and heavy builders that make one for a loaded model."""
