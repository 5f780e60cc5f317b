"""VETime among sktime's detectors: alone, in pipelines, on new data, on a panel, and tuned.

Run it with ``python examples/sktime_pipeline.py``; it needs ``pip install "vetime-plugins[sktime]"``.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pandas as pd
from sklearn.model_selection import ParameterGrid
from sktime.detection.compose import DetectorAsTransformer
from sktime.performance_metrics.detection import WindowedF1Score
from sktime.transformations.difference import Differencer

from vetime_plugins.adapters.sktime import VETimeDetector

FAULTS = (slice(900, 906), slice(1150, 1174), slice(1400, 1448))


class OnPanels(DetectorAsTransformer):
    """A detector for each series of a panel, which sktime's own class hands over only if univariate."""

    _tags: ClassVar = {"X_inner_mtype": "pd.DataFrame"}


def make_plant(n: int = 1600, seed: int = 7) -> pd.DataFrame:
    """Return hourly readings (n, 2) of two sensors with a daily course and three faults."""
    rng = np.random.default_rng(seed)
    hour = np.arange(n)
    flow = np.sin(2 * np.pi * hour / 24) + 0.1 * rng.normal(size=n)
    pressure = 0.6 * np.cos(2 * np.pi * hour / 24) + 0.1 * rng.normal(size=n)
    burst, hang, rhythm = FAULTS
    flow[burst] += 2.5
    pressure[hang] = pressure[hang.start]  # a sensor that hangs for a day
    flow[rhythm] = np.sin(2 * np.pi * hour[rhythm] / 12)  # twice the rhythm for two days
    time = pd.date_range("2024-01-01", periods=n, freq="h", tz="UTC", name="time")
    return pd.DataFrame({"flow": flow, "pressure": pressure}, index=time)


def report(name: str, events: pd.DataFrame) -> None:
    """Print how many of the faults have at least one event, and how many events lie outside of them."""
    faulty = np.concatenate([np.arange(fault.start, fault.stop) for fault in FAULTS])
    hit = sum(events["ilocs"].between(fault.start, fault.stop - 1).any() for fault in FAULTS)
    outside = int((~events["ilocs"].isin(faulty)).sum())
    print(f"{hit} of {len(FAULTS)} faults found, {outside:3d} of {len(events):3d} events elsewhere: {name}")


def main() -> None:
    """Run the detector in each of the ways."""
    plant = make_plant()

    report("VETime", VETimeDetector(contamination=0.05).fit_predict(plant))
    report("Differencer * VETime", (Differencer() * VETimeDetector(contamination=0.05)).fit_predict(plant))

    detector = VETimeDetector(threshold="std", context=240, stride=4).fit(plant[:868])
    for start in range(868, 916, 12):
        new = plant[start : start + 12]
        events = detector.update_predict(new)
        print(f"12 h from {new.index[0]:%b %d %H:%M}: {len(events)} above {detector.threshold_:.3f}")

    truth = pd.DataFrame({"ilocs": np.concatenate([np.arange(fault.start, fault.stop) for fault in FAULTS])})
    metric = WindowedF1Score(margin=1)
    grid = list(ParameterGrid({"readout": ["point", "window"], "contamination": [0.02, 0.05, 0.1]}))
    f1 = [metric(truth, VETimeDetector().set_params(**one).fit_predict(plant)) for one in grid]
    print(f"best of {len(grid)} settings: F1 {max(f1):.2f} with {grid[int(np.argmax(f1))]}")

    sites = {"north": make_plant(seed=1), "south": make_plant(seed=2)}
    panel = pd.concat({site: readings.tz_localize(None) for site, readings in sites.items()}, names=["site"])
    labels = OnPanels(VETimeDetector(contamination=0.05)).fit_transform(panel)
    for site in sites:
        print(f"{site}: {labels.loc[site].to_numpy().sum()} of {len(plant)} hours flagged")


if __name__ == "__main__":
    main()
