"""What is known of detectors beforehand is what was measured."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from vetime_plugins import detectors
from vetime_plugins.selection.candidates import DEFAULT_CANDIDATES, resolve
from vetime_plugins.selection.experience import EXPERIENCE, EXPERIENCE_SEVERAL, experience_of

ROWS = Path(__file__).parents[2] / "benchmarks/results/selection"


@pytest.mark.skipif(not ROWS.exists(), reason="the measured rows come with a checkout only")
@pytest.mark.parametrize(
    ("file", "known", "count"),
    [("experience.csv", EXPERIENCE, 60), ("experience_multivariate.csv", EXPERIENCE_SEVERAL, 40)],
)
def test_as_measured(file, known, count):
    values = defaultdict(list)
    with (ROWS / file).open(newline="") as stream:
        for row in csv.DictReader(stream):
            values[row["candidate"]].append(float(row["VUS-PR"]))
    assert {name: len(found) for name, found in values.items()} == dict.fromkeys(DEFAULT_CANDIDATES, count)
    means = {name: round(float(np.mean(found)), 2) for name, found in values.items() if any(found)}
    assert means == dict(known)


def test_several_variables_have_their_own():
    for name in EXPERIENCE_SEVERAL:
        assert experience_of(resolve(name), 3) == EXPERIENCE_SEVERAL[name] != EXPERIENCE[name]
    assert experience_of(resolve("sktime-hampel"), 2) is None  # it takes one variable


def test_only_what_is_named_is_known():
    assert experience_of(resolve("sub-knn")) == EXPERIENCE["sub-knn"]
    assert experience_of(resolve("pyod-knn")) is None
    assert experience_of(resolve(detectors.get("sub-knn", n_neighbors=2))) is None
