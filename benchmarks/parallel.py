"""Measure scoring many series in this process against processes of joblib.

python benchmarks/parallel.py --series 200 --points 5000 --jobs 2
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch

from vetime_plugins import VETimePipeline


def main() -> None:
    """Print the seconds of both, each the least of some turns: the first starts the processes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=200)
    parser.add_argument("--points", type=int, default=5_000)
    parser.add_argument("--jobs", type=int, default=-1)
    parser.add_argument("--turns", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    wave = np.sin(np.arange(args.points) / 8)
    many = [wave + 0.1 * rng.standard_normal(args.points) for _ in range(args.series)]
    pipeline = VETimePipeline.from_pretrained("small", device="cpu")
    ways: dict[str, dict[str, int]] = {"this process": {}, f"n_jobs={args.jobs}": {"n_jobs": args.jobs}}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    scored = {}
    for turn in range(args.turns + 1):
        for name, options in ways.items():
            begin = time.perf_counter()
            scored[name] = pipeline.score(many, **options)
            if turn:
                seconds[name].append(time.perf_counter() - begin)
    least = [min(one) for one in seconds.values()]
    for name, one in zip(ways, least, strict=True):
        print(f"{name}: {one:.2f} s")
    print(f"ratio: {least[0] / least[1]:.2f}")
    here, there = scored.values()
    print(f"largest difference: {max(np.abs(a - b).max() for a, b in zip(here, there, strict=True)):.1e}")


if __name__ == "__main__":
    main()
