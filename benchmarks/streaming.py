"""Latency of `StreamingVETime` for each point, and its growth with the context.

Run from a checkout: ``python benchmarks/streaming.py``. It prints a table and, with ``--output``, writes all
figures as JSON. Each row feeds a warm stream point by point, as a sensor would, then as many in one batch.
Beside the time on the clock stands the processor time, which a busy machine disturbs less.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from pathlib import Path

import numpy as np
import torch

import vetime_plugins
from vetime_plugins.pipeline import cached_pipeline
from vetime_plugins.streaming import StreamingVETime

PERIOD = 50


def feed(n: int, n_variables: int) -> np.ndarray:
    """Return noisy sines of shape (n, n_variables)."""
    rng = np.random.default_rng(0)
    phase = 2 * np.pi * (np.arange(n)[:, None] / PERIOD + np.arange(n_variables) / 7)
    return np.sin(phase) + 0.1 * rng.standard_normal((n, n_variables))


def measure(
    context: int, *, n_variables: int, n_reference: int, stride: int, points: int, weights: str
) -> dict[str, float]:
    """Return the times of one configuration, in milliseconds."""
    history = feed(max(context, n_reference), n_variables)
    new = feed(points, n_variables)
    stream = StreamingVETime(
        context, stride=stride, weights=weights, device="cpu", max_reference=max(1, n_reference)
    )
    stream.warm_up(history, as_reference=bool(n_reference))
    for row in new[: 3 * stride]:  # the first calls load the weights and allocate
        stream.update(row[None])

    single, processor = [], time.process_time()
    for row in new:
        start = time.perf_counter()
        stream.update(row[None])
        single.append(1e3 * (time.perf_counter() - start))
    processor = 1e3 * (time.process_time() - processor)
    start = time.perf_counter()
    stream.update(new)
    batch = 1e3 * (time.perf_counter() - start)
    # with a stride most calls only store the point: what one point costs is the mean
    return {
        "context": context,
        "variables": n_variables,
        "reference": n_reference,
        "stride": stride,
        "ms_per_point": float(np.mean(single)),
        "ms_cpu": processor / points,
        "ms_median": float(np.median(single)),
        "ms_p95": float(np.percentile(single, 95)),
        "ms_max": float(np.max(single)),
        "ms_per_point_in_batch": batch / points,
        "state_kB": len(json.dumps(stream.state_dict())) / 1e3,
    }


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", default="small")
    parser.add_argument("--points", type=int, default=64, help="points fed in each configuration")
    parser.add_argument("--contexts", type=int, nargs="+", default=[64, 128, 256, 512, 1024, 2048, 4096])
    parser.add_argument("--threads", type=int, default=1, help="threads of torch")
    parser.add_argument("--output", type=Path, help="JSON file to write")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    cached_pipeline(arguments.weights, device="cpu")

    middle = 512
    plan = [{"context": context} for context in arguments.contexts]
    plan += [{"context": middle, "n_variables": n} for n in (3, 10)]
    plan += [{"context": middle, "n_reference": n} for n in (1000, 5000, 20_000)]
    plan += [{"context": middle, "stride": n} for n in (4, 16)]
    defaults = {"n_variables": 1, "n_reference": 0, "stride": 1}

    rows = []
    print(
        "context variables reference stride | ms a point: mean  median     p95     CPU  in a batch | state kB"
    )
    for one in plan:
        row = measure(**defaults | one, points=arguments.points, weights=arguments.weights)
        rows.append(row)
        print(
            f"{row['context']:7d} {row['variables']:9d} {row['reference']:9d} {row['stride']:6d} |"
            f"{row['ms_per_point']:17.2f} {row['ms_median']:7.2f} {row['ms_p95']:7.2f} {row['ms_cpu']:7.2f}"
            f" {row['ms_per_point_in_batch']:11.2f} | {row['state_kB']:8.1f}",
            flush=True,
        )
    if arguments.output:
        setup = {
            "vetime_plugins": vetime_plugins.__version__,
            "weights": arguments.weights,
            "torch": torch.__version__,
            "python": platform.python_version(),
            "machine": platform.machine(),
            "threads": arguments.threads,
            "points": arguments.points,
            "seconds_since_epoch": int(time.time()),
        }
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"setup": setup, "rows": rows}, indent=1)
        arguments.output.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
