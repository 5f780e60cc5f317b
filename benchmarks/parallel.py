"""Measure scoring many series in this process against processes of joblib.

python benchmarks/parallel.py --series 200 --points 5000 --jobs 2
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np

from vetime_plugins import VETimePipeline


def main() -> None:
    """Print the seconds of both, the second time that each is done: processes have started by then."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=200)
    parser.add_argument("--points", type=int, default=5_000)
    parser.add_argument("--jobs", type=int, default=-1)
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    wave = np.sin(np.arange(args.points) / 8)
    many = [wave + 0.1 * rng.standard_normal(args.points) for _ in range(args.series)]
    pipeline = VETimePipeline.from_pretrained("small", device="cpu")
    scored = {}
    for name, options in (("this process", {}), (f"n_jobs={args.jobs}", {"n_jobs": args.jobs})):
        pipeline.score(many[: 2 * abs(args.jobs)], **options)
        seconds, scored[name] = timed(pipeline, many, options)
        print(f"{name}: {seconds:.1f} s")
    here, there = scored.values()
    print(f"largest difference: {max(np.abs(a - b).max() for a, b in zip(here, there, strict=True)):.1e}")


def timed(pipeline: VETimePipeline, many: list[Any], options: dict[str, Any]) -> tuple[float, list[Any]]:
    """Return seconds and scores."""
    begin = time.perf_counter()
    scores = pipeline.score(many, **options)
    return time.perf_counter() - begin, scores


if __name__ == "__main__":
    main()
