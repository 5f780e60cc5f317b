"""Means over cells, and the difference between two detectors."""

import math

import pytest

from tests.leaderboard.test_results import cell
from vetime_plugins.errors import InputError
from vetime_plugins.leaderboard.summary import compare_cells, summarise_cells


def of(value=0.5, series="1", dataset="A", detector="d", status="OK"):
    metrics = {"VUS-PR": math.nan if status != "OK" else value}
    return cell(detector=detector, dataset=dataset, series=series, status=status, metrics=metrics)


class TestSummarise:
    def test_each_detector_has_its_means_and_counts(self):
        cells = [of(0.2, str(i)) for i in range(9)] + [of(0.8, dataset="B"), of(0.1, detector="e")]
        found = summarise_cells(cells)
        assert list(found) == ["d", "e"]
        assert found["d"].datasets == {"A": {"VUS-PR": pytest.approx(0.2)}, "B": {"VUS-PR": 0.8}}
        assert found["d"].mean["VUS-PR"] == pytest.approx(0.5)
        assert found["d"].n_series == {"A": 9, "B": 1}

    def test_failures_count_as_zero_and_undefined_series_not_at_all(self):
        found = summarise_cells([of(0.5), of(series="2", status="OOM"), of(math.nan, "3", "B")])["d"]
        assert found.datasets["A"]["VUS-PR"] == found.mean["VUS-PR"] == 0.25
        assert (found.n_failed, found.n_undefined) == ({"A": 1, "B": 0}, {"A": 0, "B": 1})

    def test_two_results_of_a_series_are_refused(self):
        with pytest.raises(InputError, match="d has two results on A/1"):
            summarise_cells([of(), of()])


class TestCompare:
    def test_series_are_paired_by_name(self):
        a = [of(0.6, "1"), of(0.4, "2"), of(series="3", status="ERROR"), of(math.nan, "4")]
        b = [of(v, s, detector="e") for v, s in [(math.nan, "4"), (0.5, "3"), (0.1, "2"), (0.2, "1")]]
        found = compare_cells(a, b)
        assert found.difference == pytest.approx((0.4 + 0.3 - 0.5) / 3)
        assert found.n_series == 3

    def test_what_cannot_be_paired_is_refused(self):
        with pytest.raises(InputError, match=r"1 are not, e\.g\. A/2"):
            compare_cells([of(), of(series="2")], [of()])
        with pytest.raises(InputError, match="hold no AUC-PR, only VUS-PR"):
            compare_cells([of()], [of()], metric="AUC-PR")
        with pytest.raises(InputError, match="one detector, got d, e"):
            compare_cells([of(), of(detector="e")], [of()])
        with pytest.raises(InputError, match="one detector, got none"):
            compare_cells([], [of()])
