"""What is known of detectors beforehand is what was measured."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from vetime_plugins import detectors
from vetime_plugins.selection.candidates import DEFAULT_CANDIDATES, resolve
from vetime_plugins.selection.experience import EXPERIENCE, experience_of

ROWS = Path(__file__).parents[2] / "benchmarks/results/selection/experience.csv"


@pytest.mark.skipif(not ROWS.exists(), reason="the measured rows come with a checkout only")
def test_as_measured():
    values = defaultdict(list)
    with ROWS.open(newline="") as stream:
        for row in csv.DictReader(stream):
            values[row["candidate"]].append(float(row["VUS-PR"]))
    assert {name: len(found) for name, found in values.items()} == dict.fromkeys(DEFAULT_CANDIDATES, 60)
    assert {name: round(np.mean(found), 2) for name, found in values.items()} == dict(EXPERIENCE)


def test_only_what_is_named_is_known():
    assert experience_of(resolve("sub-knn")) == EXPERIENCE["sub-knn"]
    assert experience_of(resolve("pyod-knn")) is None
    assert experience_of(resolve(detectors.get("sub-knn", n_neighbors=2))) is None
