"""Find labelled spikes with the automatic threshold, then score an electrocardiogram in three ways.

Run it with ``make demo``. Both series come with sktime, so nothing is fetched: ``yahoo.csv`` has 1,000 points
and seven labelled ones, ``mitdb.csv`` 7,500 samples and one labelled episode. Scores and pictures go to
``demo-output/``.
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
from vetime_plugins.plotting import plot_explanation, plot_scores, save_figure
from vetime_plugins.thresholds import find_threshold

OUT = Path("demo-output")


def find_recording(name: str = "mitdb") -> Path:
    """Return the path of a recording inside the installed sktime."""
    spec = importlib.util.find_spec("sktime")
    if spec is None or spec.origin is None:
        sys.exit("the demo reads a recording that comes with sktime; run it with: make demo")
    return Path(spec.origin).parent / "datasets" / "data" / name / f"{name}.csv"


def read_recording(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the signal ``(T,)`` and its labels ``(T,)``."""
    table = np.loadtxt(path, delimiter=",", skiprows=1)
    return table[:, 0], table[:, 1].astype(int)


def show_spikes(pipeline: VETimePipeline, picture: Path) -> None:
    """Flag a series by the automatic threshold, compare with its labels, and draw it."""
    path = find_recording("yahoo")
    signal, labels = read_recording(path)
    scores = pipeline.score(signal)
    threshold = find_threshold(scores, "auto")
    found = scores > threshold
    right = (found & (labels > 0)).sum()
    print(f"{path.name}: {len(signal):,} points, {labels.sum()} labelled")
    print(f'   threshold "auto" flags {found.sum()}, {right} of them labelled')
    print(f"   at {', '.join(map(str, np.flatnonzero(found)))}\n")
    save_figure(plot_scores(signal, scores, threshold=threshold, labels=labels), picture)


def main() -> None:
    """Run the three ways, compare them, and say where the results are."""
    started = time.perf_counter()
    OUT.mkdir(exist_ok=True)
    pipeline = VETimePipeline.from_pretrained("small")
    spikes = OUT / "spikes.png"
    show_spikes(pipeline, spikes)

    path = find_recording()
    signal, labels = read_recording(path)
    episode = np.flatnonzero(labels)
    print(f"{path.name}: {len(signal):,} samples, labelled episode {episode[0]:,} .. {episode[-1]:,}\n")

    print("1. VETimePipeline")
    explanation = pipeline.explain(signal)
    picture = OUT / "explanation.png"
    save_figure(plot_explanation(explanation, labels=labels, title=path.name), picture)
    top = explanation.scores.argmax()
    where = "inside" if labels[top] else "outside"
    print(f"   highest score {explanation.scores[top]:.4f} at sample {top:,}, {where} the label;")
    print(f"   highest in the episode {explanation.scores[episode].max():.4f}.")
    print(f"   A score tells what is unlike the rest, such as the tallest beat at {signal.argmax():,}.")
    print("   The label marks one episode alone, where a beat comes early; an alarm elsewhere")
    print("   may be odd without a mark. docs/gallery/heart.md looks at both.\n")

    print("2. PyOD: VETime(contamination=0.05).fit(signal)")
    detector = VETime(contamination=0.05).fit(signal)
    found = detector.labels_.astype(bool)
    print(f"   {found.sum():,} samples above the threshold {detector.threshold_:.4f}, ", end="")
    print(f"{found[episode].sum():,} of them in the episode\n")

    scores, drawing = OUT / "scores.csv", OUT / "scores.png"
    arguments = ["score", str(path), "--labels", "label", "--threshold", "quantile"]
    arguments += ["--contamination", "0.05", "--out", str(scores), "--plot", str(drawing)]
    print(f"3. vetime {shlex.join(arguments)}", flush=True)
    subprocess.run([sys.executable, "-m", "vetime_plugins", *arguments], check=True)

    with scores.open(newline="") as stream:
        written = np.array([float(row["score"]) for row in csv.DictReader(stream)])
    ways = np.stack([explanation.scores, detector.decision_scores_, written])
    print(f"\nlargest difference between the three: {np.ptp(ways, axis=0).max():.1e}")
    for name in (spikes, scores, drawing, picture):
        print(f"written: {name.resolve()}")
    print(f"{time.perf_counter() - started:.1f} s in all")


if __name__ == "__main__":
    main()
