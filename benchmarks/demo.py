"""Score a real, labelled electrocardiogram in three ways: pipeline, PyOD adapter and command line.

Run it with ``make demo``. The recording, ``mitdb.csv`` with 7,500 samples and one labelled episode, comes
with sktime, so nothing is fetched. Scores and pictures go to ``demo-output/``.
"""

from __future__ import annotations

import csv
import importlib.util
import shlex
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from vetime_plugins import VETimePipeline
from vetime_plugins.adapters.pyod import VETime
from vetime_plugins.plotting import plot_explanation, save_figure

OUT = Path("demo-output")


def find_recording() -> Path:
    """Return the path of the recording inside the installed sktime."""
    spec = importlib.util.find_spec("sktime")
    if spec is None or spec.origin is None:
        sys.exit("the demo reads a recording that comes with sktime; run it with: make demo")
    return Path(spec.origin).parent / "datasets" / "data" / "mitdb" / "mitdb.csv"


def read_recording(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the signal ``(T,)`` and its labels ``(T,)``."""
    table = np.loadtxt(path, delimiter=",", skiprows=1)
    return table[:, 0], table[:, 1].astype(int)


def main() -> None:
    """Run the three ways, compare them, and say where the results are."""
    started = time.perf_counter()
    OUT.mkdir(exist_ok=True)
    path = find_recording()
    signal, labels = read_recording(path)
    episode = np.flatnonzero(labels)
    print(f"{path.name}: {len(signal):,} samples, labelled episode {episode[0]:,} .. {episode[-1]:,}\n")

    print("1. VETimePipeline")
    pipeline = VETimePipeline.from_pretrained("small")
    explanation = pipeline.explain(signal)
    picture = OUT / "explanation.png"
    save_figure(plot_explanation(explanation, labels=labels, title=path.name), picture)
    print(f"   highest score {explanation.scores.max():.4f} at sample {explanation.scores.argmax():,}\n")

    print("2. PyOD: VETime(contamination=0.05).fit(signal)")
    detector = VETime(contamination=0.05).fit(signal)
    found = detector.labels_.astype(bool)
    print(f"   {found.sum():,} samples above the threshold {detector.threshold_:.4f}, ", end="")
    print(f"{found[episode].sum():,} of them in the episode\n")

    scores, drawing = OUT / "scores.csv", OUT / "scores.png"
    arguments = ["score", str(path), "--labels", "label", "--contamination", "0.05"]
    arguments += ["--out", str(scores), "--plot", str(drawing)]
    print(f"3. vetime {shlex.join(arguments)}", flush=True)
    subprocess.run([sys.executable, "-m", "vetime_plugins", *arguments], check=True)

    with scores.open(newline="") as stream:
        written = np.array([float(row["score"]) for row in csv.DictReader(stream)])
    ways = np.stack([explanation.scores, detector.decision_scores_, written])
    print(f"\nlargest difference between the three: {np.ptp(ways, axis=0).max():.1e}")
    for name in (scores, drawing, picture):
        print(f"written: {name.resolve()}")
    print(f"{time.perf_counter() - started:.1f} s in all")


if __name__ == "__main__":
    main()
