"""What each adapter costs beyond the bare pipeline.

    python benchmarks/adapters.py [--points 5000] [--variables 1] [--repeats 15]

Every call is timed as a whole and, inside it, the pipeline's part; the overhead is the rest over that part.
So both share a call, and a busy machine does not decide. Processor time, median of the repeats. Series are
framework objects before the clock starts, as their users hold them.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from vetime_plugins import VETimePipeline


def cases(frame: pd.DataFrame, other: pd.DataFrame) -> dict[str, Callable[[], Any]]:
    """Return a call a framework that scores `frame`, fitted on `other` where the framework wants that."""
    from darts import TimeSeries as DartsSeries
    from merlion.utils import TimeSeries as MerlionSeries

    from vetime_plugins.adapters.darts import VETimeScorer
    from vetime_plugins.adapters.merlion import VETimeDetector as MerlionDetector
    from vetime_plugins.adapters.merlion import VETimeDetectorConfig
    from vetime_plugins.adapters.pyod import VETime
    from vetime_plugins.adapters.sktime import VETimeDetector as SktimeDetector

    pyod = VETime().fit(other)
    sktime = SktimeDetector().fit(other)
    darts = VETimeScorer().fit(DartsSeries.from_dataframe(other))
    merlion = MerlionDetector(VETimeDetectorConfig())
    merlion.train(MerlionSeries.from_pd(other))
    for_darts, for_merlion = DartsSeries.from_dataframe(frame), MerlionSeries.from_pd(frame)
    return {
        "pyod `decision_function`": lambda: pyod.decision_function(frame),
        "sktime `transform_scores`": lambda: sktime.transform_scores(frame),
        "darts `score`": lambda: darts.score(for_darts),
        "merlion `get_anomaly_score`": lambda: merlion.get_anomaly_score(for_merlion),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--points", type=int, default=5000)
    parser.add_argument("--variables", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=15)
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    times = pd.date_range("2026-01-01", periods=args.points, freq="min")
    shape = (args.points, args.variables)
    wave = np.sin(np.arange(args.points) / 9)[:, None]
    frames = [
        pd.DataFrame(wave + 0.1 * rng.normal(size=shape), times, [f"v{i}" for i in range(args.variables)])
        for _ in range(2)
    ]

    inside = 0.0
    score = VETimePipeline.score

    def timed(*arguments: Any, **keywords: Any) -> Any:
        nonlocal inside
        start = time.process_time()
        result = score(*arguments, **keywords)
        inside += time.process_time() - start
        return result

    print("| call | pipeline, ms | adapter, ms | overhead |\n| --- | ---: | ---: | ---: |")
    for name, call in cases(*frames).items():
        call()  # the first call loads weights and allocates
        VETimePipeline.score = timed  # type: ignore[method-assign]
        pipeline, rest = [], []
        for _ in range(args.repeats):
            inside, start = 0.0, time.process_time()
            call()
            whole = time.process_time() - start
            pipeline.append(1e3 * inside)
            rest.append(1e3 * (whole - inside))
        VETimePipeline.score = score  # type: ignore[method-assign]
        bare, extra = statistics.median(pipeline), statistics.median(rest)
        print(f"| {name} | {bare:.1f} | {extra:.2f} | {extra / bare:.2%} |")


if __name__ == "__main__":
    main()
