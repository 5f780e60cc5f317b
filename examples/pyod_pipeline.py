"""VETime among PyOD's detectors: alone, in a scikit-learn pipeline, in ensembles, in ADEngine, and on disk.

Run it with ``python examples/pyod_pipeline.py``; it needs ``pip install "vetime-plugins[pyod]" combo suod``.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from pyod.models.combination import average, maximization
from pyod.models.knn import KNN
from pyod.models.lscp import LSCP
from pyod.models.suod import SUOD
from pyod.utils import persistence
from pyod.utils.ad_engine import ADEngine
from pyod.utils.utility import standardizer
from sklearn.metrics import average_precision_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from vetime_plugins.adapters.pyod import VETime, register_with_adengine


def make_plant(n: int = 1600) -> tuple[np.ndarray, np.ndarray]:
    """Return two sensors (n, 2) with a daily course, and the labels (n,) of three faults."""
    rng = np.random.default_rng(7)
    hour = np.arange(n)
    flow = np.sin(2 * np.pi * hour / 24) + 0.1 * rng.normal(size=n)
    pressure = 0.6 * np.cos(2 * np.pi * hour / 24) + 0.1 * rng.normal(size=n)
    burst, hang, rhythm = slice(900, 906), slice(1150, 1174), slice(1400, 1448)
    flow[burst] += 2.5
    pressure[hang] = pressure[hang.start]  # a sensor that hangs for a day
    flow[rhythm] = np.sin(2 * np.pi * hour[rhythm] / 12)  # twice the rhythm for two days
    labels = np.zeros(n, dtype=int)
    for fault in (burst, hang, rhythm):
        labels[fault] = 1
    return np.column_stack([flow, pressure]), labels


def main() -> None:
    """Fit on the calm first half and score the second half, in each of the ways."""
    values, labels = make_plant()
    train, test, truth = values[:800], values[800:], labels[800:]

    models = {
        "VETime": VETime(),
        "VETime, window readout": VETime(readout="window"),
        "StandardScaler + VETime": make_pipeline(StandardScaler(), VETime()),
        "KNN on single rows": KNN(),
        "LSCP of VETime and KNN": LSCP([VETime(), KNN()], random_state=0, n_bins=2),
        # `bps_flag` balances the work of many detectors, and writes into the installed package to do so.
        "SUOD of VETime and KNN": SUOD([VETime(), KNN()], n_jobs=1, bps_flag=False),
    }
    scores = {name: model.fit(train).decision_function(test) for name, model in models.items()}

    parts = models["VETime"], models["KNN on single rows"]
    before = np.column_stack([part.decision_scores_ for part in parts])
    after = np.column_stack([part.decision_function(test) for part in parts])
    _, standardized = standardizer(before, after)
    scores["average of VETime and KNN"] = average(standardized)
    scores["maximum of VETime and KNN"] = maximization(standardized)

    for name, score in scores.items():
        print(f"AUC-PR {average_precision_score(truth, score):.3f}  {name}")

    detector = models["VETime"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "vetime.pyod"
        persistence.save(detector, path, metadata={"plant": "demo"})
        loaded = persistence.load(path, trusted=True)
        same = np.array_equal(loaded.decision_function(test), scores["VETime"])
        print(f"saved in {path.stat().st_size / 1000:.0f} kB; same scores after loading: {same}")

    engine = register_with_adengine(ADEngine())
    result = engine.detect(values, data_type="time_series")
    print(f"ADEngine chose {result['plan']['detector_name']}. {result['analysis']['summary']}")


if __name__ == "__main__":
    main()
