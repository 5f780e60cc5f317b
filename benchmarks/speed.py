"""Time and memory of scoring, for the bundled weights and for the paper's sizes with random weights.

    python benchmarks/speed.py [--models small base] [--lengths 512 2000 ...] [--threads 2] [--markdown]

Every cell runs in a process of its own, so that one cell's memory and warm caches do not help the next. Times
are the best of `--repeats` calls after one warm-up call; memory is the growth of the peak resident set during
scoring.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys

# Seconds of the authors' code with random weights on a 2-core CPU, float32 (measured once on such a machine).
AUTHORS = {512: 0.53, 2_000: 0.61, 5_000: 1.18, 20_000: 3.9}
# glibc gives memory back after every layer by default, which costs more than the arithmetic of a small model.
ALLOCATOR = {"MALLOC_TRIM_THRESHOLD_": "-1", "MALLOC_MMAP_MAX_": "0", "MALLOC_TOP_PAD_": "268435456"}


def measure(model: str, length: int, threads: int, repeats: int, device: str) -> dict[str, float]:
    """Score one synthetic series of `length` points; return seconds and mebibytes."""
    import resource
    import time

    import numpy as np
    import torch

    from vetime_plugins import VETimeConfig, VETimePipeline
    from vetime_plugins.network.devices import choose_device
    from vetime_plugins.network.model import VETime

    torch.set_num_threads(threads)
    if model == "base":
        torch.manual_seed(0)
        pipeline = VETimePipeline(VETime(VETimeConfig.preset("base")), "random", choose_device(device))
    else:
        pipeline = VETimePipeline.from_pretrained(model, device=device)
    rng = np.random.default_rng(0)
    series = np.sin(np.arange(length) * 2 * np.pi / 60) + rng.normal(scale=0.3, size=length)

    def synchronised() -> float:
        if pipeline.device.type == "cuda":
            torch.cuda.synchronize(pipeline.device)
        return time.perf_counter()

    pipeline.score(series[:512])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = []
    for _ in range(repeats):
        start = synchronised()
        pipeline.score(series)
        seconds.append(synchronised() - start)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return {"seconds": min(seconds), "mebibytes": grown}


def main() -> None:
    """Print a table of models x lengths."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--models", nargs="+", default=["small", "base"], help="bundled name, folder, or base (random)"
    )
    parser.add_argument("--lengths", nargs="+", type=int, default=[512, 2_000, 5_000, 20_000, 200_000])
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--cell", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.cell:
        result = measure(args.cell[0], int(args.cell[1]), args.threads, args.repeats, args.device)
        print(json.dumps(result))
        return
    print("| model | points | seconds | points/s | peak memory, MiB | authors' code, s | ratio |")
    print("|---|---|---|---|---|---|---|")
    for model in args.models:
        for length in args.lengths:
            repeats = 1 if length > 50_000 else args.repeats
            command = [sys.executable, __file__, "--cell", model, str(length), "--threads", str(args.threads)]
            command += ["--repeats", str(repeats), "--device", args.device]
            done = subprocess.run(
                command, capture_output=True, text=True, check=True, env={**os.environ, **ALLOCATOR}
            )
            cell = json.loads(done.stdout.splitlines()[-1])
            theirs = AUTHORS.get(length)
            ratio = f"{theirs / cell['seconds']:.1f} x" if theirs else ""
            print(
                f"| {model} | {length:,} | {cell['seconds']:.3f} | {length / cell['seconds']:,.0f} "
                f"| {cell['mebibytes']:.0f} | {theirs or ''} | {ratio} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
