"""Write the golden scores with which the tests compare the bundled weights."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from vetime_plugins import VETimePipeline
from vetime_plugins.network.checkpoint import bundled_names

WEIGHTS = Path(__file__).resolve().parents[1] / "vetime_plugins" / "weights"


def cases() -> dict[str, NDArray[np.float64]]:
    """Return series of several kinds, each made of a fixed seed."""
    rng = np.random.default_rng(7)
    t = np.arange(1200)
    wave = np.sin(2 * np.pi * t / 48) + rng.normal(scale=0.1, size=1200)
    wave[700:720] += 1.5
    walk = np.cumsum(rng.normal(size=900))
    long = np.sin(2 * np.pi * np.arange(6500) / 100) * (1 + 0.1 * rng.normal(size=6500))
    several = np.column_stack([wave[:600], walk[:600], np.full(600, 2.0)])
    return {"wave": wave, "walk": walk, "long": long, "several": several, "short": walk[:37]}


def main() -> None:
    """Score the cases on the CPU and write them beside the weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", nargs="*", help="bundled weights; all by default")
    for weights in parser.parse_args().weights or bundled_names():
        pipeline = VETimePipeline.from_pretrained(weights, device="cpu")
        golden = {}
        for name, series in cases().items():
            golden[f"{name}.series"] = series
            golden[f"{name}.scores"] = pipeline.score(series)
        file = WEIGHTS / weights / "golden.safetensors"
        save_file(golden, file)
        print(file)


if __name__ == "__main__":
    main()
