"""A training that is none: it sleeps, writes what a training writes, and leaves metrics. For pictures of the page."""

from __future__ import annotations

import json
import os
import random
import sys
import time
from pathlib import Path


def main() -> int:
    """Play one training: name, seconds, depth, learning rate, seed; a high rate on a deep net diverges."""
    name, seconds, depth, rate, seed = sys.argv[1], *(float(word) for word in sys.argv[2:6])
    chance = random.Random(f"{name}{depth}{rate}{seed}")
    steps = max(8, int(seconds * 3))
    loss, best = 2.31, 0.95 - 0.12 / (depth / 18) - abs(rate - 0.003) * 2.1
    print(
        f"\x1b[1m{name}\x1b[0m on {os.environ.get('PASSLOOP_GPUS') or 'CPU'}, depth {depth:g}, lr {rate:g}", flush=True
    )
    for step in range(1, steps + 1):
        loss = loss * 0.93 + 0.07 * (1 - best) * chance.uniform(0.8, 1.6)
        print(f"\repoch 1 {step:4d}/{steps} {'=' * (step * 24 // steps):<24} loss {loss:.4f}", end="", flush=True)
        if step % 6 == 0:
            accuracy = best * (1 - loss / 4)
            print(
                f"\r\x1b[36mstep {step:5d}\x1b[0m  loss \x1b[32m{loss:.4f}\x1b[0m  acc {accuracy:.4f}  lr {rate:g}",
                flush=True,
            )
        time.sleep(seconds / steps)
    print()
    if rate > 0.05 and depth > 30:
        print("\x1b[31mFloatingPointError: loss is NaN at step 23; last finite loss 41.7\x1b[0m", file=sys.stderr)
        return 1
    metrics = {
        "accuracy": round(best + chance.uniform(-0.012, 0.012), 4),
        "loss": round(loss, 4),
        "images_per_s": round(52_000 / depth),
    }
    (Path(os.environ["PASSLOOP_OUT"]) / "metrics.json").write_text(json.dumps(metrics))
    print(f"\x1b[32mdone\x1b[0m accuracy {metrics['accuracy']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
