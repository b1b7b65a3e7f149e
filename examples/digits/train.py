"""Trains one classifier on scikit-learn's own digits and writes what it reached to metrics.json.

Knows nothing of passloop but the folder in PASSLOOP_OUT; it runs by hand as well:
    python train.py --model network --size 100 --scale standard --seed 1
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # one training takes the one CPU that it asked for

import numpy as np
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

CLASSES = np.arange(10)
EPOCHS = 30
TREES_AT_ONCE = 25


def options() -> argparse.Namespace:
    """What to train: `size` is the number of trees, or of hidden units."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=("forest", "network"), required=True)
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--scale", choices=("raw", "standard"), required=True)
    parser.add_argument("--seed", type=int, required=True)
    return parser.parse_args()


def load(scale: str, seed: int) -> list[Any]:
    """Training and test data (a third), the same split for the same seed."""
    images, digits = load_digits(return_X_y=True)
    train, test, train_digits, test_digits = train_test_split(
        images, digits, test_size=1 / 3, random_state=seed, stratify=digits
    )
    if scale == "standard":
        scaler = StandardScaler().fit(train)
        train, test = scaler.transform(train), scaler.transform(test)
    return [train, test, train_digits, test_digits]


def grow_forest(size: int, seed: int, train: Any, digits: Any) -> RandomForestClassifier:
    """A random forest of `size` trees, grown some at a time."""
    forest = RandomForestClassifier(n_estimators=min(size, TREES_AT_ONCE), warm_start=True, random_state=seed)
    forest.fit(train, digits)
    while len(forest.estimators_) < size:
        forest.set_params(n_estimators=min(size, len(forest.estimators_) + TREES_AT_ONCE))
        forest.fit(train, digits)
        print(f"{len(forest.estimators_)} of {size} trees", flush=True)
    return forest


def train_network(size: int, seed: int, train: Any, digits: Any) -> MLPClassifier:
    """A network with one hidden layer of `size` units."""
    network = MLPClassifier(hidden_layer_sizes=(size,), random_state=seed)
    for epoch in range(1, EPOCHS + 1):
        network.partial_fit(train, digits, classes=CLASSES)
        print(f"epoch {epoch} of {EPOCHS}: loss {network.loss_:.4f}", flush=True)
    return network


def main() -> None:
    """Train, look at the test data, write the metrics."""
    asked = options()
    train, test, train_digits, test_digits = load(asked.scale, asked.seed)
    started = time.perf_counter()
    fit = grow_forest if asked.model == "forest" else train_network
    model = fit(asked.size, asked.seed, train, train_digits)
    seconds = time.perf_counter() - started
    chances = model.predict_proba(test)
    metrics = {
        "accuracy": accuracy_score(test_digits, CLASSES[chances.argmax(axis=1)]),
        "log_loss": log_loss(test_digits, chances, labels=CLASSES),
        "train_seconds": round(seconds, 3),
    }
    out = Path(os.environ.get("PASSLOOP_OUT", "."))
    (out / "metrics.json").write_text(json.dumps(metrics))
    print(f"accuracy {metrics['accuracy']:.4f} on {len(test)} test images")


if __name__ == "__main__":
    main()
