"""One file per verb; each defines `command`. A verb reads words, asks, and prints; it decides nothing else."""
