"""Stream many points through `StreamingVETime` and watch its memory and its speed.

    python benchmarks/soak.py --points 1_000_000 [--context 64] [--stride 50] [--rows 20] [--limit 16]

A drifting wave with spikes, gaps and outages goes through `detect` in pieces of `--chunk` points, with the
rolling threshold and incidents, as a service would have it. Each row tells the points so far, the resident
memory of the process and the points a second since the row before. A twentieth of the points fills the
caches; after it memory may grow by `--limit` MiB at most, or the exit status is 1.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import psutil

from vetime_plugins.streaming import StreamingVETime

PERIOD = 40.0


def make_piece(rng: np.random.Generator, start: int, length: int) -> np.ndarray:
    """Return the points from `start` on: a wave that drifts, a spike now and then, some of them missing."""
    steps = np.arange(start, start + length)
    values = np.sin(2 * np.pi * steps / PERIOD) + 0.1 * rng.normal(size=length) + 1e-5 * steps
    values[rng.random(length) < 0.001] += 5.0
    values[rng.random(length) < 0.01] = np.nan
    if rng.random() < 0.002:
        values[:] = np.nan
    return values


class Row(NamedTuple):
    """What was streamed so far, and the memory that `measure` told then."""

    points: int
    incidents: int
    memory: float


def soak(
    points: int,
    measure: Callable[[], float],
    *,
    context: int = 64,
    stride: int = 50,
    chunk: int = 50,
    rows: int = 20,
) -> Iterator[Row]:
    """Stream points and yield a row for each of `rows` equal parts of them."""
    rng = np.random.default_rng(0)
    stream = StreamingVETime(context, stride=stride, device="cpu", threshold="rolling")
    stream.warm_up(make_piece(rng, 0, 1000), as_reference=False)
    done = scored = incidents = 0
    for row in range(1, rows + 1):
        while done < points * row // rows:
            length = min(chunk, points - done)
            found = stream.detect(make_piece(rng, 1000 + done, length))
            assert ((found.scores >= 0) & (found.scores <= 1)).all()
            incidents += sum(event.what == "closed" for event in stream.events)
            done, scored = done + length, scored + len(found.scores)
        yield Row(done, incidents, measure())
    assert scored == done - stream.n_pending


def main() -> int:
    """Stream, and print a row now and then."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--points", type=int, default=1_000_000)
    parser.add_argument("--context", type=int, default=64)
    parser.add_argument("--stride", type=int, default=50, help="1 scores every point in a window of its own")
    parser.add_argument("--chunk", type=int, default=50, help="points that come together")
    parser.add_argument("--rows", type=int, default=20)
    parser.add_argument("--limit", type=float, default=16.0, metavar="MIB")
    args = parser.parse_args()
    own = psutil.Process()
    first: float | None = None
    most, at = 0.0, 0
    began = since = time.perf_counter()
    print(f"{'points':>10}  {'RSS MiB':>8}  {'points/s':>8}  {'incidents':>9}", flush=True)
    sizes = {"context": args.context, "stride": args.stride, "chunk": args.chunk, "rows": args.rows}
    for number, row in enumerate(soak(args.points, lambda: own.memory_info().rss / 2**20, **sizes), start=1):
        now = time.perf_counter()
        speed = (row.points - at) / (now - since)
        print(f"{row.points:>10}  {row.memory:>8.1f}  {speed:>8.0f}  {row.incidents:>9}", flush=True)
        since, at = now, row.points
        if first is None and number >= args.rows / 20:
            first = row.memory
        most = max(most, row.memory - (first or row.memory))
    seconds = time.perf_counter() - began
    print(
        f"{args.points} points, context {args.context}, stride {args.stride}, {seconds:.0f} s: "
        f"memory grew by {most:.1f} MiB"
    )
    if most > args.limit:
        print(f"that is more than {args.limit:g} MiB", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
